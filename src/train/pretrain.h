// Pretraining: a small base model from plain text, its tokenizer included. How the bundled model was made.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "train/loop.h"

namespace attune {

struct PretrainRecipe {
  std::vector<std::string> data;  // *.txt (documents separated by a form feed on a line of its own) and *.jsonl
                                  // (conversations); a file named twice counts twice
  std::string output;             // run folder; its model/ is the result
  std::int64_t vocab_size = 4096;
  std::int64_t hidden_size = 192, intermediate_size = 512, num_hidden_layers = 6, num_attention_heads = 6,
               num_key_value_heads = 3;
  double rope_theta = 10000.0;
  double eval_share = 0.01;
  std::int64_t eval_steps = 500;
  SaveRecipe save;
  TrainRecipe train;  // the keys of a training recipe
};

// Reads and checks the YAML, as load_recipe does.
PretrainRecipe load_pretrain_recipe(const fs::path& path, std::span<const std::string> overrides);

// Trains the tokenizer, then the model, and writes recipe.output/model, a Hugging Face folder in bf16. With `resume`
// goes on from the last checkpoint. Errors as run_training().
RunSummary pretrain(const PretrainRecipe& recipe, bool resume, const LoopCallbacks& callbacks);

}  // namespace attune
