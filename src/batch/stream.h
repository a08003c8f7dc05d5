// The endless sequence of micro-batches of a run, epoch after epoch, which can be left and entered at any point.
#pragma once

#include <vector>

#include "batch/batch.h"

namespace attune {

class BatchStream {
 public:
  // `rows_per_batch` rows make a micro-batch; the last one of an epoch may have fewer. `dataset` must outlive this.
  BatchStream(const TokenizedDataset& dataset, const PackingOptions& options, std::int64_t rows_per_batch,
              DataPosition position = {});

  void next(Batch& batch);    // fills the next micro-batch and moves on
  bool at_epoch_end() const;  // the next micro-batch begins a new epoch
  const DataPosition& position() const { return position_; }
  double epochs_done() const;  // fractional

  // Of one epoch, computed by packing it: micro-batches, and tokens of the largest of them.
  struct EpochSize {
    std::int64_t batches = 0, largest_tokens = 0;
  };
  EpochSize size_of_epoch(std::int64_t epoch) const;

 private:
  std::vector<PackedRow> pack(std::int64_t epoch) const;
  const TokenizedDataset& dataset_;
  PackingOptions options_;
  std::int64_t rows_per_batch_;
  std::vector<std::int64_t> lengths_;
  DataPosition position_;
  std::vector<PackedRow> rows_;  // of position_.epoch
};

}  // namespace attune
