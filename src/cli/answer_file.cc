#include "cli/answer_file.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/assets.h"
#include "conversation/conversation.h"
#include "generate/answers.h"
#include "generate/chat_model.h"
#include "token/encode.h"
#include "train/run_plan.h"

namespace attune {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 28;

struct Prompt {
  std::string text, where;  // where: "prompts.txt:3"
};

std::vector<Prompt> read_prompts(const std::string& named) {
  const fs::path file = named == "general" ? find_assets() / "general/prompts.txt" : fs::path(named);
  const std::string text = read_file(file, kMostBytes);
  std::vector<Prompt> prompts;
  std::size_t line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string prompt = text.substr(begin, end - begin);
    if (prompt.ends_with('\r')) prompt.pop_back();
    ++line;
    if (!is_ascii_blank(prompt)) {
      prompts.push_back({std::move(prompt), fmt::format("{}:{}", file.string(), line)});
    }
    begin = end + 1;
  }
  if (prompts.empty()) throw UserError("[{}] holds no prompt; write one a line", file.string());
  return prompts;
}

std::vector<Message> asked(const AnswerFileOptions& options, const Prompt& prompt) {
  std::vector<Message> messages;
  if (!options.system.empty()) messages.push_back({"system", options.system});
  messages.push_back({"user", prompt.text});
  return messages;
}

}  // namespace

void write_answers(const AnswerFileOptions& options, const SpeakOptions& speak) {
  if (fs::exists(options.output)) {
    throw UserError("[{}] already exists; choose another name or remove it", options.output);
  }
  const std::vector<Prompt> prompts = read_prompts(options.prompts);
  AtomicFile file(options.output);  // where it cannot be written, that is said before the work
  const ModelConfig config = load_model_config(speak.model);
  AnswerOptions drawing;
  drawing.sampler = speak.sampler;
  drawing.max_tokens = speak.max_tokens;
  drawing.act = activation_type(Compute::kAuto);
  drawing.context = context_of(speak, config);
  const ChatModel chat(speak.model, quantization_of(speak, config), adapter_of(speak));
  std::vector<std::vector<TokenId>> tokens;
  for (const Prompt& prompt : prompts) {
    tokens.push_back(encode_prompt(asked(options, prompt), chat.chat_template, *chat.tokenizer));
    if (std::ssize(tokens.back()) < drawing.context) continue;
    throw UserError("[{}] the prompt has {} tokens and the context {}, which must hold the answer too; shorten it",
                    prompt.where, tokens.back().size(), drawing.context);
  }
  Progress bar("answering", "answers", prompts.size());
  const std::vector<GivenAnswer> answers =
      answer_all(chat.model, *chat.tokenizer, chat.stops, tokens, drawing, [&](std::int64_t finished) {
        if (interrupt_requested()) throw Interrupted("[generate] stopped; nothing was written");
        bar.update(static_cast<std::uint64_t>(finished));
      });
  bar.finish();
  std::size_t cut = 0, empty = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::string text(trimmed_ascii(answers[i].text));
    if (!answers[i].ended) {
      ++cut;
    } else if (text.empty()) {
      ++empty;
    } else {
      Conversation row{asked(options, prompts[i])};
      row.messages.push_back({"assistant", text});
      file.write(to_json_line(row) + "\n");
    }
  }
  const std::size_t written = answers.size() - cut - empty;
  if (written == 0) {
    throw UserError("[--max-tokens] none of {} answers came to an end within {} tokens; give more, or another model",
                    answers.size(), speak.max_tokens);
  }
  file.commit();
  if (options.json) {
    const Json json = {{"output", options.output}, {"prompts", prompts.size()}, {"answers", written}, {"cut", cut},
                       {"empty", empty},           {"seed", speak.sampler.seed}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("Wrote {}: {} answers to {} prompts", options.output, written, prompts.size());
  if (cut + empty > 0) fmt::print("; left out: {} cut at --max-tokens, {} empty", cut, empty);
  fmt::print(".\n");
}

}  // namespace attune
