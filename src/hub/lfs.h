// Large files to the Hub: the LFS batch tells which are wanted and where they go; each is sent in one piece or in parts.
// An object that the server has is not sent again, so an interrupted push goes on where it was.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "hub/api.h"

namespace attune {

struct LargeFile {
  std::string path;  // in the repository, for messages
  fs::path source;
  std::optional<std::string> text;  // the bytes, in place of the source's
  std::string sha256;
  std::uint64_t size = 0;
};

struct LfsResult {
  std::uint64_t sent_bytes = 0;
  std::size_t sent = 0, present = 0;
};

// `on_bytes`: of all files together, so far; what the server has already counts at once. Throws as HubApi, and UserError when
// the storage refuses an object.
LfsResult upload_large_files(HubApi& api, const Repo& repo, const std::string& branch, std::span<const LargeFile> files,
                             const std::function<void(std::uint64_t)>& on_bytes);

}  // namespace attune
