// A training run's pushes: which checkpoints go to the Hub, handed to the run's spool and delivered in the background.
#pragma once

#include <memory>

#include "train/finetune.h"

namespace attune {

class TrainHub {
 public:
  // Nothing without hub.repo. UserError before anything starts: a name that is none, no token.
  static std::unique_ptr<TrainHub> from(const Recipe& recipe);
  ~TrainHub();

  // Adds to the callbacks; this object must outlive the run.
  void connect(FinetuneCallbacks& callbacks);

  // After the last step: the result goes to the spool too, and what waits gets a last minute. Says what became of it.
  void finish(const FinetuneResult& result);

  // The run ended early: says what waits.
  void stop();

 private:
  struct State;
  explicit TrainHub(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// `attune sync RUN`: delivers the pushes that wait in a run's folder. UserError when some still wait afterwards.
void sync_pushes(const fs::path& run);

}  // namespace attune
