// Which linears of a model an adapter changes: PEFT's rules for target_modules, rank_pattern and
// alpha_pattern.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/config.h"
#include "model/weights.h"

namespace attune {

struct LoraConfig {
  std::int64_t r = 16;
  double lora_alpha = 32, lora_dropout = 0.0;
  // PEFT's rules: a list of module names or suffixes; one string is a regular expression that matches whole
  // paths, or "all-linear".
  std::variant<std::string, std::vector<std::string>> target_modules = std::string("all-linear");
  bool use_rslora = false;
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern = {};
  std::vector<std::pair<std::string, double>> alpha_pattern = {};
  std::string init_lora_weights = "true";  // "true" (kaiming-uniform A) or "gaussian"
  std::string base_model_name_or_path = {};
};

struct AdapterTarget {
  std::int64_t layer;
  Slot slot;
  std::string path;  // "model.layers.0.self_attn.q_proj"
  std::int64_t inputs, outputs, rank;
  float scale;  // alpha / rank, or alpha / sqrt(rank)
};

// The adapted linears in the order of the model's modules. Throws UserError (its message begins with `where`)
// when nothing matches or a number makes no sense; Unsupported when the head or the embedding is meant.
std::vector<AdapterTarget> find_targets(const ModelConfig& model, const LoraConfig& config, const std::string& where);

}  // namespace attune
