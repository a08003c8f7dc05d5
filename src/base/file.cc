#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace attune {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

// The descriptor of an open file; closes itself.
struct Descriptor {
  int fd;
  explicit Descriptor(int fd) : fd(fd) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

std::string reason(int error) { return std::strerror(error); }

struct stat regular_file_stat(int fd, const fs::path& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw UserError("[{}] cannot be read: {}", path.string(), reason(errno));
  if (S_ISDIR(info.st_mode)) throw UserError("[{}] is a folder, expected a file", path.string());
  return info;
}

int open_for_reading(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) throw UserError("[{}] no such file; check the path", path.string());
    throw UserError("[{}] cannot be opened: {}", path.string(), reason(errno));
  }
  return fd;
}

// A name beside `path` that no other process and no other thread of ours uses: .NAME.PID.N.tmp
fs::path temporary_name(const fs::path& path) {
  static std::atomic<unsigned> counter{0};
  return path.parent_path() / fmt::format(".{}.{}.{}.tmp", path.filename().string(), ::getpid(), counter++);
}

// The path with the final names of the folders that are being written here: what a user knows it by.
fs::path as_asked_for(const fs::path& path) {
  fs::path asked;
  for (const fs::path& part : path) {
    const std::string name = part.string();
    const std::size_t end = name.rfind(fmt::format(".{}.", ::getpid()));
    const bool temporary = name.starts_with(".") && name.ends_with(".tmp") && end != name.npos && end > 1;
    asked /= temporary ? fs::path(name.substr(1, end - 1)) : part;
  }
  return asked;
}

// Whether `name` is a temporary_name for `final_name` of a process that is not alive here.
bool is_of_the_dead(std::string_view name, const std::string& final_name) {
  const std::string begin = "." + final_name + ".";
  if (!name.starts_with(begin) || !name.ends_with(".tmp")) return false;
  name.remove_prefix(begin.size());
  pid_t process = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), process);
  if (error != std::errc() || process <= 0 || end == name.data() + name.size() || *end != '.') return false;
  return ::kill(process, 0) != 0 && errno == ESRCH;
}

// Removes what a killed writer of `path` left beside it. A writer holds a lock on what it writes, so one that lives in
// another container or on another machine of a shared disk keeps its own.
void remove_leftovers(const fs::path& path) {
  std::error_code error;
  const fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!is_of_the_dead(entry.path().filename().string(), path.filename().string())) continue;
    const Descriptor left(::open(entry.path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    std::error_code ignored;
    if (left.fd >= 0 && ::flock(left.fd, LOCK_EX | LOCK_NB) == 0) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const Descriptor file(open_for_reading(path));
  const struct stat info = regular_file_stat(file.fd, path);
  if (static_cast<std::uint64_t>(info.st_size) > max_bytes) {
    throw UserError("[{}] has {} bytes, expected at most {}", path.string(), info.st_size, max_bytes);
  }
  std::string bytes;
  // st_size is 0 for pipes and /proc files, so it is a hint: read until the end.
  bytes.resize(static_cast<std::size_t>(info.st_size) + 1);
  std::size_t used = 0;
  while (true) {
    if (used == bytes.size()) bytes.resize(bytes.size() * 2);
    const ssize_t got = ::read(file.fd, bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw UserError("[{}] cannot be read: {}", path.string(), reason(errno));
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    if (used > max_bytes) throw UserError("[{}] has more than {} bytes", path.string(), max_bytes);
  }
  bytes.resize(used);
  return bytes;
}

void write_file_atomic(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_private_file_atomic(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path, 0600);
  file.write(bytes);
  file.commit();
}

void create_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path, error)) {
    throw UserError("[{}] the folder cannot be created: {}", path.string(),
                    error ? error.message() : "a file of that name is in the way");
  }
}

void sync_folder(const fs::path& path) {
  const Descriptor folder(::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd >= 0) ::fsync(folder.fd);  // some file systems refuse this; the rename is then as durable as it gets
}

AtomicFile::AtomicFile(fs::path path, unsigned mode) : path_(std::move(path)), temporary_(temporary_name(path_)) {
  remove_leftovers(path_);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd_ < 0) fail("cannot be written");
  ::flock(fd_, LOCK_EX | LOCK_NB);  // for remove_leftovers; a file system without locks writes as well
  buffer_.reserve(kBufferBytes);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::fail(const char* action) const {
  const int error = errno;
  throw UserError("[{}] {}: {}; the previous contents are unchanged", as_asked_for(path_).string(), action,
                  reason(error));
}

void AtomicFile::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  if (bytes.size() < kBufferBytes) {
    buffer_.append(bytes);
    return;
  }
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot be written");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void AtomicFile::flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t put = ::write(fd_, left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot be written");
    left.remove_prefix(static_cast<std::size_t>(put));
  }
  buffer_.clear();
}

void AtomicFile::commit() {
  flush();
  if (::fsync(fd_) != 0) fail("cannot be written to disk");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be replaced");
  ::close(std::exchange(fd_, -1));
  sync_folder(path_.parent_path());
}

AtomicFolder::AtomicFolder(fs::path path) : path_(std::move(path)) {
  if (path_.filename().empty()) path_ = path_.parent_path();  // "out/" means "out"
  std::error_code error;
  if (fs::exists(path_, error))
    throw UserError("[{}] already exists; choose another name or remove it", path_.string());
  if (!path_.parent_path().empty()) create_folder(path_.parent_path());
  remove_leftovers(path_);
  temporary_ = temporary_name(path_);
  if (!fs::create_directory(temporary_, error))
    throw UserError("[{}] the folder cannot be created: {}", path_.string(), error.message());
  lock_ = ::open(temporary_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ >= 0) ::flock(lock_, LOCK_EX | LOCK_NB);
}

AtomicFolder::~AtomicFolder() {
  if (lock_ >= 0) ::close(lock_);
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  sync_folder(temporary_);
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) throw UserError("[{}] cannot be created: {}", path_.string(), error.message());
  committed_ = true;
  sync_folder(path_.parent_path());
}

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file(open_for_reading(path));
  const struct stat info = regular_file_stat(file.fd, path);
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* const address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) throw UserError("[{}] cannot be mapped: {}", path.string(), reason(errno));
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::release(std::size_t offset, std::size_t length) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t begin = (offset + page - 1) / page * page;
  const std::size_t end = (offset + length) / page * page;
  if (begin < end && end <= size_) {
    ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
  }
}

}  // namespace attune
