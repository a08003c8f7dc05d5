// The data of a run: what the recipe names, split into training and held-out conversations, as tokens.
#pragma once

#include <string>
#include <vector>

#include "batch/batch.h"
#include "conversation/conversation.h"
#include "train/recipe.h"

namespace attune {

struct TrainingData {
  TokenizedDataset train, valid;          // valid may be empty
  std::int64_t train_conversations = 0, valid_conversations = 0;
  std::string digest;                     // SHA-256 of all conversations, train then valid
};

// Reads every file and folder of recipe.data. Held out: the valid.jsonl of folders that have one; else eval_share of
// the conversations, taken evenly over the whole order (it is time in an import) so that the choice needs no random
// numbers. Throws UserError/BadFile; refuses data in which nothing would be trained on.
TrainingData load_training_data(const Recipe& recipe, const ChatTemplate& chat_template, const Tokenizer& tokenizer);

}  // namespace attune
