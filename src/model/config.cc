// config.json as transformers 4 and 5 write it. Absent keys take the defaults of transformers' own config
// classes.
#include "model/config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "model/gguf_config.h"
#include "model/tensors.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 24;

struct FamilyName {
  Family family;
  std::string_view architecture, model_type;
};
constexpr std::array<FamilyName, 4> kFamilies = {{{Family::kLlama, "LlamaForCausalLM", "llama"},
                                                  {Family::kMistral, "MistralForCausalLM", "mistral"},
                                                  {Family::kQwen2, "Qwen2ForCausalLM", "qwen2"},
                                                  {Family::kQwen3, "Qwen3ForCausalLM", "qwen3"}}};

Family family_of(const Json& source, const std::string& where) {
  std::string name;
  if (const auto found = source.find("architectures"); found != source.end() && !found->is_null()) {
    if (!found->is_array() || found->size() != 1 || !(*found)[0].is_string()) {
      throw BadFile("[{}] key \"architectures\": expected a list of one name", where);
    }
    name = (*found)[0].get<std::string>();
  } else {
    name = json_require<std::string>(source, "model_type", where);
  }
  for (const FamilyName& known : kFamilies) {
    if (name == known.architecture || name == known.model_type) return known.family;
  }
  throw Unsupported(
      "[{}] architecture {} is not supported; expected LlamaForCausalLM, MistralForCausalLM, "
      "Qwen2ForCausalLM or Qwen3ForCausalLM",
      where, name);
}

// A size: an integer in [1, limit]. The limits keep every product of sizes far inside 64 bits.
std::int64_t checked_size(std::int64_t value, const char* key, std::int64_t limit, const std::string& where) {
  if (value < 1 || value > limit) {
    throw BadFile("[{}] key \"{}\": expected an integer from 1 to {}, got {}", where, key, limit, value);
  }
  return value;
}
std::int64_t required_size(const Json& source, const char* key, std::int64_t limit, const std::string& where) {
  return checked_size(json_require<std::int64_t>(source, key, where), key, limit, where);
}
std::int64_t optional_size(const Json& source, const char* key, std::int64_t fallback, std::int64_t limit,
                           const std::string& where) {
  return checked_size(json_get_or<std::int64_t>(source, key, fallback, where), key, limit, where);
}

double positive(double value, const char* key, const std::string& where) {
  if (!(value > 0) || !std::isfinite(value)) {
    throw BadFile("[{}] key \"{}\": expected a positive number, got {}", where, key, value);
  }
  return value;
}

// transformers 5 writes everything into "rope_parameters"; before, "rope_theta" stood beside "rope_scaling".
void read_rope(ModelConfig& config, const Json& source, const std::string& where) {
  const auto object = [&](const char* key) {
    const auto found = source.find(key);
    const bool present = found != source.end() && !found->is_null();
    if (present && !found->is_object()) throw BadFile("[{}] key \"{}\": expected an object", where, key);
    return present ? *found : Json::object();
  };
  Json rope = object("rope_parameters");
  if (rope.empty()) rope = object("rope_scaling");
  const double theta = json_get_or<double>(source, "rope_theta", 10000.0, where);
  config.rope_theta = positive(json_get_or<double>(rope, "rope_theta", theta, where), "rope_theta", where);
  for (const Json* const place : {&source, static_cast<const Json*>(&rope)}) {
    if (json_get_or<double>(*place, "partial_rotary_factor", 1.0, where) != 1.0) {
      throw Unsupported("[{}] key \"partial_rotary_factor\": only 1 is supported", where);
    }
  }
  const std::string old_type = json_get_or<std::string>(rope, "type", "default", where);
  const std::string type = json_get_or<std::string>(rope, "rope_type", old_type, where);
  RopeScaling& scaling = config.rope_scaling;
  if (type == "default") {
    for (const auto& [key, value] : rope.items()) {
      if (value.is_object()) throw Unsupported("[{}] rope parameters of their own for \"{}\" layers", where, key);
    }
  } else if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
    scaling.factor = positive(json_require<double>(rope, "factor", where), "factor", where);
  } else if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::kLlama3;
    scaling.factor = positive(json_require<double>(rope, "factor", where), "factor", where);
    scaling.low_freq_factor = positive(json_require<double>(rope, "low_freq_factor", where), "low_freq_factor", where);
    scaling.high_freq_factor =
        positive(json_require<double>(rope, "high_freq_factor", where), "high_freq_factor", where);
    if (scaling.high_freq_factor <= scaling.low_freq_factor) {
      throw BadFile("[{}] expected high_freq_factor above low_freq_factor, got {} and {}", where,
                    scaling.high_freq_factor, scaling.low_freq_factor);
    }
    scaling.original_max_position = required_size(rope, "original_max_position_embeddings", 1 << 30, where);
  } else {
    throw Unsupported("[{}] rope type \"{}\" is not supported; expected default, linear or llama3", where, type);
  }
}

