// Keys and values of the tokens a conversation has seen so far.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "tensor/memory_plan.h"

namespace attune {

struct KvCache {
  std::vector<TensorView> keys, values;  // per block [capacity, K, D] act
  std::int64_t length = 0;               // tokens held
  std::int64_t capacity = 0;
};

struct KvCachePlan {
  std::vector<BufferId> keys, values;
};

KvCachePlan plan_kv_cache(MemoryPlan& plan, const ModelConfig& config, std::int64_t capacity, DType act);
KvCache bind_kv_cache(const KvCachePlan& plan, const Arena& arena);

}  // namespace attune
