// Attention over pages is attention over the tokens they hold, and a row does not feel the others.
#include "ops/attention_paged.h"

#include "ops/test_support.h"

namespace attune {
namespace {

constexpr std::int64_t kPage = 4, kPages = 6, kHeads = 6, kKeyHeads = 3, kSize = 20;
const std::vector<std::int32_t> kTable = {5, 0, 3, 1};  // a sequence whose pages lie about

struct Paged {
  explicit Paged(DType type)
      : q(type, {3, kHeads, kSize}, random_normal(3 * kHeads * kSize, 1)),
        keys(type, {kPages, kPage, kKeyHeads, kSize}, random_normal(kPages * kPage * kKeyHeads * kSize, 2)),
        values(type, {kPages, kPage, kKeyHeads, kSize}, random_normal(kPages * kPage * kKeyHeads * kSize, 3)),
        out(type, {3, kHeads, kSize}) {}

  Stored q, keys, values, out;
};

// The token-by-token order of a sequence's keys or values.
Doubles in_order(const Doubles& pages, std::int64_t tokens) {
  Doubles ordered;
  constexpr std::int64_t kRow = kKeyHeads * kSize;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto begin = pages.begin() + (kTable[static_cast<std::size_t>(t / kPage)] * kPage + t % kPage) * kRow;
    ordered.insert(ordered.end(), begin, begin + kRow);
  }
  return ordered;
}

TEST(AttentionPaged, IsAttentionOverTheTokensOfThePages) {
  for_each_target_and_type([](DType type) {
    for (const std::int64_t window : {0, 3, 6}) {
      for (const std::int64_t position : {0, 3, 4, 13}) {
        Paged p(type);
        const AttentionParams params{.scale = 0.25f, .sliding_window = window};
        const std::vector<PagedQuery> queries = {{1, position, kTable}};
        attention_paged(p.out.view(), p.q.view(), p.keys.view(), p.values.view(), queries, params);
        // The contiguous kernel on the same tokens.
        const std::int64_t tokens = position + 1;
        Stored keys(type, {tokens, kKeyHeads, kSize}, in_order(p.keys.values(), tokens));
        Stored values(type, {tokens, kKeyHeads, kSize}, in_order(p.values.values(), tokens));
        Stored want(type, {kHeads, kSize});
        TensorView q = p.q.view().slice_rows(1, 1);
        q.shape = {kHeads, kSize};
        attention_decode(want.view(), q, keys.view(), values.view(), tokens, params);
        const Doubles got = p.out.values();
        const auto row = got.begin() + kHeads * kSize;
        expect_near({row, row + kHeads * kSize}, want.values(), type, 60, 4, "row of the query");
        EXPECT_EQ(got.front(), 7.0) << "a row that no query names";
      }
    }
  });
}

TEST(AttentionPaged, ARowHasTheSameBitsInAnyCompany) {
  for_each_target_and_type([](DType type) {
    const std::vector<PagedQuery> queries = {{0, 2, kTable}, {1, 15, kTable}, {2, 9, kTable}};
    Paged together(type);
    const AttentionParams params{.scale = 0.25f};
    attention_paged(together.out.view(), together.q.view(), together.keys.view(), together.values.view(), queries,
                    params);
    Paged alone(type);
    for (std::size_t i = queries.size(); i-- > 0;) {
      attention_paged(alone.out.view(), alone.q.view(), alone.keys.view(), alone.values.view(), {&queries[i], 1},
                      params);
    }
    EXPECT_TRUE(alone.out.bits() == together.out.bits());
    expect_independent_of_threads([&] {
      Paged p(type);
      attention_paged(p.out.view(), p.q.view(), p.keys.view(), p.values.view(), queries, params);
      return p.out.bits();
    });
  });
}

}  // namespace
}  // namespace attune
