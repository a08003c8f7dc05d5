// What a training run would make of a data set, before it starts: how long its conversations are in the tokens of a
// model, what is trained on and what is cut, what is wrong with which row, and how well the tokenizer knows the language.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "check/length_summary.h"
#include "check/row_check.h"
#include "token/chat_template.h"
#include "token/tokenizer.h"

namespace attune {

// The conversations of one language (language.h).
struct LanguageShare {
  std::string language;
  std::uint64_t conversations = 0;
  std::uint64_t characters = 0, tokens = 0;  // of their texts alone, in a sample of them
  double characters_per_token() const;
  bool poor() const;  // fewer characters per token than poor_below(), in enough text to say so
};

struct DataCheck {
  std::int64_t max_length = 0;
  std::uint64_t train = 0, valid = 0;                   // rows, bad ones included
  LengthSummary lengths;                                // of the training part, before cutting
  std::int64_t tokens = 0, trained_tokens = 0;          // of an epoch, after cutting
  std::int64_t cut_tokens = 0, cut_trained_tokens = 0;  // left out by cutting
  std::vector<std::int64_t> epoch_lengths;              // of the rows that are trained on, after cutting
  std::vector<LanguageShare> languages;                 // most conversations first
  ProblemCounts problems;
};

struct CheckOptions {
  std::int64_t max_length = 1024;
  std::function<void(std::uint64_t rows)> progress;  // now and then
};

// `paths` as a recipe names them under `data`. Every row is read, bad ones too. Throws UserError when there is nothing to
// read, and Interrupted.
DataCheck check_data(std::span<const std::string> paths, const ChatTemplate& chat_template, const Tokenizer& tokenizer,
                     const CheckOptions& options);

// One row of the data and where it stands.
struct CheckedRow {
  std::string where;
  Conversation conversation;
};
// Row `number` (from 1) of the training part, then of the held-out part, bad rows counted. UserError when there are fewer,
// or when that row is a bad one.
CheckedRow find_row(std::span<const std::string> paths, std::uint64_t number);

Json to_json(const DataCheck& check);

}  // namespace attune
