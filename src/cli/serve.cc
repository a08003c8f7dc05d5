// attune serve: an OpenAI-compatible HTTP server with a chat page.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/named_values.h"
#include "format/gguf.h"
#include "serve/api.h"
#include "serve/http_server.h"
#include "train/run_plan.h"

namespace attune {
namespace {

constexpr std::int64_t kSmallModelBytes = 2'000'000'000;
constexpr std::int64_t kDefaultContext = 4096;
constexpr std::chrono::seconds kGrace{5};  // for the answers under way when the server is told to stop

struct ServeArguments {
  std::string model, host = "127.0.0.1", key_file, cors;
  std::vector<std::string> adapters;
  std::optional<Quantization> quantization;
  int port = 8080;
  std::int64_t context = 0, parallel = 32, queue = 128, max_tokens = 512, answer_seconds = 600;
  std::uint64_t cache_bytes = 1'000'000'000;
  std::uint64_t request_bytes = 1'000'000;
  std::size_t connections = 256;
  bool no_lookup = false;
};

// The key, from a file or the environment; empty: none is asked for.
std::string api_key(const ServeArguments& options) {
  const char* const variable = std::getenv("ATTUNE_API_KEY");
  std::string key = variable != nullptr ? variable : "";
  std::string where = "ATTUNE_API_KEY";
  if (!options.key_file.empty()) {
    key = read_file(options.key_file, 4096);
    where = options.key_file;
  } else if (variable == nullptr) {
    return "";
  }
  const std::size_t begin = key.find_first_not_of(" \t\r\n"), end = key.find_last_not_of(" \t\r\n");
  if (begin == std::string::npos) throw UserError("[{}] holds no key; put one there or leave it out", where);
  key = key.substr(begin, end + 1 - begin);
  if (key.find_first_of(" \t\r\n") != std::string::npos)
    throw UserError("[{}] holds more than one line or word", where);
  if (std::any_of(key.begin(), key.end(), [](char c) { return c <= ' ' || c > '~'; }))
    throw UserError("[{}] holds bytes that no HTTP header can carry; a key is letters, digits and signs of ASCII",
                    where);
  return key;
}

std::vector<std::pair<std::string, fs::path>> named_adapters(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, fs::path>> adapters;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
      throw UserError("[--adapter] expected NAME=PATH, got {}", text);
    }
    adapters.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return adapters;
}

void check_numbers(const ServeArguments& options) {
  const auto at_least_1 = [](const char* name, std::int64_t value) {
    if (value < 1) throw UserError("[{}] expected 1 or more, got {}", name, value);
  };
  at_least_1("--parallel", options.parallel);
  at_least_1("--queue", options.queue);
  at_least_1("--max-tokens", options.max_tokens);
  at_least_1("--answer-seconds", options.answer_seconds);
  at_least_1("--connections", static_cast<std::int64_t>(options.connections));
  if (options.parallel > 1024) throw UserError("[--parallel] expected at most 1024, got {}", options.parallel);
  if (options.connections > 900) throw UserError("[--connections] expected at most 900, got {}", options.connections);
  if (options.port < 0 || options.port > 65535) throw UserError("[--port] expected 0 to 65535, got {}", options.port);
  if (!fs::is_directory(options.model) && !is_gguf_path(options.model)) {
    throw UserError("[{}] there is no such folder; expected a model as Hugging Face writes it", options.model);
  }
}

EngineOptions engine_options(const ServeArguments& options, const ModelConfig& config) {
  EngineOptions engine;
  engine.act = activation_type(Compute::kAuto);
  engine.context = options.context > 0 ? options.context : std::min(config.max_position, kDefaultContext);
  if (engine.context < 2 || engine.context > config.max_position) {
    throw UserError("[--context] expected 2 to {}, the model's limit, got {}", config.max_position, options.context);
  }
  engine.sequences = options.parallel;
  engine.prompt_lookup = !options.no_lookup;
  const std::int64_t token_bytes =
      2 * config.layers * config.kv_size() * static_cast<std::int64_t>(size_of(engine.act));
  engine.cache_tokens = std::min(static_cast<std::int64_t>(options.cache_bytes) / token_bytes,
                                 options.parallel * (engine.context + kPageTokens));
  if (engine.cache_tokens < engine.context) {
    throw UserError("[--cache-memory] a context of {} tokens needs {} MB; give more or choose a smaller --context",
                    engine.context, engine.context * token_bytes / 1'000'000 + 1);
  }
  return engine;
}

Quantization quantization_of(const ServeArguments& options, const ModelConfig& config) {
  if (options.quantization) return *options.quantization;
  return 2 * linear_parameter_count(config) > kSmallModelBytes ? Quantization::kNF4 : Quantization::kNone;
}

bool is_local(const std::string& host) { return host == "localhost" || host == "127.0.0.1" || host == "::1"; }

void wait_for_interrupt() {
  pollfd watched{interrupt_descriptor(), POLLIN, 0};
  while (!interrupt_requested()) ::poll(&watched, 1, -1);
}

void run_serve(const ServeArguments& options) {
  check_numbers(options);
  const auto adapters = named_adapters(options.adapters);
  const std::string key = api_key(options);
  const ModelConfig config = load_model_config(options.model);
  const EngineOptions engine_settings = engine_options(options, config);
  watch_interrupts();

  const ServedModels models(options.model, quantization_of(options, config), adapters);
  Engine engine(models.model(), models.adapters(), engine_settings);
  Metrics metrics;
  Dispatcher dispatcher(engine, metrics, options.queue);
  Api api(models, dispatcher, metrics,
          {key, options.cors, options.host, std::chrono::seconds(options.answer_seconds), options.max_tokens,
           engine.context()});
  HttpLimits limits;
  limits.connections = options.connections;
  limits.body_bytes = options.request_bytes;
  HttpServer server(options.host, options.port, limits, api);
  if (!is_local(options.host) && key.empty()) {
    fmt::print(stderr, "attune: anyone who reaches {} may ask this server; set ATTUNE_API_KEY to demand a key\n",
               options.host);
  }
  server.start();
  const std::string host = options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]";
  fmt::print(
      "models   {}\ncontext  {} tokens, {} of cache for {} answers at once\nready    http://{}:{}/  (Ctrl-C stops)\n",
      fmt::join(models.names(), ", "), engine.context(), with_commas(engine_settings.cache_tokens), options.parallel,
      host, server.port());
  std::fflush(stdout);
  wait_for_interrupt();
  fmt::print("stopping; answers under way have {} seconds\n", kGrace.count());
  std::fflush(stdout);
  dispatcher.stop(kGrace);
  server.stop();
  fmt::print("stopped\n");
}

}  // namespace

