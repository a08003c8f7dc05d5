#include "serve/served_models.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/nearest.h"
#include "format/gguf.h"
#include "serve/api_error.h"
#include "token/encode.h"

namespace attune {
namespace {

// Of the folder, or of the .gguf file without its ending.
std::string model_name(const fs::path& path) {
  const fs::path whole = fs::weakly_canonical(path);
  return (is_gguf_path(whole) ? whole.stem() : whole.filename()).string();
}

}  // namespace

ServedModels::ServedModels(const fs::path& model_folder, Quantization quantization,
                           const std::vector<std::pair<std::string, fs::path>>& adapters)
    : model_(load_model(model_folder, quantization)),
      tokenizer_(load_tokenizer(model_folder)),
      names_{model_name(model_folder)} {
  check_vocabulary(model_.config, tokenizer_->vocab_size(), model_folder);
  if (auto found = find_chat_template(model_folder)) {
    chat_template_ = std::make_unique<ChatTemplate>(*std::move(found));
    stops_ = stop_tokens(*chat_template_, *tokenizer_);
  } else if (tokenizer_->eos) {
    stops_.push_back(*tokenizer_->eos);
  }
  for (const auto& [name, folder] : adapters) {
    if (name.empty()) throw UserError("[--adapter] expected NAME=PATH, got an empty name for {}", folder.string());
    if (std::find(names_.begin(), names_.end(), name) != names_.end()) {
      throw UserError("[--adapter] the name {} is taken; choose another", name);
    }
    adapters_.push_back(Adapter::load(model_, folder, false));
    tables_.push_back(lora_table_of(model_));
    Adapter::detach(model_);
    names_.push_back(name);
  }
}

std::int64_t ServedModels::adapter_of(const std::string& name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return found - names_.begin() - 1;
  throw ApiError(404,
                 fmt::format("there is no model \"{}\"{}; this server has {}", name.substr(0, 100),
                             did_you_mean(name.substr(0, 100), names_), fmt::join(names_, ", ")),
                 "model", "model_not_found");
}

}  // namespace attune
