#include "model/gguf_config.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "model/gguf_names.h"

namespace attune {
namespace {

constexpr const char* kRopeFactors = "rope_freqs.weight";

Family family_of(const GgufFile& file) {
  const auto architecture = file.require<std::string>("general.architecture");
  for (const Family family : {Family::kLlama, Family::kQwen2, Family::kQwen3}) {
    if (architecture == gguf_architecture(family)) return family;
  }
  throw Unsupported("[{}] architecture {} is not supported; expected llama, qwen2 or qwen3", file.path().string(),
                    architecture);
}

// Llama 3's scaling arrives as the number that divides each frequency.
void read_rope_factors(RopeScaling& scaling, const GgufFile& file, std::int64_t head_dim) {
  const GgufTensor* const factors = file.find(kRopeFactors);
  if (factors == nullptr) return;
  const std::string where = file.path().string() + ": tensor " + kRopeFactors;
  if (factors->type->dtype != DType::kF32 || !factors->has_shape({head_dim / 2})) {
    throw BadFile("[{}] expected F32 [{}], got {} {}", where, head_dim / 2, factors->type->name,
                  shape_text(factors->shape));
  }
  scaling.kind = RopeScaling::Kind::kFactors;
  scaling.factors.resize(static_cast<std::size_t>(head_dim / 2));
  std::memcpy(scaling.factors.data(), factors->bytes.data(), factors->bytes.size());
  for (const float factor : scaling.factors) {
    if (!(factor > 0) || !std::isfinite(factor)) throw BadFile("[{}] expected positive numbers, got {}", where, factor);
  }
}

}  // namespace

ModelConfig model_config_from_gguf(const GgufFile& file) {
  const std::string where = file.path().string();
  if (file.get<std::int64_t>("split.count").value_or(1) > 1) {
    throw Unsupported("[{}] is one part of several; join them with llama.cpp's llama-gguf-split --merge", where);
  }
  if (const auto type = file.get<std::string>("general.type"); type && *type != "model") {
    throw Unsupported("[{}] holds a GGUF of type {}, expected a model", where, *type);
  }
  const Family family = family_of(file);
  const std::string prefix = std::string(gguf_architecture(family)) + ".";
  Json source = Json::object();
  const auto whole = [&](const char* key, const std::string& name) {
    if (const auto value = file.get<std::int64_t>(prefix + name)) source[key] = *value;
    return source.contains(key);
  };
  const auto real = [&](const char* key, const std::string& name) {
    if (const auto value = file.get<double>(prefix + name)) source[key] = *value;
  };
  const auto required = [&](const char* key, const std::string& name) {
    if (!whole(key, name)) throw BadFile("[{}] key {}{} is missing", where, prefix, name);
  };
  const GgufTensor* const embedding = file.find("token_embd.weight");
  if (embedding == nullptr) throw BadFile("[{}] tensor token_embd.weight is missing; this is no whole model", where);
  const bool window = whole("sliding_window", "attention.sliding_window") && source["sliding_window"] != 0;
  if (!window) source.erase("sliding_window");
  source["architectures"] = Json::array({family == Family::kQwen2   ? "Qwen2ForCausalLM"
                                         : family == Family::kQwen3 ? "Qwen3ForCausalLM"
                                         : window                   ? "MistralForCausalLM"
                                                                    : "LlamaForCausalLM"});
  source["vocab_size"] = embedding->rows();
  required("hidden_size", "embedding_length");
  required("intermediate_size", "feed_forward_length");
  required("num_hidden_layers", "block_count");
  required("num_attention_heads", "attention.head_count");
  whole("num_key_value_heads", "attention.head_count_kv");
  whole("head_dim", "attention.key_length");
  whole("max_position_embeddings", "context_length");
  real("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  real("rope_theta", "rope.freq_base");
  const auto scaling = file.get<std::string>(prefix + "rope.scaling.type").value_or("none");
  if (scaling == "linear") {
    source["rope_scaling"] = {{"rope_type", "linear"},
                              {"factor", file.require<double>(prefix + "rope.scaling.factor")}};
  } else if (scaling != "none") {
    throw Unsupported("[{}] key {}rope.scaling.type: \"{}\" is not supported; expected none or linear", where, prefix,
                      scaling);
  }
  if (file.get<std::int64_t>(prefix + "expert_count").value_or(0) > 0) {
    throw Unsupported("[{}] key {}expert_count: mixtures of experts are not supported", where, prefix);
  }
  const auto has = [&](const char* name) { return file.find(name) != nullptr; };
  source["tie_word_embeddings"] = !has("output.weight");
  if (family != Family::kQwen2) source["attention_bias"] = has("blk.0.attn_q.bias");
  if (family == Family::kLlama) source["mlp_bias"] = has("blk.0.ffn_down.bias");
  if (window && family != Family::kLlama) source["use_sliding_window"] = true;
  ModelConfig config = model_config_from_json(source, where);
  const std::int64_t rotated = file.get<std::int64_t>(prefix + "rope.dimension_count").value_or(config.head_dim);
  if (rotated != config.head_dim) {
    throw Unsupported("[{}] key {}rope.dimension_count: expected {}, the whole head, got {}", where, prefix,
                      config.head_dim, rotated);
  }
  read_rope_factors(config.rope_scaling, file, config.head_dim);
  return config;
}

}  // namespace attune
