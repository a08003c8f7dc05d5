#include "generate/chat_model.h"

#include "token/encode.h"

namespace attune {

ChatModel::ChatModel(const fs::path& model_folder, Quantization quantization,
                     const std::optional<fs::path>& adapter_folder)
    : model(load_model(model_folder, quantization)),
      tokenizer(load_tokenizer(model_folder)),
      chat_template(load_chat_template(model_folder)),
      stops(stop_tokens(chat_template, *tokenizer)) {
  check_vocabulary(model.config, tokenizer->vocab_size(), model_folder);
  if (adapter_folder) adapter = Adapter::load(model, *adapter_folder, false);
}

}  // namespace attune
