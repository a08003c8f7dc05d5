// attune generate --prompts: the answers of a model to many prompts, as conversations to train on.
#pragma once

#include <string>

#include "cli/speak.h"

namespace attune {

struct AnswerFileOptions {
  std::string prompts;  // a file with a prompt a line, or "general": those that come with the program
  std::string system;   // instructions before each; may be empty
  std::string output;   // JSONL, which must not exist
  bool json = false;    // how the result is told
};

// `speak` is settled. A row for each answer that ended by itself: one that was cut would teach to stop anywhere. Answer i
// draws from seed + i. Nothing is written unless all is. UserError for wrong prompts and when no answer ended, Interrupted
// after Ctrl-C.
void write_answers(const AnswerFileOptions& options, const SpeakOptions& speak);

}  // namespace attune
