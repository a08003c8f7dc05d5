// Embedding: rows out exactly, gradients summed in order.
#include "ops/embedding.h"

#include "ops/test_support.h"

namespace attune {
namespace {

TEST(Embedding, CopiesRowsOfEveryTypeOfTable) {
  for_each_target_and_type([](DType type) {
    for (const DType table_type : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const std::int64_t columns : {1, 3, 8, 15, 31, 33, 172, 4099}) {
        SCOPED_TRACE(testing::Message() << name_of(table_type) << ", " << columns << " columns");
        const Ints ids{4, 0, 4, 2};
        Stored table(table_type, {5, columns}, random_normal(static_cast<std::size_t>(5 * columns), 1));
        Stored tokens(DType::kI32, {4}, to_doubles(ids)), out(type, {4, columns});
        embedding_forward(out.view(), tokens.view(), table.view());
        const Doubles rows = table.values();
        Doubles want;
        for (const std::int32_t id : ids) {
          for (std::int64_t c = 0; c < columns; ++c) {
            want.push_back(rows[static_cast<std::size_t>(id * columns + c)]);
          }
        }
        Stored rounded(type, {4, columns}, want);
        EXPECT_EQ(out.bits(), rounded.bits());
      }
    }
  });
}

TEST(Embedding, GradientAccumulatesPerRow) {
  for_each_target_and_type([](DType type) {
    for (const std::int64_t columns : {1, 7, 8, 33, 172, 300}) {
      const Ints ids{4, 0, 4, 2, 4};
      Stored dout(type, {5, columns}, random_normal(static_cast<std::size_t>(5 * columns), 1));
      Stored tokens(DType::kI32, {5}, to_doubles(ids)), dtable(DType::kF32, {6, columns});  // starts at 7
      embedding_backward(dtable.view(), dout.view(), tokens.view());
      const Doubles gradient = dout.values();
      Doubles want(static_cast<std::size_t>(6 * columns), 7.0);
      for (std::size_t n = 0; n < ids.size(); ++n) {
        for (std::size_t c = 0; c < static_cast<std::size_t>(columns); ++c) {
          want[static_cast<std::size_t>(ids[n] * columns) + c] += gradient[n * static_cast<std::size_t>(columns) + c];
        }
      }
      expect_near(dtable.values(), want, DType::kF32, 3.0, 7.0 + largest(want), "dtable");
    }
  });
}

TEST(Embedding, GradientDoesNotDependOnThreads) {
  Doubles ids(500);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<double>(i * i % 7);
  Stored dout(DType::kF32, {500, 300}, random_normal(500 * 300, 1)), tokens(DType::kI32, {500}, ids);
  expect_independent_of_threads([&] {
    Stored dtable(DType::kF32, {7, 300});
    embedding_backward(dtable.view(), dout.view(), tokens.view());
    return dtable.bits();
  });
}

TEST(Embedding, RefusesUnknownIds) {
  Stored table(DType::kF32, {5, 2}), out(DType::kF32, {1, 2});
  for (const double id : {-1.0, 5.0}) {
    Stored ids(DType::kI32, {1}, {id});
    EXPECT_THROW(embedding_forward(out.view(), ids.view(), table.view()), InternalError) << id;
    EXPECT_THROW(embedding_backward(table.view(), out.view(), ids.view()), InternalError) << id;
  }
}

}  // namespace
}  // namespace attune
