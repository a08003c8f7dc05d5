#include "base/memory_use.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "base/control_group.h"

namespace attune {
namespace {

// A "VmRSS:   123 kB" line of a file under /proc, in bytes; nothing when there is none.
std::optional<std::uint64_t> bytes_in(const char* path, const std::string& field) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t resident_bytes() { return bytes_in("/proc/self/status", "VmRSS").value_or(0); }
std::uint64_t peak_resident_bytes() { return bytes_in("/proc/self/status", "VmHWM").value_or(0); }

std::uint64_t machine_memory_bytes() {
  const auto physical =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const auto group = control_group_memory();
  return group ? std::min(physical, group->limit) : physical;
}

std::uint64_t available_memory_bytes() {
  const std::uint64_t free =
      bytes_in("/proc/meminfo", "MemAvailable").value_or(std::numeric_limits<std::uint64_t>::max());
  const auto group = control_group_memory();
  return group ? std::min(free, group->limit - std::min(group->limit, group->used)) : free;
}

}  // namespace attune
