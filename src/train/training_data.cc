#include "train/training_data.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "batch/encode_all.h"
#include "batch/token_cache.h"
#include "check/repetitions.h"
#include "conversation/dataset.h"
#include "train/token_key.h"

namespace attune {
namespace {

constexpr std::size_t kBatch = 2048;  // conversations encoded at once

struct Sources {
  std::vector<fs::path> train, valid, replay;
  std::string names;  // as in the recipe, for messages
  std::uint64_t bytes = 0;
};

Sources find_sources(const Recipe& recipe) {
  Sources sources;
  for (const std::string& path : recipe.data) {
    const DatasetFiles files = dataset_files(path);
    sources.train.insert(sources.train.end(), files.train.begin(), files.train.end());
    sources.valid.insert(sources.valid.end(), files.valid.begin(), files.valid.end());
    sources.names += (sources.names.empty() ? "" : ", ") + path;
  }
  for (const std::string& path : recipe.train.replay_data) {
    const DatasetFiles files = dataset_files(path);
    sources.replay.insert(sources.replay.end(), files.train.begin(), files.train.end());
  }
  for (const auto* part : {&sources.train, &sources.valid, &sources.replay}) {
    for (const fs::path& file : *part) {
      std::error_code error;
      const auto size = fs::file_size(file, error);
      if (!error) sources.bytes += size;
    }
  }
  return sources;
}

// `taken` of all rows (all of them where they are fewer), evenly over their order.
class EvenShare {
 public:
  EvenShare(std::uint64_t rows, double taken)
      : rows_(rows), taken_(std::min(rows, static_cast<std::uint64_t>(std::floor(taken)))) {}
  // The i-th is taken when the number of rows that should have been taken by then grows.
  bool takes(std::uint64_t i) const { return taken_ > 0 && (i + 1) * taken_ / rows_ > i * taken_ / rows_; }

 private:
  std::uint64_t rows_, taken_;
};

std::uint64_t rows_of(const std::vector<fs::path>& files) {
  std::uint64_t rows = 0;
  for (const fs::path& file : files) rows += count_rows(file);
  return rows;
}

// The cache cannot be written, or not to the end: no reason not to train.
struct NoRoom {};

// The writer of token_cache.h with its errors told apart from those of the data.
class CacheFile {
 public:
  CacheFile(const fs::path& path, const std::string& key) {
    attempt([&] { writer_.emplace(path, key); });
  }
  void append(TokenizedDataset& rows) {
    attempt([&] { writer_->append(rows); });
  }
  void commit(const TokenizedDataset& valid, const Json& extra) {
    attempt([&] { writer_->commit(valid, extra); });
  }

 private:
  template <typename Work>
  static void attempt(const Work& work) {
    try {
      work();
    } catch (const UserError&) {
      throw NoRoom();
    }
  }
  std::optional<TokenCacheWriter> writer_;
};

class Loader {
 public:
  Loader(const Recipe& recipe, const Sources& sources, const ChatTemplate& chat_template, const Tokenizer& tokenizer,
         const ReadProgress& progress)
      : recipe_(recipe),
        sources_(sources),
        chat_template_(chat_template),
        tokenizer_(tokenizer),
        progress_(progress),
        rows_(chat_template, tokenizer, recipe.train.max_length) {
    data_.train = data_.valid = make_tokenized_dataset();
  }

  // Into memory, or, with a cache, into its file: data.train is then empty.
  TrainingData run(CacheFile* cache) {
    const std::uint64_t own = rows_of(sources_.train), replayed = rows_of(sources_.replay);
    std::uint64_t read = 0;
    const EvenShare hold_out(sources_.valid.empty() ? own : 0, recipe_.eval.eval_share * static_cast<double>(own));
    const auto train_on = [&](Row&& row) {
      batch_.push_back(std::move(row));
      if (batch_.size() < kBatch) return;
      encode(data_.train, false);
      if (cache) cache->append(data_.train);
      if (progress_) progress_(read, own + replayed);
    };
    const auto end_part = [&] {
      encode(data_.train, false);
      if (cache) cache->append(data_.train);
      return std::exchange(encoded_, 0);
    };
    for_each(sources_.train, [&](Row&& row) {
      if (hold_out.takes(read++))
        hold(std::move(row));
      else
        train_on(std::move(row));
    });
    data_.train_conversations = end_part();
    const EvenShare replay(replayed, recipe_.train.replay_ratio * static_cast<double>(data_.train_conversations));
    for_each(sources_.replay, [&](Row&& row) {
      if (replay.takes(read++ - own)) train_on(std::move(row));
    });
    data_.replay_conversations = end_part();
    for_each(sources_.valid, [&](Row&& row) { hold(std::move(row)); });
    batch_ = std::move(held_);
    encode(data_.valid, true);
    data_.valid_conversations = encoded_;
    data_.digest = digest_.hex();
    refuse_errors(data_.problems, sources_.names);
    if (trained_rows_ == 0) {
      throw UserError(
          "[{}] no token would be trained on: {} conversations, {} without an assistant token within max_length {}; "
          "check "
          "the roles and max_length",
          sources_.names, data_.train_conversations, data_.train_conversations, recipe_.train.max_length);
    }
    if (cache) {
      cache->commit(data_.valid, Json{{"digest", data_.digest},
                                      {"train", data_.train_conversations},
                                      {"valid", data_.valid_conversations},
                                      {"replay", data_.replay_conversations},
                                      {"problems", to_json(data_.problems)}});
    }
    return std::move(data_);
  }

