// What config.json of a Hugging Face folder says about a Llama-family model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace attune {

enum class Family { kLlama, kMistral, kQwen2, kQwen3 };

// Rotary scaling: none, linear (position / factor), Llama 3's wavelength-dependent scaling (INTEROP section 5), or the
// divisor of each frequency as a GGUF file has it.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3, kFactors } kind = Kind::kNone;
  double factor = 1.0, low_freq_factor = 1.0, high_freq_factor = 4.0;
  std::int64_t original_max_position = 8192;
  std::vector<float> factors;  // kFactors: [head_dim / 2]
};

struct ModelConfig {
  Family family = Family::kLlama;
  std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, layers = 0, heads = 0, kv_heads = 0,
               head_dim = 0;
  std::int64_t max_position = 0;
  std::int64_t sliding_window = 0;         // 0: none
  std::int64_t full_attention_layers = 0;  // the first so many layers ignore the window (Qwen2's max_window_layers)
  double rms_norm_eps = 1e-6, rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;                       // Qwen2
  bool output_bias = false, mlp_bias = false;  // Llama's attention_bias (with qkv_bias) and mlp_bias
  bool qk_norm = false;                        // Qwen3
  Json source;                                 // the whole config.json, written back with a saved model

  std::int64_t q_size() const { return heads * head_dim; }
  std::int64_t kv_size() const { return kv_heads * head_dim; }
};

// Reads and checks config.json, or the keys of a GGUF file (model/gguf_config.h). Throws BadFile (missing or senseless
// numbers) or Unsupported (another architecture, an option we do not compute: hidden_act other than silu, another rope
// type, ...), naming the key.
ModelConfig load_model_config(const fs::path& model_folder);
ModelConfig model_config_from_json(const Json& source, const std::string& where);

// UserError when a tokenizer with so many ids has some that the model has no embedding for.
void check_vocabulary(const ModelConfig& config, std::int64_t tokenizer_ids, const fs::path& model_folder);

// Parameters of the model: all of them, and those of the linear layers inside the blocks (what is quantized).
std::int64_t parameter_count(const ModelConfig& config);
std::int64_t linear_parameter_count(const ModelConfig& config);

}  // namespace attune
