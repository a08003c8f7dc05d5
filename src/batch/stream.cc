#include "batch/stream.h"

#include <algorithm>

namespace attune {

BatchStream::BatchStream(const TokenizedDataset& dataset, const PackingOptions& options, std::int64_t rows_per_batch,
                         DataPosition position)
    : dataset_(dataset),
      options_(options),
      rows_per_batch_(rows_per_batch),
      lengths_(dataset.lengths()),
      position_(position),
      rows_(pack(position.epoch)) {}

std::vector<PackedRow> BatchStream::pack(std::int64_t epoch) const { return pack_epoch(lengths_, epoch, options_); }

bool BatchStream::at_epoch_end() const { return position_.row >= static_cast<std::int64_t>(rows_.size()); }

void BatchStream::next(Batch& batch) {
  if (at_epoch_end()) {
    position_ = {position_.epoch + 1, 0};
    rows_ = pack(position_.epoch);
  }
  const auto rows = static_cast<std::int64_t>(rows_.size());
  const std::int64_t count = std::min(rows_per_batch_, rows - position_.row);
  fill_batch(batch, dataset_,
             std::span(rows_).subspan(static_cast<std::size_t>(position_.row), static_cast<std::size_t>(count)));
  position_.row += count;
}

double BatchStream::epochs_done() const {
  return static_cast<double>(position_.epoch) + static_cast<double>(position_.row) / static_cast<double>(rows_.size());
}

BatchStream::EpochSize BatchStream::size_of_epoch(std::int64_t epoch) const {
  EpochSize size;
  std::int64_t tokens = 0, in_batch = 0;
  const auto close = [&] {
    if (in_batch == 0) return;
    ++size.batches;
    size.largest_tokens = std::max(size.largest_tokens, tokens);
    tokens = in_batch = 0;
  };
  for (const PackedRow& row : pack(epoch)) {
    for (const std::int32_t i : row) tokens += lengths_[static_cast<std::size_t>(i)];
    if (++in_batch == rows_per_batch_) close();
  }
  close();
  size.largest_tokens = (size.largest_tokens + kTokenMultiple - 1) / kTokenMultiple * kTokenMultiple;
  return size;
}

}  // namespace attune
