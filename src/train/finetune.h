// Fine-tuning from a recipe: what `attune train` and `attune demo` do. Loads the data, the model and the adapter, runs
// the loop, and writes the result beside it.
#pragma once

#include <string>

#include "train/loop.h"
#include "train/training_data.h"

namespace attune {

// What is known before the first step.
struct FinetuneStart {
  RunStart run;
  std::int64_t train_conversations = 0, valid_conversations = 0, replay_conversations = 0;
  std::int64_t train_tokens = 0, trained_tokens = 0;  // per epoch: all, and those learnt
  std::int64_t cut_rows = 0, cut_tokens = 0, untrained_rows = 0, longest_row = 0;
  std::string data_digest;
  ProblemCounts problems;  // warnings of the checks that attune data check makes
  bool cached = false;     // the tokens come from a cache
};

// A run between two steps, for who measures it.
struct FinetuneState {
  const Model& model;  // with its adapter attached, when it has one
  bool has_adapter;
  const Tokenizer& tokenizer;
  const ChatTemplate& chat_template;
  const TokenizedDataset& valid;  // may be empty
  std::int64_t step;
  std::size_t room;  // as LoopCallbacks::measure has it
};

struct FinetuneCallbacks {
  std::function<void(const FinetuneStart&)> on_start;
  std::function<Measures(const FinetuneState&)> measure;
  LoopCallbacks loop;    // its on_start and measure are not used
  ReadProgress on_read;  // rows tokenized so far, of all
};

struct FinetuneResult {
  RunSummary summary;
  fs::path output;  // runs/NAME/adapter, or runs/NAME/model for full training
};

// Runs recipe.output from the start, or with `resume` from its last checkpoint. Everything that can be wrong with the
// input is found before the folder is made. Errors as run_training().
FinetuneResult finetune(const Recipe& recipe, bool resume, const FinetuneCallbacks& callbacks);

}  // namespace attune
