// Tokens of a data set, and the micro-batches a training step takes from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "batch/column.h"
#include "batch/packing.h"
#include "conversation/conversation.h"
#include "token/encode.h"

namespace attune {

// Every conversation as tokens with its loss mask, laid end to end.
struct TokenizedDataset {
  Column<TokenId> tokens;
  Column<std::uint8_t> mask;    // 1: trained on as a target
  Column<std::int64_t> starts;  // of each conversation, then the total
  std::int64_t cut_rows = 0;    // longer than max_length, their end left out
  std::int64_t cut_tokens = 0;
  std::int64_t untrained_rows = 0;  // with no trained token; they are left out

  std::int64_t rows() const { return static_cast<std::int64_t>(starts.size()) - 1; }
  std::int64_t length(std::int64_t row) const;
  std::int64_t trained_tokens() const;
  std::vector<std::int64_t> lengths() const;
};

// An empty data set to append to.
TokenizedDataset make_tokenized_dataset();
// Adds one row, cut to max_length; a row without a trained token (as a target: the first token never is one) is counted
// and left out.
void append_row(TokenizedDataset& dataset, const EncodedConversation& row, std::int64_t max_length);

// All of them. With assistant_only false every token is a target.
TokenizedDataset tokenize(std::span<const Conversation> conversations, const ChatTemplate& chat_template,
                          const Tokenizer& tokenizer, std::int64_t max_length, bool assistant_only);

// The same for data that must teach something; UserError (with the counts) when nothing in `conversations` would be trained on. `what` names the data
// in that message.
TokenizedDataset tokenize(std::span<const Conversation> conversations, const ChatTemplate& chat_template,
                          const Tokenizer& tokenizer, std::int64_t max_length, bool assistant_only,
                          const std::string& what);

// One micro-batch: sequences end to end. Reused from step to step; its vectors never grow past their first capacity.
struct Batch {
  std::vector<std::int32_t> ids, positions, targets;  // [N]; target kNoTarget (-1) where nothing is trained
  std::vector<std::int32_t> sequence_starts;          // of each sequence, then N
  std::int64_t supervised_tokens = 0;
  std::int64_t used_tokens = 0;  // without the padding at the end

  std::span<const std::int32_t> used_starts() const;  // sequence_starts without the padding's
  void reserve(std::int64_t tokens);
};

// Fills `batch` with the given rows' conversations, then pads with an untrained sequence to a multiple of
// kTokenMultiple, so that products come in few shapes.
inline constexpr std::int64_t kTokenMultiple = 32;
void fill_batch(Batch& batch, const TokenizedDataset& dataset, std::span<const PackedRow> rows);

// Where a run stands in its data; what a checkpoint stores.
struct DataPosition {
  std::int64_t epoch = 0;
  std::int64_t row = 0;  // of the epoch's rows
};

}  // namespace attune
