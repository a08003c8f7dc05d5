#include "conversation/conversation.h"

#include <array>
#include <optional>

#include "base/ascii.h"
#include "base/nearest.h"

namespace attune {
namespace {

// Keys of a message that would change what is trained or said; ignoring them silently would be a lie.
constexpr std::array<const char*, 4> kUnsupportedKeys = {"tool_calls", "function_call", "tool_call_id", "weight"};

std::string at(const std::string& where, std::size_t index) { return fmt::format("{}: message {}", where, index + 1); }

// A string, or the list of {"type":"text","text":...} parts that the OpenAI and transformers forms allow.
std::string content_text(const Json& message, const std::string& where) {
  const auto found = message.find("content");
  if (found == message.end()) throw BadFile("[{}] key \"content\" is missing", where);
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) {
    throw BadFile("[{}] key \"content\": expected a string or a list of text parts, got {}", where, found->type_name());
  }
  std::string text;
  for (const Json& part : *found) {
    const auto type = json_require<std::string>(part, "type", where);
    if (type != "text") throw Unsupported("[{}] expected text parts only, got a part of type \"{}\"", where, type);
    text += json_require<std::string>(part, "text", where);
  }
  return text;
}

std::string known_role(const std::string& role, const std::string& where) {
  if (role == "developer") return "system";  // OpenAI's newer name for it
  static const std::array<std::string, 4> kRoles = {"system", "user", "assistant", "tool"};
  for (const std::string& known : kRoles) {
    if (role == known) return role;
  }
  throw BadFile("[{}] expected the role system, user, assistant or tool, got \"{}\"{}", where, role,
                did_you_mean(role, kRoles));
}

// What every chat template can render: an optional system message first, then the user, nobody twice in a
// row.
void check_order(const Conversation& conversation, const std::string& where) {
  std::string previous;
  for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
    const std::string& role = conversation.messages[i].role;
    if (role == "system") {
      if (i > 0) throw BadFile("[{}] a system message must be the first one", at(where, i));
      continue;
    }
    if (previous.empty() && role != "user") {
      throw BadFile("[{}] expected the user to speak first, got role \"{}\"", at(where, i), role);
    }
    if (role == previous && role != "tool") {
      throw BadFile("[{}] two {} messages in a row; join them into one", at(where, i), role);
    }
    previous = role;
  }
  if (previous.empty()) throw BadFile("[{}] the conversation has no user message", where);
}

}  // namespace

Json to_json(const Conversation& conversation) {
  Json messages = Json::array();
  for (const Message& message : conversation.messages) {
    messages.push_back(Json{{"role", message.role}, {"content", message.content}});
  }
  return Json{{"messages", std::move(messages)}};
}

std::string to_json_line(const Conversation& conversation) {
  std::string line = "{\"messages\":[";
  for (const Message& message : conversation.messages) {
    line += line.back() == '[' ? "{\"role\":" : ",{\"role\":";
    append_json_string(line, message.role);
    line += ",\"content\":";
    append_json_string(line, message.content);
    line += '}';
  }
  return line + "]}";
}

Conversation conversation_from_json(const Json& value, const std::string& where) {
  if (!value.is_object()) throw BadFile("[{}] expected a JSON object, got {}", where, value.type_name());
  const auto found = value.find("messages");
  if (found == value.end()) throw BadFile("[{}] key \"messages\" is missing", where);
  if (!found->is_array()) throw BadFile("[{}] key \"messages\": expected a list, got {}", where, found->type_name());
  if (found->empty()) throw BadFile("[{}] the conversation has no message", where);
  Conversation conversation;
  for (const Json& message : *found) {
    const std::string place = at(where, conversation.messages.size());
    const auto role = known_role(json_require<std::string>(message, "role", place), place);
    for (const char* key : kUnsupportedKeys) {
      const auto extra = message.find(key);
      // null, [] and weight 1 say nothing.
      if (extra != message.end() && !extra->empty() && *extra != 1) {
        throw Unsupported("[{}] key \"{}\" is not supported; remove it or the row", place, key);
      }
    }
    std::string content = content_text(message, place);
    if (is_ascii_blank(content)) throw BadFile("[{}] the content is empty", place);
    conversation.messages.push_back({role, std::move(content)});
  }
  check_order(conversation, where);
  return conversation;
}

}  // namespace attune
