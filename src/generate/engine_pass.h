// What one pass of the engine runs, and for whom.
#pragma once

#include <vector>

#include "generate/engine.h"
#include "generate/sequence.h"

namespace attune {

struct Engine::Pass {
  struct Part {
    Sequence* sequence;
    std::int64_t first, count;  // rows
    std::int64_t logits = -1;   // the first of its rows of logits; -1: none is needed
  };
  std::vector<Part> answers, prompts;
  std::vector<RowRange> blocks;
  std::vector<PagedQuery> queries;
  std::vector<BatchRows::Adapted> adapted;
  std::vector<std::int64_t> logits_rows;  // the pass's rows whose logits are needed
  std::int64_t rows = 0, single_rows = 0;
  TensorView ids, positions;

  // Puts tokens [begin, begin + tokens.size()) of a sequence into the rows that follow.
  void add(const Sequence& sequence, std::int64_t begin, std::span<const TokenId> tokens) {
    for (const TokenId token : tokens) {
      ids.as<std::int32_t>()[rows] = token;
      positions.as<std::int32_t>()[rows] = static_cast<std::int32_t>(begin);
      queries.push_back({rows++, begin++, sequence.pages});
    }
  }
  void pad(std::int64_t count) {
    for (; count > 0; --count, ++rows) {
      ids.as<std::int32_t>()[rows] = 0;
      positions.as<std::int32_t>()[rows] = 0;
    }
  }
};

}  // namespace attune
