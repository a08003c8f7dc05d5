// What the terminal shows of a run: the start's table, the progress bar, the closing lines. Shared by train, demo and
// pretrain.
#pragma once

#include <memory>
#include <string>

#include "train/finetune.h"

namespace attune {

// Draws on stderr while a run goes on. Keep it alive as long as the run.
class TrainDisplay {
 public:
  TrainDisplay();
  ~TrainDisplay();
  LoopCallbacks callbacks();               // on_start begins the bar
  FinetuneCallbacks finetune_callbacks();  // the same; the start is printed first
  void begin(const RunStart& start);
  void note(const std::string& line);  // above the bar
  void end();                          // the bar's last line

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "1,016 conversations, ..." and the planned memory, to stdout.
void print_start(const FinetuneStart& start);
void print_summary(const FinetuneResult& result);

}  // namespace attune
