// The importers that this build knows. A new one is one file with a detect() and a read(), and one row in
// importer.cc.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "conversation/chat_log.h"
#include "conversation/conversation.h"
#include "conversation/export_files.h"

namespace attune {

enum class DateOrder { kInfer, kDayMonthYear, kMonthDayYear, kYearMonthDay };

struct ReadOptions {
  DateOrder date_order = DateOrder::kInfer;
  std::vector<std::string>
      me;  // helps where a name is ambiguous in the file ("Anna: work"), and names the phone's owner
  std::map<std::string, std::string> columns{};  // time, sender, text, chat -> the column of a table
};

// Rows of a file that are conversations already.
struct ConversationRows {
  std::string source, format;
  std::vector<Conversation> list;
};

// What exports hold: chats, and rows that are conversations already.
struct Imported {
  std::vector<ChatLog> logs;
  std::vector<ConversationRows> rows;
};

struct Importer {
  std::string_view name;   // of --from
  std::string_view files;  // what it reads, for people: "WhatsApp .txt"
  bool weak;               // many files look like it: it gives way to any other type in the same export
  // Whether a file that is named so (a path inside its folder or archive) and begins so is this program's. For a
  // database `head` is not text.
  bool (*detect)(const std::string& name, std::string_view head);
  // All chats of the files that detect() accepted, or that --from forces. Throws UserError or BadFile naming the
  // file and the line or record.
  Imported (*read)(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions& options);
};

std::span<const Importer> importers();

// The importer called `name`; UserError with the nearest name.
const Importer& importer_named(const std::string& name);

// Everything in `path` (a file, a zip archive, or a folder of both), ordered by source. The type is that of `from`, or
// detected from the content when that is "". UserError when the path is missing, empty, not an export, or holds
// exports of two programs.
Imported read_export(const fs::path& path, const std::string& from, const ReadOptions& options);

}  // namespace attune
