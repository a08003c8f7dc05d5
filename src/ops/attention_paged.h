// Attention of many sequences at once against keys and values that lie in pages (Kwon et al., "Efficient memory
// management for large language model serving with PagedAttention", 2023).
#pragma once

#include <cstdint>
#include <span>

#include "ops/attention.h"

namespace attune {

// A query: row `row` of q and out, the token at `position` of a sequence whose pages are listed in order.
struct PagedQuery {
  std::int64_t row = 0, position = 0;
  std::span<const std::int32_t> pages;
};

// out, q [N, H, D] act; cached keys and values [pages, P, K, D] act, P tokens a page, of which a query sees those at
// positions 0 .. its own (with a sliding window only the last ones). Rows that no query names are left as they are.
// A row's result is a function of its own query and of what it sees: the same bits in any company and with any number
// of threads.
void attention_paged(TensorView out, TensorView q, TensorView cached_keys, TensorView cached_values,
                     std::span<const PagedQuery> queries, const AttentionParams& params);

}  // namespace attune
