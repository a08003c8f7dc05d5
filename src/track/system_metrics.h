// What the machine is doing while a run trains, from /proc, under the names of MLflow's system metrics
// (mlflow/system_metrics): "system/cpu_utilization_percentage" and so on. Megabytes are 10^6 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace attune {

struct CpuTimes {
  std::uint64_t busy = 0, all = 0;  // in ticks since the start of the machine
};
std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat);

struct MemoryUse {
  std::uint64_t total = 0, available = 0;  // bytes
};
std::optional<MemoryUse> parse_memory_use(std::string_view proc_meminfo);

struct NetworkBytes {
  std::uint64_t received = 0, sent = 0;  // of all interfaces but the loopback
};
NetworkBytes parse_network_bytes(std::string_view proc_net_dev);

// Samples on demand; utilization and traffic are those since the sample before (network: since the first one).
class SystemMetrics {
 public:
  // Disk usage is that of the file system with `folder`.
  explicit SystemMetrics(fs::path folder);
  std::vector<std::pair<std::string, double>> sample();

 private:
  fs::path folder_;
  std::optional<CpuTimes> cpu_;
  std::optional<NetworkBytes> network_;
};

}  // namespace attune
