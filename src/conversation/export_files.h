// An export from outside as a list of files, whether it is one file, a folder or a zip archive. Nothing is extracted:
// texts are read where they lie or unpacked into memory, within bounds; media are never opened.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "conversation/export_text.h"

namespace attune {

class ExportFiles {
 public:
  // `path` must exist. A folder is listed with the folders below it. BadFile when a zip archive is damaged, hides
  // more than it can hold (a "zip bomb") or has a name that points outside.
  explicit ExportFiles(fs::path path);

  // A single file whose bytes are at hand.
  ExportFiles(std::string name, std::string bytes);

  const fs::path& path() const { return path_; }
  // Whether the export has one file only, named by `path` itself.
  bool is_single() const { return kind_ == Kind::kFile || kind_ == Kind::kMemory; }
  // Names of the files that may hold a chat, in order: relative with '/', the file's own name for a single one.
  const std::vector<std::string>& names() const { return names_; }
  // How errors and the ledger name a file.
  std::string source(const std::string& name) const;
  // Where the file lies on disk; "" in an archive and in memory.
  fs::path location(const std::string& name) const;

  // Calls `visit` with the first bytes of each file, as UTF-8, until it returns false.
  void look(const std::function<bool(const std::string& name, std::string_view head)>& visit) const;
  // Calls `use` with each file that `wanted` chooses, in order. All of them are unpacked, one at a time.
  void read(const std::function<bool(const std::string& name)>& wanted,
            const std::function<void(const std::string& name, ExportText& text)>& use) const;

 private:
  enum class Kind { kFile, kFolder, kArchive, kMemory };
  fs::path path_;
  Kind kind_ = Kind::kFile;
  std::vector<std::string> names_;
  std::string bytes_;  // of kMemory
};

// What PATH stands for: itself; for a folder, its files and each zip archive directly in it.
std::vector<ExportFiles> open_exports(const fs::path& path);

}  // namespace attune
