#include "conversation/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "base/error.h"

namespace attune {
namespace {

constexpr int kMaxEntries = 500'000;
constexpr std::size_t kBlockBytes = std::size_t{1} << 16;

struct Close {
  void operator()(archive* handle) const { archive_read_free(handle); }
};
using Archive = std::unique_ptr<archive, Close>;

std::string reason(archive* handle) {
  const char* text = archive_error_string(handle);
  return text == nullptr ? "damaged" : text;
}

std::string name_of(archive_entry* entry) {
  const char* name = archive_entry_pathname_utf8(entry);
  if (name == nullptr) name = archive_entry_pathname(entry);
  return name == nullptr ? "" : name;
}

bool is_text(const std::string& name) {
  if (name.size() < 4) return false;
  const std::string extension = name.substr(name.size() - 4);
  const std::string file = name.substr(name.rfind('/') + 1);
  return (extension == ".txt" || extension == ".TXT") &&
         !file.starts_with("._");  // "._": macOS' shadow files
}

}  // namespace

void for_each_zip_text(const fs::path& path, std::uint64_t max_bytes,
                       const std::function<bool(TextEntry&&)>& visit) {
  const MappedFile file(path);  // and not by name: libarchive would convert it through the locale
  const Archive handle(archive_read_new());
  if (!handle) throw InternalError("libarchive: out of memory");
  archive_read_support_format_zip_seekable(handle.get());
  if (archive_read_open_memory(handle.get(), file.bytes().data(), file.bytes().size()) != ARCHIVE_OK) {
    throw BadFile("[{}] not a zip archive, or a damaged one", path.string());
  }
  std::string block(kBlockBytes, '\0');
  archive_entry* entry = nullptr;
  for (int count = 0;; ++count) {
    const int status = archive_read_next_header(handle.get(), &entry);
    if (status == ARCHIVE_EOF) return;
    if (status < ARCHIVE_WARN) {
      if (count == 0) throw BadFile("[{}] not a zip archive, or a damaged one", path.string());
      throw BadFile("[{}] damaged zip archive after {} entries: {}", path.string(), count,
                    reason(handle.get()));
    }
    if (count == kMaxEntries)
      throw BadFile("[{}] more than {} entries in a zip archive", path.string(), kMaxEntries);
    TextEntry text{name_of(entry), {}};
    if (!is_text(text.name)) continue;
    while (text.text.size() < max_bytes) {
      const la_ssize_t got = archive_read_data(handle.get(), block.data(), block.size());
      if (got == 0) break;
      if (got < 0) {
        throw BadFile("[{}] entry {}: {}", path.string(), text.name, reason(handle.get()));
      }
      text.text.append(block, 0, static_cast<std::size_t>(got));
    }
    if (text.text.size() > max_bytes) text.text.resize(max_bytes);
    if (!visit(std::move(text))) return;
  }
}

}  // namespace attune
