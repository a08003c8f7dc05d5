#include "conversation/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "base/freed.h"

namespace attune {
namespace {

constexpr int kMaxEntries = 500'000;
constexpr std::size_t kBlockBytes = std::size_t{1} << 16;
constexpr std::uint64_t kBombBytes = std::uint64_t{1} << 28, kBombRatio = 300;

// An archive being read from its beginning.
class ZipReader {
 public:
  explicit ZipReader(const fs::path& path) : path_(path.string()), handle_(archive_read_new()) {
    // By descriptor and not by name: libarchive would convert the name through the locale.
    file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0 || !handle_) throw UserError("[{}] cannot be opened", path_);
    archive_read_support_format_zip_seekable(handle_.get());
    if (archive_read_open_fd(handle_.get(), file_, kBlockBytes) != ARCHIVE_OK) fail_no_archive();
  }
  ~ZipReader() {
    handle_.reset();
    if (file_ >= 0) ::close(file_);
  }
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  // The next file's name; false at the end.
  bool next(std::string& name) {
    archive_entry* entry = nullptr;
    for (;; ++count_) {
      const int status = archive_read_next_header(handle_.get(), &entry);
      if (status == ARCHIVE_EOF) return false;
      if (status < ARCHIVE_WARN) {
        if (count_ == 0) fail_no_archive();
        throw BadFile("[{}] damaged zip archive after {} entries: {}", path_, count_, reason());
      }
      if (count_ == kMaxEntries) throw BadFile("[{}] more than {} entries in a zip archive", path_, kMaxEntries);
      name = name_of(entry);
      if (points_outside(name)) {
        throw BadFile(
            "[{}] the archive has an entry \"{}\" that would lie outside it; it was not made by a chat program", path_,
            name);
      }
      if (archive_entry_filetype(entry) == AE_IFREG) {
        ++count_;
        return true;
      }
    }
  }

  // Unpacks up to max_bytes of the present file.
  SpillBuffer unpack(const std::string& name, std::uint64_t max_bytes) {
    SpillBuffer bytes;
    const std::uint64_t packed = fs::file_size(path_);
    while (bytes.size() < max_bytes) {
      const la_ssize_t got = archive_read_data(handle_.get(), block_.data(), block_.size());
      if (got == 0) break;
      if (got < 0) throw BadFile("[{}] entry {}: {}", path_, name, reason());
      bytes.append(block_.data(), std::min<std::uint64_t>(static_cast<std::uint64_t>(got), max_bytes - bytes.size()));
      unpacked_ += static_cast<std::uint64_t>(got);
      if (unpacked_ > kBombBytes && unpacked_ / kBombRatio > packed) {
        throw BadFile(
            "[{}] entry {} unpacks to more than {} times the size of the archive; it was not made by a chat "
            "program",
            path_, name, kBombRatio);
      }
    }
    return bytes;
  }

 private:
  static std::string name_of(archive_entry* entry) {
    const char* name = archive_entry_pathname_utf8(entry);
    if (name == nullptr) name = archive_entry_pathname(entry);
    return name == nullptr ? "" : name;
  }
  static bool points_outside(const std::string& name) {
    if (name.starts_with('/') || name.starts_with('\\')) return true;
    for (std::size_t begin = 0; begin <= name.size();) {
      const std::size_t end = std::min(name.find_first_of("/\\", begin), name.size());
      if (name.compare(begin, end - begin, "..") == 0) return true;
      begin = end + 1;
    }
    return false;
  }
  std::string reason() const {
    const char* text = archive_error_string(handle_.get());
    return text == nullptr ? "damaged" : text;
  }
  [[noreturn]] void fail_no_archive() const { throw BadFile("[{}] not a zip archive, or a damaged one", path_); }

  std::string path_;
  std::unique_ptr<archive, FreedBy<archive_read_free>> handle_;
  int file_ = -1;
  int count_ = 0;
  std::uint64_t unpacked_ = 0;
  std::string block_ = std::string(kBlockBytes, '\0');
};

}  // namespace

std::vector<std::string> zip_names(const fs::path& path) {
  ZipReader reader(path);
  std::vector<std::string> names;
  for (std::string name; reader.next(name);) names.push_back(name);
  return names;
}

void for_each_zip_entry(const fs::path& path, const std::function<bool(const std::string&)>& wanted,
                        std::uint64_t max_bytes, const std::function<bool(const std::string&, SpillBuffer)>& visit) {
  ZipReader reader(path);
  for (std::string name; reader.next(name);) {
    if (wanted(name) && !visit(name, reader.unpack(name, max_bytes))) return;
  }
}

}  // namespace attune
