// A training run's pushes: which checkpoints go to the Hub, handed to the run's spool and delivered in the background.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "train/finetune.h"

namespace attune {

class TrainHub {
 public:
  // Nothing without hub.repo. UserError before anything starts: a name that is none, no token.
  static std::unique_ptr<TrainHub> from(const Recipe& recipe);
  ~TrainHub();

  // Adds to the callbacks; this object must outlive the run. `note` shows a line: what is pushed and where to, before the
  // first push, and what goes wrong.
  void connect(FinetuneCallbacks& callbacks, std::function<void(const std::string&)> note);

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
