#include "export/comparison_data.h"

#include <algorithm>

#include "base/error.h"
#include "conversation/dataset.h"
#include "export/greedy_answers.h"
#include "token/chat_template.h"
#include "train/run_folder.h"
#include "train/training_data.h"

namespace attune {
namespace {

constexpr std::size_t kRows = 16, kPrompts = 4, kMaxTokens = 384;
constexpr std::int64_t kDrawnTokens = 48;
constexpr const char* kQuestions[] = {"Hello! How are you today?",         "What did you do at the weekend?",
                                      "Write one sentence about the sea.", "Can you help me with something?",
                                      "What is two plus three?",           "Tell me a short story."};

struct Reader {
  const Tokenizer& tokenizer;
  const std::optional<ChatTemplate>& chat_template;

  std::vector<TokenId> prompt(const std::vector<Message>& messages) const {
    if (chat_template) return encode_prompt(messages, *chat_template, tokenizer);
    std::vector<TokenId> ids = tokenizer.encode(messages.back().content);
    if (tokenizer.bos && tokenizer.add_bos) ids.insert(ids.begin(), *tokenizer.bos);
    return ids;
  }
};

// The first rows that fit; longer ones are cut.
void add_rows(ComparisonData& data, const std::vector<Conversation>& conversations, const Reader& reader) {
  for (const Conversation& conversation : conversations) {
    if (data.rows.size() == kRows) break;
    EncodedConversation row = encode_conversation(conversation, *reader.chat_template, reader.tokenizer);
    row.tokens.resize(std::min(row.tokens.size(), kMaxTokens));
    row.mask.resize(row.tokens.size());
    if (std::find(row.mask.begin() + 1, row.mask.end(), 1) == row.mask.end()) continue;
    const auto answer = std::find_if(conversation.messages.begin(), conversation.messages.end(),
                                     [](const Message& message) { return message.role == "assistant"; });
    if (data.prompts.size() < kPrompts && answer != conversation.messages.begin()) {
      std::vector<TokenId> prompt = reader.prompt({conversation.messages.begin(), answer});
      if (prompt.size() <= kMaxTokens) data.prompts.push_back(std::move(prompt));
    }
    data.rows.push_back(std::move(row));
  }
}

// Questions, each with the answer that the adapter gives: what it says is what must stay.
void add_questions(ComparisonData& data, const Reader& reader, const Model& model) {
  std::vector<std::vector<TokenId>> prompts;
  for (const char* const question : kQuestions) prompts.push_back(reader.prompt({{"user", question}}));
  data.rows = greedy_answers(model, prompts, data.stops, kDrawnTokens);
  prompts.resize(std::min(prompts.size(), kPrompts));
  data.prompts = std::move(prompts);
  data.origin = fmt::format("{} built-in questions", data.rows.size());
}

// The conversations that a run held out, as it split them.
struct HeldOut {
  std::vector<Conversation> conversations;
  std::string missing;  // why there are none
};

HeldOut held_out_of(const fs::path& run) {
  const Recipe recipe = open_run_folder(run);
  for (const std::string& path : recipe.data) {
    if (!fs::exists(path)) return {{}, fmt::format("its data {} is not there", path)};
  }
  HeldOut held{read_training_conversations(recipe).valid, ""};
  if (held.conversations.empty()) held.missing = "it held none out";
  return held;
}

}  // namespace

ComparisonData load_comparison_data(const fs::path& model_folder, const std::optional<fs::path>& run,
                                    const std::optional<fs::path>& path, const Model& model) {
  const auto tokenizer = load_tokenizer(model_folder);
  check_vocabulary(model.config, tokenizer->vocab_size(), model_folder);
  const std::optional<ChatTemplate> chat_template = find_chat_template(model_folder);
  const Reader reader{*tokenizer, chat_template};
  ComparisonData data;
  if (chat_template) {
    data.stops = stop_tokens(*chat_template, *tokenizer);
  } else if (tokenizer->eos) {
    data.stops = {*tokenizer->eos};
  }
  if (path) {
    if (!chat_template) throw UserError("[--data] the model has no chat template, so conversations cannot be scored");
    const Dataset dataset = read_dataset(*path);
    add_rows(data, dataset.valid.empty() ? dataset.train : dataset.valid, reader);
    if (data.rows.empty()) throw UserError("[{}] has no answer to compare on", path->string());
    data.origin = fmt::format("{} rows of {}", data.rows.size(), path->string());
    return data;
  }
  std::string missing;
  if (chat_template && run) {
    HeldOut held = held_out_of(*run);
    add_rows(data, held.conversations, reader);
    missing = held.missing.empty() && data.rows.empty() ? "they hold no answer" : held.missing;
  }
  if (!data.rows.empty()) {
    data.origin = fmt::format("{} held-out rows of {}", data.rows.size(), run->filename().string());
    return data;
  }
  add_questions(data, reader, model);
  if (!missing.empty()) data.origin += fmt::format(", no held-out rows of {}: {}", run->filename().string(), missing);
  return data;
}

}  // namespace attune