 private:
  struct Row {
    Conversation conversation;
    std::string where;
  };

  // Every row in order; the first bad one is thrown.
  template <typename Visit>
  void for_each(const std::vector<fs::path>& files, const Visit& visit) {
    for (const fs::path& file : files) {
      bool any = false;
      for_each_row(
          file,
          [&](Conversation&& conversation, const std::string& where) {
            any = true;
            visit({std::move(conversation), where});
          },
          [](const UserError&) { throw; });
      if (!any) throw BadFile("[{}] the file has no row", file.string());
    }
  }

  void hold(Row&& row) {
    if (held_.size() < static_cast<std::size_t>(recipe_.eval.eval_max)) held_.push_back(std::move(row));
  }

  // Adds the rows of batch_ to `to`.
  void encode(TokenizedDataset& to, bool held_out) {
    if (interrupt_requested()) throw Interrupted("[train] stopped while the data was tokenized; nothing was written");
    std::vector<Conversation> conversations;
    for (Row& row : batch_) conversations.push_back(std::move(row.conversation));
    std::vector<EncodedRow> encoded = encode_all(conversations, chat_template_, tokenizer_);
    const std::int64_t before = to.rows();
    for (std::size_t i = 0; i < encoded.size(); ++i) {
      EncodedRow& row = encoded[i];
      if (!row.refused.empty()) throw UserError(row.refused);
      rows_.check(conversations[i], row, batch_[i].where, data_.problems);
      if (!recipe_.train.assistant_only_loss) std::fill(row.mask.begin(), row.mask.end(), std::uint8_t{1});
      append_row(to, row, recipe_.train.max_length);
      digest_.update(to_json_line(to_json(conversations[i])) + "\n");
      repetitions_.check(conversations[i], held_out, batch_[i].where, data_.problems);
      ++encoded_;
    }
    if (!held_out) trained_rows_ += to.rows() - before;
    batch_.clear();
  }

  const Recipe& recipe_;
  const Sources& sources_;
  const ChatTemplate& chat_template_;
  const Tokenizer& tokenizer_;
  const ReadProgress& progress_;
  const RowCheck rows_;
  Repetitions repetitions_;
  Sha256 digest_;
  std::vector<Row> batch_, held_;
  std::int64_t encoded_ = 0, trained_rows_ = 0;
  TrainingData data_;
};

TrainingData from_cache(CachedTokens&& tokens, const std::string& where) {
  TrainingData data;
  data.train = std::move(tokens.train);
  data.valid = std::move(tokens.valid);
  data.train_conversations = json_require<std::int64_t>(tokens.extra, "train", where);
  data.valid_conversations = json_require<std::int64_t>(tokens.extra, "valid", where);
  data.replay_conversations = json_require<std::int64_t>(tokens.extra, "replay", where);
  data.digest = json_require<std::string>(tokens.extra, "digest", where);
  data.problems = problem_counts_from_json(tokens.extra.value("problems", Json::object()));
  return data;
}

}  // namespace

Dataset read_training_conversations(const Recipe& recipe) {
  const Sources sources = find_sources(recipe);
  const std::uint64_t own = rows_of(sources.train);
  const EvenShare hold_out(sources.valid.empty() ? own : 0, recipe.eval.eval_share * static_cast<double>(own));
  Dataset data;
  std::uint64_t read = 0;
  for (const fs::path& file : sources.train) {
    for_each_conversation(file, [&](Conversation&& conversation) {
      (hold_out.takes(read++) ? data.valid : data.train).push_back(std::move(conversation));
    });
  }
  for (const fs::path& file : sources.valid) {
    for_each_conversation(file, [&](Conversation&& conversation) { data.valid.push_back(std::move(conversation)); });
  }
  const auto limit = static_cast<std::size_t>(recipe.eval.eval_max);
  if (data.valid.size() > limit) data.valid.resize(limit);
  return data;
}

TrainingData load_training_data(const Recipe& recipe, const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                                const ReadProgress& progress) {
  const Sources sources = find_sources(recipe);
  const fs::path folder = token_cache_folder(recipe, chat_template, sources.bytes);
  std::string key;
  fs::path path;
  if (!folder.empty()) {
    key = token_key(recipe, chat_template, sources.train, sources.valid, sources.replay);
    path = folder / (key + ".tokens");
    if (auto tokens = open_token_cache(path, key, tokenizer.vocab_size())) {
      TrainingData data = from_cache(std::move(*tokens), path.string());
      data.cached = true;
      return data;
    }
  }
  if (!path.empty()) {
    try {
      CacheFile cache(path, key);
      Loader(recipe, sources, chat_template, tokenizer, progress).run(&cache);
      if (auto tokens = open_token_cache(path, key, tokenizer.vocab_size())) {
        return from_cache(std::move(*tokens), path.string());
      }
    } catch (const NoRoom&) {
      // Memory will have to do.
    }
  }
  return Loader(recipe, sources, chat_template, tokenizer, progress).run(nullptr);
}

}  // namespace attune
