// What the server answers with: one base model and any number of adapters on it, each a model of its own by name.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adapter/lora.h"
#include "generate/engine.h"
#include "token/chat_template.h"
#include "token/tokenizer.h"

namespace attune {

// Not movable: adapters and engine point to the model. Const once made.
class ServedModels {
 public:
  // `adapters`: names and folders. The base's name is that of its folder or .gguf file. UserError when two names are
  // equal, a name is empty, or something does not load.
  ServedModels(const fs::path& model_folder, Quantization quantization,
               const std::vector<std::pair<std::string, fs::path>>& adapters);
  ServedModels(const ServedModels&) = delete;
  ServedModels& operator=(const ServedModels&) = delete;

  const Model& model() const { return model_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatTemplate* chat_template() const { return chat_template_.get(); }  // null: the model has none
  const std::vector<TokenId>& stops() const { return stops_; }                // that end an answer in a chat
  const std::vector<LoraTable>& adapters() const { return tables_; }
  const std::vector<std::string>& names() const { return names_; }  // the base, then the adapters

  // The adapter's place in adapters(), -1 for the base. ApiError 404 for a name that is none of names().
  std::int64_t adapter_of(const std::string& name) const;

 private:
  Model model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ChatTemplate> chat_template_;
  std::vector<TokenId> stops_;
  std::vector<Adapter> adapters_;
  std::vector<LoraTable> tables_;
  std::vector<std::string> names_;
};

}  // namespace attune
