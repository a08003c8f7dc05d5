#include "conversation/ready_rows.h"

#include <algorithm>

#include "base/json_stream.h"
#include "conversation/dataset.h"

namespace attune {
namespace {

// The keys of the first row tell: "messages" with roles, "conversations", "instruction" and "output", "prompt" and
// "completion".
bool detect_ready_rows(const std::string& name, std::string_view head) {
  std::vector<std::string> keys;
  bool spoken = false;  // "messages" is a list of {"role", ...}, which no chat export has
  try {
    JsonStream json({head, false}, name);
    const auto row = [&] {
      json.object([&](std::string_view key) {
        keys.emplace_back(key);
        const std::string_view value = json.raw();
        if (key == "messages") spoken = value.find("\"role\"") != std::string_view::npos;
      });
      json.fail("one row is enough");
    };
    if (json.peek() == JsonStream::Kind::kArray)
      json.array(row);
    else
      row();
  } catch (const UserError&) {
    // The head ends in the middle of a row, or after the first.
    if (!spoken && !keys.empty() && keys.back() == "messages") spoken = head.find("\"role\"") != std::string_view::npos;
  }
  const auto has = [&](std::string_view key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
  return (has("messages") && spoken) ||
         (has("conversations") &&
          (head.find("\"from\"") != std::string_view::npos || head.find("\"role\"") != std::string_view::npos)) ||
         (has("instruction") && has("output")) || (has("prompt") && has("completion"));
}

Imported read_ready_rows(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions&) {
  Imported result;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string&, ExportText& text) {
               ConversationRows rows{text.source(), "conversations", {}};
               for_each_conversation(text.utf8().all(), text.source(),
                                     [&](Conversation&& row) { rows.list.push_back(std::move(row)); });
               result.rows.push_back(std::move(rows));
             });
  return result;
}

}  // namespace

const Importer kReadyRows = {"conversations", "JSONL of conversations (OpenAI, ShareGPT, Alpaca, prompt/completion)",
                             true, detect_ready_rows, read_ready_rows};

}  // namespace attune
