// A task is a query and a key head: page after page, the scores of the group's query heads, then the softmax so far
// rescaled to the new maximum (Milakov & Gimelshein, "Online normalizer calculation for softmax", 2018).
#include "ops/attention_paged.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/check.h"
#include "ops/parallel.h"
#include "ops/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention_paged.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {
namespace HWY_NAMESPACE {
namespace {

// One query head. `scratch` holds the output so far [D] and the scores of a page [P].
template <typename T>
void head_as(T* out, const T* q, const T* keys, const T* values, const PagedQuery& query, std::int64_t first,
             std::int64_t page_tokens, std::int64_t stride, std::int64_t size, float scale, float* scratch) {
  float* const output = scratch;
  float* const scores = scratch + size;
  float maximum = -std::numeric_limits<float>::infinity(), sum = 0.0f;
  for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR { store(d, hn::Zero(d), output + i); });
  for (std::int64_t page = first / page_tokens; page * page_tokens <= query.position; ++page) {
    const std::int64_t begin = std::max(first, page * page_tokens) - page * page_tokens;
    const std::int64_t count = std::min(page_tokens, query.position + 1 - page * page_tokens) - begin;
    const std::int64_t token = query.pages[static_cast<std::size_t>(page)] * page_tokens + begin;
    const float before = maximum;
    for (std::int64_t j = 0; j < count; ++j) {
      scores[j] = scale * dot(q, keys + (token + j) * stride, size);
      maximum = HWY_MAX(maximum, scores[j]);
    }
    for_lanes(0, count, [&](auto d, std::int64_t j) HWY_ATTR {
      store(d, exponential(d, hn::Sub(load(d, scores + j), hn::Set(d, maximum))), scores + j);
    });
    if (const float shrink = std::exp(before - maximum); shrink != 1.0f) {
      sum *= shrink;
      for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
        store(d, hn::Mul(load(d, output + i), hn::Set(d, shrink)), output + i);
      });
    }
    for (std::int64_t j = 0; j < count; ++j) {
      sum += scores[j];
      const T* const value = values + (token + j) * stride;
      for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
        store(d, hn::MulAdd(hn::Set(d, scores[j]), load(d, value + i), load(d, output + i)), output + i);
      });
    }
  }
  for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
    store(d, hn::Mul(load(d, output + i), hn::Set(d, 1.0f / sum)), out + i);
  });
}

template <typename T>
void query_as(const TensorView& out, const TensorView& q, const TensorView& keys, const TensorView& values,
              const PagedQuery& query, std::int64_t key_head, const AttentionParams& params, float* scratch) {
  const std::int64_t heads = q.shape[1], size = q.shape[2], page_tokens = keys.shape[1], key_heads = keys.shape[2];
  const std::int64_t group = heads / key_heads;
  const std::int64_t window = params.sliding_window;
  const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, query.position + 1 - window) : 0;
  for (std::int64_t head = key_head * group; head < (key_head + 1) * group; ++head) {
    const std::int64_t at = (query.row * heads + head) * size;
    head_as(out.as<T>() + at, q.as<T>() + at, keys.as<T>() + key_head * size, values.as<T>() + key_head * size, query,
            first, page_tokens, key_heads * size, size, params.scale, scratch);
  }
}

void attention_paged_query(const TensorView& out, const TensorView& q, const TensorView& keys, const TensorView& values,
                           const PagedQuery& query, std::int64_t key_head, const AttentionParams& params,
                           float* scratch) {
  if (q.dtype == DType::kF32) return query_as<float>(out, q, keys, values, query, key_head, params, scratch);
  query_as<bf16>(out, q, keys, values, query, key_head, params, scratch);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace attune
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune {

HWY_EXPORT(attention_paged_query);

void attention_paged(TensorView out, TensorView q, TensorView cached_keys, TensorView cached_values,
                     std::span<const PagedQuery> queries, const AttentionParams& params) {
  const char* where = "attention_paged";
  require_activations(where, {out, q, cached_keys, cached_values});
  require(q.shape.rank == 3 && out.shape == q.shape, where, "out, q [N, H, D]");
  require(cached_keys.shape.rank == 4 && cached_keys.shape == cached_values.shape, where, "caches [pages, P, K, D]");
  const std::int64_t page_tokens = cached_keys.shape[1], key_heads = cached_keys.shape[2];
  require(cached_keys.shape[3] == q.shape[2] && q.shape[1] % key_heads == 0, where,
          "heads of equal size, H a multiple of K");
  for (const PagedQuery& query : queries) {
    require(query.row >= 0 && query.row < q.rows() && query.position >= 0 &&
                query.position < std::ssize(query.pages) * page_tokens,
            where, "queries of existing rows whose pages reach their positions");
  }
  const auto count = static_cast<std::int64_t>(queries.size());
  std::int64_t tokens = 0;
  for (const PagedQuery& query : queries) tokens += query.position + 1;
  // As in rows_linear.cc: small work is done before a second thread has begun.
  constexpr std::int64_t kSmall = 1 << 17;
  const bool small = tokens * q.columns() < kSmall;
  const auto run = [&](std::int64_t task) {
    float* const scratch = thread_scratch(static_cast<std::size_t>(q.shape[2] + page_tokens));
    HWY_DYNAMIC_DISPATCH(attention_paged_query)
    (out, q, cached_keys, cached_values, queries[static_cast<std::size_t>(task / key_heads)], task % key_heads, params,
     scratch);
  };
  if (small) {
    for (std::int64_t task = 0; task < count * key_heads; ++task) run(task);
  } else {
    parallel_tasks(count * key_heads, run);
  }
}

}  // namespace attune
#endif  // HWY_ONCE
