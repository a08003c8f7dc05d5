#include "train/training_data.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "conversation/dataset.h"

namespace attune {
namespace {

// Moves every 1/share-th conversation from `train` to `valid`; at least one stays in each.
void hold_out(std::vector<Conversation>& train, std::vector<Conversation>& valid, double share) {
  const auto held = static_cast<std::size_t>(std::floor(share * static_cast<double>(train.size())));
  if (held == 0) return;
  std::vector<Conversation> kept;
  for (std::size_t i = 0; i < train.size(); ++i) {
    // The i-th is held out when the number of held-out rows that should have occurred by then grows.
    const bool take = (i + 1) * held / train.size() > i * held / train.size();
    (take ? valid : kept).push_back(std::move(train[i]));
  }
  train = std::move(kept);
}

}  // namespace

TrainingData load_training_data(const Recipe& recipe, const ChatTemplate& chat_template, const Tokenizer& tokenizer) {
  std::vector<Conversation> train, valid;
  std::string names;
  for (const std::string& path : recipe.data) {
    Dataset part = read_dataset(path);
    std::move(part.train.begin(), part.train.end(), std::back_inserter(train));
    std::move(part.valid.begin(), part.valid.end(), std::back_inserter(valid));
    names += (names.empty() ? "" : ", ") + path;
  }
  if (valid.empty()) hold_out(train, valid, recipe.eval.eval_share);
  const auto limit = static_cast<std::size_t>(recipe.eval.eval_max);
  if (valid.size() > limit) valid.resize(limit);

  TrainingData data;
  data.train_conversations = static_cast<std::int64_t>(train.size());
  data.valid_conversations = static_cast<std::int64_t>(valid.size());
  std::vector<Conversation> all = train;
  all.insert(all.end(), valid.begin(), valid.end());
  data.digest = dataset_digest(all);
  data.train = tokenize(train, chat_template, tokenizer, recipe.train.max_length, recipe.train.assistant_only_loss, names);
  data.valid = tokenize(valid, chat_template, tokenizer, recipe.train.max_length, recipe.train.assistant_only_loss);
  return data;
}

}  // namespace attune
