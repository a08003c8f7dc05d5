// attune generate: one answer, the continuation of a text, or the answers to a file of prompts.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "cli/answer_file.h"
#include "cli/commands.h"
#include "cli/speak.h"
#include "generate/chat_model.h"
#include "token/encode.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxPromptBytes = 1 << 26;

struct GenerateArguments {
  SpeakOptions speak;
  std::string prompt, prompt_file, prompts, system, output;
  bool has_prompt = false, raw = false, json = false;
};

std::string prompt_of(const GenerateArguments& options) {
  if (options.has_prompt) return options.prompt;
  std::string text;
  if (options.prompt_file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    text = read_file(options.prompt_file, kMaxPromptBytes);
  }
  if (!options.raw && text.ends_with('\n')) text.pop_back();  // an editor's, not the writer's
  return text;
}

void print_json(const Answer& answer, const SpeakOptions& options) {
  const Generated& generated = answer.generated;
  const Json json = {{"text", answer.text},
                     {"tokens", generated.tokens.size()},
                     {"token_ids", generated.tokens},
                     {"finish_reason", name_of(generated.reason)},
                     {"prompt_tokens", generated.prompt_tokens},
                     {"prompt_seconds", generated.prompt_seconds},
                     {"seconds", generated.answer_seconds},
                     {"tokens_per_second", answer.tokens_per_second()},
                     {"seed", options.sampler.seed}};
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void speak(const GenerateArguments& options, const Model& model, const Tokenizer& tokenizer,
           const std::vector<TokenId>& prompt, const std::vector<TokenId>& stops) {
  const auto engine = open_engine(options.speak, model);
  const Answer answer = stream_answer(*engine, 0, tokenizer, prompt, options.speak, stops, [&](std::string_view text) {
    if (options.json) return;
    fmt::print("{}", text);
    std::fflush(stdout);
  });
  if (options.json) {
    print_json(answer, options.speak);
  } else {
    fmt::print("\n");
  }
  if (answer.generated.reason == FinishReason::kInterrupted) throw Interrupted("[generate] stopped");
}

// The model alone, without a chat template.
void continue_text(const GenerateArguments& options, Quantization quantization, const std::string& text) {
  const fs::path folder = options.speak.model;
  const auto tokenizer = load_tokenizer(folder);
  std::vector<TokenId> prompt = tokenizer->encode(text);
  if (tokenizer->bos && tokenizer->add_bos) prompt.insert(prompt.begin(), *tokenizer->bos);
  Model model = load_model(folder, quantization);
  check_vocabulary(model.config, tokenizer->vocab_size(), folder);
  std::optional<Adapter> adapter;
  if (const auto path = adapter_of(options.speak)) adapter = Adapter::load(model, *path, false);
  std::vector<TokenId> stops;
  if (tokenizer->eos) stops.push_back(*tokenizer->eos);
  speak(options, model, *tokenizer, prompt, stops);
}

void answer_message(const GenerateArguments& options, Quantization quantization, const std::string& text) {
  const ChatModel chat(options.speak.model, quantization, adapter_of(options.speak));
  std::vector<Message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  messages.push_back({"user", text});
  speak(options, chat.model, *chat.tokenizer, encode_prompt(messages, chat.chat_template, *chat.tokenizer), chat.stops);
}

void check_choice(const GenerateArguments& options) {
  if (options.has_prompt + !options.prompt_file.empty() + !options.prompts.empty() != 1) {
    throw UserError("[generate] expected --prompt TEXT, --prompt-file FILE or --prompts FILE, one of them");
  }
  if (options.prompts.empty() != options.output.empty()) {
    throw UserError("[generate] --prompts FILE and -o FILE belong together: the answers to many prompts go to a file");
  }
  if (options.raw && !options.prompts.empty()) {
    throw UserError("[--raw] continues one text; leave it out with --prompts, which asks for answers");
  }
}

void run_generate(GenerateArguments& options) {
  settle(options.speak);
  check_choice(options);
  if (!options.prompts.empty()) {
    require_chat_template(options.speak.model, "continue a text with --raw");
    watch_interrupts();
    write_answers({options.prompts, options.system, options.output, options.json}, options.speak);
    return;
  }
  const std::string text = prompt_of(options);
  if (text.empty() && !options.raw) throw UserError("[--prompt] is empty; give the model something to answer");
  if (options.raw && !options.system.empty()) {
    throw UserError("[--system] needs the chat template that --raw leaves out; remove one of them");
  }
  const ModelConfig config = load_model_config(options.speak.model);
  context_of(options.speak, config);
  const Quantization quantization = quantization_of(options.speak, config);
  watch_interrupts();
  if (options.raw) {
    continue_text(options, quantization, text);
  } else {
    require_chat_template(options.speak.model, "continue a text with --raw");
    answer_message(options, quantization, text);
  }
}

}  // namespace

void add_generate_command(CLI::App& app) {
  const auto options = std::make_shared<GenerateArguments>();
  CLI::App* const command = app.add_subcommand("generate", "One answer to one prompt, or to each of many");
  add_speak_options(*command, options->speak);
  const CLI::Option* const prompt = command->add_option("--prompt", options->prompt, "What to answer");
  command->add_option("--prompt-file", options->prompt_file, "The same from a file; - reads standard input");
  command->add_option("--prompts", options->prompts,
                      "A prompt a line, or `general`: 160 plain questions that come with the program. The answers that "
                      "end within --max-tokens become conversations to train on, in the file of -o");
  command->add_option("-o,--output", options->output, "File for the answers to --prompts (JSONL); must not exist");
  command->add_option("--system", options->system, "Instructions before the prompt");
  command->add_flag("--raw", options->raw, "Continue the text as it is, without the chat template");
  command->add_flag("--json", options->json, "Print text, tokens, reason of the end and times as JSON");
  command->footer(
      "Examples: attune generate models/base --adapter runs/pete/adapter --prompt \"How was your day?\"\n"
      "          attune generate models/base --prompts general --seed 1 -o general.jsonl   for train.replay_data");
  command->callback([options, prompt] {
    options->has_prompt = prompt->count() > 0;
    run_generate(*options);
  });
}

}  // namespace attune
