// The model card: README.md of a repository, YAML between two lines of three dashes and then Markdown, written from what a
// run's folder says about itself. Nothing of the training data and no path of this machine enters it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"

namespace attune {

enum class Pushed : std::uint8_t { kAdapter, kModel, kGguf, kDataset };

struct CardFacts {
  Pushed what = Pushed::kModel;
  std::string name;                        // of the repository, without its namespace
  std::string base_model;                  // a repository of the Hub; empty: not known
  std::string license = "unknown";         // an identifier of the Hub
  std::string license_name, license_link;  // with license "other"
  std::vector<std::string> languages;      // ISO 639 codes
  std::string peft_version;                // of an adapter

  // Of the run; absent without one.
  std::optional<std::int64_t> step, steps;
  std::optional<double> train_loss, eval_before, eval_after;
  std::optional<double> forgetting, forgetting_kl;  // as metrics.jsonl has them: a share of the loss, nats a token
  std::string data_sha256;
  std::optional<std::int64_t> train_conversations, valid_conversations, tokens_per_epoch, trained_parameters,
      all_parameters;
  std::string recipe;                                  // YAML without model, data, output, track and hub
  std::vector<std::array<std::string, 4>> evaluation;  // what attune eval measured: name, base, tuned, the person's own
  std::string verdict;                                 // of the same, in a sentence
  std::vector<std::pair<std::string, std::string>> versions;
};

// What the files say: adapter_config.json, *.gguf, config.json, else JSONL. UserError when it is none of them.
Pushed detect_what(const fs::path& path, bool dataset);

// The run that a result or a checkpoint lies in (runs/NAME/adapter, runs/NAME/checkpoints/step-000100), if any.
std::optional<fs::path> run_of(const fs::path& path);

// Facts from the path and the run it came from, if any. A key that a run does not have stays absent; BadFile for files that
// are not what attune writes. A base model that is a local folder becomes a repository's name when the Hub's cache or its
// own card tells.
CardFacts read_card_facts(const fs::path& path, Pushed what, const std::string& repo_id,
                          const std::optional<fs::path>& run);

std::string write_card(const CardFacts& facts);

}  // namespace attune
