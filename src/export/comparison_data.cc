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

// What is done is bounded in what it costs: the tokens of the rows in the products that a model makes of them (some minutes
// at 100 GFLOP/s), whatever is the rows' length, and the answers in how often the weights are read, once for every token of
// them, which are therefore many and short.
constexpr std::size_t kRows = 16, kPrompts = 8, kMostRowTokens = 384;
constexpr std::int64_t kFewestTokens = 768, kMostTokens = 3072;
constexpr double kMostFlops = 1.5e13;
// An answer has so many tokens that choices are compared in 128 places, or in more where there are many prompts.
constexpr std::int64_t kPlaces = 128, kFewestAnswerTokens = 24, kMostAnswerTokens = 32;
constexpr const char* kQuestions[] = {"Hello! How are you today?",
                                      "What did you do at the weekend?",
                                      "Write one sentence about the sea.",
                                      "Can you help me with something?",
                                      "What is two plus three?",
                                      "Tell me a short story.",
                                      "Where do you live?",
                                      "Why is the sky blue?",
                                      "What should I cook tonight?",
                                      "Name three animals.",
                                      "I am tired. What about you?",
                                      "Explain how a clock works."};

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

std::int64_t row_tokens(const ModelConfig& config) {
  const double fit = kMostFlops / (2 * static_cast<double>(linear_parameter_count(config)));
  return std::clamp(static_cast<std::int64_t>(fit), kFewestTokens, kMostTokens);
}

// Of the first conversations: rows, longer ones cut, as far as they fit; and of what stands before the answers the shortest,
// as prompts for answers.
std::vector<std::vector<TokenId>> add_rows(ComparisonData& data, const std::vector<Conversation>& conversations,
                                           const Reader& reader, const ModelConfig& config) {
  std::vector<std::vector<TokenId>> prompts;
  const std::int64_t most_tokens = row_tokens(config);
  std::size_t seen = 0;
  for (const Conversation& conversation : conversations) {
    EncodedConversation row = encode_conversation(conversation, *reader.chat_template, reader.tokenizer);
    row.tokens.resize(std::min(row.tokens.size(), kMostRowTokens));
    row.mask.resize(row.tokens.size());
    if (std::find(row.mask.begin() + 1, row.mask.end(), 1) == row.mask.end()) continue;
    if (seen++ == kRows) break;
    if (data.tokens() + std::ssize(row.tokens) <= most_tokens) data.rows.push_back({std::move(row), true, false});
    const auto answer = std::find_if(conversation.messages.begin(), conversation.messages.end(),
                                     [](const Message& message) { return message.role == "assistant"; });
    if (answer == conversation.messages.begin()) continue;
    std::vector<TokenId> prompt = reader.prompt({conversation.messages.begin(), answer});
    if (prompt.size() <= kMostRowTokens) prompts.push_back(std::move(prompt));
  }
  std::ranges::stable_sort(prompts, {}, &std::vector<TokenId>::size);
  prompts.resize(std::min(prompts.size(), kPrompts));
  return prompts;
}

std::int64_t answer_tokens(std::size_t prompts) {
  const auto count = std::max<std::int64_t>(1, static_cast<std::int64_t>(prompts));
  return std::clamp((kPlaces + count - 1) / count, kFewestAnswerTokens, kMostAnswerTokens);
}

std::vector<std::vector<TokenId>> question_prompts(const Reader& reader) {
  std::vector<std::vector<TokenId>> prompts;
  for (const char* const question : kQuestions) prompts.push_back(reader.prompt({{"user", question}}));
  return prompts;
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
                                    const std::optional<fs::path>& path, const Model& model,
                                    const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const auto tokenizer = load_tokenizer(model_folder);
  check_vocabulary(model.config, tokenizer->vocab_size(), model_folder);
  const std::optional<ChatTemplate> chat_template = find_chat_template(model_folder);
  const Reader reader{*tokenizer, chat_template};
  std::vector<TokenId> stops;
  if (chat_template) {
    stops = stop_tokens(*chat_template, *tokenizer);
  } else if (tokenizer->eos) {
    stops = {*tokenizer->eos};
  }
  ComparisonData data;
  // What it says is what must stay; where there are no rows, its answers are scored as well.
  const auto add_answers = [&](const std::vector<std::vector<TokenId>>& prompts, bool scored) {
    for (EncodedConversation& answer : greedy_answers(model, prompts, stops, answer_tokens(prompts.size()), progress)) {
      data.rows.push_back({std::move(answer), scored, true});
    }
    return std::move(data);
  };
  if (path) {
    if (!chat_template) throw UserError("[--data] the model has no chat template, so conversations cannot be scored");
    const Dataset dataset = read_dataset(*path);
    const auto prompts = add_rows(data, dataset.valid.empty() ? dataset.train : dataset.valid, reader, model.config);
    if (data.rows.empty()) throw UserError("[{}] has no answer to compare on", path->string());
    data.origin = fmt::format("{} rows of {}", data.rows.size(), path->string());
    return add_answers(prompts, false);
  }
  std::string missing;
  if (chat_template && run) {
    const HeldOut held = held_out_of(*run);
    const auto prompts = add_rows(data, held.conversations, reader, model.config);
    if (!data.rows.empty()) {
      data.origin = fmt::format("{} held-out rows of {}", data.rows.size(), run->filename().string());
      return add_answers(prompts, false);
    }
    missing = held.missing.empty() ? "they hold no answer" : held.missing;
  }
  data.origin = fmt::format("{} built-in questions", std::size(kQuestions));
  if (!missing.empty()) data.origin += fmt::format(", no held-out rows of {}: {}", run->filename().string(), missing);
  return add_answers(question_prompts(reader), true);
}

}  // namespace attune
