// Conversations of a data set that repeat an earlier one, exactly or nearly, within the training part and across the
// split.
#pragma once

#include <deque>
#include <string>

#include "check/row_check.h"
#include "conversation/near_duplicates.h"

namespace attune {

class Repetitions {
 public:
  // Counts kRepeated, or kLeak for a held-out conversation. All of the training part must come before the held-out one.
  // Beyond 512 MB of text, conversations are still compared, but no longer kept to compare with.
  void check(Conversation&& conversation, bool held_out, const std::string& where, ProblemCounts& counts);

 private:
  std::deque<Conversation> kept_;  // what seen_ points to
  std::size_t bytes_ = 0;
  NearDuplicates seen_{{}};
};

}  // namespace attune
