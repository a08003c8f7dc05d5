// One file of a repository into the cache: asked about, fetched from where the Hub points, resumed, checked.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "hub/api.h"
#include "hub/cache.h"

namespace attune {

// What the Hub says about a file at a revision.
struct FileMetadata {
  std::string commit, etag, location;  // location: a URL of the Hub, or of the storage it points to
  std::optional<std::uint64_t> size;
};

// HEAD, as huggingface_hub reads it: X-Repo-Commit, X-Linked-Etag else ETag, X-Linked-Size else Content-Length. BadFile when
// one is missing or not what it must be.
FileMetadata file_metadata(HubApi& api, const Repo& repo, const std::string& revision, const std::string& path);

// The same from an answer to that HEAD at `url`. For tests.
FileMetadata read_file_metadata(const Response& response, const HubAccount& account);

using BytesCallback = std::function<void(std::uint64_t bytes)>;  // of this file, so far

// The blob, fetched unless the cache has it. What a broken connection left is kept (blobs/<etag>.incomplete) and gone on
// with, in this call and in the next. The length, and the digest that the etag is, must agree before the name appears:
// BadFile otherwise, and nothing of it stays.
void download_blob(HubApi& api, const Repo& repo, const RepoCache& cache, const std::string& path,
                   const FileMetadata& file, const BytesCallback& on_bytes);

}  // namespace attune
