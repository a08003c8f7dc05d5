#include "conversation/export_files.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "conversation/archive.h"
#include "conversation/text_marks.h"

namespace attune {
namespace {

constexpr std::size_t kHeadBytes = std::size_t{1} << 16;

std::string extension_of(const std::string& name) { return fold_phrase(fs::path(name).extension().string()); }

// Media lie beside the chats in most exports. (HTML is listed so that an export of pages is told from none.)
bool may_hold_chat(const std::string& name) {
  static constexpr std::array<std::string_view, 18> kExtensions = {
      "",     ".txt", ".json", ".jsonl",      ".ndjson", ".csv", ".tsv",    ".xml",     ".mbox",
      ".mbx", ".eml", ".log",  ".weechatlog", ".md",     ".db",  ".sqlite", ".sqlite3", ".html"};
  const std::string file = name.substr(name.rfind('/') + 1);
  if (file.empty() || file.front() == '.' || name.find("__MACOSX/") != std::string::npos) return false;
  const std::string extension = extension_of(file);
  // What looks like an extension may be a name's dot: "irc.libera.#debian", "#c++.2024-01-31".
  const bool plain = std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
  return plain || file.find('#') != std::string::npos;
}

bool is_zip(const fs::path& path) {
  return fs::is_regular_file(path) && extension_of(path.filename().string()) == ".zip";
}

// A zip archive under another name.
bool starts_as_zip(const fs::path& path) {
  const MappedFile file(path);
  return std::string_view(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size())
      .starts_with("PK\x03\x04");
}

std::vector<std::string> folder_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied);
       it != fs::recursive_directory_iterator(); ++it) {
    const bool hidden = it->path().filename().string().starts_with('.');
    if (hidden && it->is_directory()) it.disable_recursion_pending();
    if (hidden || !it->is_regular_file()) continue;
    std::string name = it->path().lexically_relative(folder).generic_string();
    if (may_hold_chat(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

ExportFiles::ExportFiles(fs::path path) : path_(std::move(path)) {
  if (fs::is_directory(path_)) {
    kind_ = Kind::kFolder;
    names_ = folder_names(path_);
  } else if (is_zip(path_) || starts_as_zip(path_)) {
    kind_ = Kind::kArchive;
    for (std::string& name : zip_names(path_)) {
      if (may_hold_chat(name)) names_.push_back(std::move(name));
    }
  } else {
    names_ = {path_.filename().string()};
  }
}

ExportFiles::ExportFiles(std::string name, std::string bytes)
    : path_(name), kind_(Kind::kMemory), names_{std::move(name)}, bytes_(std::move(bytes)) {}

std::string ExportFiles::source(const std::string& name) const {
  if (is_single()) return path_.string();
  return kind_ == Kind::kFolder ? (path_ / name).string() : path_.string() + ":" + name;
}

fs::path ExportFiles::location(const std::string& name) const {
  if (kind_ == Kind::kArchive || kind_ == Kind::kMemory) return {};
  return kind_ == Kind::kFile ? path_ : path_ / name;
}

void ExportFiles::look(const std::function<bool(const std::string&, std::string_view)>& visit) const {
  if (kind_ == Kind::kArchive) {
    for_each_zip_entry(path_, may_hold_chat, kHeadBytes, [&](const std::string& name, SpillBuffer bytes) {
      return visit(name, decode_head(bytes.text().all()));
    });
    return;
  }
  if (kind_ == Kind::kMemory) {
    visit(names_.front(), decode_head(std::string_view(bytes_).substr(0, kHeadBytes)));
    return;
  }
  for (const std::string& name : names_) {
    const MappedFile file(location(name));
    const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    if (!visit(name, decode_head(bytes.substr(0, kHeadBytes)))) return;
  }
}

void ExportFiles::read(const std::function<bool(const std::string&)>& wanted,
                       const std::function<void(const std::string&, ExportText&)>& use) const {
  if (kind_ == Kind::kArchive) {
    const auto choose = [&](const std::string& name) { return may_hold_chat(name) && wanted(name); };
    for_each_zip_entry(path_, choose, UINT64_MAX, [&](const std::string& name, SpillBuffer bytes) {
      ExportText text(std::move(bytes), source(name));
      use(name, text);
      return true;
    });
    return;
  }
  for (const std::string& name : names_) {
    if (!wanted(name)) continue;
    if (kind_ == Kind::kMemory) {
      SpillBuffer copy;
      copy.append(bytes_);
      ExportText text(std::move(copy), name);
      use(name, text);
      continue;
    }
    ExportText text(location(name), source(name));
    use(name, text);
  }
}

std::vector<ExportFiles> open_exports(const fs::path& path) {
  std::vector<ExportFiles> exports;
  if (!fs::is_directory(path)) {
    exports.emplace_back(path);
    return exports;
  }
  ExportFiles folder(path);
  if (!folder.names().empty()) exports.push_back(std::move(folder));
  std::vector<fs::path> archives;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (is_zip(entry.path()) && !entry.path().filename().string().starts_with('.')) archives.push_back(entry.path());
  }
  std::sort(archives.begin(), archives.end());
  for (const fs::path& archive : archives) exports.emplace_back(archive);
  return exports;
}

}  // namespace attune
