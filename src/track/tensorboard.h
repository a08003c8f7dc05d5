// TensorBoard as a destination: the points of a spool as scalars in event files.
//
// What is in the files already is known by counting their events (one for each record of points), so that neither a
// kill nor a resumed run leaves a point twice. Tags are train/KEY, eval/KEY and system/..., as the Trainer of
// transformers names them.
#pragma once

#include <memory>
#include <optional>

#include "track/delivery.h"
#include "track/event_file.h"

namespace attune {

class TensorBoard : public Destination {
 public:
  // `folder` is this run's own.
  explicit TensorBoard(fs::path folder);
  std::string name() const override;
  std::int64_t open() override;
  void deliver(std::span<const SpoolRecord> records) override;
  std::int64_t acknowledged() const override { return acknowledged_; }

 private:
  void put(std::span<const SpoolRecord> records);
  fs::path folder_;
  std::optional<EventFile> file_;  // made with the first point
  std::int64_t there_ = 0;         // records of points that are in older files and not passed yet
  std::int64_t passed_ = 0;        // records of points among those acknowledged
  std::int64_t acknowledged_ = 0;
};

// "loss" -> "train/loss", "eval_loss" -> "eval/loss", "system/..." stays.
std::string board_tag(const std::string& key);

}  // namespace attune
