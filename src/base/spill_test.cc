// Arrays on the heap and in the temporary file hold the same.
#include "base/spill.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/error.h"

namespace attune {
namespace {

TEST(Spill, HoldsMoreThanTheHeapMay) {
  constexpr std::uint64_t kCount = std::uint64_t{24} << 20;  // 192 MiB
  SpillVector<std::uint64_t> numbers;
  for (std::uint64_t i = 0; i < kCount; ++i) numbers.push_back(i * i);
  ASSERT_EQ(numbers.size(), kCount);
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) wrong += numbers[i] != i * i;
  EXPECT_EQ(wrong, 0u);
  numbers[7] = 5;
  numbers.settle();
  EXPECT_EQ(numbers[7], 5u);
  EXPECT_EQ(numbers.back(), (kCount - 1) * (kCount - 1));
  SpillVector<std::uint64_t> moved = std::move(numbers);
  EXPECT_EQ(moved[7], 5u);
  moved.clear();
  EXPECT_TRUE(moved.empty());
}

TEST(Spill, TextGrowsOverEveryBoundary) {
  SpillBuffer buffer;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string piece(static_cast<std::size_t>(i % 977), static_cast<char>('a' + i % 26));
    expected += piece;
    buffer.append(piece);
  }
  EXPECT_EQ(buffer.view(0, buffer.size()), expected);
  EXPECT_EQ(buffer.view(500000, 1000), expected.substr(500000, 1000));
  EXPECT_EQ(buffer.text().all(), expected);
}

TEST(Spill, AMissingTemporaryFolderIsNamed) {
  const char* const before = std::getenv("TMPDIR");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("TMPDIR", "/nonexistent", 1);
  std::string message;
  try {
    SpillBuffer buffer;
    const std::string block(std::size_t{1} << 20, 'x');
    for (int i = 0; i < 200; ++i) buffer.append(block);
  } catch (const UserError& error) {
    message = error.what();
  }
  if (saved.empty())
    ::unsetenv("TMPDIR");
  else
    ::setenv("TMPDIR", saved.c_str(), 1);
  EXPECT_EQ(message,
            "[/nonexistent] no temporary file can be made there: No such file or directory; name another folder in "
            "TMPDIR");
}

}  // namespace
}  // namespace attune
