#include "cli/speak.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <random>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/named_values.h"
#include "format/gguf.h"
#include "hub/pull.h"
#include "token/chat_template.h"
#include "token/stream_decoder.h"
#include "train/run_plan.h"

namespace attune {
namespace {

constexpr std::int64_t kSmallModelBytes = 2'000'000'000;
constexpr std::int64_t kDefaultContext = 4096;

// Puts an answer together as it comes.
class TextSink : public AnswerSink {
 public:
  TextSink(Answer& answer, const Tokenizer& tokenizer, const std::function<void(std::string_view)>& on_text)
      : answer_(answer), decoder_(tokenizer), on_text_(on_text) {}

  bool wanted() override { return !interrupt_requested(); }
  void on_prompt(std::int64_t /*known_tokens*/) override {
    answer_.generated.prompt_seconds = seconds_since(begun_);
    begun_ = Clock::now();
  }
  bool on_token(const TokenChoice& choice) override {
    answer_.generated.tokens.push_back(choice.token);
    give(decoder_.push(choice.token));
    return !interrupt_requested();
  }
  void on_finish(FinishReason reason) override {
    give(decoder_.finish());
    answer_.generated.reason = reason;
    answer_.generated.answer_seconds = seconds_since(begun_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds_since(Clock::time_point begun) {
    return std::chrono::duration<double>(Clock::now() - begun).count();
  }
  void give(const std::string& text) {
    answer_.text += text;
    if (!text.empty()) on_text_(text);
  }

  Answer& answer_;
  StreamDecoder decoder_;
  const std::function<void(std::string_view)>& on_text_;
  Clock::time_point begun_ = Clock::now();
};

}  // namespace

void add_speak_options(CLI::App& command, SpeakOptions& options) {
  static const std::map<std::string, Quantization> kQuantizations = {
      {"none", Quantization::kNone}, {"nf4", Quantization::kNF4}, {"int8", Quantization::kInt8}};
  command
      .add_option("MODEL", options.model,
                  "Folder of the model, as Hugging Face writes it, a .gguf file, or a pulled repository")
      ->required();
  command.add_option("--adapter", options.adapter, "Folder of an adapter for it, e.g. runs/NAME/adapter");
  command.add_option("--temperature", options.sampler.temperature, "0: always the most likely token")
      ->capture_default_str();
  command.add_option("--top-k", options.sampler.top_k, "Choose among the k most likely; 0: off")->capture_default_str();
  command.add_option("--top-p", options.sampler.top_p, "Choose among the fewest tokens with this share; 1: off")
      ->capture_default_str();
  command
      .add_option("--min-p", options.sampler.min_p, "Leave out what is less likely than this share of the best; 0: off")
      ->capture_default_str();
  command.add_option("--seed", options.seed, "Same seed, same text; absent: another text each time");
  command.add_option("--max-tokens", options.max_tokens, "Longest answer")->capture_default_str();
  command
      .add_option("--quantization", options.quantization,
                  "none, nf4 or int8; absent: nf4 when the linear layers exceed 2 GB in 16 bit, else none")
      ->transform(named_values(kQuantizations));
  command.add_option("--context", options.context,
                     "Tokens of prompt and answer together; absent: the model's limit, at most 4096");
  command.add_flag("--no-prompt-lookup", options.no_prompt_lookup,
                   "Do not guess ahead at temperature 0 (guesses change the speed only, never the answer)");
}

void settle(SpeakOptions& options) {
  if (options.max_tokens < 1) throw UserError("[--max-tokens] expected 1 or more, got {}", options.max_tokens);
  if (options.context < 0 || options.context == 1) {
    throw UserError("[--context] expected 2 tokens or more, got {}", options.context);
  }
  options.sampler.seed = options.seed ? *options.seed : std::random_device()();
  Sampler{options.sampler};  // checks the others
  options.model = resolve_model(options.model).string();
  options.adapter = resolve_model(options.adapter).string();
  if (!fs::is_directory(options.model) && !is_gguf_path(options.model)) {
    throw UserError("[{}] there is no such folder; expected a model as Hugging Face writes it", options.model);
  }
}

Quantization quantization_of(const SpeakOptions& options, const ModelConfig& config) {
  if (options.quantization) return *options.quantization;
  return 2 * linear_parameter_count(config) > kSmallModelBytes ? Quantization::kNF4 : Quantization::kNone;
}

std::int64_t context_of(const SpeakOptions& options, const ModelConfig& config) {
  if (options.context == 0) return std::min(config.max_position, kDefaultContext);
  if (options.context > config.max_position) {
    throw UserError("[--context] expected at most {}, the model's limit, got {}", config.max_position, options.context);
  }
  return options.context;
}

void require_chat_template(const fs::path& folder, const std::string& instead) {
  if (find_chat_template(folder)) return;
  throw UserError("[{}] the model has no chat template, so it was not made to answer; {}", folder.string(), instead);
}

std::optional<fs::path> adapter_of(const SpeakOptions& options) {
  if (options.adapter.empty()) return std::nullopt;
  return options.adapter;
}

std::unique_ptr<Engine> open_engine(const SpeakOptions& options, const Model& model) {
  EngineOptions engine;
  engine.context = context_of(options, model.config);
  engine.act = activation_type(Compute::kAuto);
  engine.prompt_lookup = !options.no_prompt_lookup;
  return std::make_unique<Engine>(model, std::vector<LoraTable>{lora_table_of(model)}, engine);
}

double Answer::tokens_per_second() const {
  const auto steps = static_cast<double>(generated.tokens.size()) - 1;  // the prompt gave the first token
  return steps > 0 && generated.answer_seconds > 0 ? steps / generated.answer_seconds : 0;
}

Answer stream_answer(Engine& engine, std::int64_t adapter, const Tokenizer& tokenizer, std::vector<TokenId> prompt,
                     const SpeakOptions& options, const std::vector<TokenId>& stops,
                     const std::function<void(std::string_view)>& on_text) {
  SequenceRequest request;
  request.prompt = std::move(prompt);
  request.adapter = adapter;
  request.sampler = options.sampler;
  request.max_new_tokens = options.max_tokens;
  request.stop_tokens = stops;
  engine.check(request);
  Answer answer;
  answer.generated.prompt_tokens = std::ssize(request.prompt);
  const auto sink = std::make_shared<TextSink>(answer, tokenizer, on_text);
  engine.add(std::move(request), sink);
  while (!engine.idle()) engine.step();
  return answer;
}

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kInterrupted:
      return "interrupted";
  }
  return "";
}

}  // namespace attune
