// attune demo: the whole way on bundled data, offline: an invented chat becomes a model that speaks like Pete.
#include <fmt/color.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/assets.h"
#include "cli/commands.h"
#include "cli/train_display.h"
#include "conversation/import.h"
#include "generate/chat_model.h"
#include "token/encode.h"
#include "train/finetune.h"

namespace attune {
namespace {

constexpr const char* kPerson = "Pete";
constexpr std::int64_t kAnswerTokens = 48;  // a turn that has not ended by then is shown cut

struct DemoArguments {
  std::string output;
};

void heading(const std::string& text) {
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  fmt::print("\n{}\n", terminal ? fmt::format(fmt::emphasis::bold, "{}", text) : text);
  std::fflush(stdout);
}

// The first of runs/demo, runs/demo-2, ... that does not exist: a demo never touches what is there.
fs::path free_folder() {
  fs::path folder = fs::path("runs") / "demo";
  for (int i = 2; fs::exists(folder); ++i) folder = fs::path("runs") / fmt::format("demo-{}", i);
  return folder;
}

std::vector<std::string> read_lines(const fs::path& path) {
  std::vector<std::string> lines;
  std::string text = read_file(path);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

struct Reply {
  std::string text;
  bool ended = false;  // by itself, with the end-of-turn token
};

// The most likely answer to each prompt.
std::vector<Reply> answers(const ChatModel& chat, const std::vector<std::string>& prompts) {
  std::vector<Reply> replies;
  GenerateOptions options;
  options.sampler.temperature = 0;
  options.max_new_tokens = kAnswerTokens;
  options.stop_tokens = chat.stops;
  for (const std::string& prompt : prompts) {
    const auto tokens = encode_prompt({{"user", prompt}}, chat.chat_template, *chat.tokenizer);
    Session session(chat.model, std::ssize(tokens) + kAnswerTokens, DType::kF32);
    const Generated generated = generate(session, tokens, options);
    replies.push_back({chat.tokenizer->decode(generated.tokens, true), generated.reason == FinishReason::kStop});
  }
  return replies;
}

Recipe demo_recipe(const fs::path& model, const fs::path& folder) {
  Recipe recipe;
  recipe.model = model.string();
  recipe.data = {(folder / "data").string()};
  recipe.output = (folder / "run").string();
  recipe.lora.r = 16;
  recipe.lora.lora_alpha = 32;
  recipe.train.num_train_epochs = 8;
  recipe.train.per_device_train_batch_size = 2;
  recipe.train.gradient_accumulation_steps = 1;
  recipe.train.max_length = 512;
  recipe.train.learning_rate = 2e-3;  // a model this small wants larger steps than a 7B one
  recipe.eval.eval_steps = 20;
  return recipe;
}

void print_answers(const std::vector<std::string>& prompts, const std::vector<Reply>& before,
                   const std::vector<Reply>& after) {
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto shown = [](const Reply& reply) { return reply.text + (reply.ended ? "" : " ..."); };
    fmt::print("  Anna     {}\n  before   {}\n  after    {}\n{}", prompts[i], shown(before[i]), shown(after[i]),
               i + 1 < prompts.size() ? "\n" : "");
  }
}

void run_demo(const DemoArguments& options) {
  const fs::path assets = find_assets(), model = assets / "tiny";
  const fs::path folder = options.output.empty() ? free_folder() : fs::path(options.output);
  if (fs::exists(folder)) throw UserError("[{}] already exists; choose another name or remove it", folder.string());
  watch_interrupts();

  const fs::path chat = (assets / "chat" / "whatsapp.txt").lexically_proximate(fs::current_path());
  heading(fmt::format("1  Words: {} -> conversations in which {} answers", chat.string(), kPerson));
  ImportOptions import;
  import.paths = {chat.string()};
  import.me = {kPerson};
  import.output = folder / "data";
  fmt::print("{}", to_text(import_chats(import)));

  const std::vector<std::string> prompts = read_lines(assets / "chat" / "prompts.txt");
  const std::vector<Reply> before = answers(ChatModel(model, Quantization::kNF4, std::nullopt), prompts);

  heading("2  Plan and train: a LoRA adapter on the 4-bit base");
  TrainDisplay display;
  const FinetuneResult result = finetune(demo_recipe(model, folder), false, display.finetune_callbacks());
  display.end();
  print_summary(result);

  heading("3  The same three questions, before and after");
  print_answers(prompts, before, answers(ChatModel(model, Quantization::kNF4, result.output), prompts));

  heading("4  Try");
  const std::string tiny = model.lexically_proximate(fs::current_path()).string();
  fmt::print(
      "  attune chat {} --adapter {}\n  attune generate {} --adapter {} --prompt \"Are you hungry?\"\n"
      "  attune import \"WhatsApp Chat with ....txt\" --me \"Your Name\" -o data   # then your own words\n",
      tiny, result.output.string(), tiny, result.output.string());
}

}  // namespace

void add_demo_command(CLI::App& app) {
  const auto options = std::make_shared<DemoArguments>();
  CLI::App* const command = app.add_subcommand("demo", "The whole way on bundled data, offline, in a minute");
  command->add_option("-o,--output", options->output, "Folder for everything it makes; runs/demo when not given");
  command->footer("Example: attune demo");
  command->callback([options] { run_demo(*options); });
}

}  // namespace attune
