// /proc as Linux writes it, and what is made of it.
#include "track/system_metrics.h"

#include <gtest/gtest.h>

#include "track/test_folder.h"

namespace attune {
namespace {

TEST(SystemMetrics, CpuTimes) {
  const auto times = parse_cpu_times("cpu  10 1 5 80 4 0 0 0 0 0\ncpu0 5 1 2 40 2 0 0 0 0 0\n");
  ASSERT_TRUE(times);
  EXPECT_EQ(times->busy, 16u);
  EXPECT_EQ(times->all, 100u);
  EXPECT_FALSE(parse_cpu_times(""));
  EXPECT_FALSE(parse_cpu_times("cpu  10 1"));
  EXPECT_FALSE(parse_cpu_times("intr 5 5 5 5 5"));
}

TEST(SystemMetrics, MemoryUse) {
  const auto memory = parse_memory_use("MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  400 kB\n");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->total, 1024000u);
  EXPECT_EQ(memory->available, 409600u);
  EXPECT_FALSE(parse_memory_use("MemTotal: 1 kB\n"));
  EXPECT_FALSE(parse_memory_use("MemTotal: x kB\nMemAvailable: y kB\n"));
}

TEST(SystemMetrics, NetworkBytes) {
  const NetworkBytes bytes = parse_network_bytes(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
      "    lo: 99 1 0 0 0 0 0 0 99 1 0 0\n"
      "  eth0: 100 1 0 0 0 0 0 0 7 1 0 0\n"
      " wlan0:200 1 0 0 0 0 0 0 8 1 0 0\n");
  EXPECT_EQ(bytes.received, 300u);
  EXPECT_EQ(bytes.sent, 15u);
}

TEST(SystemMetrics, NamesAreMlflowsAndNumbersMakeSense) {
  const TestFolder folder;
  SystemMetrics metrics(folder.path);
  const auto values = metrics.sample();
  ASSERT_FALSE(values.empty());
  for (const auto& [key, value] : values) {
    EXPECT_TRUE(key.starts_with("system/")) << key;
    EXPECT_GE(value, 0) << key;
    EXPECT_TRUE(!key.ends_with("percentage") || value <= 100) << key;
  }
}

}  // namespace
}  // namespace attune
