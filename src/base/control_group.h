// Memory limits that Linux control groups set for this process (containers, systemd slices), both versions of the
// interface: Documentation/admin-guide/cgroup-v2.rst, memory.max; .../cgroup-v1/memory.rst, memory.limit_in_bytes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/file.h"

namespace attune {

struct ControlGroupMemory {
  std::uint64_t limit = 0;  // bytes
  std::uint64_t used = 0;   // of the group with that limit, without file pages that the system can drop
};

// The tightest limit of the process's group and those above it; nothing when there is none. `memberships` is
// /proc/self/cgroup, `mount` is /sys/fs/cgroup; files that are missing or strange set no limit.
std::optional<ControlGroupMemory> control_group_memory(const fs::path& memberships = "/proc/self/cgroup",
                                                       const fs::path& mount = "/sys/fs/cgroup");

}  // namespace attune
