// `attune pull`: a revision of a repository into the cache, or from the cache.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hub/api.h"

namespace attune {

struct PullOptions {
  std::string revision = "main";
  std::vector<std::string> files;  // only these; empty: all
  std::function<void(std::uint64_t done, std::uint64_t total, const std::string& path)> on_progress;  // bytes
};

struct PullResult {
  fs::path snapshot;  // in the cache; its files are links
  std::string commit;
  std::size_t files = 0;
  std::uint64_t bytes = 0, fetched = 0;  // of all files; of those that were not there yet
};

// Fetches what the cache lacks; what was fetched before a fault or a kill is not fetched again. HubError tells missing,
// private and gated apart.
PullResult pull(HubApi& api, const Repo& repo, const PullOptions& options);

// The snapshot of a repository that the cache holds, without asking anybody.
std::optional<fs::path> cached_snapshot(const fs::path& cache, const Repo& repo, const std::string& revision = "main");

// The folder that `name` means: a folder of that name, else the cached snapshot of the repository of that name. UserError
// says to pull it when it looks like a repository, or returns `name` as it is for others to refuse.
fs::path resolve_model(const std::string& name);

// Copies a snapshot with its bytes (not its links) to a folder that must not exist.
void copy_snapshot(const fs::path& snapshot, const fs::path& folder);

}  // namespace attune
