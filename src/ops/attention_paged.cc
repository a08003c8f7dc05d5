// A task is a query, or some of its heads where there are few: page after page, the scores, then the softmax so far rescaled
// to the new maximum (Milakov & Gimelshein, "Online normalizer calculation for softmax", 2018).
#include "ops/attention_paged.h"

#include <omp.h>

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

#include "ops/attend_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attune {

namespace HWY_NAMESPACE {
namespace {

// scores [kCacheBlock] of a head's block become weights; what it has of the blocks before, an output [D] that is not yet
// divided by `sum`, follows to the new maximum.
HWY_INLINE void weigh(float* scores, std::int64_t count, float* output, std::int64_t size, float& maximum, float& sum) {
  const float before = maximum;
  maximum = largest(scores, count, before);
  const float added = exponentials_below(scores, maximum, count);
  if (const float shrink = std::exp(before - maximum); shrink != 1.0f) {
    sum *= shrink;
    for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, output + i), hn::Set(d, shrink)), output + i);
    });
  }
  sum += added;
}

// `scratch`: for each of the heads an output, the weights of a block, a maximum and a sum.
template <typename T>
void query_as(const TensorView& out, const TensorView& q, const TensorView& keys, const TensorView& values,
              const PagedQuery& query, const CachedHeads& heads, const AttentionParams& params, float* scratch) {
  const std::int64_t size = heads.size, page_tokens = keys.shape[1], window = params.sliding_window;
  const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, query.position + 1 - window) : 0;
  const std::int64_t at = (query.row * q.shape[1] + heads.first) * size, count = heads.count();
  float *const outputs = scratch, *const weights = outputs + count * size,
               *const maxima = weights + count * kCacheBlock;
  float* const sums = maxima + count;
  std::fill_n(outputs, count * size, 0.0f);
  std::fill_n(maxima, count, -std::numeric_limits<float>::infinity());
  std::fill_n(sums, count, 0.0f);
  for (std::int64_t position = first; position <= query.position;) {
    const std::int64_t in_page = position % page_tokens, left = query.position + 1 - position;
    const std::int64_t tokens = std::min({kCacheBlock, page_tokens - in_page, left});
    const std::int64_t page = query.pages[static_cast<std::size_t>(position / page_tokens)];
    const std::int64_t offset = (page * page_tokens + in_page) * heads.row();
    score_block(weights, q.as<T>() + at, keys.as<T>() + offset, heads, tokens, params.scale);
    for (std::int64_t h = 0; h < count; ++h) {
      weigh(weights + h * kCacheBlock, tokens, outputs + h * size, size, maxima[h], sums[h]);
    }
    add_block(outputs, weights, values.as<T>() + offset, heads, tokens);
    position += tokens;
  }
  for (std::int64_t h = 0; h < count; ++h) {
    T* const to = out.as<T>() + at + h * size;
    for_lanes(0, size, [&](auto d, std::int64_t i) HWY_ATTR {
      store(d, hn::Mul(load(d, outputs + h * size + i), hn::Set(d, 1.0f / sums[h])), to + i);
    });
  }
}

void attention_paged_query(const TensorView& out, const TensorView& q, const TensorView& keys, const TensorView& values,
                           const PagedQuery& query, const CachedHeads& heads, const AttentionParams& params,
                           float* scratch) {
  if (q.dtype == DType::kF32) return query_as<float>(out, q, keys, values, query, heads, params, scratch);
  query_as<bf16>(out, q, keys, values, query, heads, params, scratch);
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
  const std::int64_t heads = q.shape[1], group = heads / key_heads, size = q.shape[2];
  const std::int64_t parts = count < omp_get_max_threads() ? key_heads : 1, heads_each = heads / parts;
  const auto run = [&](std::int64_t task) {
    const std::int64_t first = task % parts * heads_each;
    const CachedHeads part{first, first + heads_each, group, key_heads, size};
    float* const scratch = thread_scratch(static_cast<std::size_t>(heads_each * (size + kCacheBlock + 2)));
    HWY_DYNAMIC_DISPATCH(attention_paged_query)
    (out, q, cached_keys, cached_values, queries[static_cast<std::size_t>(task / parts)], part, params, scratch);
  };
  if (small) {
    for (std::int64_t task = 0; task < count * parts; ++task) run(task);
  } else {
    parallel_tasks(count * parts, run);
  }
}

}  // namespace attune
#endif  // HWY_ONCE
