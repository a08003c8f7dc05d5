#include "check/repetitions.h"

namespace attune {

void Repetitions::check(const Conversation& conversation, bool held_out, const std::string& where,
                        ProblemCounts& counts) {
  const auto print = fingerprint_of(conversation);
  // Rows of a data set have no session to belong to: each is its own group.
  const auto group = static_cast<std::uint32_t>(kept_.size());
  const bool again = seen_.find(print, conversation, group) != NearDuplicates::Found::kNothing;
  if (again) counts.add(held_out ? Problem::kLeak : Problem::kRepeated, where);
  if (again || held_out) return;
  seen_.add(print, kept_.add(conversation), group);
}

}  // namespace attune
