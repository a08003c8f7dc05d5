// The importers that this build knows. A new one is one file with a detect() and a read(), and one row in
// importer.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "conversation/chat_log.h"

namespace attune {

enum class DateOrder { kInfer, kDayMonthYear, kMonthDayYear, kYearMonthDay };

struct ReadOptions {
  DateOrder date_order = DateOrder::kInfer;
  std::vector<std::string> me;  // helps where a name is ambiguous in the file ("Anna: work")
};

struct Importer {
  std::string_view name;   // of --from
  std::string_view files;  // what it reads, for messages: "WhatsApp .txt or .zip"
  // Whether `path` (a file or a folder that exists) looks like this program's export. Reads a bounded part;
  // throws only when the file cannot be read at all.
  bool (*detect)(const fs::path& path);
  // Every chat in it. Throws UserError or BadFile.
  std::vector<ChatLog> (*read)(const fs::path& path, const ReadOptions& options);
};

std::span<const Importer> importers();

// The importer called `name`; UserError with the nearest name.
const Importer& importer_named(const std::string& name);

// The importer that recognises `path`; UserError when the path is missing or empty, or no importer does.
const Importer& detect_importer(const fs::path& path);

}  // namespace attune
