// A run's folder: runs/NAME with everything that says what was done and what came out.
//
//   recipe.yaml      the effective recipe, every key
//   run.json         versions, data digest, planned and measured memory, result; status running|stopped|finished
//   metrics.jsonl    one line per logged step and evaluation
//   samples.json     a few held-out answers before and after, written by who measures them (eval/run_samples.h)
//   checkpoints/     see train/checkpoint.h
//   adapter/ (or model/)   the result, as PEFT (or transformers) reads it
#pragma once

#include "base/file.h"
#include "base/json.h"
#include "train/recipe.h"

namespace attune {

// Where the recipe's run lives.
fs::path run_folder_of(const Recipe& recipe);

// Where its result will be: adapter/, or model/ after full training.
fs::path result_of(const Recipe& recipe);

// Makes the folder and writes recipe.yaml. UserError when the run exists already (resume it or choose another output)
// or the place is not writable; nothing is left behind then.
void create_run_folder(const fs::path& folder, const Recipe& recipe);

// The recipe of an existing run; UserError when `folder` is not a run.
Recipe open_run_folder(const fs::path& folder);

// Whether a run of this recipe was begun in its folder. UserError when what is there is no run or one of another recipe.
bool run_exists(const Recipe& recipe);

// Replaces run.json.
void write_run_info(const fs::path& folder, const Json& info);

// Versions of what computes: attune, compiler, oneDNN, system, processor, threads and memory.
Json software_versions();

}  // namespace attune
