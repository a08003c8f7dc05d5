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

// The weights are streamed, while writing and while comparing: in memory are the adapter, a block, the heads and the
// activations of a few hundred tokens, below 2 GB for 7B. Throws as MergedWeights; UserError
// when adapter and merged model differ beyond the tolerance, with the numbers and the reason. Nothing is left behind
// then. `progress` may be empty; called with (bytes written, in all).
MergeReport merge_adapter(const MergeOptions& options,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});

}  // namespace attune
