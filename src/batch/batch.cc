#include "batch/batch.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace attune {

std::int64_t TokenizedDataset::length(std::int64_t row) const {
  return starts[static_cast<std::size_t>(row) + 1] - starts[static_cast<std::size_t>(row)];
}

std::int64_t TokenizedDataset::trained_tokens() const {
  return std::accumulate(mask.begin(), mask.end(), std::int64_t{0});
}

std::vector<std::int64_t> TokenizedDataset::lengths() const {
  std::vector<std::int64_t> all;
  for (std::int64_t row = 0; row < rows(); ++row) all.push_back(length(row));
  return all;
}

TokenizedDataset make_tokenized_dataset() {
  TokenizedDataset dataset;
  dataset.starts.push_back(0);
  return dataset;
}

void append_row(TokenizedDataset& dataset, const EncodedConversation& row, std::int64_t max_length) {
  const auto full = static_cast<std::int64_t>(row.tokens.size());
  const std::int64_t kept = std::min(full, max_length);
  if (kept < full) {
    ++dataset.cut_rows;
    dataset.cut_tokens += full - kept;
  }
  const auto mask_end = row.mask.begin() + kept;
  if (kept < 2 || std::find(row.mask.begin() + 1, mask_end, 1) == mask_end) {
    ++dataset.untrained_rows;
    return;
  }
  std::vector<TokenId>& tokens = dataset.tokens.own();
  std::vector<std::uint8_t>& mask = dataset.mask.own();
  tokens.insert(tokens.end(), row.tokens.begin(), row.tokens.begin() + kept);
  mask.insert(mask.end(), row.mask.begin(), mask_end);
  mask[static_cast<std::size_t>(dataset.starts.back())] = 0;  // nothing comes before the first token
  dataset.starts.push_back(static_cast<std::int64_t>(dataset.tokens.size()));
}

TokenizedDataset tokenize(std::span<const Conversation> conversations, const ChatTemplate& chat_template,
                          const Tokenizer& tokenizer, std::int64_t max_length, bool assistant_only) {
  TokenizedDataset dataset = make_tokenized_dataset();
  for (const Conversation& conversation : conversations) {
    EncodedConversation row = encode_conversation(conversation, chat_template, tokenizer);
    if (!assistant_only) std::fill(row.mask.begin(), row.mask.end(), std::uint8_t{1});
    append_row(dataset, row, max_length);
  }
  return dataset;
}

TokenizedDataset tokenize(std::span<const Conversation> conversations, const ChatTemplate& chat_template,
                          const Tokenizer& tokenizer, std::int64_t max_length, bool assistant_only,
                          const std::string& what) {
  TokenizedDataset dataset = tokenize(conversations, chat_template, tokenizer, max_length, assistant_only);
  if (dataset.rows() == 0) {
    throw UserError(
        "[{}] no token would be trained on: {} conversations, {} without an assistant token within "
        "max_length {}; check the roles and max_length",
        what, conversations.size(), dataset.untrained_rows, max_length);
  }
  return dataset;
}

std::span<const std::int32_t> Batch::used_starts() const {
  const bool padded = used_tokens < static_cast<std::int64_t>(ids.size());
  return std::span(sequence_starts).first(sequence_starts.size() - (padded ? 1 : 0));
}

void Batch::reserve(std::int64_t tokens) {
  for (auto* column : {&ids, &positions, &targets, &sequence_starts}) {
    column->reserve(static_cast<std::size_t>(tokens + kTokenMultiple) + 1);
  }
}

void fill_batch(Batch& batch, const TokenizedDataset& dataset, std::span<const PackedRow> rows) {
  constexpr std::int32_t kNoTarget = -1;
  for (auto* column : {&batch.ids, &batch.positions, &batch.targets, &batch.sequence_starts}) column->clear();
  batch.supervised_tokens = 0;
  batch.sequence_starts.push_back(0);
  for (const PackedRow& row : rows) {
    for (const std::int32_t conversation : row) {
      const auto first = static_cast<std::size_t>(dataset.starts[static_cast<std::size_t>(conversation)]);
      const auto end = static_cast<std::size_t>(dataset.starts[static_cast<std::size_t>(conversation) + 1]);
      for (std::size_t i = first; i < end; ++i) {
        const bool trained = i + 1 < end && dataset.mask[i + 1] != 0;
        batch.ids.push_back(dataset.tokens[i]);
        batch.positions.push_back(static_cast<std::int32_t>(i - first));
        batch.targets.push_back(trained ? dataset.tokens[i + 1] : kNoTarget);
        batch.supervised_tokens += trained;
      }
      batch.sequence_starts.push_back(static_cast<std::int32_t>(batch.ids.size()));
    }
  }
  const std::size_t used = batch.ids.size();
  batch.used_tokens = static_cast<std::int64_t>(used);
  const std::size_t padded = (used + kTokenMultiple - 1) / kTokenMultiple * kTokenMultiple;
  for (std::size_t i = used; i < padded; ++i) {
    batch.ids.push_back(0);
    batch.positions.push_back(static_cast<std::int32_t>(i - used));
    batch.targets.push_back(kNoTarget);
  }
  if (padded > used) batch.sequence_starts.push_back(static_cast<std::int32_t>(padded));
}

}  // namespace attune
