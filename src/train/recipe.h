// The recipe: everything a training run needs to know, as YAML with the names that PEFT and TRL users know.
//
// `model` and `data` alone make a good run; recipe_reference() (docs/RECIPE.md) gives meaning, range and
// default of every key with the default's reason. Paths are relative to the current directory, in the file as
// in --set.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapter/lora.h"
#include "base/file.h"
#include "model/weights.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace attune {

enum class Finetune : std::uint8_t { kLora, kFull };
enum class Compute : std::uint8_t { kAuto, kF32, kBF16, kInt8 };
enum class Checkpointing : std::uint8_t { kAuto, kOn, kOff };

struct TrainRecipe {
  double num_train_epochs = 3.0;
  std::int64_t max_steps = -1;                   // when positive, instead of the epochs
  std::int64_t per_device_train_batch_size = 1;  // rows of max_length tokens when packed, else conversations
  std::int64_t gradient_accumulation_steps = 8;
  double learning_rate = 2e-4;  // load_recipe: 2e-5 for full training when not given
  LrScheduler lr_scheduler_type = LrScheduler::kCosine;
  double warmup_ratio = 0.03;
  std::int64_t warmup_steps = 0;  // when positive, instead of the ratio
  double weight_decay = 0.0;
  double adam_beta1 = 0.9, adam_beta2 = 0.999, adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;            // 0: no clipping
  std::vector<std::string> replay_data;  // mixed in: general words, so that they are not forgotten
  double replay_ratio = 0.1;             // of them, to one conversation of the data
  double kl_to_base = 0.0;               // weight of KL(base || tuned) in the loss; 0: none
  double loss_spike_deviations = 6.0;    // above the running mean of the loss; 0: every finite loss is believed
  std::int64_t max_skipped_steps = 5;    // in a row, then the run stops
  OptimizerKind optim = OptimizerKind::kAuto;
  std::int64_t max_length = 1024;
  bool packing = true;
  bool assistant_only_loss = true;
  double neftune_noise_alpha = 0.0;  // 0: none
  Checkpointing gradient_checkpointing = Checkpointing::kAuto;
  std::int64_t seed = 42;
  std::int64_t logging_steps = 1;
};

struct EvalRecipe {
  double eval_share = 0.05;                     // of the conversations, held out; 0: none
  std::int64_t eval_max = 200;                  // at most so many of them
  std::int64_t eval_steps = 0;                  // 0: at the end of every epoch
  std::int64_t early_stopping_patience = 0;     // measurements without a gain; 0: never
  double early_stopping_threshold = 0;          // a smaller gain is none
  std::int64_t style_answers = 8;               // given at each measurement; 0: none
  std::int64_t forgetting_samples = 8;          // passages, and questions; 0: none
  std::string general_text, general_questions;  // files of theirs; empty: the bundled ones
  double early_stopping_forgetting = 0;         // by which the loss on them may rise; 0: without limit
};

struct SaveRecipe {
  std::int64_t save_steps = 100;      // 0: only at the end
  std::int64_t save_total_limit = 2;  // older checkpoints are removed, but for the best; 0: keep all
  bool load_best_model_at_end = false;
};

enum class HubStrategy : std::uint8_t { kEverySave, kBest, kEnd };

// Pushing to the Hub while training; src/hub/ does it, cli connects the two.
struct HubRecipe {
  std::string repo;  // empty: nothing is pushed
  HubStrategy strategy = HubStrategy::kEverySave;
  bool is_private = true;
  bool branch_per_step = false, tag_per_step = true;
  std::string base_model;  // its repository, for the card; empty: found out
  std::string license;
};

// Where a run can be watched; src/track/ does it, cli connects the two.
struct TrackRecipe {
  std::string mlflow;                 // http(s)://..., databricks, sqlite:///file, a folder; empty: none
  std::string tensorboard = "false";  // "true": the run folder; else a folder
  std::string experiment = "attune";
  std::string run_name;    // empty: the run folder's name
  std::string parent_run;  // of MLflow; may be empty
};

struct Recipe {
  std::string model;                 // folder
  std::vector<std::string> data;     // folders or files of conversations
  std::string output;                // run folder; empty: runs/<name of the recipe file>
  std::string token_cache = "auto";  // folder of token_cache.h's files; "auto", "none"
  std::uint64_t memory = 0;          // bytes; 0: no limit
  Compute compute = Compute::kAuto;
  Quantization quantization = Quantization::kNF4;  // load_recipe: none for full training when not given
  Finetune finetune = Finetune::kLora;
  LoraConfig lora;  // base_model_name_or_path is not a key of the recipe
  TrainRecipe train;
  EvalRecipe eval;
  SaveRecipe save;
  HubRecipe hub;
  TrackRecipe track;
};

// Equal in every key.
bool operator==(const Recipe& a, const Recipe& b);

// Reads and checks a recipe before anything else is loaded; `overrides` are "group.key=value" of --set,
// applied last. Throws BadFile for what is not YAML; else UserError (Unsupported when nothing else is wrong)
// with one line for each problem: "[file:line] what; what to do".
Recipe load_recipe(const fs::path& path, std::span<const std::string> overrides);

// load_recipe on text; `where` begins the messages. An absent `output` stays empty.
Recipe parse_recipe(std::string_view text, const std::string& where, std::span<const std::string> overrides);

// The effective recipe: every key in a fixed order (lora's only when they are used). parse_recipe reads it
// back equal.
std::string to_yaml(const Recipe& recipe);

// Markdown: every key with type, range, default and meaning. docs/RECIPE.md is this text.
std::string recipe_reference();

}  // namespace attune
