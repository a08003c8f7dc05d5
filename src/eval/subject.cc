#include "eval/subject.h"

#include <algorithm>

#include "base/error.h"
#include "token/encode.h"

namespace attune {

std::vector<std::size_t> evenly(std::size_t count, std::int64_t limit) {
  const std::size_t kept = std::min(count, static_cast<std::size_t>(limit));
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < kept; ++i) indices.push_back(i * count / kept);
  return indices;
}

Subject::Subject(const EvalRequest& asked)
    : request(asked),
      tokenizer(load_tokenizer(asked.model)),
      chat_template(std::make_shared<ChatTemplate>(load_chat_template(asked.model))),
      stops(stop_tokens(*chat_template, *tokenizer)) {
  voices.reserve(2);
  voices.push_back({"base", load_model(asked.model, asked.quantization), {}});
  const Model& base = voices.front().model;
  check_vocabulary(base.config, tokenizer->vocab_size(), asked.model);
  if (asked.adapter) {
    Model model = base;
    auto adapter = Adapter::load(model, *asked.adapter, false);
    voices.push_back({"tuned", std::move(model), std::move(adapter)});
  } else if (asked.tuned) {
    voices.push_back({"tuned", load_model(*asked.tuned, asked.quantization), {}});
    check_vocabulary(best().model.config, tokenizer->vocab_size(), *asked.tuned);
  }
  scorer.emplace(best().model, std::min(asked.max_length, base.config.max_position), asked.act, asked.watch);
}

Subject::Subject(const EvalRequest& asked, std::shared_ptr<const Tokenizer> its_tokenizer,
                 std::shared_ptr<const ChatTemplate> its_template, Model base, Model tuned)
    : request(asked),
      tokenizer(std::move(its_tokenizer)),
      chat_template(std::move(its_template)),
      stops(stop_tokens(*chat_template, *tokenizer)) {
  voices.push_back({"base", std::move(base), {}});
  voices.push_back({"tuned", std::move(tuned), {}});
  scorer.emplace(best().model, std::min(asked.max_length, best().model.config.max_position), asked.act, asked.watch);
}

TokenizedDataset Subject::rows(const std::vector<Conversation>& conversations) const {
  TokenizedDataset rows = make_tokenized_dataset();
  for (const std::size_t i : evenly(conversations.size(), request.limit)) {
    append_row(rows, encode_conversation(conversations[i], *chat_template, *tokenizer), scorer->row_tokens());
  }
  return rows;
}

EncodedConversation Subject::answer_row(std::vector<Message> messages, const std::string& answer,
                                        const std::string& where) const {
  messages.push_back({"assistant", answer});
  EncodedConversation row = encode_conversation({std::move(messages)}, *chat_template, *tokenizer);
  if (std::ssize(row.tokens) > scorer->row_tokens()) {
    throw UserError("[{}] question and answer have {} tokens, the limit is {}; shorten them", where, row.tokens.size(),
                    scorer->row_tokens());
  }
  // Earlier answers are part of the question.
  const auto last = std::find(row.mask.rbegin(), row.mask.rend(), 1);
  const auto before = std::find(last, row.mask.rend(), 0);
  std::fill(before, row.mask.rend(), std::uint8_t{0});
  return row;
}

}  // namespace attune
