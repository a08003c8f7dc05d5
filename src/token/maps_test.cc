// The maps of the tokenizers against those of the standard library.
#include <gtest/gtest.h>

#include <unordered_map>

#include "base/rng.h"
#include "token/flat_map.h"
#include "token/text_map.h"

namespace attune {
namespace {

TEST(FlatMap, HoldsWhatWasPutIntoItAndNothingElse) {
  Rng rng{3, 0, 0};
  FlatMap<std::uint32_t> map;
  std::unordered_map<std::uint64_t, std::uint32_t> expected;
  EXPECT_EQ(map.find(0), nullptr);
  for (std::uint32_t i = 0; i < 20000; ++i) {
    const std::uint64_t key = rng.below(200) << 32 | rng.below(200);  // pairs of ids, many of them more than once
    map.set(key, i);
    expected[key] = i;
  }
  for (std::uint64_t a = 0; a < 200; ++a) {
    for (std::uint64_t b = 0; b < 250; ++b) {
      const std::uint64_t key = a << 32 | b;
      const std::uint32_t* const found = map.find(key);
      const auto wanted = expected.find(key);
      ASSERT_EQ(found != nullptr, wanted != expected.end()) << a << " " << b;
      if (found) {
        ASSERT_EQ(*found, wanted->second);
      }
    }
  }
}

struct OneHash {
  std::uint64_t operator()(std::string_view) const { return ~std::uint64_t{0}; }
};

template <typename Map>
void expect_texts(Map map) {
  EXPECT_EQ(map.find(""), std::nullopt);
  for (int i = 0; i < 500; ++i) map.set(std::to_string(i), i);
  map.set("7", 1000);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(map.find(std::to_string(i)), i);
  EXPECT_EQ(map.find("500"), std::nullopt);
  EXPECT_EQ(map.find(""), std::nullopt);
  EXPECT_EQ(map.find("07"), std::nullopt);
}

TEST(TextMap, FindsTextsAndKeepsTheFirst) { expect_texts(TextMap<int>()); }

TEST(TextMap, TellsTextsOfEqualHashApart) { expect_texts(TextMap<int, OneHash>()); }

}  // namespace
}  // namespace attune
