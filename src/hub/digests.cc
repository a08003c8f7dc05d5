#include "hub/digests.h"

#include <fstream>

#include "base/error.h"

namespace attune {

GitBlobDigest::GitBlobDigest(std::uint64_t length) : Digest(DigestKind::kSha1) {
  const std::string head = fmt::format("blob {}", length);
  update(std::string_view(head.c_str(), head.size() + 1));  // with the zero byte
}

std::string git_blob_oid(std::string_view bytes) {
  GitBlobDigest digest(bytes.size());
  digest.update(bytes);
  return digest.hex();
}

FileDigests digest_file(const fs::path& path, const std::function<bool()>& cancelled) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (error || !file) throw UserError("[{}] cannot be read; check the path", path.string());
  Sha256 sha256;
  GitBlobDigest blob(size);
  std::string block(std::size_t{1} << 20, '\0');
  std::uint64_t read = 0;
  while (file) {
    if (cancelled && cancelled()) throw Interrupted("[{}] stopped by you", path.string());
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    const std::string_view bytes(block.data(), static_cast<std::size_t>(file.gcount()));
    sha256.update(bytes);
    blob.update(bytes);
    read += bytes.size();
  }
  if (read != size) throw UserError("[{}] changed its length while it was read; try again", path.string());
  return {sha256.hex(), blob.hex(), size};
}

}  // namespace attune
