// The data of a run: what the recipe names, split into training and held-out conversations, as tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "batch/batch.h"
#include "check/row_check.h"
#include "conversation/dataset.h"
#include "train/recipe.h"

namespace attune {

struct TrainingData {
  TokenizedDataset train, valid;  // valid may be empty
  std::int64_t train_conversations = 0, valid_conversations = 0;
  std::int64_t replay_conversations = 0;  // in `train` as well, not counted in train_conversations
  std::string digest;                     // SHA-256 of all conversations: train, replayed, valid
  ProblemCounts problems;                 // warnings only
  bool cached = false;                    // mapped from a file (batch/token_cache.h) that was there before
};

// Rows read so far, of all; called now and then, and only while rows are tokenized.
using ReadProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Reads every file and folder of recipe.data, row by row. Held out: the valid.jsonl of folders that have one; else
// eval_share of the conversations, taken evenly over the whole order (it is time in an import) so that the choice needs
// no random numbers. With a cache (recipe.token_cache) the tokens are written to it and mapped, and found there the next
// time; the result is the same bit for bit. A cache that cannot be written is done without.
// Throws UserError/BadFile; refuses what attune data check calls an error, and data in which nothing would be trained on.
// Interrupted after Ctrl-C.
TrainingData load_training_data(const Recipe& recipe, const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                                const ReadProgress& progress = {});

// The conversations themselves, split alike, without what is replayed. Throws UserError/BadFile.
Dataset read_training_conversations(const Recipe& recipe);

}  // namespace attune
