// Who is at work on a run: a lock on runs/NAME/lock that the system takes back when its process ends, however it ends.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/file.h"

namespace attune {

// An exclusive lock on a file, held while the object lives. The file stays and names the process that wrote it last.
class FileLock {
 public:
  // nullopt when another process (or another FileLock of this one) holds it. UserError when the file cannot be made.
  static std::optional<FileLock> try_lock(const fs::path& path);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

// The lock of a run in training. UserError naming the process that holds it.
FileLock lock_run(const fs::path& run);

// The process that trains the run now.
std::optional<pid_t> training_process(const fs::path& run);

}  // namespace attune
