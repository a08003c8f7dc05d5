// Chat templates: the Jinja source in tokenizer_config.json ("chat_template") or chat_template.jinja that
// turns messages into the text a model was trained on. One function serves training and chat.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "conversation/conversation.h"

namespace attune {

// Const after construction; render() is thread-safe. Rendering is bounded in time and memory (a template
// comes from outside): exceeding a bound, raise_exception() and every other template error is a UserError
// naming template line and cause.
class ChatTemplate {
 public:
  // `source`: Jinja text. bos/eos: the token strings that the template sees as bos_token and eos_token; an
  // empty one is undefined in the template, as in Hugging Face. `clock`: what strftime_now formats (local
  // time by default).
  ChatTemplate(std::string source, std::string bos_token, std::string eos_token, std::function<std::tm()> clock = {});
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  std::string render(const std::vector<Message>& messages, bool add_generation_prompt) const;
  const std::string& source() const;
  const std::string& eos_token() const;

  // How the template treats an assistant turn, found by rendering examples when it was loaded.
  struct Habits {
    std::string end_of_turn;  // what follows an answer and ends it: "<|im_end|>", " </s>"; may be empty
    bool steady = false;      // the same stands between prompt and answer in every turn, namely:
    std::string lead;         // text that the model has to write before its answer (" " in Llama 2)
    std::string header;       // the generation prompt of a template that ignores add_generation_prompt
  };
  const Habits& habits() const;

 private:
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

// The template of a model folder or a ".gguf" file (key tokenizer.chat_template), or nothing: a model that was not made to
// answer. Throws BadFile.
std::optional<ChatTemplate> find_chat_template(const fs::path& model_folder);

// Reads the folder's template (chat_template.jinja, else tokenizer_config.json's chat_template, the entry
// named "default" when it is a list). Throws UserError when the model has none.
ChatTemplate load_chat_template(const fs::path& model_folder);

}  // namespace attune
