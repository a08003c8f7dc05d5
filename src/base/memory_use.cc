#include "base/memory_use.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace attune {
namespace {

// A "VmRSS:   123 kB" line of /proc/self/status, in bytes; 0 when there is none.
std::uint64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

}  // namespace

std::uint64_t resident_bytes() { return status_bytes("VmRSS"); }
std::uint64_t peak_resident_bytes() { return status_bytes("VmHWM"); }

std::uint64_t machine_memory_bytes() {
  const auto physical = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream limit("/sys/fs/cgroup/memory.max");
  std::uint64_t group = 0;
  return limit >> group ? std::min(physical, group) : physical;   // "max" does not parse: no limit
}

}  // namespace attune
