#include "track/system_metrics.h"

#include <charconv>
#include <sstream>

#include "base/error.h"

namespace attune {
namespace {

constexpr double kMegabyte = 1e6;

std::string text_of(const char* path) {
  try {
    return read_file(path, std::uint64_t{1} << 20);
  } catch (const UserError&) {
    return {};  // another system, or a container that hides it
  }
}

// Bytes of a "NAME:   123 kB" line.
std::optional<std::uint64_t> kilobytes_of(std::string_view text, std::string_view name) {
  const std::size_t at = text.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(at + name.size());
  rest.remove_prefix(std::min(rest.find_first_of("0123456789"), rest.size()));
  std::uint64_t number = 0;
  if (std::from_chars(rest.data(), rest.data() + rest.size(), number).ec != std::errc()) return std::nullopt;
  return number * 1024;
}

}  // namespace

std::optional<CpuTimes> parse_cpu_times(std::string_view proc_stat) {
  // cpu user nice system idle iowait irq softirq steal ...: waiting for input is idle as well.
  std::istringstream line{std::string(proc_stat.substr(0, proc_stat.find('\n')))};
  std::string name;
  if (!(line >> name) || name != "cpu") return std::nullopt;
  CpuTimes times;
  std::uint64_t ticks = 0;
  int column = 0;
  for (; column < 8 && line >> ticks; ++column) {
    times.all += ticks;
    if (column != 3 && column != 4) times.busy += ticks;
  }
  if (column < 4) return std::nullopt;
  return times;
}

std::optional<MemoryUse> parse_memory_use(std::string_view proc_meminfo) {
  const auto total = kilobytes_of(proc_meminfo, "MemTotal:"), available = kilobytes_of(proc_meminfo, "MemAvailable:");
  if (!total || !available || *total == 0 || *available > *total) return std::nullopt;
  return MemoryUse{*total, *available};
}

NetworkBytes parse_network_bytes(std::string_view proc_net_dev) {
  NetworkBytes bytes;
  std::istringstream lines{std::string(proc_net_dev)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream name(line.substr(0, colon)), columns(line.substr(colon + 1));
    std::string interface;
    name >> interface;
    if (interface == "lo") continue;
    std::uint64_t number = 0;
    for (int column = 0; column < 9 && columns >> number; ++column) {
      if (column == 0) bytes.received += number;
      if (column == 8) bytes.sent += number;
    }
  }
  return bytes;
}

SystemMetrics::SystemMetrics(fs::path folder) : folder_(std::move(folder)) {
  cpu_ = parse_cpu_times(text_of("/proc/stat"));
  network_ = parse_network_bytes(text_of("/proc/net/dev"));
}

std::vector<std::pair<std::string, double>> SystemMetrics::sample() {
  std::vector<std::pair<std::string, double>> values;
  const auto cpu = parse_cpu_times(text_of("/proc/stat"));
  if (cpu && cpu_ && cpu->all > cpu_->all && cpu->busy >= cpu_->busy) {
    values.emplace_back("system/cpu_utilization_percentage", 100.0 * static_cast<double>(cpu->busy - cpu_->busy) /
                                                                 static_cast<double>(cpu->all - cpu_->all));
  }
  cpu_ = cpu;
  if (const auto memory = parse_memory_use(text_of("/proc/meminfo"))) {
    const auto used = static_cast<double>(memory->total - memory->available);
    values.emplace_back("system/system_memory_usage_megabytes", used / kMegabyte);
    values.emplace_back("system/system_memory_usage_percentage", 100.0 * used / static_cast<double>(memory->total));
  }
  std::error_code error;
  const fs::space_info disk = fs::space(folder_, error);
  if (!error && disk.capacity > 0) {
    const auto used = static_cast<double>(disk.capacity - disk.free);
    values.emplace_back("system/disk_usage_percentage", 100.0 * used / static_cast<double>(disk.capacity));
    values.emplace_back("system/disk_usage_megabytes", used / kMegabyte);
    values.emplace_back("system/disk_available_megabytes", static_cast<double>(disk.available) / kMegabyte);
  }
  const NetworkBytes network = parse_network_bytes(text_of("/proc/net/dev"));
  if (network_ && network.received >= network_->received && network.sent >= network_->sent) {
    values.emplace_back("system/network_receive_megabytes",
                        static_cast<double>(network.received - network_->received) / kMegabyte);
    values.emplace_back("system/network_transmit_megabytes",
                        static_cast<double>(network.sent - network_->sent) / kMegabyte);
  }
  return values;
}

}  // namespace attune
