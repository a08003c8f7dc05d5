#include "serve/api_request.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/json.h"
#include "serve/api_error.h"

namespace attune {
namespace {

constexpr std::size_t kStops = 16, kStopBytes = 1024;

template <typename... Args>
[[noreturn]] void refuse(const std::string& param, fmt::format_string<Args...> format, Args&&... args) {
  throw ApiError(400, fmt::format(format, std::forward<Args>(args)...), param);
}

// The parameters of one object; absent and null are the same.
class Fields {
 public:
  explicit Fields(const SortedJson& object) : object_(object) {}

  const SortedJson* find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<double> number(const char* name, double low, double high) const {
    const SortedJson* const value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) refuse(name, "'{}' must be a number", name);
    const double number = value->get<double>();
    if (!(number >= low && number <= high))
      refuse(name, "'{}' must be between {} and {}, got {}", name, low, high, number);
    return number;
  }
  std::optional<std::int64_t> integer(const char* name, std::int64_t low, std::int64_t high) const {
    const SortedJson* const value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_integer()) refuse(name, "'{}' must be an integer", name);
    const bool large =
        value->is_number_unsigned() &&
        value->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    const std::int64_t number = large ? high : value->get<std::int64_t>();
    if (large || number < low || number > high) refuse(name, "'{}' must be between {} and {}", name, low, high);
    return number;
  }
  bool flag(const char* name) const {
    const SortedJson* const value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) refuse(name, "'{}' must be true or false", name);
    return value->get<bool>();
  }
  std::string text(const char* name) const {
    const SortedJson* const value = find(name);
    if (value == nullptr) refuse(name, "you must provide the parameter '{}'", name);
    if (!value->is_string()) refuse(name, "'{}' must be a string", name);
    return value->get<std::string>();
  }

  // What would change the answer and cannot be honoured; its default is no harm.
  void refuse_unless_default() const {
    const auto empty = [&](const char* name) {
      const SortedJson* const value = find(name);
      if (value != nullptr && !(value->is_structured() && value->empty())) refuse(name, "'{}' is not supported", name);
    };
    for (const char* const name : {"tools", "functions", "logit_bias", "audio", "web_search_options"}) empty(name);
    for (const char* const name : {"n", "best_of"}) {
      if (integer(name, 0, 1'000'000).value_or(1) != 1) refuse(name, "'{}' other than 1 is not supported", name);
    }
    if (flag("echo")) refuse("echo", "'echo' is not supported");
    if (find("suffix") != nullptr && !text("suffix").empty()) refuse("suffix", "'suffix' is not supported");
    if (const SortedJson* const format = find("response_format"); format != nullptr) {
      if (!format->is_object() || format->value("type", SortedJson()) != "text") {
        refuse("response_format", "only the response format {{\"type\": \"text\"}} is supported");
      }
    }
  }

 private:
  const SortedJson& object_;
};

std::string content_of(const SortedJson& message, const std::string& where) {
  const auto found = message.find("content");
  if (found == message.end() || found->is_null()) refuse(where, "'{}.content' is missing", where);
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) refuse(where, "'{}.content' must be a string or a list of text parts", where);
  std::string content;
  for (const SortedJson& part : *found) {
    if (!part.is_object() || part.value("type", SortedJson()) != "text" ||
        !part.value("text", SortedJson()).is_string()) {
      refuse(where, "'{}.content' may have parts {{\"type\": \"text\", \"text\": \"...\"}} only", where);
    }
    content += part["text"].get<std::string>();
  }
  return content;
}

std::vector<Message> messages_of(const Fields& fields) {
  const SortedJson* const list = fields.find("messages");
  if (list == nullptr || !list->is_array() || list->empty()) {
    refuse("messages", "'messages' must be a list of at least one message");
  }
  std::vector<Message> messages;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const SortedJson& message = (*list)[i];
    const std::string where = fmt::format("messages[{}]", i);
    if (!message.is_object()) refuse(where, "'{}' must be an object with role and content", where);
    const SortedJson role_value = message.value("role", SortedJson());
    std::string role = role_value.is_string() ? role_value.get<std::string>() : "";
    if (role == "developer") role = "system";  // the newer name
    if (role != "system" && role != "user" && role != "assistant") {
      refuse(where, "'{}.role' must be system, developer, user or assistant", where);
    }
    messages.push_back({std::move(role), content_of(message, where)});
  }
  return messages;
}

