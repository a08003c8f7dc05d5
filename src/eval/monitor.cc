#include "eval/monitor.h"

#include <algorithm>

#include "eval/measures.h"
#include "eval/run_samples.h"
#include "eval/style.h"
#include "generate/answers.h"
#include "generate/page_pool.h"
#include "token/encode.h"

namespace attune {
namespace {

constexpr std::int64_t kMostPromptTokens = 192, kAnswerTokens = 48;
constexpr std::int64_t kRowTokens = 256;  // of a passage at once
constexpr std::int64_t kKeptAnswers = 3;

// Where the person answered, as the tokens have it: what comes before the answer, and the answer.
struct HeldOutPlace {
  std::vector<TokenId> prompt;
  std::string answer;
};

// The first answer of each conversation that has a prompt, as far as that is short.
std::vector<HeldOutPlace> held_out_places(const FinetuneState& state, std::int64_t limit) {
  std::vector<HeldOutPlace> places;
  const TokenizedDataset& rows = state.valid;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const auto start = static_cast<std::size_t>(rows.starts[static_cast<std::size_t>(row)]);
    const auto length = static_cast<std::size_t>(rows.length(row));
    const auto tokens = std::span(rows.tokens.begin() + start, length);
    const auto mask = std::span(rows.mask.begin() + start, length);
    const auto begin = std::find(mask.begin(), mask.end(), 1);
    const auto end = std::find(begin, mask.end(), 0);
    const auto before = static_cast<std::size_t>(begin - mask.begin());
    if (before == 0 || before > static_cast<std::size_t>(kMostPromptTokens)) continue;
    const auto answer = tokens.subspan(before, static_cast<std::size_t>(end - begin));
    places.push_back({{tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(before)},
                      state.tokenizer.decode(std::vector<TokenId>(answer.begin(), answer.end()), true)});
  }
  std::vector<HeldOutPlace> chosen;
  for (const std::size_t i : evenly(places.size(), limit)) chosen.push_back(std::move(places[i]));
  return chosen;
}

// A few of the answers, for people to look at.
void keep_samples(const fs::path& file, const FinetuneState& state, const std::vector<HeldOutPlace>& places,
                  const std::vector<std::string>& given) {
  std::vector<RunSample> samples;
  for (const std::size_t i : evenly(places.size(), kKeptAnswers)) {
    const std::string prompt = state.tokenizer.decode(places[i].prompt, false);
    samples.push_back({last_question(prompt, state.chat_template), given[i], places[i].answer});
  }
  write_run_samples(file, state.step, samples);
}

void add_style(Measures& measures, const MonitorOptions& options, const FinetuneState& state) {
  const std::vector<HeldOutPlace> places = held_out_places(state, options.style_answers);
  const ModelConfig& config = state.model.config;
  if (places.empty() || config.max_position <= kMostPromptTokens + kAnswerTokens) return;
  std::vector<std::vector<TokenId>> prompts;
  std::vector<std::string> own, given;
  std::size_t longest = 0;
  for (const HeldOutPlace& place : places) {
    prompts.push_back(place.prompt);
    own.push_back(place.answer);
    longest = std::max(longest, place.prompt.size());
  }
  // Half of the room for keys and values, the rest for a pass.
  const std::int64_t pages = (static_cast<std::int64_t>(longest) + kAnswerTokens + kPageTokens - 1) / kPageTokens;
  const auto bytes =
      2 * static_cast<std::size_t>(config.layers * config.kv_size() * pages * kPageTokens) * size_of(options.act);
  AnswerOptions answers;
  answers.sampler.top_p = 0.9;
  answers.max_tokens = kAnswerTokens;
  answers.act = options.act;
  answers.at_once = std::clamp<std::int64_t>(static_cast<std::int64_t>(state.room / 2 / bytes), 1, answers.at_once);
  std::int64_t ended = 0;
  for (GivenAnswer& answer : answer_all(state.model, state.tokenizer, stop_tokens(state.chat_template, state.tokenizer),
                                        prompts, answers, EvalWatch().counting("answers", prompts.size()))) {
    given.push_back(std::move(answer.text));
    ended += answer.ended ? 1 : 0;
  }
  if (!options.samples.empty()) keep_samples(options.samples, state, places, given);
  measures.style_distance = StyleDistance(Style(given), Style(own)).mean();
  measures.end_of_turn = static_cast<double>(ended) / static_cast<double>(places.size());
}

Model without_adapter(Model model) {
  for (Block& block : model.blocks) {
    for (Linear& linear : block.linears) linear.lora = {};
  }
  return model;
}

// The questions that fit with each of their answers.
std::vector<Check> fitting(const std::vector<Check>& questions, const FinetuneState& state, std::int64_t most_tokens) {
  std::vector<Check> kept;
  for (const Check& question : questions) {
    const bool fits = std::ranges::all_of(question.texts, [&](const std::string& choice) {
      std::vector<Message> messages = question.messages;
      messages.push_back({"assistant", choice});
      return std::ssize(encode_conversation({std::move(messages)}, state.chat_template, state.tokenizer).tokens) <=
             most_tokens;
    });
    if (fits) kept.push_back(question);
  }
  return kept;
}

void add_forgetting(Measures& measures, const MonitorOptions& options, const FinetuneState& state) {
  EvalRequest request;
  request.act = options.act;
  request.max_length = std::min(kRowTokens, state.model.config.max_position);
  request.limit = options.forgetting_samples;
  request.general_text = options.general_text;
  request.general_questions = fitting(options.general_questions, state, request.max_length);
  // The run's own, which it keeps.
  const std::shared_ptr<const Tokenizer> tokenizer(std::shared_ptr<void>(), &state.tokenizer);
  const std::shared_ptr<const ChatTemplate> chat_template(std::shared_ptr<void>(), &state.chat_template);
  Subject subject(request, tokenizer, chat_template, without_adapter(state.model), state.model);
  const Json json = measure_forgetting(subject);
  const auto number = [&](const char* pointer) {
    const Json::json_pointer at(pointer);
    return json.contains(at) && json[at].is_number() ? std::optional(json[at].get<double>()) : std::nullopt;
  };
  measures.forgetting = number("/loss_increase");
  measures.forgetting_kl = number("/text/tuned/kl");
}

}  // namespace

Measures measure_underway(const MonitorOptions& options, const FinetuneState& state) {
  Measures measures;
  if (options.style_answers > 0) add_style(measures, options, state);
  if (options.forgetting_samples > 0 && state.has_adapter) add_forgetting(measures, options, state);
  return measures;
}

}  // namespace attune
