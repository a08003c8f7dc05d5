#include "check/data_check.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/utf8.h"
#include "batch/encode_all.h"
#include "check/language.h"
#include "check/repetitions.h"
#include "conversation/dataset.h"

namespace attune {
namespace {

constexpr std::size_t kBatch = 1024;               // rows encoded at once
constexpr std::uint64_t kSample = 500;             // conversations of a language whose texts are measured
constexpr std::uint64_t kEnoughCharacters = 2000;  // to call a tokenizer poor

std::uint64_t count_characters(std::string_view text) {
  return static_cast<std::uint64_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

struct PartFiles {
  std::vector<fs::path> train, valid;
};

PartFiles files_of(std::span<const std::string> paths) {
  PartFiles all;
  for (const std::string& path : paths) {
    const DatasetFiles files = dataset_files(path);
    all.train.insert(all.train.end(), files.train.begin(), files.train.end());
    all.valid.insert(all.valid.end(), files.valid.begin(), files.valid.end());
  }
  return all;
}

class Checker {
 public:
  Checker(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const CheckOptions& options)
      : chat_template_(chat_template),
        tokenizer_(tokenizer),
        options_(options),
        rows_(chat_template, tokenizer, options.max_length) {
    result_.max_length = options.max_length;
  }

  void read(const fs::path& file, bool valid) {
    valid_ = valid;
    std::uint64_t& count = valid ? result_.valid : result_.train;
    const auto step = [&] {
      ++count;
      if ((result_.train + result_.valid) % kBatch != 0) return;
      if (interrupt_requested()) throw Interrupted("[check] stopped; nothing was written");
      if (options_.progress) options_.progress(result_.train + result_.valid);
    };
    for_each_row(
        file,
        [&](Conversation&& conversation, const std::string& where) {
          conversations_.push_back(std::move(conversation));
          places_.push_back(where);
          step();
          if (conversations_.size() == kBatch) flush();
        },
        [&](const UserError& error) {
          result_.problems.add(Problem::kBadRow, error.what());
          step();
        });
    flush();
  }

  DataCheck finish() {
    result_.lengths = summarize_lengths(std::move(lengths_));
    for (auto& [name, share] : languages_) result_.languages.push_back(std::move(share));
    std::stable_sort(result_.languages.begin(), result_.languages.end(),
                     [](const auto& a, const auto& b) { return a.conversations > b.conversations; });
    return std::move(result_);
  }

 private:
  void flush() {
    std::vector<EncodedRow> encoded = encode_all(conversations_, chat_template_, tokenizer_);
    for (std::size_t i = 0; i < encoded.size(); ++i) {
      if (!encoded[i].refused.empty()) {
        result_.problems.add(Problem::kRefused, places_[i] + ": " + encoded[i].refused);
        continue;
      }
      rows_.check(conversations_[i], encoded[i], places_[i], result_.problems);
      if (!valid_) count(encoded[i]);
      compare(conversations_[i], places_[i]);
    }
    conversations_.clear();
    places_.clear();
  }

  void count(const EncodedRow& row) {
    const auto full = static_cast<std::int64_t>(row.tokens.size());
    const std::int64_t kept = std::min(full, options_.max_length);
    lengths_.push_back(full);
    // The first token is never a target.
    const auto trained = [&](std::int64_t from, std::int64_t to) {
      return from >= to ? 0 : std::count(row.mask.begin() + from, row.mask.begin() + to, 1);
    };
    const std::int64_t learnt = trained(1, kept);
    result_.cut_tokens += full - kept;
    result_.cut_trained_tokens += trained(std::max<std::int64_t>(kept, 1), full);
    if (learnt == 0) return;  // left out of training
    result_.tokens += kept;
    result_.trained_tokens += learnt;
    result_.epoch_lengths.push_back(kept);
  }

  // Languages and duplicates.
  void compare(const Conversation& conversation, const std::string& where) {
    std::string text;
    for (const Message& message : conversation.messages) text += message.content + "\n";
    const std::string language(guess_language(text));
    LanguageShare& share = languages_[language];
    share.language = language;
    if (++share.conversations <= kSample) {
      share.characters += count_characters(text);
      share.tokens += tokenizer_.encode(text).size();
    }
    repetitions_.check(conversation, valid_, where, result_.problems);
  }

  const ChatTemplate& chat_template_;
  const Tokenizer& tokenizer_;
  const CheckOptions& options_;
  const RowCheck rows_;
  bool valid_ = false;
  std::vector<Conversation> conversations_;  // not yet encoded
  std::vector<std::string> places_;
  Repetitions repetitions_;
  std::vector<std::int64_t> lengths_;
  std::map<std::string, LanguageShare> languages_;
  DataCheck result_;
};

}  // namespace

double LanguageShare::characters_per_token() const {
  return tokens == 0 ? 0 : static_cast<double>(characters) / static_cast<double>(tokens);
}

bool LanguageShare::poor() const {
  return language != "other" && characters >= kEnoughCharacters && characters_per_token() < poor_below(language);
}

DataCheck check_data(std::span<const std::string> paths, const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                     const CheckOptions& options) {
  Checker checker(chat_template, tokenizer, options);
  const PartFiles files = files_of(paths);
  for (const fs::path& file : files.train) checker.read(file, false);
  for (const fs::path& file : files.valid) checker.read(file, true);
  return checker.finish();
}

CheckedRow find_row(std::span<const std::string> paths, std::uint64_t number) {
  const PartFiles files = files_of(paths);
  std::uint64_t at = 0;
  std::optional<CheckedRow> found;
  for (const auto* part : {&files.train, &files.valid}) {
    for (const fs::path& file : *part) {
      if (at >= number) break;
      for_each_row(
          file,
          [&](Conversation&& conversation, const std::string& where) {
            if (++at == number) found = CheckedRow{where, std::move(conversation)};
          },
          [&](const UserError&) {
            if (++at == number) throw;
          });
    }
  }
  if (!found) throw UserError("[--row] expected 1 to {}, got {}", at, number);
  return *std::move(found);
}

Json to_json(const DataCheck& check) {
  Json languages = Json::array();
  for (const LanguageShare& share : check.languages) {
    languages.push_back(Json{{"language", share.language},
                             {"conversations", share.conversations},
                             {"characters_per_token", share.characters_per_token()},
                             {"poor", share.poor()}});
  }
  return {{"conversations", Json{{"train", check.train}, {"valid", check.valid}}},
          {"lengths", to_json(check.lengths)},
          {"tokens_per_epoch", Json{{"all", check.tokens}, {"trained", check.trained_tokens}}},
          {"max_length", check.max_length},
          {"suggested_max_length", suggested_max_length(check.lengths)},
          {"cut", Json{{"rows", check.problems.of[static_cast<std::size_t>(Problem::kCut)].rows},
                       {"tokens", check.cut_tokens},
                       {"trained_tokens", check.cut_trained_tokens}}},
          {"languages", std::move(languages)},
          {"errors", check.problems.errors()},
          {"warnings", check.problems.warnings()},
          {"problems", to_json(check.problems)}};
}

}  // namespace attune