// Which layers see the window only. The layers that do must be the last ones, as Qwen2's max_window_layers
// makes them.
void read_sliding_window(ModelConfig& config, const Json& source, const std::string& where) {
  if (config.family == Family::kLlama) return;
  const bool qwen = config.family != Family::kMistral;
  if (qwen && !json_get_or<bool>(source, "use_sliding_window", false, where)) return;
  constexpr std::int64_t kDefaultWindow = 4096;
  if (const auto found = source.find("sliding_window"); found != source.end() && found->is_null()) return;
  config.sliding_window = optional_size(source, "sliding_window", kDefaultWindow, 1 << 30, where);
  if (qwen) {
    const auto full = json_get_or<std::int64_t>(source, "max_window_layers", 28, where);
    if (full < 0) throw BadFile("[{}] key \"max_window_layers\": expected 0 or more, got {}", where, full);
    config.full_attention_layers = std::min(full, config.layers);
  }
  if (const auto types = source.find("layer_types"); types != source.end() && !types->is_null()) {
    if (!types->is_array() || static_cast<std::int64_t>(types->size()) != config.layers) {
      throw BadFile("[{}] key \"layer_types\": expected a list of {} names", where, config.layers);
    }
    const auto is_full = [](const Json& type) { return type == "full_attention"; };
    const auto first_sliding = std::find_if_not(types->begin(), types->end(), is_full);
    config.full_attention_layers = first_sliding - types->begin();
    const auto is_sliding = [](const Json& type) { return type == "sliding_attention"; };
    if (!std::all_of(first_sliding, types->end(), is_sliding)) {
      throw Unsupported("[{}] key \"layer_types\": only full_attention followed by sliding_attention is supported",
                        where);
    }
  }
  if (config.full_attention_layers == config.layers) config.sliding_window = 0;
}

void refuse_other_options(const Json& source, const std::string& where) {
  const auto activation = json_get_or<std::string>(source, "hidden_act", "silu", where);
  if (activation != "silu" && activation != "swish") {
    throw Unsupported("[{}] key \"hidden_act\": \"{}\" is not supported; expected silu", where, activation);
  }
  if (json_get_or<double>(source, "attention_dropout", 0.0, where) != 0.0) {
    throw Unsupported("[{}] key \"attention_dropout\": only 0 is supported", where);
  }
}

}  // namespace

ModelConfig model_config_from_json(const Json& source, const std::string& where) {
  if (!source.is_object()) throw BadFile("[{}] expected a JSON object", where);
  ModelConfig config;
  config.source = source;
  config.family = family_of(source, where);
  refuse_other_options(source, where);
  config.vocab_size = required_size(source, "vocab_size", 1 << 24, where);
  config.hidden_size = required_size(source, "hidden_size", 1 << 20, where);
  config.intermediate_size = required_size(source, "intermediate_size", 1 << 22, where);
  config.layers = required_size(source, "num_hidden_layers", 1 << 12, where);
  config.heads = required_size(source, "num_attention_heads", 1 << 16, where);
  const std::int64_t kv_default = config.family == Family::kMistral ? 8 : config.heads;
  const auto kv_heads = source.find("num_key_value_heads");
  config.kv_heads = kv_heads != source.end() && kv_heads->is_null()
                        ? config.heads
                        : optional_size(source, "num_key_value_heads", kv_default, 1 << 16, where);
  if (config.heads % config.kv_heads != 0) {
    throw BadFile("[{}] {} attention heads cannot share {} key/value heads; expected a multiple", where, config.heads,
                  config.kv_heads);
  }
  const std::int64_t even_share = config.hidden_size / config.heads;
  const std::int64_t head_default = config.family == Family::kQwen3 ? 128 : std::max<std::int64_t>(even_share, 1);
  config.head_dim = optional_size(source, "head_dim", head_default, 1 << 12, where);
  if (config.head_dim % 2 != 0) {
    throw BadFile("[{}] key \"head_dim\": expected an even number, got {}", where, config.head_dim);
  }
  config.max_position = optional_size(source, "max_position_embeddings", 2048, 1 << 30, where);
  config.rms_norm_eps = positive(json_get_or<double>(source, "rms_norm_eps", 1e-6, where), "rms_norm_eps", where);
  config.tie_word_embeddings = json_get_or<bool>(source, "tie_word_embeddings", false, where);
  config.qk_norm = config.family == Family::kQwen3;
  if (config.family == Family::kLlama || config.family == Family::kQwen3) {
    config.qkv_bias = config.output_bias = json_get_or<bool>(source, "attention_bias", false, where);
  }
  if (config.family == Family::kLlama) config.mlp_bias = json_get_or<bool>(source, "mlp_bias", false, where);
  if (config.family == Family::kQwen2) config.qkv_bias = true;
  read_rope(config, source, where);
  read_sliding_window(config, source, where);
  return config;
}

ModelConfig load_model_config(const fs::path& model_folder) {
  if (is_gguf_path(model_folder)) return model_config_from_gguf(GgufFile(model_folder));
  if (!fs::is_directory(model_folder)) {
    throw UserError("[{}] no such folder; expected a model folder", model_folder.string());
  }
  const fs::path path = model_folder / "config.json";
  return model_config_from_json(parse_json(read_file(path, kMaxConfigBytes), path.string()), path.string());
}

void check_vocabulary(const ModelConfig& config, std::int64_t tokenizer_ids, const fs::path& model_folder) {
  if (tokenizer_ids <= config.vocab_size) return;
  throw UserError("[{}] the tokenizer has {} ids, the model {} embeddings; the two are not of the same model",
                  model_folder.string(), tokenizer_ids, config.vocab_size);
}

}  // namespace attune
