#include "cli/chat_session.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "token/encode.h"

namespace attune {
namespace {

bool has_system(const std::vector<Message>& messages) { return !messages.empty() && messages[0].role == "system"; }

}  // namespace

ChatSession::ChatSession(ChatModel& model, const SpeakOptions& options, std::string system)
    : model_(model),
      options_(options),
      adapter_on_(model.adapter.has_value()),
      engine_(open_engine(options, model.model)) {
  set_system(std::move(system));
}

std::vector<TokenId> ChatSession::prompt(const std::vector<Message>& messages) const {
  return encode_prompt(messages, model_.chat_template, *model_.tokenizer);
}

ChatSession::Turn ChatSession::say(const std::string& text, const std::function<void(std::string_view)>& on_text) {
  // Room for the answer, but never so much that a long --max-tokens would leave no memory of what was said.
  const std::int64_t room = std::min(options_.max_tokens, context() / 4);
  std::vector<Message> messages = messages_;
  messages.push_back({"user", text});
  const auto first = static_cast<std::ptrdiff_t>(has_system(messages) ? 1 : 0);
  Turn turn;
  std::vector<TokenId> tokens = prompt(messages);
  while (std::ssize(tokens) + room > context() && std::ssize(messages) > first + 2) {
    messages.erase(messages.begin() + first, messages.begin() + first + 2);
    tokens = prompt(messages);
    ++turn.forgotten;
  }
  turn.answer = stream_answer(*engine_, adapter_on_ ? 0 : -1, *model_.tokenizer, std::move(tokens), options_,
                              model_.stops, on_text);
  used_ = turn.answer.generated.prompt_tokens + std::ssize(turn.answer.generated.tokens);
  messages.push_back({"assistant", turn.answer.text});
  messages_ = std::move(messages);
  return turn;
}

void ChatSession::reset() { messages_.resize(has_system(messages_) ? 1 : 0); }

void ChatSession::set_system(std::string text) {
  std::vector<Message> messages;
  if (!text.empty()) {
    messages.push_back({"system", std::move(text)});
    std::vector<Message> trial = messages;
    trial.push_back({"user", "?"});
    if (std::ssize(prompt(trial)) >= context()) {
      throw UserError("[system] the text leaves no room in a context of {} tokens; shorten it", context());
    }
  }
  messages_ = std::move(messages);
}

void ChatSession::use_adapter(bool on) {
  if (!model_.adapter) throw UserError("[adapter] none is loaded; start again with --adapter FOLDER");
  adapter_on_ = on;
}

}  // namespace attune
