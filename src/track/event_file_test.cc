// TensorBoard's bytes, as its own sources define them; the real program reads them in tests/interop/tensorboard_test.py.
#include "track/event_file.h"

#include <gtest/gtest.h>

#include <array>

#include "track/crc32c.h"
#include "track/test_folder.h"

namespace attune {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

TEST(Crc32c, CheckValue) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(EventFile, GoldenRecords) {
  EXPECT_EQ(hex(event_record(version_event(1.0))),
            "1800000000000000a37f4b2209000000000000f03f1a0d627261696e2e4576656e743a3286bf577a");
  const std::array<Scalar, 1> loss = {Scalar{"loss", 0.5f}};
  EXPECT_EQ(hex(event_record(scalar_event(2.0, 5, loss))),
            "1a00000000000000129bd82d09000000000000004010052a0d0a0b0a046c6f7373150000003fdb81a714");
}

TEST(EventFile, CountsWhatIsWhole) {
  const std::array<Scalar, 2> scalars = {Scalar{"a", 1}, Scalar{"b", 2}};
  std::string bytes = event_record(version_event(1));
  EXPECT_EQ(read_event_file(bytes).events, 0);
  for (int step = 1; step <= 3; ++step) bytes += event_record(scalar_event(1, step, scalars));
  EXPECT_EQ(read_event_file(bytes).events, 3);
  EXPECT_TRUE(read_event_file(bytes).whole);
  // Torn anywhere in the last record, two are left.
  const std::size_t last = event_record(scalar_event(1, 3, scalars)).size();
  for (std::size_t cut = 1; cut < last; ++cut) {
    const EventFileContents contents = read_event_file(std::string_view(bytes).substr(0, bytes.size() - cut));
    EXPECT_EQ(contents.events, 2) << cut;
    EXPECT_FALSE(contents.whole);
  }
}

TEST(EventFile, ADamagedRecordEndsTheFile) {
  std::string bytes = event_record(version_event(1));
  const std::size_t first = bytes.size();
  for (int step = 1; step <= 3; ++step) bytes += event_record(scalar_event(1, step, {}));
  bytes[first + 14] ^= 1;
  EXPECT_EQ(read_event_file(bytes).events, 0);
}

TEST(EventFile, ARestartBeginsANewFile) {
  const TestFolder folder;
  const std::array<Scalar, 1> loss = {Scalar{"loss", 0.5f}};
  EXPECT_EQ(count_events(folder.path / "none"), 0);
  for (int restart = 0; restart < 2; ++restart) {
    EventFile file(folder.path / "board");
    file.add(1, restart, loss);
    file.flush();
  }
  EXPECT_EQ(count_events(folder.path / "board"), 2);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path / "board"), fs::directory_iterator()), 2);
}

}  // namespace
}  // namespace attune
