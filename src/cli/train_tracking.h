// What a training run tells the outside: the run's lock and its row in runs.sqlite, always; MLflow and TensorBoard, when
// the recipe names them.
#pragma once

#include <memory>

#include "track/tracker.h"
#include "train/finetune.h"

namespace attune {

TrackOptions track_options(const Recipe& recipe);

class TrainTracking {
 public:
  // Before anything is loaded. UserError: the run is being trained by another process; the recipe's `track` cannot work.
  TrainTracking(const Recipe& recipe, bool resume);
  ~TrainTracking();

  // Adds to the callbacks; this object must outlive the run.
  void connect(FinetuneCallbacks& callbacks);

  // After the last step: the files and the model, and a wait for their delivery as long as it moves. Says what became
  // of it.
  void finish(const FinetuneResult& result);

  // The run ended early.
  void stop(RunStatus status);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One line for each destination, to stdout.
void print_track_report(const TrackReport& report, const fs::path& run_folder);

}  // namespace attune
