// A model with its tokenizer, chat template and adapter, ready to answer: what chat, generate and demo start from.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapter/lora.h"
#include "generate/generator.h"
#include "token/chat_template.h"
#include "token/tokenizer.h"

namespace attune {

// Not movable: the adapter and the engines point to the model.
struct ChatModel {
  Model model;
  std::unique_ptr<Tokenizer> tokenizer;
  ChatTemplate chat_template;
  std::optional<Adapter> adapter;  // attached when present
  std::vector<TokenId> stops;

  ChatModel(const fs::path& model_folder, Quantization quantization, const std::optional<fs::path>& adapter_folder);
  ChatModel(const ChatModel&) = delete;
  ChatModel& operator=(const ChatModel&) = delete;
};

}  // namespace attune
