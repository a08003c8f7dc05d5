#include "track/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "base/error.h"

namespace attune {
namespace {

pid_t process_in(int fd) {
  char text[32] = {};
  if (::pread(fd, text, sizeof text - 1, 0) <= 0) return 0;
  return static_cast<pid_t>(std::strtol(text, nullptr, 10));
}

}  // namespace

std::optional<FileLock> FileLock::try_lock(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) throw UserError("[{}] cannot be written: {}", path.string(), std::strerror(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return std::nullopt;
  }
  const std::string process = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd, 0) == 0 && ::pwrite(fd, process.data(), process.size(), 0) < 0) {
    // A full disk: the lock holds without the name in it.
  }
  return FileLock(fd);
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileLock lock_run(const fs::path& run) {
  // Who only looks (training_process) holds a lock for a moment as well: that one is worth waiting for.
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (auto lock = FileLock::try_lock(run / "lock")) return *std::move(lock);
    if (const auto process = training_process(run)) {
      throw UserError("[{}] process {} is training this run; wait for it or stop it", run.string(), *process);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw UserError("[{}] the lock is held; wait for the process that holds it", (run / "lock").string());
}

std::optional<pid_t> training_process(const fs::path& run) {
  const int fd = ::open((run / "lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::optional<pid_t> process;
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0) process = process_in(fd);
  ::close(fd);
  return process;
}

}  // namespace attune
