#include "export/merge.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "conversation/dataset.h"
#include "export/comparison_data.h"
#include "export/merged_weights.h"
#include "train/run_folder.h"

namespace attune {
namespace {

// What a Hugging Face folder holds beside the weights.
constexpr const char* kCompanions[] = {"config.json",
                                       "generation_config.json",
                                       "tokenizer.json",
                                       "tokenizer.model",
                                       "tokenizer_config.json",
                                       "special_tokens_map.json",
                                       "added_tokens.json",
                                       "vocab.json",
                                       "merges.txt",
                                       "chat_template.jinja",
                                       "LICENSE",
                                       "NOTICE"};
constexpr double kMaxDivergence = 0.01;  // of merging itself: rounding to 16 bits gives a hundredth of it

using WorkProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

WeightFormat format_of(DType dtype) {
  return dtype == DType::kF32 ? WeightFormat::kF32 : dtype == DType::kBF16 ? WeightFormat::kBF16 : WeightFormat::kF16;
}

// Tensors in order, as many to a shard as its size allows.
std::vector<std::vector<const CheckpointTensor*>> split(const MergedWeights& weights, std::uint64_t shard_bytes) {
  std::vector<std::vector<const CheckpointTensor*>> shards(1);
  std::uint64_t held = 0;
  for (const CheckpointTensor& entry : weights.tensors()) {
    const std::uint64_t bytes = entry.stored->bytes.size();
    if (held > 0 && held + bytes > shard_bytes) {
      shards.emplace_back();
      held = 0;
    }
    shards.back().push_back(&entry);
    held += bytes;
  }
  return shards;
}

void write_weights(MergeReport& report, const fs::path& folder, const MergedWeights& weights,
                   const MergeOptions& options, const WorkProgress& progress) {
  std::uint64_t done = 0;
  for (const CheckpointTensor& entry : weights.tensors()) report.bytes += entry.stored->bytes.size();
  const auto shards = split(weights, options.shard_bytes);
  report.shards = static_cast<int>(shards.size());
  Json index = {{"metadata", {{"total_size", report.bytes}}}, {"weight_map", Json::object()}};
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shards.size() == 1 ? "model.safetensors"
                                                : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
    std::vector<TensorSource> sources;
    for (const CheckpointTensor* const entry : shards[i]) {
      const DType dtype = *entry->stored->dtype;
      index["weight_map"][entry->tensor.name] = name;
      sources.push_back({entry->tensor.name, dtype, entry->tensor.shape, [&, entry, dtype](const ByteSink& sink) {
                           const auto counted = [&](std::span<const std::byte> piece) {
                             sink(piece);
                             done += piece.size();
                             progress(done, report.bytes);
                           };
                           write_rows(counted, weights, *entry, format_of(dtype), options.model.string());
                         }});
    }
    write_safetensors(folder / name, std::move(sources));
  }
  if (shards.size() > 1) write_file_atomic(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

void copy_companions(const fs::path& folder, const fs::path& model) {
  for (const char* const name : kCompanions) {
    if (fs::exists(model / name)) write_file_atomic(folder / name, read_file(model / name));
  }
}

// With its weights left on disk: two models are held at a time, and neither needs to fit.
Model load_streamed(const fs::path& folder, Quantization quantization, const WorkProgress& progress = {}) {
  return load_model(folder, quantization, progress, {true, load_model_config(folder).layers});
}

// The base with the adapter beside its weights.
struct Unmerged {
  Model model;
  Adapter adapter;

  Unmerged(const MergeOptions& options, Quantization quantization, const WorkProgress& progress = {})
      : model(load_streamed(options.model, quantization, progress)),
        adapter(Adapter::load(model, options.adapter, false)) {}
};

// How the base was held while the adapter was trained.
Quantization trained_quantization(const std::optional<fs::path>& run) {
  return run ? open_run_folder(*run).quantization : Quantization::kNone;
}

std::string text_of(const Comparison& comparison) {
  return fmt::format(
      "loss {:.4f} and {:.4f}, KL {:.4f} over {} tokens, {} of {} greedy answers equal, a choice in them "
      "at most {:.4f} nats apart",
      comparison.first_loss, comparison.second_loss, comparison.divergence, comparison.tokens, comparison.equal_answers,
      comparison.answers, comparison.choice_gap);
}

// Comparisons are written so that NaN agrees with nothing.
void require_agreement(const MergeReport& report, const MergeOptions& options) {
  const Comparison& merged = report.merged;
  const bool exact = std::abs(merged.second_loss - merged.first_loss) <= options.tolerance &&
                     merged.divergence <= kMaxDivergence && merged.choice_gap <= options.tolerance;
  // The original weights are not those that the adapter was trained on: other words are no fault, worse ones are.
  const bool no_worse =
      !report.trained || report.trained->second_loss <= report.trained->first_loss + options.tolerance;
  if (exact && no_worse) return;
  if (!exact) {
    throw UserError(
        "[merge] nothing was written: adapter and merged model differ on {}: {}; 16 bits do not hold this "
        "adapter, keep it beside its base",
        report.origin, text_of(report.merged));
  }
  throw UserError(
      "[merge] nothing was written: the adapter was trained on an {} base and is worse on the original "
      "weights: {} for adapter on {} and merged model; adapter on the original weights and merged model agree "
      "({}). Raise --tolerance, or train with quantization: none",
      report.trained_on, text_of(*report.trained), report.trained_on, text_of(report.merged));
}

}  // namespace

MergeReport merge_adapter(const MergeOptions& options, const MergeProgress& progress) {
  const auto counting = [&](MergeWork work) -> WorkProgress {
    return [&progress, work](std::uint64_t done, std::uint64_t total) {
      if (progress) progress(work, done, total);
    };
  };
  AtomicFolder folder(options.output);
  MergeReport report;
  const Quantization quantization = trained_quantization(options.run);
  ComparisonData data;
  {
    const MergedWeights weights(options.model, options.adapter);
    data = load_comparison_data(options.model, options.run, options.data, Unmerged(options, Quantization::kNone).model,
                                counting(MergeWork::kAnswering));
    write_weights(report, folder.temporary(), weights, options, counting(MergeWork::kWriting));
  }
  copy_companions(folder.temporary(), options.model);
  report.origin = data.origin;
  const bool quantized = quantization != Quantization::kNone;
  const std::int64_t tokens = data.tokens(), models = quantized ? 3 : 2;
  const auto read = [&](const Model& model, std::int64_t before) {
    return read_rows(model, data, [&](std::int64_t done) {
      counting(MergeWork::kComparing)(static_cast<std::uint64_t>(before * tokens + done),
                                      static_cast<std::uint64_t>(models * tokens));
    });
  };
  const Model model = load_streamed(folder.temporary(), Quantization::kNone);
  const RowStates merged = read(model, 0);
  {
    const Unmerged unmerged(options, Quantization::kNone);
    report.merged = compare_models(read(unmerged.model, 1), merged, data);
  }
  if (quantized) {
    const Unmerged unmerged(options, quantization, counting(MergeWork::kQuantizing));
    report.trained = compare_models(read(unmerged.model, 2), merged, data);
    report.trained_on = quantization == Quantization::kNF4 ? "nf4" : "int8";
  }
  require_agreement(report, options);
  folder.commit();
  return report;
}

}  // namespace attune
