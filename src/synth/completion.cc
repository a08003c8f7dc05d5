#include "synth/completion.h"

#include <algorithm>

#include "base/json.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::size_t kLongestError = 300;
constexpr std::size_t kMessageFrame = 16;  // bytes that stand for a role and its marks
constexpr std::int64_t kMostTokens = 1'000'000'000;

const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::int64_t> token_count(const Json& usage, const char* key, const std::string& where) {
  const auto count = json_get<std::int64_t>(usage, key, where);
  if (count && (*count < 0 || *count > kMostTokens)) throw BadFile("[{}] key \"{}\": got {}", where, key, *count);
  return count;
}

}  // namespace

std::int64_t most_tokens(const std::vector<Message>& messages) {
  std::size_t bytes = 0;
  for (const Message& message : messages) bytes += message.content.size() + kMessageFrame;
  return static_cast<std::int64_t>(bytes);
}

std::int64_t estimated_tokens(const std::vector<Message>& messages) { return (most_tokens(messages) + 3) / 4; }

ModelReply parse_completion(std::string_view body, const ModelCall& call, const std::string& where) {
  const Json answer = parse_json(body, where);
  const Json* const choices = find(answer, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) throw BadFile("[{}] has no \"choices\"", where);
  const Json& choice = choices->front();
  const Json* const message = find(choice, "message");
  if (message == nullptr || !message->is_object()) throw BadFile("[{}] has no \"message\"", where);
  ModelReply reply;
  reply.text = json_get_or<std::string>(*message, "content", "", where);
  reply.cut = json_get_or<std::string>(choice, "finish_reason", "", where) == "length";
  std::optional<std::int64_t> prompt, written;
  if (const Json* const usage = find(answer, "usage"); usage != nullptr && usage->is_object()) {
    prompt = token_count(*usage, "prompt_tokens", where);
    written = token_count(*usage, "completion_tokens", where);
  }
  reply.estimated = !prompt || !written;
  reply.prompt_tokens = prompt.value_or(estimated_tokens(call.messages));
  reply.reply_tokens = written.value_or(estimated_tokens({{"assistant", reply.text}}));
  return reply;
}

std::string completion_error(std::string_view body) {
  std::string message;
  try {
    const Json answer = parse_json(body, "answer");
    const Json* const error = find(answer, "error");
    const Json* text = error != nullptr && error->is_object() ? find(*error, "message") : error;
    if (text == nullptr) text = find(answer, "message");
    if (text == nullptr) text = find(answer, "detail");
    if (text != nullptr && text->is_string()) message = text->get<std::string>();
  } catch (const BadFile&) {
    return {};  // a page of HTML says nothing in one line
  }
  std::string line;
  for (const char c : to_valid_utf8(message)) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  if (line.size() > kLongestError) {
    line.resize(kLongestError);
    line.resize(line.size() - incomplete_utf8_tail(line));
    line += "...";
  }
  return line;
}

std::string without_secret(std::string text, const std::string& secret) {
  static constexpr std::string_view kShown = "[secret]";
  if (secret.empty()) return text;
  for (std::size_t at = text.find(secret); at != text.npos; at = text.find(secret, at + kShown.size())) {
    text.replace(at, secret.size(), kShown);
  }
  return text;
}

}  // namespace attune
