#include "conversation/dataset.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "base/ascii.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json_stream.h"
#include "conversation/row_form.h"

namespace attune {
namespace {

constexpr std::size_t kMaxRowBytes = std::size_t{1} << 24;
constexpr const char* kRowTooLong = "a row of more than 16 MB; no model reads one";

// The text of a file without a byte order mark. Throws BadFile when it is empty.
std::string_view content_of(std::string_view text, const std::string& name) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (is_ascii_blank(text)) throw BadFile("[{}] the file is empty; expected JSON lines", name);
  return text;
}

std::string_view text_of(const MappedFile& mapped) {
  return {reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()};
}

// One JSON list of rows, as Alpaca files usually are.
bool is_list(std::string_view text) { return text[text.find_first_not_of(" \t\r\n")] == '['; }

// Calls visit(row of JSON, where) in order; a row that cannot be parsed goes to refuse(error).
template <typename Visit, typename Refuse>
void for_each_json(std::string_view text, const std::string& name, const Visit& visit, const Refuse& refuse) {
  if (is_list(text)) {
    JsonStream json(PagedText(text, false), name);
    std::size_t number = 0;
    json.array([&] {
      const std::string where = fmt::format("{}: row {}", name, ++number);
      const std::string_view row = json.raw();
      if (row.size() > kMaxRowBytes) throw BadFile("[{}] {}", where, kRowTooLong);
      visit(parse_json(row, where), where);
    });
    json.finish();
    return;
  }
  for (std::size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (is_ascii_blank(line)) continue;
    const std::string where = fmt::format("{}:{}", name, number);
    Json row;
    try {
      if (line.size() > kMaxRowBytes) throw BadFile("[{}] {}", where, kRowTooLong);
      row = parse_json(line, where);
    } catch (const UserError& error) {
      refuse(error);
      continue;
    }
    visit(row, where);
  }
}

void visit_rows(std::string_view text, const std::string& name, const VisitRow& visit, const RefuseRow& refuse) {
  std::optional<RowForm> form;
  const auto read = [&](const Json& row, const std::string& where) {
    Conversation conversation;
    try {
      if (!form) form = detect_row_form(row, where);
      conversation = conversation_from_row(row, *form, where);
    } catch (const UserError& error) {
      refuse(error);
      return;
    }
    visit(std::move(conversation), where);
  };
  for_each_json(content_of(text, name), name, read, refuse);
}

// refuse() of reading that ends at the first bad row; it is called while that row's error is handled.
void rethrow(const UserError&) { throw; }

bool is_data_file(const fs::path& path) {
  return path.filename().string().front() != '.' && (path.extension() == ".jsonl" || path.extension() == ".json");
}

// The file `stem`.jsonl or `stem`.json of the folder.
std::optional<fs::path> part_of(const fs::path& folder, const char* stem) {
  for (const char* extension : {".jsonl", ".json"}) {
    const fs::path path = folder / (std::string(stem) + extension);
    if (fs::is_regular_file(path)) return path;
  }
  return std::nullopt;
}

DatasetFiles files_of_folder(const fs::path& folder) {
  DatasetFiles files;
  for (const char* stem : {"valid", "validation", "eval", "test"}) {
    if (!files.valid.empty()) break;
    if (const auto path = part_of(folder, stem)) files.valid.push_back(*path);
  }
  if (const auto path = part_of(folder, "train")) {
    files.train.push_back(*path);
  } else {
    for (const auto& entry : fs::directory_iterator(folder)) {
      // ledger.json is what `attune import` writes beside the data.
      const bool other =
          (!files.valid.empty() && entry.path() == files.valid[0]) || entry.path().filename() == "ledger.json";
      if (entry.is_regular_file() && is_data_file(entry.path()) && !other) files.train.push_back(entry.path());
    }
    std::sort(files.train.begin(), files.train.end());
  }
  if (files.train.empty()) {
    throw UserError("[{}] expected train.jsonl or other .jsonl or .json files in the folder, found none",
                    folder.string());
  }
  return files;
}

}  // namespace

void for_each_conversation(const fs::path& file, const std::function<void(Conversation&&)>& visit) {
  const MappedFile mapped(file);
  for_each_conversation(text_of(mapped), file.string(), visit);
}

void for_each_conversation(std::string_view text, const std::string& name,
                           const std::function<void(Conversation&&)>& visit) {
  visit_rows(
      text, name, [&](Conversation&& conversation, const std::string&) { visit(std::move(conversation)); }, &rethrow);
}

void for_each_row(const fs::path& file, const VisitRow& visit, const RefuseRow& refuse) {
  const MappedFile mapped(file);
  visit_rows(text_of(mapped), file.string(), visit, refuse);
}

std::uint64_t count_rows(const fs::path& file) {
  const MappedFile mapped(file);
  const std::string_view text = content_of(text_of(mapped), file.string());
  std::uint64_t rows = 0;
  if (is_list(text)) {
    JsonStream json(PagedText(text, false), file.string());
    json.array([&] {
      json.skip();
      ++rows;
    });
    json.finish();
    return rows;
  }
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    rows += !is_ascii_blank(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return rows;
}

std::vector<Conversation> read_conversations(const fs::path& file) {
  std::vector<Conversation> conversations;
  for_each_conversation(file, [&](Conversation&& conversation) { conversations.push_back(std::move(conversation)); });
  if (conversations.empty()) throw BadFile("[{}] the file has no row", file.string());
  return conversations;
}

DatasetFiles dataset_files(const fs::path& path) {
  if (fs::is_directory(path)) return files_of_folder(path);
  return {{path}, {}};
}

Dataset read_dataset(const fs::path& path) {
  Dataset dataset;
  const DatasetFiles files = dataset_files(path);
  for (const fs::path& file : files.train) {
    auto rows = read_conversations(file);
    std::move(rows.begin(), rows.end(), std::back_inserter(dataset.train));
  }
  for (const fs::path& file : files.valid) dataset.valid = read_conversations(file);
  return dataset;
}

std::string dataset_digest(std::span<const Conversation> conversations) {
  Sha256 digest;
  for (const Conversation& conversation : conversations) digest.update(to_json_line(conversation) + "\n");
  return digest.hex();
}

}  // namespace attune
