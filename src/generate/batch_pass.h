// One forward pass over rows of many sequences, each continuing its own pages of the KV cache, under adapters of their
// own: what model/llama_forward.cc computes, arranged so that no row feels which others share the pass.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "model/activations.h"
#include "model/weights.h"
#include "ops/attention_paged.h"
#include "ops/rows_linear.h"

namespace attune {

// The LoRA pairs of an adapter, taken off the model: per block and slot; rank 0 where there is none.
using LoraTable = std::vector<std::array<LoraPair, kSlots>>;
LoraTable lora_table_of(const Model& model);  // of what is attached now

// The KV cache: per block [pages, kPageTokens, K, D] act.
struct PagedCache {
  std::vector<TensorView> keys, values;
};

struct PagedCachePlan {
  std::vector<BufferId> keys, values;
};
PagedCachePlan plan_paged_cache(MemoryPlan& plan, const ModelConfig& config, std::int64_t pages, DType act);
PagedCache bind_paged_cache(const PagedCachePlan& plan, const Arena& arena);

// The rows of a pass. First `single_rows` rows multiplied one by one: a row's result then depends on nothing but its
// own sequence. Then `blocks`, each multiplied as one: pieces of prompts, whose cutting is the sequence's own affair.
// Rows that belong to no query are padding: they carry any token and leave no trace.
struct BatchRows {
  TensorView ids, positions;  // [N] i32
  std::int64_t single_rows = 0;
  std::span<const RowRange> blocks;
  std::span<const PagedQuery> queries;  // the rows that are tokens; their keys and values join the cache
  struct Adapted {
    RowRange rows;
    const LoraTable* table;
  };
  std::span<const Adapted> adapted;  // disjoint; rows outside have no adapter
};

// Runs the blocks and the final norm; activations.normed holds the result.
void batch_forward(const Model& model, const BatchRows& rows, const PagedCache& cache, const Activations& activations);

}  // namespace attune