void take_prompt(ApiRequest& request, const Fields& fields) {
  const SortedJson* prompt = fields.find("prompt");
  if (prompt != nullptr && prompt->is_array() && prompt->size() == 1 && !prompt->front().is_number()) {
    prompt = &prompt->front();  // a batch of one
  }
  if (prompt != nullptr && prompt->is_string()) {
    request.prompt = prompt->get<std::string>();
    return;
  }
  if (prompt == nullptr || !prompt->is_array() || prompt->empty())
    refuse("prompt", "'prompt' must be a string or a list of tokens");
  for (const SortedJson& token : *prompt) {
    if (!token.is_number_unsigned() || token.get<std::uint64_t>() > 0x7FFFFFFF) {
      refuse("prompt", "'prompt' must be one string or one list of tokens; several prompts are not supported");
    }
    request.prompt_tokens.push_back(token.get<TokenId>());
  }
}

std::vector<std::string> stops_of(const Fields& fields) {
  const SortedJson* const value = fields.find("stop");
  if (value == nullptr) return {};
  std::vector<std::string> stops;
  const auto add = [&](const SortedJson& stop) {
    if (!stop.is_string() || stop.get_ref<const std::string&>().empty() ||
        stop.get_ref<const std::string&>().size() > kStopBytes || stops.size() == kStops) {
      refuse("stop", "'stop' must be a string or a list of at most {} strings, of 1 to {} bytes each", kStops,
             kStopBytes);
    }
    stops.push_back(stop.get<std::string>());
  };
  if (!value->is_array()) {
    add(*value);
  } else {
    for (const SortedJson& stop : *value) add(stop);
  }
  return stops;
}

SortedJson object_of(std::string_view body) {
  try {
    SortedJson json = parse_sorted_json(body, "body");
    if (json.is_object()) return json;
  } catch (const BadFile& error) {
    refuse("", "the body of the request is no JSON that can be read: {}", error.what());
  }
  refuse("", "the body of the request must be a JSON object");
}

void take_common(ApiRequest& request, const Fields& fields) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  request.model = fields.text("model");
  fields.refuse_unless_default();
  request.stream = fields.flag("stream");
  if (const SortedJson* const options = fields.find("stream_options"); options != nullptr) {
    if (!options->is_object()) refuse("stream_options", "'stream_options' must be an object");
    if (!request.stream) refuse("stream_options", "'stream_options' is allowed with \"stream\": true only");
    request.include_usage = Fields(*options).flag("include_usage");
  }
  request.max_tokens = fields.integer("max_tokens", 1, kMost);
  if (const auto newer = fields.integer("max_completion_tokens", 1, kMost)) request.max_tokens = newer;
  SamplerOptions& sampler = request.sampler;
  sampler.temperature = fields.number("temperature", 0, 2).value_or(sampler.temperature);
  sampler.top_p = fields.number("top_p", 0, 1).value_or(sampler.top_p);
  if (sampler.top_p == 0) sampler.top_p = std::numeric_limits<double>::min();  // the most likely token alone
  sampler.top_k = fields.integer("top_k", 0, kMost).value_or(sampler.top_k);
  sampler.min_p = fields.number("min_p", 0, 0.999999).value_or(sampler.min_p);
  if (const auto seed =
          fields.integer("seed", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max())) {
    sampler.seed = static_cast<std::uint64_t>(*seed);
    request.has_seed = true;
  }
  request.penalties.frequency = fields.number("frequency_penalty", -2, 2).value_or(0);
  request.penalties.presence = fields.number("presence_penalty", -2, 2).value_or(0);
  request.stop = stops_of(fields);
}

}  // namespace

ApiRequest parse_chat_request(std::string_view body) {
  const SortedJson json = object_of(body);
  const Fields fields(json);
  ApiRequest request;
  take_common(request, fields);
  request.messages = messages_of(fields);
  const auto top = fields.integer("top_logprobs", 0, 20);
  if (fields.flag("logprobs")) {
    request.top_logprobs = static_cast<int>(top.value_or(0));
  } else if (top.value_or(0) > 0) {
    refuse("top_logprobs", "'top_logprobs' is allowed with \"logprobs\": true only");
  }
  return request;
}

ApiRequest parse_completion_request(std::string_view body) {
  const SortedJson json = object_of(body);
  const Fields fields(json);
  ApiRequest request;
  take_common(request, fields);
  take_prompt(request, fields);
  if (const auto count = fields.integer("logprobs", 0, 20)) request.top_logprobs = static_cast<int>(*count);
  return request;
}

}  // namespace attune
