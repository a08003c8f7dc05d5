#include "adapter/peft_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace attune {
namespace {

// The version whose files these are, and which reads them in our tests.
constexpr const char* kPeftVersion = "0.21.2";

// Options of other adapters: absent, null, false or empty means off.
constexpr std::array kUnsupported = {"use_dora",
                                     "use_qalora",
                                     "use_bdlora",
                                     "lora_bias",
                                     "modules_to_save",
                                     "exclude_modules",
                                     "layers_to_transform",
                                     "layer_replication",
                                     "target_parameters",
                                     "arrow_config",
                                     "trainable_token_indices",
                                     "alora_invocation_tokens",
                                     "kasa_config",
                                     "monteclora_config",
                                     "velora_config",
                                     "lora_ga_config"};

bool is_off(const Json& value) {
  return value.is_null() || value == false || ((value.is_array() || value.is_object()) && value.empty());
}

std::variant<std::string, std::vector<std::string>> read_targets(const Json& source, const std::string& where) {
  const auto found = source.find("target_modules");
  if (found == source.end() || found->is_null()) return std::vector<std::string>{"q_proj", "v_proj"};  // PEFT's default
  if (found->is_string()) return found->get<std::string>();
  std::vector<std::string> names;
  if (!found->is_array()) throw BadFile("[{}] key \"target_modules\": expected names or one string", where);
  for (const Json& name : *found) {
    if (!name.is_string()) throw BadFile("[{}] key \"target_modules\": expected names or one string", where);
    names.push_back(name.get<std::string>());
  }
  return names;
}

template <typename T>
std::vector<std::pair<std::string, T>> read_pattern(const Json& source, const char* key, const std::string& where) {
  std::vector<std::pair<std::string, T>> entries;
  const auto found = source.find(key);
  if (found == source.end() || found->is_null()) return entries;
  if (!found->is_object()) throw BadFile("[{}] key \"{}\": expected an object", where, key);
  for (const auto& [name, value] : found->items()) {
    entries.emplace_back(name, json_require<T>(*found, name.c_str(), where + ": " + key));
  }
  return entries;
}

// How A and B began. Only methods that leave the base weights alone: otherwise the adapter belongs to changed
// ones.
std::string read_initialisation(const Json& source, const std::string& where) {
  const auto found = source.find("init_lora_weights");
  if (found == source.end() || found->is_null()) return "true";
  if (found->is_boolean()) return found->get<bool>() ? "true" : "false";
  const auto name = json_require<std::string>(source, "init_lora_weights", where);
  if (name == "gaussian" || name == "orthogonal" || name == "eva") return name;
  throw Unsupported(
      "[{}] key \"init_lora_weights\": \"{}\" changes the base weights; convert the adapter to plain LoRA", where,
      name);
}

// Integers stay integers: some readers parse lora_alpha as one.
SortedJson number(double value) {
  return value == std::floor(value) && std::fabs(value) < 1e15 ? SortedJson(static_cast<std::int64_t>(value))
                                                               : SortedJson(value);
}

SortedJson targets_to_json(const LoraConfig& config) {
  const auto* const text = std::get_if<std::string>(&config.target_modules);
  if (text == nullptr) return std::get<std::vector<std::string>>(config.target_modules);
  if (*text != "all-linear") return *text;
  SortedJson names = SortedJson::array();
  for (int slot = 0; slot < kSlots; ++slot) {
    const std::string_view name = module_name(static_cast<Slot>(slot));
    names.push_back(name.substr(name.find('.') + 1));
  }
  return names;
}

}  // namespace

LoraConfig lora_config_from_json(const Json& source, const std::string& where) {
  const auto type = json_require<std::string>(source, "peft_type", where);
  if (type != "LORA") throw Unsupported("[{}] peft_type \"{}\" is not supported; expected LORA", where, type);
  for (const char* const key : kUnsupported) {
    if (const auto found = source.find(key); found != source.end() && !is_off(*found)) {
      throw Unsupported("[{}] key \"{}\" is not supported; expected it off", where, key);
    }
  }
  if (const auto bias = json_get_or<std::string>(source, "bias", "none", where); bias != "none") {
    throw Unsupported("[{}] key \"bias\": \"{}\" is not supported; expected none", where, bias);
  }
  LoraConfig config;
  config.r = json_get_or<std::int64_t>(source, "r", 8, where);
  config.lora_alpha = json_get_or<double>(source, "lora_alpha", 8, where);
  config.lora_dropout = json_get_or<double>(source, "lora_dropout", 0.0, where);
  config.target_modules = read_targets(source, where);
  config.use_rslora = json_get_or<bool>(source, "use_rslora", false, where);
  config.rank_pattern = read_pattern<std::int64_t>(source, "rank_pattern", where);
  config.alpha_pattern = read_pattern<double>(source, "alpha_pattern", where);
  config.init_lora_weights = read_initialisation(source, where);
  config.base_model_name_or_path = json_get_or<std::string>(source, "base_model_name_or_path", "", where);
  return config;
}

Json lora_config_to_json(const LoraConfig& config) {
  SortedJson json = SortedJson::object();
  for (const char* const key :
       {"auto_mapping", "exclude_modules", "layer_replication", "layers_pattern", "layers_to_transform",
        "megatron_config", "modules_to_save", "revision", "target_parameters", "trainable_token_indices"}) {
    json[key] = nullptr;
  }
  json["base_model_name_or_path"] = config.base_model_name_or_path;
  json["bias"] = "none";
  json["fan_in_fan_out"] = false;
  json["inference_mode"] = true;
  const std::string& init = config.init_lora_weights;
  json["init_lora_weights"] = init == "true"    ? SortedJson(true)
                              : init == "false" ? SortedJson(false)
                                                : SortedJson(init);
  json["loftq_config"] = SortedJson::object();
  json["lora_alpha"] = number(config.lora_alpha);
  json["lora_bias"] = false;
  json["lora_dropout"] = config.lora_dropout;
  json["megatron_core"] = "megatron.core";
  json["peft_type"] = "LORA";
  json["peft_version"] = kPeftVersion;
  json["r"] = config.r;
  json["alpha_pattern"] = json["rank_pattern"] = SortedJson::object();
  json["target_modules"] = targets_to_json(config);
  json["task_type"] = "CAUSAL_LM";
  json["use_dora"] = false;
  json["use_rslora"] = config.use_rslora;
  Json ordered = json;
  for (const auto& [key, value] : config.alpha_pattern) ordered["alpha_pattern"][key] = number(value);
  for (const auto& [key, value] : config.rank_pattern) ordered["rank_pattern"][key] = value;
  return ordered;
}

}  // namespace attune
