// Training data on disk -> conversations. A file is JSONL (one row per line) or one JSON list of rows; a row
// is
//   {"messages":[{"role","content"},...]}             OpenAI, TRL, Axolotl
//   {"conversations":[{"from","value"},...]}          ShareGPT (human/gpt/system/tool)
//   {"instruction","input","output"}                  Alpaca (also "system" and "history")
//   {"prompt","completion"}                           strings, or message lists
// The form is detected from the file's first row and holds for the whole file. Every row is checked: known
// roles, content, the user first, nobody twice in a row. Further keys of a row (id, source, ...) are ignored.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "conversation/conversation.h"

namespace attune {

struct Dataset {
  std::vector<Conversation> train;
  std::vector<Conversation> valid;  // empty when the folder has no valid.jsonl, and for a single file
};

// `path` as a recipe's `data:` names it: a file, or a folder. A folder's train.jsonl (or .json) is the
// training part and valid.jsonl (validation, eval, test: the first that exists) the held-out part; a folder
// without train.jsonl gives every other *.jsonl and *.json file in it, by name. Throws UserError or BadFile
// naming file:line.
Dataset read_dataset(const fs::path& path);

// The files that read_dataset(path) reads, in its order. `valid` is empty when it has no held-out part.
struct DatasetFiles {
  std::vector<fs::path> train, valid;
};
DatasetFiles dataset_files(const fs::path& path);

// All rows of one file. Throws like read_dataset.
std::vector<Conversation> read_conversations(const fs::path& file);

// Calls `visit` for each row of one file in order. JSONL is mapped and parsed line by line, so memory does
// not grow with the file.
void for_each_conversation(const fs::path& file, const std::function<void(Conversation&&)>& visit);

// The same over the text of a file; `name` begins the error messages.
void for_each_conversation(std::string_view text, const std::string& name,
                           const std::function<void(Conversation&&)>& visit);

// The same for a file that may hold bad rows: each of those goes to `refuse` with its message, and the next row is read.
// Throws what leaves no rows to read: a missing or empty file, a JSON list that cannot be parsed.
using VisitRow = std::function<void(Conversation&& conversation, const std::string& where)>;
using RefuseRow = std::function<void(const UserError& error)>;
void for_each_row(const fs::path& file, const VisitRow& visit, const RefuseRow& refuse);

// Rows of a file without reading what is in them: lines of JSONL that are not blank, items of a list.
std::uint64_t count_rows(const fs::path& file);

// SHA-256 (hex) of the conversations as canonical JSON lines: the same for every form the rows were read
// from.
std::string dataset_digest(std::span<const Conversation> conversations);

}  // namespace attune
