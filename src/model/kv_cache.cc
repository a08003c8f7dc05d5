#include "model/kv_cache.h"

#include <fmt/format.h>

namespace attune {

KvCachePlan plan_kv_cache(MemoryPlan& plan, const ModelConfig& config, std::int64_t capacity, DType act) {
  KvCachePlan cache;
  const Shape shape{capacity, config.kv_heads, config.head_dim};
  for (std::int64_t i = 0; i < config.layers; ++i) {
    cache.keys.push_back(plan.add(fmt::format("cache.{}.keys", i), BufferKind::kCache, act, shape));
    cache.values.push_back(plan.add(fmt::format("cache.{}.values", i), BufferKind::kCache, act, shape));
  }
  return cache;
}

KvCache bind_kv_cache(const KvCachePlan& plan, const Arena& arena) {
  KvCache cache;
  for (const BufferId id : plan.keys) cache.keys.push_back(arena.view(id));
  for (const BufferId id : plan.values) cache.values.push_back(arena.view(id));
  cache.capacity = cache.keys.empty() ? 0 : cache.keys.front().rows();
  return cache;
}

}  // namespace attune
