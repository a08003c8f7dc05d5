#include "base/control_group.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

namespace attune {
namespace {

// The whole number in a file; nothing for "max" and whatever else is none.
std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// The value after `key` in a file of "key value" lines, or 0.
std::uint64_t value_of(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

// How a version of the interface names things.
struct Version {
  fs::path root;
  const char *limit, *usage, *droppable;
};

void tighten(std::optional<ControlGroupMemory>& tightest, const Version& version, const fs::path& folder) {
  const auto limit = number_in(folder / version.limit);
  // Version 1 writes "no limit" as the largest number of whole pages.
  if (!limit || *limit >= std::uint64_t{1} << 62) return;
  if (tightest && tightest->limit <= *limit) return;
  const std::uint64_t usage = number_in(folder / version.usage).value_or(0);
  tightest = {*limit, usage - std::min(usage, value_of(folder / "memory.stat", version.droppable))};
}

// The group and all above it. In a container the path may be that of the host: then only the root is there.
void tighten_along(std::optional<ControlGroupMemory>& tightest, const Version& version, const fs::path& group) {
  tighten(tightest, version, version.root);
  fs::path folder = version.root;
  for (const fs::path& name : group.relative_path()) {
    if (name == "..") return;  // above what this process may see
    folder /= name;
    tighten(tightest, version, folder);
  }
}

}  // namespace

std::optional<ControlGroupMemory> control_group_memory(const fs::path& memberships, const fs::path& mount) {
  std::optional<ControlGroupMemory> tightest;
  std::ifstream lines(memberships);
  for (std::string line; std::getline(lines, line);) {  // "hierarchy:controllers:/path"
    const std::size_t first = line.find(':'), second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",",
                      path = line.substr(second + 1);
    if (controllers == ",,") {
      tighten_along(tightest, {mount, "memory.max", "memory.current", "inactive_file"}, path);
    } else if (controllers.find(",memory,") != std::string::npos) {
      tighten_along(tightest,
                    {mount / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}, path);
    }
  }
  return tightest;
}

}  // namespace attune
