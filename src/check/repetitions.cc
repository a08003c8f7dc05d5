#include "check/repetitions.h"

#include <utility>

namespace attune {
namespace {

constexpr std::size_t kMostBytes = std::size_t{512} << 20;

}  // namespace

void Repetitions::check(Conversation&& conversation, bool held_out, const std::string& where, ProblemCounts& counts) {
  const auto print = seen_.fingerprint(conversation);
  // Rows of a data set have no session to belong to: each is its own group.
  const bool again = seen_.find(print, conversation, kept_.size()) != NearDuplicates::Found::kNothing;
  if (again) counts.add(held_out ? Problem::kLeak : Problem::kRepeated, where);
  if (again || held_out || bytes_ > kMostBytes) return;
  for (const Message& message : conversation.messages) bytes_ += message.content.size();
  kept_.push_back(std::move(conversation));
  seen_.add(print, kept_.back(), kept_.size() - 1);
}

}  // namespace attune
