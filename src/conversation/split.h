// The sessions of an import -> training and held-out conversations between which nothing leaks.
//
//   1. conversations that repeat an earlier one, exactly or nearly (near_duplicates.h), are left out
//   2. whole sessions are held out, the last in time: a random choice would leave their neighbours in the training part,
//      and a conversation's other half
//   3. what was to be held out and repeats a training conversation is left out even when step 1 is off
#pragma once

#include <cstdint>
#include <vector>

#include "conversation/windows.h"

namespace attune {

struct SplitOptions {
  double valid_share = 0.05;    // of the sessions, [0, 0.5]
  bool drop_duplicates = true;  // step 1
  double near_duplicate = 0.8;  // similarity from which on a conversation repeats another, (0, 1]
};

struct DatasetSplit {
  std::vector<Conversation> train, valid;         // in order of time
  std::uint64_t sessions = 0;                     // that have a conversation left
  std::uint64_t repeated = 0, near_repeated = 0;  // conversations left out
  DropCounts dropped{};  // their messages that no other conversation has: kRepeated, kNearRepeated
};

DatasetSplit split_sessions(std::vector<MessageSession> sessions, const SplitOptions& options);

}  // namespace attune
