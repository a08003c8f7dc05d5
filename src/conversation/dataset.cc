#include "conversation/dataset.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "conversation/row_form.h"

namespace attune {
namespace {

using Visit = std::function<void(Conversation&&)>;

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// One JSON list of rows, as Alpaca files usually are.
void visit_list(std::string_view text, const std::string& name, const Visit& visit) {
  const Json rows = parse_json(text, name);
  std::optional<RowForm> form;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string where = fmt::format("{}: row {}", name, i + 1);
    if (!form) form = detect_row_form(rows[i], where);
    visit(conversation_from_row(rows[i], *form, where));
  }
}

void visit_lines(std::string_view text, const std::string& name, const Visit& visit) {
  std::optional<RowForm> form;
  for (std::size_t begin = 0, number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (is_blank(line)) continue;
    const std::string where = fmt::format("{}:{}", name, number);
    const Json row = parse_json(line, where);
    if (!form) form = detect_row_form(row, where);
    visit(conversation_from_row(row, *form, where));
  }
}

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

Dataset read_folder(const fs::path& folder) {
  Dataset dataset;
  std::optional<fs::path> valid;
  for (const char* stem : {"valid", "validation", "eval", "test"}) {
    if (!valid) valid = part_of(folder, stem);
  }
  std::vector<fs::path> train;
  if (const auto path = part_of(folder, "train")) {
    train.push_back(*path);
  } else {
    for (const auto& entry : fs::directory_iterator(folder)) {
      // ledger.json is what `attune import` writes beside the data.
      const bool other = (valid && entry.path() == *valid) || entry.path().filename() == "ledger.json";
      if (entry.is_regular_file() && is_data_file(entry.path()) && !other) train.push_back(entry.path());
    }
    std::sort(train.begin(), train.end());
  }
  if (train.empty()) {
    throw UserError("[{}] expected train.jsonl or other .jsonl or .json files in the folder, found none",
                    folder.string());
  }
  for (const fs::path& path : train) {
    auto rows = read_conversations(path);
    std::move(rows.begin(), rows.end(), std::back_inserter(dataset.train));
  }
  if (valid) dataset.valid = read_conversations(*valid);
  return dataset;
}

}  // namespace

void for_each_conversation(const fs::path& file, const Visit& visit) {
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  for_each_conversation(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), file.string(),
                        visit);
}

void for_each_conversation(std::string_view text, const std::string& name, const Visit& visit) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) throw BadFile("[{}] the file is empty; expected JSON lines", name);
  if (text[first] == '[') {
    visit_list(text, name, visit);
  } else {
    visit_lines(text, name, visit);
  }
}

std::vector<Conversation> read_conversations(const fs::path& file) {
  std::vector<Conversation> conversations;
  for_each_conversation(file, [&](Conversation&& conversation) { conversations.push_back(std::move(conversation)); });
  if (conversations.empty()) throw BadFile("[{}] the file has no row", file.string());
  return conversations;
}

Dataset read_dataset(const fs::path& path) {
  if (fs::is_directory(path)) return read_folder(path);
  return {read_conversations(path), {}};
}

std::string dataset_digest(std::span<const Conversation> conversations) {
  Sha256 digest;
  for (const Conversation& conversation : conversations) digest.update(to_json_line(to_json(conversation)) + "\n");
  return digest.hex();
}

}  // namespace attune
