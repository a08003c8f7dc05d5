#include "token/tokenizer_config.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 64 << 20;

// A token is a string or an object with "content".
std::optional<std::string> token_content(const Json& object, const char* key, const std::string& where) {
  const auto value = object.find(key);
  if (value == object.end() || value->is_null()) return std::nullopt;
  std::string content = value->is_object() ? json_require<std::string>(*value, "content", where + "." + key)
                                           : json_require<std::string>(object, key, where);
  return content.empty() ? std::nullopt : std::optional(std::move(content));
}

void read_roles(TokenizerConfig& config, const Json& object, const std::string& where) {
  const auto fill = [&](std::optional<std::string>& role, const char* key) {
    if (!role) role = token_content(object, key, where);
  };
  fill(config.bos, "bos_token");
  fill(config.eos, "eos_token");
  fill(config.pad, "pad_token");
  fill(config.unknown, "unk_token");
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto list = object.find(key);
    if (list == object.end() || !list->is_array()) continue;
    for (const Json& token : *list) {
      if (token.is_string())
        config.other_special.push_back(token.get<std::string>());
      else if (token.is_object())
        config.other_special.push_back(json_require<std::string>(token, "content", where));
    }
  }
}

AddedToken read_added_token(const Json& value, const std::string& where) {
  AddedToken token;
  token.content = json_require<std::string>(value, "content", where);
  token.single_word = json_get_or<bool>(value, "single_word", false, where);
  token.lstrip = json_get_or<bool>(value, "lstrip", false, where);
  token.rstrip = json_get_or<bool>(value, "rstrip", false, where);
  token.special = json_get_or<bool>(value, "special", false, where);
  token.normalized = json_get_or<bool>(value, "normalized", !token.special, where);
  return token;
}

void read_added_tokens(TokenizerConfig& config, const Json& object, const std::string& where) {
  const auto list = object.find("added_tokens_decoder");
  if (list == object.end() || list->is_null()) return;
  if (!list->is_object()) throw BadFile("[{}] key \"added_tokens_decoder\": expected an object", where);
  for (const auto& [key, value] : list->items()) {
    TokenId id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      throw BadFile("[{}] added_tokens_decoder: \"{}\" is no token id", where, key);
    }
    AddedToken token = read_added_token(value, where + ".added_tokens_decoder." + key);
    if (!token.content.empty()) config.added.emplace_back(id, std::move(token));
  }
  std::ranges::sort(config.added, {}, &std::pair<TokenId, AddedToken>::first);
}

}  // namespace

TokenizerConfig read_tokenizer_config(const fs::path& model_folder) {
  TokenizerConfig config;
  if (const fs::path path = model_folder / "tokenizer_config.json"; fs::exists(path)) {
    const std::string where = path.string();
    const Json object = parse_json(read_file(path, kMaxConfigBytes), where);
    if (!object.is_object()) throw BadFile("[{}] expected a JSON object", where);
    read_roles(config, object, where);
    read_added_tokens(config, object, where);
    config.add_bos = json_get<bool>(object, "add_bos_token", where);
    config.add_eos = json_get<bool>(object, "add_eos_token", where);
    config.legacy = json_get_or<bool>(object, "legacy", true, where);
  }
  if (const fs::path path = model_folder / "special_tokens_map.json"; fs::exists(path)) {
    const Json object = parse_json(read_file(path, kMaxConfigBytes), path.string());
    if (!object.is_object()) throw BadFile("[{}] expected a JSON object", path.string());
    read_roles(config, object, path.string());
  }
  return config;
}

}  // namespace attune
