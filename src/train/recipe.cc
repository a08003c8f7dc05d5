#include "train/recipe.h"

#include <algorithm>

#include "base/error.h"
#include "train/recipe_keys.h"

namespace attune {
namespace {

constexpr double kMost = 1e9;  // keeps products of three counts inside int64

Choice init_choice(std::string& field) {
  const std::vector<std::string> names = {"true", "gaussian"};
  return {names,
          [&field, names] {
            return static_cast<std::size_t>(std::find(names.begin(), names.end(), field) - names.begin());
          },
          [&field, names](std::size_t index) { field = names[index]; }};
}

// Model, data and adapter.
std::vector<Key> own_keys(Recipe& r) {
  return {
      {"model", &r.model,
       "Folder of the base model, as Hugging Face writes it, a .gguf file, or the name of a repository that `attune "
       "pull` got. Required."},
      {"data", &r.data, "Folders or files of conversations (JSONL), as `attune import` writes them. Required."},
      {"output", &r.output, "Folder of the run. Absent: `runs/` and the name of the recipe file."},
      {"token_cache", &r.token_cache,
       "Folder where the tokens of a data set are kept, so that data larger than memory can be trained on and is "
       "tokenized "
       "once. `auto`: `~/.cache/attune/tokens` (or below `$XDG_CACHE_HOME`) for data of 16 MB and more; `none`: in "
       "memory."},
      {"memory", &r.memory,
       "Most memory the run may take, the program itself included: the fastest schedule within it is chosen, and what "
       "cannot fit is refused before the start. `auto`: what this machine (or its control group) has."},
      {"compute", choice(r.compute, {"auto", "f32", "bf16", "int8"}),
       "Type of activations and matrix products. `auto`: bf16 where the processor multiplies it faster, else "
       "f32. `int8`: products with the frozen linears and head in 8-bit integers, up to 1.4 times as fast as "
       "`auto` for losses up to 1% off; activations in bf16 where the processor has 8-bit tiles (AMX), else in f32."},
      {"quantization", choice(r.quantization, {"none", "nf4", "int8"}),
       "How the frozen base is held: nf4 takes an eighth of the bytes of f32 and costs little quality "
       "(QLoRA). Full training has no frozen base: `none` is then the default and the only choice."},
      {"finetune", choice(r.finetune, {"lora", "full"}),
       "`lora` trains an adapter of about 1% of the weights; `full` trains every weight, for small models."},

      {"lora.r", &r.lora.r, "Rank of the adapters; 16 carries a style, facts need more.", {1, 4096}},
      {"lora.lora_alpha",
       &r.lora.lora_alpha,
       "The adapter's output is scaled by lora_alpha / r; twice r is the usual choice.",
       {0, kMost, true}},
      {"lora.lora_dropout",
       &r.lora.lora_dropout,
       "Share of the adapter's inputs dropped while training. 0: with few epochs it does not help, and costs "
       "time.",
       {0, 1, false, true}},
      {"lora.target_modules", &r.lora.target_modules,
       "PEFT's rules: `all-linear`, a regular expression that matches whole module paths, or a list of names "
       "or endings. All linears learn more than q_proj and v_proj at the same size (QLoRA, section 4)."},
      {"lora.use_rslora", &r.lora.use_rslora,
       "Scale by lora_alpha / sqrt(r). Off, as in PEFT; worth it from r = 64 on."},
      {"lora.rank_pattern", &r.lora.rank_pattern, "Other ranks for modules whose path ends with a key.", {1, 4096}},
      {"lora.alpha_pattern", &r.lora.alpha_pattern, "Other alphas, likewise.", {0, kMost, true}},
      {"lora.init_lora_weights", init_choice(r.lora.init_lora_weights),
       "First values of A: `true` is PEFT's Kaiming-uniform. B is 0 either way, so training starts at the "
       "base."},
  };
}

std::vector<Key> eval_keys(EvalRecipe& r) {
  return {
      {"eval.eval_share",
       &r.eval_share,
       "Share of the conversations held out of training, to measure the loss on words never seen; 0 holds "
       "none. Not used where a data folder brings its own valid.jsonl.",
       {0, 0.9}},
      {"eval.eval_max", &r.eval_max, "Most conversations held out: enough for two digits, soon measured.", {1, kMost}},
      {"eval.eval_steps",
       &r.eval_steps,
       "Updates between two measurements of the held-out loss; 0 measures after every epoch.",
       {0, kMost}},
      {"eval.early_stopping_patience",
       &r.early_stopping_patience,
       "Stop after so many measurements in a row without a better held-out loss; 0 trains to the end.",
       {0, kMost}},
      {"eval.early_stopping_threshold",
       &r.early_stopping_threshold,
       "A held-out loss is better when it is lower by more than this.",
       {0, kMost}},
      {"eval.style_answers",
       &r.style_answers,
       "Answers that the model gives at every measurement in held-out places where the person answered: how far their "
       "style is from the person's, and how many end by themselves (docs/EVAL.md). 0 measures no style, nor does "
       "train.assistant_only_loss: false.",
       {0, 4096}},
      {"eval.forgetting_samples",
       &r.forgetting_samples,
       "General passages, and as many general questions, at every measurement: by how much their loss has risen, and "
       "the KL to the base. 0 measures no forgetting, nor does finetune: full, which keeps no base.",
       {0, 4096}},
      {"eval.general_text", &r.general_text,
       "File of the passages, with empty lines between them. Absent: the bundled English ones."},
      {"eval.general_questions", &r.general_questions,
       "File of the questions, each with choices (docs/EVAL.md). Absent: the bundled English ones."},
      {"eval.early_stopping_forgetting",
       &r.early_stopping_forgetting,
       "Stop when the loss on general passages or answers has risen by more than this share, e.g. 0.05; the result is "
       "then the best of the measurements before. 0 sets no limit.",
       {0, kMost}},
  };
}

std::vector<Key> hub_keys(HubRecipe& r) {
  return {
      {"hub.repo", &r.repo,
       "Repository of the Hub that the run is pushed to, e.g. `me/pete`, made when missing. Absent: nothing is sent. "
       "The token "
       "comes from HF_TOKEN or the Hub's token file. Pushing never stops or slows the run: what cannot be sent waits "
       "in the run "
       "folder for `attune sync RUN`."},
      {"hub.strategy", choice(r.strategy, {"every_save", "best", "end"}),
       "What is pushed: each checkpoint, those that are the best so far on held-out data, or the result. One commit "
       "each."},
      {"hub.private", &r.is_private, "Whether a repository that is made now is private."},
      {"hub.branch_per_step", &r.branch_per_step, "A branch `step-000100` at each commit, to go on from."},
      {"hub.tag_per_step", &r.tag_per_step, "A tag `step-000100` at each commit, to load it by."},
      {"hub.base_model", &r.base_model,
       "Repository of the base model, for the model card. Absent: found out where the folder tells."},
      {"hub.license", &r.license,
       "License of what is pushed, as the Hub names it. Absent: the base model's where its card tells."},
  };
}

std::vector<Key> track_keys(TrackRecipe& r) {
  return {
      {"track.mlflow", &r.mlflow,
       "Where MLflow is told of the run: `http://HOST:PORT` of a server, `databricks` (DATABRICKS_HOST and "
       "DATABRICKS_TOKEN, or "
       "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET), or without any server `sqlite:///mlflow.db` or a folder "
       "such as "
       "`./mlruns`. Absent: nothing is sent. Credentials come from the environment only. The run never waits: what "
       "cannot be "
       "delivered stays in the run folder for `attune sync RUN`."},
      {"track.tensorboard", &r.tensorboard,
       "Event files for TensorBoard: `true` writes them into the run folder, a folder gets one folder for each run."},
      {"track.experiment", &r.experiment,
       "MLflow's experiment, made when missing; on Databricks an absolute path of the workspace."},
      {"track.run_name", &r.run_name, "MLflow's name of the run. Absent: the name of the run folder."},
      {"track.parent_run", &r.parent_run, "Id of the MLflow run that this one is shown below. Absent: none."},
  };
}

// All of them, in the order of the file.
std::vector<Key> keys_of(Recipe& r) {
  std::vector<Key> keys = own_keys(r);
  for (std::vector<Key> group :
       {train_keys(r.train), eval_keys(r.eval), save_keys(r.save), track_keys(r.track), hub_keys(r.hub)}) {
    std::move(group.begin(), group.end(), std::back_inserter(keys));
  }
  return keys;
}

const std::vector<RefusedKey>& refused_keys() {
  static const std::vector<RefusedKey> keys = {
      {"lora.use_dora", "false", "DoRA is not supported; remove it, or raise lora.r instead"},
      {"lora.bias", "none", "biases of the base are not trained; remove it, or use finetune: full"},
      {"lora.modules_to_save", "", "whole modules beside the adapter are not trained; remove it"},
      {"lora.layers_to_transform", "",
       "not supported; write the layers as a regular expression in lora.target_modules"},
      {"eval.leak", "false", "leaks are not measured while training; remove it"},
  };
  return keys;
}

// What one key alone cannot tell.
void check_together(const Recipe& recipe, const std::string& where, KeysRead& read) {
  const auto complain = [&](const std::string& place, const std::string& what) {
    read.problems.push_back({fmt::format("[{}] {}", place, what)});
  };
  if (!read.place_of.contains("model")) {
    complain(where, "model: expected the folder of a base model, got nothing; e.g. model: models/base");
  }
  if (!read.place_of.contains("data")) {
    complain(where, "data: expected conversations, got nothing; e.g. data: data/chat (attune import makes it)");
  }
  for (const auto& [name, place] : read.place_of) {
    if (name.starts_with("hub.") && recipe.hub.repo.empty()) {
      complain(place, fmt::format("{}: expected hub.repo beside it; e.g. repo: me/my-model", name));
    }
  }
  if (recipe.eval.early_stopping_forgetting > 0 &&
      (recipe.eval.forgetting_samples == 0 || recipe.finetune == Finetune::kFull)) {
    complain(
        read.place_of.at("eval.early_stopping_forgetting"),
        recipe.finetune == Finetune::kFull
            ? "eval.early_stopping_forgetting: expected an adapter, without which the model is the base, got "
              "finetune: full; remove it"
            : "eval.early_stopping_forgetting: expected eval.forgetting_samples above 0 beside it, got 0; raise it");
  }
  if (recipe.finetune != Finetune::kFull) return;
  for (const auto& [name, place] : read.place_of) {
    if (name == "train.kl_to_base" && recipe.train.kl_to_base > 0) {
      complain(place, "train.kl_to_base: expected an adapter to switch off, got finetune: full; remove it");
    }
    if (name.starts_with("lora.")) {
      complain(place, fmt::format("{}: expected no adapter with finetune: full; remove one of the two", name));
    }
  }
  if (recipe.compute == Compute::kInt8) {
    complain(
        read.place_of.at("compute"),
        "compute: expected auto, f32 or bf16 with finetune: full, since int8 products need frozen weights; remove it");
  }
  if (recipe.quantization != Quantization::kNone) {
    complain(read.place_of.at("quantization"),
             "quantization: expected none with finetune: full, since quantized weights cannot be trained; "
             "remove it");
  }
}

}  // namespace

std::vector<Key> train_keys(TrainRecipe& t) {
  return {
      {"train.num_train_epochs",
       &t.num_train_epochs,
       "Passes over the data; parts count. With chats, 3 learn a style and more begin to recite.",
       {0, 10000, true}},
      {"train.max_steps", &t.max_steps, "When positive, the number of updates, instead of the epochs.", {-1, kMost}},
      {"train.per_device_train_batch_size",
       &t.per_device_train_batch_size,
       "Rows that go through the model at once; memory grows with it. One packed row already keeps a "
       "processor busy.",
       {1, 65536}},
      {"train.gradient_accumulation_steps",
       &t.gradient_accumulation_steps,
       "Batches to one update, weighted by their trained tokens. 8 rows of 1024 tokens hold about 50 chat "
       "windows.",
       {1, 65536}},
      {"train.learning_rate",
       &t.learning_rate,
       "Peak learning rate. 2e-4 is QLoRA's for adapters; full training takes a tenth, 2e-5, unless told "
       "otherwise.",
       {0, 1000, true}},
      {"train.lr_scheduler_type", choice(t.lr_scheduler_type, {"constant", "constant_with_warmup", "linear", "cosine"}),
       "Course of the learning rate, as transformers computes it. A rate that ends at 0 lets the last steps "
       "settle."},
      {"train.warmup_ratio",
       &t.warmup_ratio,
       "Share of all updates in which the rate rises from 0, rounded up; keeps the first, wild steps small.",
       {0, 1}},
      {"train.warmup_steps",
       &t.warmup_steps,
       "When positive, the number of such updates, instead of the ratio.",
       {0, kMost}},
      {"train.weight_decay",
       &t.weight_decay,
       "AdamW's decay of the trained weights; adapters are small already.",
       {0, 1000}},
      {"train.adam_beta1", &t.adam_beta1, "Decay of the first moment.", {0, 1, false, true}},
      {"train.adam_beta2", &t.adam_beta2, "Decay of the second moment.", {0, 1, false, true}},
      {"train.adam_epsilon", &t.adam_epsilon, "Added to the denominator, as in torch.", {0, 1, true}},
      {"train.max_grad_norm", &t.max_grad_norm, "Gradients are clipped to this norm; 0 does not clip.", {0, kMost}},
      {"train.replay_data", &t.replay_data,
       "Conversations to mix in so that what they show is not forgotten: general ones, or the base's own answers, "
       "which "
       "`attune generate MODEL --prompts general -o general.jsonl` writes. Files or folders, as in `data`; none is "
       "held "
       "out."},
      {"train.replay_ratio",
       &t.replay_ratio,
       "Conversations of train.replay_data to one of the data, taken evenly from it.",
       {0, 100}},
      {"train.kl_to_base",
       &t.kl_to_base,
       "Weight of a term that keeps the answers near those of the base, whose adapter is switched off for one more "
       "forward "
       "pass: KL(base || tuned) in nats a token. 0 is none; 0.1 holds what the base knows and still learns a style.",
       {0, 1000}},
      {"train.loss_spike_deviations",
       &t.loss_spike_deviations,
       "A step whose loss is so many standard deviations above the mean of the last steps is skipped and reported, as "
       "one "
       "that is not a number always is; 0 skips no other.",
       {0, kMost}},
      {"train.max_skipped_steps",
       &t.max_skipped_steps,
       "The run stops after so many skipped steps in a row.",
       {1, kMost}},
      {"train.optim", choice(t.optim, {"auto", "adamw", "adamw_bf16", "adamw_8bit"}),
       "AdamW with two moments for each trained weight in f32, bf16 (rounded at random) or 8 bit (a scale per 256). "
       "`auto`: f32, and smaller ones when `memory` would otherwise cost speed."},
      {"train.max_length",
       &t.max_length,
       "Tokens in a row; longer conversations are cut and counted. Chat windows are far shorter.",
       {8, 1048576}},
      {"train.packing", &t.packing,
       "Several conversations in one row, each attending only to itself: the same losses without padding."},
      {"train.assistant_only_loss", &t.assistant_only_loss,
       "Learn the assistant's turns only, each with its end-of-turn token; false learns the other side's "
       "words too."},
      {"train.neftune_noise_alpha",
       &t.neftune_noise_alpha,
       "Strength of NEFTune's noise on the embeddings; 0 is none, 5 is the paper's for small data.",
       {0, 1000}},
      {"train.gradient_checkpointing", choice(t.gradient_checkpointing, {"auto", "true", "false"}),
       "Compute activations again in the backward pass instead of keeping them. `auto`: as little as `memory` "
       "asks for."},
      {"train.seed", &t.seed, "Order of the data, first values of the adapter, dropout, noise.", {0, 4294967295}},
      {"train.logging_steps",
       &t.logging_steps,
       "Updates between two lines of metrics.jsonl; a line costs nothing.",
       {1, kMost}},
  };
}

std::vector<Key> save_keys(SaveRecipe& r) {
  return {
      {"save.save_steps",
       &r.save_steps,
       "Updates between two checkpoints: what a power cut may cost. A new lowest held-out loss is saved as well. 0 "
       "saves at the "
       "end only.",
       {0, kMost}},
      {"save.save_total_limit",
       &r.save_total_limit,
       "Checkpoints kept: the newest, and with held-out data the best beside them; 0 keeps all.",
       {0, kMost}},
      {"save.load_best_model_at_end", &r.load_best_model_at_end,
       "The result is the checkpoint with the lowest held-out loss instead of the last."},
  };
}

Recipe parse_recipe(std::string_view text, const std::string& where, std::span<const std::string> overrides) {
  Recipe recipe;
  KeysRead read;
  const std::vector<Key> keys = keys_of(recipe);
  read_keys(keys, refused_keys(), parse_yaml(text, where), where, read);
  for (const std::string& assignment : overrides) read_override(keys, refused_keys(), assignment, read);
  if (recipe.finetune == Finetune::kFull) {
    if (!read.place_of.contains("quantization")) recipe.quantization = Quantization::kNone;
    if (!read.place_of.contains("train.learning_rate")) recipe.train.learning_rate = 2e-5;
  }
  check_together(recipe, where, read);
  raise_problems(read.problems);
  return recipe;
}

Recipe load_recipe(const fs::path& path, std::span<const std::string> overrides) {
  Recipe recipe = parse_recipe(read_file(path, std::uint64_t{1} << 20), path.string(), overrides);
  if (recipe.output.empty()) recipe.output = (fs::path("runs") / path.stem()).string();
  return recipe;
}

std::string to_yaml(const Recipe& recipe) {
  Recipe copy = recipe;  // the table binds to fields it may change
  std::vector<Key> keys = keys_of(copy);
  std::erase_if(keys, [&](const Key& key) {
    return (copy.finetune == Finetune::kFull && key.name.starts_with("lora.")) ||
           (copy.output.empty() && key.name == "output") || (copy.hub.repo.empty() && key.name.starts_with("hub.")) ||
           (copy.train.replay_data.empty() && key.name == "train.replay_data") ||
           (copy.hub.base_model.empty() && key.name == "hub.base_model") ||
           (copy.hub.license.empty() && key.name == "hub.license");
  });
  // An absent text is not the empty text to who reads it.
  std::erase_if(keys, [](const Key& key) {
    const auto* const text = std::get_if<std::string*>(&key.field);
    return text != nullptr && (*text)->empty() && (key.name.starts_with("track.") || key.name.starts_with("eval."));
  });
  return write_keys(keys);
}

bool operator==(const Recipe& a, const Recipe& b) { return to_yaml(a) == to_yaml(b); }

std::string recipe_reference() {
  Recipe defaults;
  return "# The recipe\n\n"
         "A recipe is YAML. `model` and `data` alone make a good run; every other key has a default. Paths "
         "are relative "
         "to the\ncurrent directory. `attune train RECIPE.yaml --set group.key=value` changes a key for one "
         "run. This "
         "text is printed by\n`attune train --help-recipe`.\n\n" +
         describe_keys(keys_of(defaults), refused_keys());
}

}  // namespace attune
