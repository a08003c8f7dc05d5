#include "conversation/row_form.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/nearest.h"

namespace attune {
namespace {

Json message(std::string role, std::string content) {
  return Json{{"role", std::move(role)}, {"content", std::move(content)}};
}

const Json& require_list(const Json& row, const char* key, const std::string& where) {
  const auto found = row.find(key);
  if (found == row.end()) throw BadFile("[{}] key \"{}\" is missing", where, key);
  if (!found->is_array()) throw BadFile("[{}] key \"{}\": expected a list, got {}", where, key, found->type_name());
  return *found;
}

std::string share_gpt_role(const std::string& from, const std::string& where) {
  static const std::array<std::pair<const char*, const char*>, 11> kRoles = {{{"human", "user"},
                                                                              {"user", "user"},
                                                                              {"gpt", "assistant"},
                                                                              {"assistant", "assistant"},
                                                                              {"chatgpt", "assistant"},
                                                                              {"model", "assistant"},
                                                                              {"bot", "assistant"},
                                                                              {"system", "system"},
                                                                              {"tool", "tool"},
                                                                              {"function_response", "tool"},
                                                                              {"observation", "tool"}}};
  std::vector<std::string> names;
  for (const auto& [name, role] : kRoles) {
    if (from == name) return role;
    names.emplace_back(name);
  }
  throw BadFile("[{}] expected \"from\" to be human, gpt, system or tool, got \"{}\"{}", where, from,
                did_you_mean(from, names));
}

Json share_gpt_messages(const Json& row, const std::string& where) {
  Json messages = Json::array();
  for (const Json& turn : require_list(row, "conversations", where)) {
    const std::string place = fmt::format("{}: message {}", where, messages.size() + 1);
    // Some files of this form use the other form's keys inside.
    const bool plain = turn.is_object() && turn.contains("role");
    const auto from = json_require<std::string>(turn, plain ? "role" : "from", place);
    messages.push_back(
        message(share_gpt_role(from, place), json_require<std::string>(turn, plain ? "content" : "value", place)));
  }
  const auto system = json_get<std::string>(row, "system", where);
  if (system && !system->empty() && (messages.empty() || messages[0]["role"] != "system")) {
    messages.insert(messages.begin(), message("system", *system));
  }
  return messages;
}

Json alpaca_messages(const Json& row, const std::string& where) {
  Json messages = Json::array();
  const auto system = json_get<std::string>(row, "system", where);
  if (system && !system->empty()) messages.push_back(message("system", *system));
  const auto history = row.find("history");
  if (history != row.end() && !history->is_null()) {
    for (const Json& pair : require_list(row, "history", where)) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string()) {
        throw BadFile("[{}] key \"history\": expected pairs of strings", where);
      }
      messages.push_back(message("user", pair[0].get<std::string>()));
      messages.push_back(message("assistant", pair[1].get<std::string>()));
    }
  }
  auto instruction = json_require<std::string>(row, "instruction", where);
  const auto input = json_get_or<std::string>(row, "input", "", where);
  if (!input.empty()) instruction += (instruction.empty() ? "" : "\n\n") + input;
  messages.push_back(message("user", std::move(instruction)));
  messages.push_back(message("assistant", json_require<std::string>(row, "output", where)));
  return messages;
}

// One side of prompt/completion: a string spoken by `role`, or a list of messages.
void append_side(Json& messages, const Json& row, const char* key, const char* role, const std::string& where) {
  const auto found = row.find(key);
  if (found == row.end()) throw BadFile("[{}] key \"{}\" is missing", where, key);
  if (found->is_array()) {
    for (const Json& one : *found) messages.push_back(one);
  } else {
    messages.push_back(message(role, json_require<std::string>(row, key, where)));
  }
}

}  // namespace

RowForm detect_row_form(const Json& row, const std::string& where) {
  if (!row.is_object()) throw BadFile("[{}] expected a JSON object, got {}", where, row.type_name());
  if (row.contains("messages")) return RowForm::kMessages;
  if (row.contains("conversations")) return RowForm::kShareGpt;
  if (row.contains("instruction") && row.contains("output")) return RowForm::kAlpaca;
  if (row.contains("prompt") && row.contains("completion")) return RowForm::kPromptCompletion;
  if (row.contains("text")) {
    throw Unsupported(
        "[{}] a row of plain \"text\" has no speakers to tell apart; use \"messages\", or `attune pretrain`", where);
  }
  static const std::array<std::string, 6> kKeys = {"messages", "conversations", "instruction",
                                                   "output",   "prompt",        "completion"};
  std::string seen, hint;
  for (const auto& [key, value] : row.items()) {
    seen += fmt::format("{}\"{}\"", seen.empty() ? "" : ", ", key);
    if (hint.empty()) hint = did_you_mean(key, kKeys);
  }
  throw BadFile(
      "[{}] expected \"messages\", \"conversations\", \"instruction\" and \"output\", or \"prompt\" and "
      "\"completion\", "
      "got {}{}",
      where, seen.empty() ? "no key" : seen, hint);
}

Conversation conversation_from_row(const Json& row, RowForm form, const std::string& where) {
  if (!row.is_object()) throw BadFile("[{}] expected a JSON object, got {}", where, row.type_name());
  if (form == RowForm::kMessages) return conversation_from_json(row, where);
  Json messages = Json::array();
  if (form == RowForm::kShareGpt) {
    messages = share_gpt_messages(row, where);
  } else if (form == RowForm::kAlpaca) {
    messages = alpaca_messages(row, where);
  } else {
    append_side(messages, row, "prompt", "user", where);
    append_side(messages, row, "completion", "assistant", where);
  }
  return conversation_from_json(Json{{"messages", std::move(messages)}}, where);
}

}  // namespace attune
