#include "adapter/targets.h"

#include <algorithm>
#include <cmath>

#include "adapter/pattern.h"
#include "base/error.h"
#include "base/nearest.h"
#include "model/tensors.h"

namespace attune {
namespace {

constexpr std::int64_t kMaxRank = 1 << 16;

// Decides whether a module path is meant.
class Selector {
 public:
  Selector(const LoraConfig& config, const std::string& where) : config_(config) {
    if (const auto* const text = std::get_if<std::string>(&config.target_modules)) {
      if (*text != "all-linear") pattern_.emplace_back(*text, where + ": target_modules");
    }
  }
  bool operator()(const std::string& path) const {
    if (const auto* const list = std::get_if<std::vector<std::string>>(&config_.target_modules)) {
      return std::any_of(list->begin(), list->end(), [&](const std::string& entry) { return means(entry, path); });
    }
    if (pattern_.empty()) return path != "lm_head" && path != "model.embed_tokens";  // all-linear
    return pattern_[0].matches(path);
  }
  static bool means(const std::string& entry, const std::string& path) {
    return path == entry ||
           (path.size() > entry.size() && path.ends_with(entry) && path[path.size() - entry.size() - 1] == '.');
  }

 private:
  const LoraConfig& config_;
  std::vector<Pattern> pattern_;  // at most one
};

// rank_pattern or alpha_pattern: the value of the first key that matches the path, or of its end.
template <typename T>
class Overrides {
 public:
  Overrides(const std::vector<std::pair<std::string, T>>& entries, const std::string& where) {
    for (const auto& [key, value] : entries) patterns_.emplace_back(Pattern("(.*\\.)?(" + key + ")", where), value);
  }
  T value_for(const std::string& path, T fallback) const {
    for (const auto& [pattern, value] : patterns_) {
      if (pattern.matches(path)) return value;
    }
    return fallback;
  }

 private:
  std::vector<std::pair<Pattern, T>> patterns_;
};

std::vector<std::string> short_names() {
  std::vector<std::string> names;
  for (int slot = 0; slot < kSlots; ++slot) {
    const std::string_view name = module_name(static_cast<Slot>(slot));
    names.emplace_back(name.substr(name.find('.') + 1));
  }
  return names;
}

[[noreturn]] void refuse_nothing_matches(const LoraConfig& config, const std::string& where) {
  const auto* const list = std::get_if<std::vector<std::string>>(&config.target_modules);
  const std::vector<std::string> names = short_names();
  const std::string hint = list != nullptr && !list->empty() ? did_you_mean(list->front(), names) : "";
  throw UserError("[{}] target_modules matches no linear layer; names are {}{}", where, fmt::join(names, ", "), hint);
}

void check(const LoraConfig& config, const std::string& where) {
  if (!(config.lora_dropout >= 0 && config.lora_dropout < 1)) {
    throw UserError("[{}] lora_dropout: expected a number from 0 to below 1, got {}", where, config.lora_dropout);
  }
}

}  // namespace

std::vector<AdapterTarget> find_targets(const ModelConfig& model, const LoraConfig& config, const std::string& where) {
  check(config, where);
  const Selector selected(config, where);
  for (const char* const path : {"lm_head", "model.embed_tokens"}) {
    if (selected(path)) {
      throw Unsupported("[{}] target_modules matches {}; only the linear layers inside the blocks can be adapted",
                        where, path);
    }
  }
  const Overrides ranks(config.rank_pattern, where + ": rank_pattern");
  const Overrides alphas(config.alpha_pattern, where + ": alpha_pattern");
  std::vector<AdapterTarget> targets;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (int i = 0; i < kSlots; ++i) {
      const auto slot = static_cast<Slot>(i);
      const std::string path = fmt::format("model.layers.{}.{}", layer, module_name(slot));
      if (!selected(path)) continue;
      const Shape shape = linear_shape(model, slot);
      const std::int64_t rank = ranks.value_for(path, config.r);
      const double alpha = alphas.value_for(path, config.lora_alpha);
      if (rank < 1 || rank > kMaxRank) {
        throw UserError("[{}] r of {}: expected an integer from 1 to {}, got {}", where, path, kMaxRank, rank);
      }
      if (!std::isfinite(alpha))
        throw UserError("[{}] lora_alpha of {}: expected a number, got {}", where, path, alpha);
      const double divisor = config.use_rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank);
      targets.push_back({layer, slot, path, shape[1], shape[0], rank, static_cast<float>(alpha / divisor)});
    }
  }
  if (targets.empty()) refuse_nothing_matches(config, where);
  return targets;
}

}  // namespace attune
