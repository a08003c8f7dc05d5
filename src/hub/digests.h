// The two names a file has on the Hub: SHA-256 when it is stored as a large file (LFS), git's blob SHA-1 otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/file.h"

namespace attune {

// git's name of a blob: SHA-1 of "blob LENGTH\0" and the bytes. Incremental; the length must be known at the start.
class GitBlobDigest : public Digest {
 public:
  explicit GitBlobDigest(std::uint64_t length);
};

std::string git_blob_oid(std::string_view bytes);

struct FileDigests {
  std::string sha256, git_blob;
  std::uint64_t size = 0;
};

// One pass over the file. `cancelled` is asked between blocks: true throws Interrupted. UserError when it cannot be read
// or changes its length meanwhile.
FileDigests digest_file(const fs::path& path, const std::function<bool()>& cancelled = {});

}  // namespace attune
