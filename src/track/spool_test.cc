// The journal: what was appended is read back in order, whatever a crash left of the last line.
#include "track/spool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <thread>
#include <vector>

#include "track/test_folder.h"

namespace attune {
namespace {

std::vector<SpoolRecord> all(const fs::path& journal, std::int64_t after = 0) {
  SpoolReader reader(journal, after);
  std::vector<SpoolRecord> records;
  while (auto record = reader.next()) records.push_back(*std::move(record));
  return records;
}

TEST(Spool, LineRoundTrip) {
  const Json value = {{"kind", "metrics"}, {"text", "é \n \" \\"}, {"number", 0.1}};
  const std::string line = spool_line(7, value);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const auto record = parse_spool_line(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->sequence, 7);
  EXPECT_EQ(record->value, value);
}

TEST(Spool, EveryDamagedByteIsNoticed) {
  const std::string line = spool_line(12, {{"loss", 1.5}});
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    std::string damaged = line.substr(0, line.size() - 1);
    damaged[i] ^= 2;
    EXPECT_FALSE(parse_spool_line(damaged)) << i;
  }
}

TEST(Spool, GoesOnCountingAfterARestart) {
  const TestFolder folder;
  const fs::path journal = folder.path / "journal";
  for (int restart = 0; restart < 3; ++restart) {
    SpoolWriter writer(journal);
    EXPECT_EQ(writer.last_sequence(), 2 * restart);
    writer.append({{"a", restart}});
    writer.append({{"b", restart}});
    EXPECT_TRUE(writer.sync());
  }
  const auto records = all(journal);
  ASSERT_EQ(records.size(), 6u);
  for (std::size_t i = 0; i < records.size(); ++i) EXPECT_EQ(records[i].sequence, static_cast<std::int64_t>(i) + 1);
  EXPECT_EQ(all(journal, 4).front().sequence, 5);
}

TEST(Spool, ATornLineCostsThatLineOnly) {
  const TestFolder folder;
  const fs::path journal = folder.path / "journal";
  const std::string first = spool_line(1, {{"a", 1}}), second = spool_line(2, {{"a", 2}});
  for (std::size_t cut = 1; cut <= second.size(); ++cut) {
    write_file_atomic(journal, first + second.substr(0, second.size() - cut));
    {
      SpoolWriter writer(journal);
      EXPECT_EQ(writer.last_sequence(), 1);
      EXPECT_EQ(writer.append({{"a", 3}}), 2);
    }
    const auto records = all(journal);
    ASSERT_EQ(records.size(), 2u) << cut;
    EXPECT_EQ(records[1].value, Json({{"a", 3}}));
  }
}

TEST(Spool, AReaderFollowsAWriterInAnotherThread) {
  const TestFolder folder;
  const fs::path journal = folder.path / "journal";
  constexpr std::int64_t kRecords = 2000;
  std::thread writing([&] {
    SpoolWriter writer(journal);
    for (std::int64_t i = 1; i <= kRecords; ++i) writer.append({{"i", i}, {"padding", std::string(i % 700, 'x')}});
  });
  SpoolReader reader(journal);
  for (std::int64_t expected = 1; expected <= kRecords;) {
    const auto record = reader.next();
    if (!record) continue;
    ASSERT_EQ(record->sequence, expected++);
  }
  writing.join();
  EXPECT_EQ(reader.damaged(), 0);
}

TEST(Spool, WhatAFullDiskRefusesIsWrittenLater) {
  const TestFolder folder;
  const fs::path journal = folder.path / "journal";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    SpoolWriter writer(journal);
    const rlimit small{1000, before.rlim_max};  // the same error to a writer as a full disk
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 1; i <= 100; ++i) EXPECT_EQ(writer.append({{"i", i}}), i);
    EXPECT_FALSE(writer.sync());
    EXPECT_LT(all(journal).size(), 100u);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_TRUE(writer.sync());
  }
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(all(journal).size(), 100u);
}

}  // namespace
}  // namespace attune
