// The cache of downloaded repositories, in huggingface_hub's layout, which its programs and ours share:
//
//   models--org--name/                      (datasets--org--name)
//     blobs/<etag>                          the bytes; etag: SHA-256 of a large file, git's SHA-1 of any other
//     refs/<revision>                       text: the commit it meant when last asked
//     snapshots/<commit>/<path>             relative link to a blob
//     .no_exist/<commit>/<path>             empty: asked for and not there
//   .locks/models--org--name/<etag>.lock    held (flock) while a blob is written
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/file.h"
#include "hub/repo.h"

namespace attune {

class RepoCache {
 public:
  RepoCache(const fs::path& cache, const Repo& repo);

  const fs::path& folder() const { return folder_; }
  fs::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  fs::path snapshot(const std::string& commit) const { return folder_ / "snapshots" / commit; }
  fs::path lock(const std::string& etag) const;

  // The commit that `revision` is known as: itself, or what its ref says.
  std::optional<std::string> commit_of(const std::string& revision) const;
  void remember(const std::string& revision, const std::string& commit) const;

  // Whether snapshots/<commit>/<path> leads to a file.
  bool has(const std::string& commit, const std::string& path) const;
  // Makes it lead to the blob; replaces a link that leads nowhere.
  void link(const std::string& commit, const std::string& path, const std::string& etag) const;

  bool known_missing(const std::string& commit, const std::string& path) const;
  void remember_missing(const std::string& commit, const std::string& path) const;

 private:
  fs::path folder_, locks_;
};

// An exclusive flock on a file that is made when missing; waits for it, asking `cancelled` (true throws Interrupted).
// Held until destroyed, or until the process ends, however it ends.
class CacheLock {
 public:
  CacheLock(const fs::path& path, const std::function<bool()>& cancelled);
  // Without waiting; held() tells.
  explicit CacheLock(const fs::path& path);
  ~CacheLock();
  CacheLock(const CacheLock&) = delete;
  CacheLock& operator=(const CacheLock&) = delete;

  bool held() const { return held_; }

 private:
  bool try_lock();
  fs::path path_;
  int fd_ = -1;
  bool held_ = false;
};

}  // namespace attune
