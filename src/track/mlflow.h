// MLflow as a destination: the records of a spool told to a store, each once.
//
// runs/NAME/spool/mlflow.json remembers the run's id, how far the store has acknowledged, and how far anything was ever
// attempted. What lies between the two may have arrived without our knowing (a timeout, a kill -9): the store is asked
// which of those points it has before they are sent again. What the store refuses for good is written to mlflow.refused
// beside it, and the rest goes on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "track/delivery.h"
#include "track/event.h"
#include "track/mlflow_store.h"

namespace attune {

class Mlflow : public Destination {
 public:
  // `run_folder` has spool/ in it.
  Mlflow(std::unique_ptr<MlflowStore> store, fs::path run_folder, std::string experiment);
  std::string name() const override { return store_->name(); }
  std::int64_t open() override;
  void deliver(std::span<const SpoolRecord> records) override;
  std::int64_t acknowledged() const override { return acknowledged_; }
  std::vector<std::string> take_notes() override { return std::exchange(notes_, {}); }

 private:
  void attempt(std::int64_t sequence);
  void save() const;
  bool uncertain(std::int64_t sequence) const { return sequence <= attempted_; }
  void tell(const Event& event);
  void begin(const RunBegun& begun);
  void add_params(const TextPairs& params);
  void put_points(std::span<const MlflowPoint> points, bool again);
  void put_artifact(const Artifact& artifact);
  void put_model(const ModelMade& model);
  void refused(const std::string& what, const std::string& why);

  std::unique_ptr<MlflowStore> store_;
  const fs::path folder_, state_file_;
  const std::string experiment_;
  MlflowRun run_;
  std::int64_t acknowledged_ = 0, attempted_ = 0;
  std::vector<std::string> notes_;
};

// The files of `folder` (or the one file), named below `path`, in the order of their names. Empty when there is none.
std::vector<MlflowFile> files_below(const fs::path& folder, const std::string& path);

}  // namespace attune
