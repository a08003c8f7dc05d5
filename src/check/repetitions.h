// Conversations of a data set that repeat an earlier one, exactly or nearly, within the training part and across the
// split.
#pragma once

#include <string>

#include "check/row_check.h"
#include "conversation/near_duplicates.h"

namespace attune {

class Repetitions {
 public:
  Repetitions() = default;
  Repetitions(const Repetitions&) = delete;
  Repetitions& operator=(const Repetitions&) = delete;

  // Counts kRepeated, or kLeak for a held-out conversation. All of the training part must come before the held-out one.
  void check(const Conversation& conversation, bool held_out, const std::string& where, ProblemCounts& counts);

 private:
  ConversationStore kept_;
  NearDuplicates seen_{kept_};
};

}  // namespace attune
