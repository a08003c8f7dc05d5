// attune merge: an adapter into the weights of its base model.
#include "export/merge.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "base/byte_size.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "hub/card.h"
#include "hub/pull.h"

namespace attune {
namespace {

struct MergeArguments {
  MergeOptions merge;
  std::string data, shard_size = "5GB";
  bool json = false;
};

Json to_json(const Comparison& comparison) {
  return {{"loss_adapter", comparison.first_loss}, {"loss_merged", comparison.second_loss},
          {"kl", comparison.divergence},           {"tokens", comparison.tokens},
          {"answers", comparison.answers},         {"equal_answers", comparison.equal_answers},
          {"choice_gap", comparison.choice_gap}};
}

void print_line(const std::string& name, const Comparison& comparison) {
  fmt::print("{:<28} {:>8.4f} {:>8.4f} {:>9.6f}   {} of {}\n", name, comparison.first_loss, comparison.second_loss,
             comparison.divergence, comparison.equal_answers, comparison.answers);
}

void print_report(const MergeArguments& options, const MergeReport& report) {
  if (options.json) {
    Json json = {{"output", options.merge.output.string()},
                 {"bytes", report.bytes},
                 {"shards", report.shards},
                 {"compared_on", report.origin},
                 {"merged", to_json(report.merged)}};
    if (report.trained) {
      json["trained_on"] = report.trained_on;
      json["trained"] = to_json(*report.trained);
    }
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("Compared on {} ({} tokens):\n", report.origin, report.merged.tokens);
  fmt::print("{:<28} {:>8} {:>8} {:>9}   {}\n", "", "adapter", "merged", "KL", "equal greedy answers");
  print_line("adapter on original weights", report.merged);
  if (report.trained) print_line(fmt::format("adapter on {} base", report.trained_on), *report.trained);
  fmt::print("Wrote {}: {} in {} file{}.\n", options.merge.output.string(),
             format_bytes(static_cast<double>(report.bytes)), report.shards, report.shards == 1 ? "" : "s");
}

// A bar for each piece of the work.
class Display {
 public:
  void show(MergeWork work, std::uint64_t done, std::uint64_t total) {
    static const std::map<MergeWork, std::pair<const char*, const char*>> kNames = {
        {MergeWork::kAnswering, {"answering", "tokens"}},
        {MergeWork::kWriting, {"merging", "MB"}},
        {MergeWork::kComparing, {"comparing", "tokens"}},
        {MergeWork::kQuantizing, {"quantizing", "MB"}}};
    const auto& [title, unit] = kNames.at(work);
    const std::uint64_t scale = unit == std::string_view("MB") ? 1'000'000 : 1;
    if (work != work_ || !bar_) {
      end();
      bar_.emplace(title, unit, total / scale, done / scale);
      work_ = work;
    }
    bar_->update(done / scale);
    if (done == total) end();
  }
  void end() { bar_.reset(); }

 private:
  MergeWork work_{};
  std::optional<Progress> bar_;
};

void run_merge(MergeArguments& options) {
  if (!options.data.empty()) options.merge.data = options.data;
  const auto shard_bytes = parse_byte_size(options.shard_size);
  if (!shard_bytes) throw UserError("[--shard-size] expected a size such as 5GB, got \"{}\"", options.shard_size);
  options.merge.shard_bytes = *shard_bytes;
  if (!(options.merge.tolerance >= 0)) {
    throw UserError("[--tolerance] expected 0 or more, got {}", options.merge.tolerance);
  }
  options.merge.model = resolve_model(options.merge.model.string());
  options.merge.adapter = resolve_model(options.merge.adapter.string());
  options.merge.run = run_of(options.merge.adapter);
  watch_interrupts();
  Display display;
  const MergeReport report = merge_adapter(
      options.merge, [&](MergeWork work, std::uint64_t done, std::uint64_t total) { display.show(work, done, total); });
  display.end();
  print_report(options, report);
}

}  // namespace

void add_merge_command(CLI::App& app) {
  const auto options = std::make_shared<MergeArguments>();
  CLI::App* const command = app.add_subcommand("merge", "An adapter into the weights of its base model");
  command
      ->add_option("MODEL", options->merge.model,
                   "Folder of the original model, as Hugging Face writes it, or a pulled repository")
      ->required();
  command->add_option("--adapter", options->merge.adapter, "Folder of the adapter, e.g. runs/NAME/adapter")->required();
  command->add_option("-o,--output", options->merge.output, "Folder to write; must not exist")->required();
  command->add_option("--data", options->data,
                      "Conversations to compare on; absent: the held-out rows of the adapter's run, else questions");
  command->add_option("--shard-size", options->shard_size, "Largest file of weights")->capture_default_str();
  command
      ->add_option("--tolerance", options->merge.tolerance,
                   "Nats by which losses per token, and the choices in greedy answers, may differ")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print the comparison as JSON");
  command->footer(
      "Example: attune merge models/base --adapter runs/pete/adapter -o pete\n\n"
      "Writes safetensors in the types of the original, with its tokenizer, configuration and chat template. Before "
      "the\n"
      "folder appears, adapter and merged model are compared: loss, KL divergence and greedy answers. An adapter that "
      "was\n"
      "trained on a 4- or 8-bit base is compared as it was trained as well.");
  command->callback([options] { run_merge(*options); });
}

}  // namespace attune
