// attune export: a model for llama.cpp and Ollama.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/named_values.h"
#include "export/gguf_lora.h"
#include "export/ollama.h"
#include "hub/pull.h"

namespace attune {
namespace {

struct ExportArguments {
  std::string model, adapter, to = "gguf", output;
  std::optional<GgufDType> dtype;
  bool separate_adapter = false, json = false;
};

void print_result(const ExportArguments& options, const GgufExported& result) {
  if (options.json) {
    Json types = Json::object();
    for (const auto& [name, count] : result.types) types[name] = count;
    fmt::print("{}\n", Json{{"output", options.output},
                            {"bytes", result.bytes},
                            {"tensors", types},
                            {"end_of_turn", result.end_of_turn},
                            {"tokenizer_probes", result.probes},
                            {"tokenizer_probes_that_differ", result.probes_differ}}
                           .dump(2));
    return;
  }
  std::string types;
  for (const auto& [name, count] : result.types)
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, name);
  fmt::print("Wrote {}: {} in {} tensors.\n", options.output, format_bytes(static_cast<double>(result.bytes)), types);
  if (result.end_of_turn.empty()) {
    fmt::print("The model has no chat template, so nothing says how a conversation is written.\n");
  } else {
    fmt::print("An answer ends at {}.\n", result.end_of_turn);
  }
  if (result.probes_differ > 0) {
    fmt::print(
        "Note: llama.cpp cuts {} of {} test texts into other tokens than the model's own tokenizer; answers may be "
        "worse there.\n",
        result.probes_differ, result.probes);
  }
  if (options.to == "ollama") {
    fmt::print("Next: ollama create NAME -f {}/Modelfile\n", options.output);
  }
}

void run_export(ExportArguments& options) {
  options.model = resolve_model(options.model).string();
  std::optional<fs::path> adapter;
  if (!options.adapter.empty()) adapter = resolve_model(options.adapter);
  if (options.separate_adapter && options.to != "ollama") {
    throw UserError("[--separate-adapter] belongs to --to ollama; --to gguf-lora writes the adapter alone");
  }
  if (options.to == "gguf-lora") {
    if (!adapter) throw UserError("[--to gguf-lora] needs --adapter FOLDER, the adapter to write");
    const std::uint64_t bytes =
        export_gguf_lora({options.model, *adapter, options.dtype.value_or(GgufDType::kF32), options.output});
    fmt::print("Wrote {}: {}. Next: llama-cli -m BASE.gguf --lora {}\n", options.output,
               format_bytes(static_cast<double>(bytes)), options.output);
    return;
  }
  watch_interrupts();
  std::optional<Progress> bar;
  const auto progress = [&](std::uint64_t done, std::uint64_t all) {
    constexpr std::uint64_t kMegabyte = 1'000'000;
    if (!bar) bar.emplace("exporting", "MB", all / kMegabyte);
    bar->update(done / kMegabyte);
  };
  const GgufDType dtype = options.dtype.value_or(GgufDType::kQ8_0);
  const GgufExported result =
      options.to == "gguf"
          ? export_gguf({options.model, adapter, dtype, options.output}, progress)
          : export_ollama({options.model, adapter, options.separate_adapter, dtype, options.output}, progress);
  if (bar) bar->finish();
  print_result(options, result);
}

}  // namespace

void add_export_command(CLI::App& app) {
  static const std::map<std::string, GgufDType> kTypes = {{"f32", GgufDType::kF32},   {"f16", GgufDType::kF16},
                                                          {"bf16", GgufDType::kBF16}, {"q8_0", GgufDType::kQ8_0},
                                                          {"q4_0", GgufDType::kQ4_0}, {"q4_k_m", GgufDType::kQ4KM}};
  const auto options = std::make_shared<ExportArguments>();
  CLI::App* const command = app.add_subcommand("export", "A model as GGUF for llama.cpp, or as a folder for Ollama");
  command->add_option("MODEL", options->model, "Folder of the model, as Hugging Face writes it, or a pulled repository")
      ->required();
  command->add_option("--adapter", options->adapter, "Adapter to merge in (gguf-lora: to write)");
  command->add_option("--to", options->to, "gguf, gguf-lora (the adapter alone) or ollama (a folder with a Modelfile)")
      ->check(CLI::IsMember({"gguf", "gguf-lora", "ollama"}).description(""))
      ->capture_default_str();
  command
      ->add_option("--dtype", options->dtype,
                   "f32, f16, bf16, q8_0, q4_0 or q4_k_m; absent: q8_0, and f32 for gguf-lora")
      ->transform(named_values(kTypes));
  command->add_option("-o,--output", options->output, "File or folder to write; must not exist")->required();
  command->add_flag("--separate-adapter", options->separate_adapter,
                    "ollama: the adapter beside the base model instead of merged into it");
  command->add_flag("--json", options->json, "Print what was written as JSON");
  command->footer(
      "Example: attune export models/base --adapter runs/pete/adapter --to gguf --dtype q4_k_m -o pete.gguf\n\n"
      "Tensors get the types that llama.cpp's llama-quantize gives them. The file holds the tokenizer and the chat\n"
      "template, and its end-of-sequence token is the one that ends a turn.");
  command->callback([options] { run_export(*options); });
}

}  // namespace attune
