#include "hub/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"

namespace attune {
namespace {

// "models--org--name"
std::string folder_name(const Repo& repo) {
  std::string name = fmt::format("{}s--", type_name(repo.type));
  for (const char c : repo.id) name += c == '/' ? std::string("--") : std::string(1, c);
  return name;
}

}  // namespace

RepoCache::RepoCache(const fs::path& cache, const Repo& repo)
    : folder_(cache / folder_name(repo)), locks_(cache / ".locks" / folder_name(repo)) {}

fs::path RepoCache::lock(const std::string& etag) const { return locks_ / (etag + ".lock"); }

std::optional<std::string> RepoCache::commit_of(const std::string& revision) const {
  if (is_commit_hash(revision)) return revision;
  const fs::path ref = folder_ / "refs" / revision;
  std::error_code ignored;
  if (!fs::is_regular_file(ref, ignored)) return std::nullopt;
  std::string commit = read_file(ref, 4096);
  while (!commit.empty() && commit.back() == '\n') commit.pop_back();
  if (!is_commit_hash(commit)) return std::nullopt;
  return commit;
}

void RepoCache::remember(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return;
  const fs::path ref = folder_ / "refs" / revision;
  create_folder(ref.parent_path());
  write_file_atomic(ref, commit);
}

bool RepoCache::has(const std::string& commit, const std::string& path) const {
  std::error_code ignored;
  return fs::is_regular_file(snapshot(commit) / path, ignored);  // follows the link
}

void RepoCache::link(const std::string& commit, const std::string& path, const std::string& etag) const {
  const fs::path pointer = snapshot(commit) / path;
  create_folder(pointer.parent_path());
  const fs::path target = blob(etag).lexically_relative(pointer.parent_path());
  // A name of its own, then a rename: a reader never finds the place empty.
  const fs::path fresh = pointer.parent_path() / fmt::format(".{}.{}.link", pointer.filename().string(), ::getpid());
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, pointer, error);
  if (error) throw UserError("[{}] cannot be made: {}", pointer.string(), error.message());
}

bool RepoCache::known_missing(const std::string& commit, const std::string& path) const {
  std::error_code ignored;
  return fs::is_regular_file(folder_ / ".no_exist" / commit / path, ignored);
}

void RepoCache::remember_missing(const std::string& commit, const std::string& path) const {
  const fs::path mark = folder_ / ".no_exist" / commit / path;
  create_folder(mark.parent_path());
  write_file_atomic(mark, "");
}

CacheLock::CacheLock(const fs::path& path) : path_(path) {
  create_folder(path_.parent_path());
  held_ = try_lock();
}

CacheLock::CacheLock(const fs::path& path, const std::function<bool()>& cancelled) : CacheLock(path) {
  while (!held_) {
    if (cancelled && cancelled()) throw Interrupted("[{}] stopped while another program held the lock", path_.string());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    held_ = try_lock();
  }
}

bool CacheLock::try_lock() {
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664);
  if (fd < 0) throw UserError("[{}] cannot be opened: {}", path_.string(), std::strerror(errno));
  // The holder may remove the file when it lets go (filelock does): the lock counts only on the file of that name.
  struct stat ours {
  }, there{};
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &ours) == 0 && ::stat(path_.c_str(), &there) == 0 &&
      ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
    fd_ = fd;
    return true;
  }
  ::close(fd);
  return false;
}

CacheLock::~CacheLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace attune
