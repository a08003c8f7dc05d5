// A conversation with a model: its messages, the model's memory of them, and what is forgotten when they grow too long.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/speak.h"
#include "conversation/conversation.h"
#include "generate/chat_model.h"

namespace attune {

// Keeps references to the model and the options. One thread at a time.
class ChatSession {
 public:
  ChatSession(ChatModel& model, const SpeakOptions& options, std::string system);

  struct Turn {
    Answer answer;
    std::int64_t forgotten = 0;  // exchanges that this turn pushed out of the context, the oldest first
  };
  // The model's answer to `text`; both join the conversation. When the conversation no longer fits the context beside
  // room for the answer, its oldest exchanges are dropped (never the system text). UserError, and nothing changed, when
  // `text` alone is too long or the template refuses it.
  Turn say(const std::string& text, const std::function<void(std::string_view)>& on_text);

  void reset();                       // forgets everything but the system text
  void set_system(std::string text);  // empty: none; begins anew. UserError when the template refuses it
  void use_adapter(bool on);          // UserError without one; what was said stays
  bool adapter_on() const { return adapter_on_; }

  const std::vector<Message>& messages() const { return messages_; }

  std::int64_t context_used() const { return used_; }  // tokens of the last prompt and its answer
  std::int64_t context() const { return engine_->context(); }

 private:
  std::vector<TokenId> prompt(const std::vector<Message>& messages) const;

  ChatModel& model_;
  const SpeakOptions& options_;
  bool adapter_on_;
  std::unique_ptr<Engine> engine_;  // remembers what was said, with and without the adapter
  std::int64_t used_ = 0;
  std::vector<Message> messages_;  // a system text first, if there is one
};

}  // namespace attune
