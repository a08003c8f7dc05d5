// An adapter merged into the weights it was trained beside, as an ordinary Hugging Face folder; and the proof that the
// folder still says what model and adapter said together.
#pragma once

#include <functional>
#include <optional>

#include "base/json.h"
#include "export/comparison.h"

namespace attune {

struct MergeOptions {
  fs::path model, adapter;       // folders
  std::optional<fs::path> run;   // of attune train, that the adapter comes from
  std::optional<fs::path> data;  // to compare on; absent: the held-out rows of the run, else prompts
  fs::path output;               // must not exist
  std::uint64_t shard_bytes = 5'000'000'000;
  double tolerance = 0.05;  // nats: of the losses per token, and of the choices in greedy answers
};

struct MergeReport {
  std::uint64_t bytes = 0;  // of the weights
  int shards = 1;
  std::string origin;  // what was compared on
  Comparison merged;   // model and adapter in full precision, against the merged folder
  std::optional<Comparison>
      trained;             // the adapter on the 4- or 8-bit base it was trained on, against the merged folder
  std::string trained_on;  // "nf4"
};

// What it does, one after the other, and what is counted of it.
enum class MergeWork {
  kAnswering,   // tokens of the adapter's answers to compare on
  kWriting,     // bytes of weights
  kComparing,   // tokens that models have read
  kQuantizing,  // bytes of the base, to be held as the adapter was trained on it
};
using MergeProgress = std::function<void(MergeWork work, std::uint64_t done, std::uint64_t total)>;

// The weights are streamed, while writing and while comparing: in memory are the adapter, a block, the heads and the
// activations of about a thousand tokens, below 2 GB for 7B. To compare, all weights are read about 30 times from where
// they lie, and once more for each thousand tokens. Throws as MergedWeights; UserError when adapter and merged model
// differ beyond the tolerance, with the numbers and the reason. Nothing is left behind then. `progress` may be empty.
MergeReport merge_adapter(const MergeOptions& options, const MergeProgress& progress = {});

}  // namespace attune
