// The groups of keys that the recipes of fine-tuning and pretraining share. The keys point into their argument.
#pragma once

#include <vector>

#include "train/key_table.h"
#include "train/recipe.h"

namespace attune {

std::vector<Key> train_keys(TrainRecipe& recipe);
std::vector<Key> save_keys(SaveRecipe& recipe);

}  // namespace attune
