// Files: read whole, map read-only, and replace atomically (temporary name, fsync, rename, fsync of the folder),
// so that a reader sees the old bytes or the new ones, never a mixture, whatever kills us.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace attune {

namespace fs = std::filesystem;

// The whole file as bytes. Throws UserError when it is missing, a folder, or unreadable, or larger than max_bytes.
std::string read_file(const fs::path& path, std::uint64_t max_bytes = std::uint64_t{1} << 32);

// Replaces `path` with `bytes` atomically and durably. Throws UserError (disk full, read-only, no folder); the
// previous file is then untouched and no temporary file stays behind.
void write_file_atomic(const fs::path& path, std::string_view bytes);

// The same for what only its owner may read: mode 0600 from the first byte on.
void write_private_file_atomic(const fs::path& path, std::string_view bytes);

// Creates the folder and its parents; UserError when that is not possible.
void create_folder(const fs::path& path);

// fsync of a folder, so that a rename or a new entry in it survives a power cut.
void sync_folder(const fs::path& path);

// A file being written under a temporary name beside its final one. commit() makes it visible; without it the
// destructor removes the temporary file. What a killed process left of it under such a name, the next writer of the same
// name removes. Not copyable; one thread at a time.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path, unsigned mode = 0644);  // permissions, before the umask
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);  // UserError on a full disk
  void write(std::span<const std::byte> bytes);
  void commit();  // flush, fsync, rename, fsync of the folder
  const fs::path& path() const { return path_; }

 private:
  void flush();
  [[noreturn]] void fail(const char* action) const;
  fs::path path_, temporary_;
  std::string buffer_;
  int fd_ = -1;
};

// A folder being written under a temporary name; commit() renames it to its final name, which must not exist.
// Without commit() the destructor removes what was written; leftovers of the killed go as with AtomicFile.
class AtomicFolder {
 public:
  explicit AtomicFolder(fs::path path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const fs::path& temporary() const { return temporary_; }  // write the folder's files here
  void commit();

 private:
  fs::path path_, temporary_;
  int lock_ = -1;
  bool committed_ = false;
};

// A read-only memory mapping of a whole file; empty files map to an empty span. Movable.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);  // UserError when it cannot be opened or mapped
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Tells the kernel that [offset, offset+length) will not be needed again, so that it stops counting as resident.
  void release(std::size_t offset, std::size_t length) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace attune
