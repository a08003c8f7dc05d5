// attune synth: documents -> conversations, written by a language model behind an endpoint or by attune's own engine.
#include "synth/synth.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/assets.h"
#include "cli/commands.h"
#include "cli/speak.h"
#include "synth/endpoint.h"
#include "synth/local_model.h"
#include "train/run_plan.h"

namespace attune {
namespace {

struct SynthArguments {
  SynthOptions synth;
  std::string endpoint, model, judge, adapter, prompts, key_variable = "ATTUNE_API_KEY";
  double timeout = 300;
  int retries = 6;
  std::int64_t context = 0;
  std::optional<std::int64_t> overlap;
  bool dry_run = false, json = false;
};

Secret key_from_environment(const std::string& variable) {
  const char* const value = std::getenv(variable.c_str());
  const std::string key = value == nullptr ? "" : value;
  if (std::any_of(key.begin(), key.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    throw UserError("[{}] expected a key of plain letters and digits; copy it again", variable);
  }
  return Secret(key);
}

// The bar, and what the endpoint makes us wait for. Called from several threads.
class Display {
 public:
  Display(std::uint64_t chunks, bool priced) : bar_("asking", "chunks", chunks), priced_(priced) {}

  void update(const SynthProgress& progress) {
    const std::lock_guard lock(mutex_);
    bar_.update(progress.chunks, fmt::format("{} kept, {} unfit{}", progress.kept, progress.unfit,
                                             priced_ ? fmt::format(", cost {:.4f}", progress.cost) : ""));
  }

  void waiting(const std::string& why, double seconds) {
    const std::lock_guard lock(mutex_);
    fmt::print(stderr, "{}{}; trying again in {:.0f}s\n", isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "", why, seconds);
  }

  void finish() { bar_.finish(); }

 private:
  std::mutex mutex_;
  Progress bar_;
  const bool priced_;
};

void print_dry_run(const SynthArguments& options, const SynthSource& source) {
  const SynthEstimate guess = estimate(options.synth, source);
  if (options.json) {
    Json chunks = Json::array();
    for (const Chunk& chunk : source.chunks) {
      chunks.push_back(Json{
          {"document", chunk.document}, {"chunk", chunk.number}, {"heading", chunk.heading}, {"text", chunk.text}});
    }
    const Json json = {{"documents", source.documents},
                       {"ignored", source.ignored},
                       {"unreadable", source.unreadable},
                       {"calls", guess.calls},
                       {"prompt_tokens", guess.prompt_tokens},
                       {"reply_tokens", guess.reply_tokens},
                       {"cost", guess.cost},
                       {"chunks", std::move(chunks)}};
    fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  for (const Chunk& chunk : source.chunks) {
    fmt::print("---- {} #{}{}{}\n{}\n\n", chunk.document, chunk.number, chunk.heading.empty() ? "" : ": ",
               chunk.heading, chunk.text);
  }
  fmt::print("{} documents, {} chunks; about {} calls, {} tokens in and {} out", source.documents, source.chunks.size(),
             guess.calls, guess.prompt_tokens, guess.reply_tokens);
  if (guess.cost > 0) fmt::print(", cost {:.4f}", guess.cost);
  fmt::print("\nNothing was sent.\n");
}

void print_ledger(const SynthArguments& options, const SynthSource& source, const SynthLedger& ledger) {
  if (options.json) {
    fmt::print("{}\n", to_json(ledger).dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  for (const std::string& message : source.unreadable) fmt::print("left out  {}\n", message);
  fmt::print("{}\nWrote {}; name it as `data:` in a recipe for `attune train`.\n", to_text(ledger),
             options.synth.output.string());
}

void make(const SynthArguments& options, const SynthSource& source, Display& display, LanguageModel& writer,
          LanguageModel& judge) {
  SynthLedger ledger;
  try {
    ledger = make_conversations(options.synth, source, writer, judge,
                                [&](const SynthProgress& progress) { display.update(progress); });
  } catch (const Interrupted&) {
    display.finish();
    throw Interrupted("[synth] stopped; nothing that was answered is lost, the same command goes on");
  }
  display.finish();
  print_ledger(options, source, ledger);
}

void ask_endpoint(const SynthArguments& options, const SynthSource& source, Display& display) {
  EndpointOptions endpoint;
  endpoint.url = options.endpoint;
  endpoint.model = options.model;
  endpoint.key = key_from_environment(options.key_variable);
  endpoint.key_source = options.key_variable;
  endpoint.timeout_seconds = options.timeout;
  endpoint.retries = options.retries;
  endpoint.on_wait = [&](const std::string& why, double seconds) { display.waiting(why, seconds); };
  Endpoint writer(endpoint);
  if (!options.judge.empty()) endpoint.model = options.judge;
  Endpoint judge(endpoint);
  make(options, source, display, writer, judge);
}

void ask_local_model(const SynthArguments& options, const SynthSource& source, Display& display,
                     const SpeakOptions& speak) {
  const ModelConfig config = load_model_config(speak.model);
  const std::int64_t context = context_of(speak, config);
  const ChatModel chat(speak.model, quantization_of(speak, config), adapter_of(speak));
  const std::string name = options.adapter.empty() ? options.model : options.model + " + " + options.adapter;
  LocalModel model(chat, name, context, options.synth.concurrency, activation_type(Compute::kAuto));
  make(options, source, display, model, model);
}

// What can be wrong with the model before anything is read or loaded.
SpeakOptions check_model(const SynthArguments& options) {
  if (options.model.empty()) {
    throw UserError("[--model] expected {}", options.endpoint.empty()
                                                 ? "the folder of a model, or --endpoint URL with the name of one there"
                                                 : "the name of a model at the endpoint");
  }
  SpeakOptions speak;
  if (!options.endpoint.empty()) {
    if (!options.adapter.empty()) throw UserError("[--adapter] is for a local model; the endpoint names its own");
    EndpointOptions endpoint;
    endpoint.url = options.endpoint;
    Endpoint{endpoint};  // checks the URL
    return speak;
  }
  if (!options.judge.empty()) throw UserError("[--judge-model] needs --endpoint; a local model judges itself");
  speak.model = options.model;
  speak.adapter = options.adapter;
  speak.context = options.context;
  speak.seed = 0;
  settle(speak);
  require_chat_template(speak.model, "choose another or use --endpoint");
  return speak;
}

void run_synth(SynthArguments& options) {
  options.synth.prompts = load_prompts(options.prompts.empty() ? find_assets() / "prompts" : fs::path(options.prompts));
  if (!(options.timeout >= 1 && options.timeout <= 86400)) {
    throw UserError("[--timeout] expected 1 to 86400 seconds, got {}", options.timeout);
  }
  if (options.retries < 0 || options.retries > 100)
    throw UserError("[--retries] expected 0 to 100, got {}", options.retries);
  if (!options.dry_run && options.synth.output.empty())
    throw UserError("[-o] expected the name of the folder to write");
  options.synth.chunks.overlap = options.overlap.value_or(options.synth.chunks.size / 10);
  check_synth_options(options.synth);
  const SpeakOptions speak = options.dry_run ? SpeakOptions() : check_model(options);
  const SynthSource source = read_source(options.synth);
  if (options.dry_run) return print_dry_run(options, source);
  watch_interrupts();
  Display display(source.chunks.size(), options.synth.prices.in + options.synth.prices.out > 0);
  if (options.endpoint.empty()) {
    ask_local_model(options, source, display, speak);
  } else {
    ask_endpoint(options, source, display);
  }
}

void add_source_options(CLI::App& command, SynthArguments& options) {
  SynthOptions& synth = options.synth;
  command.add_option("DOC", synth.documents, "Documents (.txt, .md, .html, .pdf, .docx, .csv) or folders of them")
      ->required();
  command.add_option("-o,--output", synth.output, "Folder to write; one that a stopped run left is gone on with");
  command.add_flag("--skip-unreadable", synth.skip_unreadable, "Go on without documents that cannot be read");
  command.add_option("--chunk-size", synth.chunks.size, "Characters of a chunk at most")->capture_default_str();
  command.add_option("--chunk-overlap", options.overlap,
                     "Characters repeated where a section had to be cut; absent: a tenth of a chunk");
  command.add_option("--limit", synth.limit, "Ask about the first so many chunks only; 0: all")->capture_default_str();
  command.add_flag("--dry-run", options.dry_run, "Show the chunks and the estimated cost; send nothing");
}

void add_model_options(CLI::App& command, SynthArguments& options) {
  SynthOptions& synth = options.synth;
  command.add_option("--endpoint", options.endpoint, "OpenAI-compatible API, e.g. http://localhost:8080/v1");
  command.add_option("--model", options.model, "Model at the endpoint; without --endpoint, folder of a local one");
  command.add_option("--judge-model", options.judge, "Another model at the endpoint to judge");
  command.add_option("--adapter", options.adapter, "Adapter for a local model");
  command.add_option("--context", options.context, "Of a local model: tokens of prompt and reply together");
  command.add_option("--api-key-env", options.key_variable, "Environment variable that holds the endpoint's key")
      ->capture_default_str();
  command.add_option("--prompts", options.prompts, "Folder of your own prompts; see assets/prompts/README.md");
  command.add_option("--temperature", synth.temperature, "Absent: the model's own default");
  command.add_option("--max-tokens", synth.max_tokens, "Longest reply")->capture_default_str();
  command.add_option("--concurrency", synth.concurrency, "Calls at once")->capture_default_str();
  command.add_option("--timeout", options.timeout, "Seconds for a reply")->capture_default_str();
  command.add_option("--retries", options.retries, "Of a call that fails for a reason that passes")
      ->capture_default_str();
}

void add_result_options(CLI::App& command, SynthArguments& options) {
  SynthOptions& synth = options.synth;
  command.add_option("--pairs", synth.pairs, "Questions about a chunk")->capture_default_str();
  command.add_option("--turns", synth.turns, "Above 1: one conversation of so many exchanges about each chunk")
      ->capture_default_str();
  command.add_flag("!--no-grounding", synth.grounding, "Keep answers with facts that their chunk does not have");
  command
      .add_option("--judge-threshold", synth.judge_threshold,
                  "Least score, 0 to 10, that a second call must give; 0: no second call")
      ->capture_default_str();
  command.add_option("--price-in", synth.prices.in, "Price of a million prompt tokens")->capture_default_str();
  command.add_option("--price-out", synth.prices.out, "Price of a million reply tokens")->capture_default_str();
  command.add_option("--max-cost", synth.max_cost, "Ask no more before this is exceeded");
  command.add_option("--valid-share", synth.valid_share, "Share of the chunks held out, the last ones; 0: none")
      ->capture_default_str();
  command.add_flag("--json", options.json, "Print the ledger as JSON");
}

}  // namespace

void add_synth_command(CLI::App& app) {
  const auto options = std::make_shared<SynthArguments>();
  CLI::App* const command = app.add_subcommand("synth", "Documents -> conversations about them, by another model");
  add_source_options(*command, *options);
  add_model_options(*command, *options);
  add_result_options(*command, *options);
  command->footer(
      "Example:\n"
      "  attune synth handbook.pdf notes/ --endpoint http://localhost:8080/v1 --model llama -o handbook-data\n"
      "\n"
      "Your documents go to the endpoint you name and nowhere else. Its key comes from the environment "
      "(ATTUNE_API_KEY) "
      "only.\n"
      "Stopped or killed, the same command goes on where it was and pays for nothing twice; --max-cost counts all runs "
      "into\n"
      "the folder. Each row of the result names its document, chunk, model and prompts.");
  command->callback([options] { run_synth(*options); });
}

}  // namespace attune