void add_serve_command(CLI::App& app) {
  static const std::map<std::string, Quantization> kQuantizations = {
      {"none", Quantization::kNone}, {"nf4", Quantization::kNF4}, {"int8", Quantization::kInt8}};
  const auto options = std::make_shared<ServeArguments>();
  CLI::App* const command = app.add_subcommand("serve", "Answer over HTTP, as OpenAI's API does, with a chat page");
  command->add_option("MODEL", options->model, "Folder of the model, as Hugging Face writes it, or a .gguf file")
      ->required();
  command->add_option("--adapter", options->adapters, "NAME=PATH: an adapter for it, served as model NAME; any number");
  command->add_option("--host", options->host, "Address to listen on")->capture_default_str();
  command->add_option("--port", options->port, "Port to listen on; 0: any free one")->capture_default_str();
  command->add_option("--api-key-file", options->key_file,
                      "File with the key that clients must give; else ATTUNE_API_KEY; neither: no key");
  command->add_option("--cors", options->cors,
                      "Origin whose web pages may ask, e.g. https://example.org; absent: none");
  command->add_option("--context", options->context,
                      "Tokens of prompt and answer together; absent: the model's limit, at most 4096");
  command->add_option("--parallel", options->parallel, "Answers under way at once")->capture_default_str();
  command->add_option("--queue", options->queue, "Requests that may wait; more are told to come back (429)")
      ->capture_default_str();
  command->add_option("--cache-memory", options->cache_bytes, "Keys and values of all answers, e.g. 2GB; default 1GB")
      ->transform(CLI::AsSizeValue(true));
  command->add_option("--max-tokens", options->max_tokens, "Longest answer to a request that names none")
      ->capture_default_str();
  command->add_option("--answer-seconds", options->answer_seconds, "Longest time for an answer, then it is cut")
      ->capture_default_str();
  command->add_option("--max-request", options->request_bytes, "Largest body of a request, e.g. 4MB; default 1MB")
      ->transform(CLI::AsSizeValue(true));
  command->add_option("--connections", options->connections, "Open connections; more are told to come back (503)")
      ->capture_default_str();
  command
      ->add_option("--quantization", options->quantization,
                   "none, nf4 or int8; absent: nf4 when the linear layers exceed 2 GB in 16 bit, else none")
      ->transform(named_values(kQuantizations));
  command->add_flag("--no-prompt-lookup", options->no_lookup,
                    "Do not guess ahead in greedy answers (guesses change the speed only, never the answer)");
  command->footer(
      "Example: attune serve models/base --adapter pete=runs/pete/adapter\n\n"
      "Endpoints: /v1/chat/completions, /v1/completions, /v1/models, /health, /metrics (Prometheus), / (chat page).\n"
      "The base answers under the name of its folder, every adapter under its own; all share one batch.");
  command->callback([options] { run_serve(*options); });
}

}  // namespace attune
