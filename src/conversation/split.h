// The sessions of an import -> training and held-out conversations between which nothing leaks.
//
//   1. conversations that repeat an earlier one, exactly or nearly (near_duplicates.h), are left out
//   2. whole sessions are held out, the last in time: a random choice would leave their neighbours in the training part,
//      and a conversation's other half
//   3. what was to be held out and repeats a training conversation is left out even when step 1 is off
#pragma once

#include <cstdint>
#include <vector>

#include "base/spill.h"
#include "conversation/conversation_store.h"
#include "conversation/near_duplicates.h"
#include "conversation/windows.h"

namespace attune {

// Sessions by the hundred thousand: their words lie in a store, and of the rest only numbers are kept.
class SessionPool {
 public:
  struct Window {
    std::uint32_t begin, end;  // exchanges of the session
  };
  struct Session {
    std::int64_t time;                // of its first message
    std::uint32_t window, windows;    // the first, and how many; as in conversations()
    std::size_t exchange, exchanges;  // likewise of the messages in each exchange
  };

  void add(const MessageSession& session);
  const std::vector<Session>& sessions() const { return sessions_; }
  const ConversationStore& conversations() const { return conversations_; }
  const SpillVector<Fingerprint>& fingerprints() const { return fingerprints_; }
  const Window& window(std::uint32_t number) const { return windows_[number]; }
  std::uint32_t messages(const Session& session, std::size_t exchange) const {
    return messages_[session.exchange + exchange];
  }

 private:
  std::vector<Session> sessions_;
  std::vector<Window> windows_;  // of conversation 0, 1, ...
  std::vector<std::uint32_t> messages_;
  ConversationStore conversations_;
  SpillVector<Fingerprint> fingerprints_;  // likewise
};

struct SplitOptions {
  double valid_share = 0.05;    // of the sessions, [0, 0.5]
  bool drop_duplicates = true;  // step 1
  double near_duplicate = 0.8;  // similarity from which on a conversation repeats another, (0, 1]
};

struct DatasetSplit {
  std::vector<std::uint32_t> train, valid;        // conversations of the pool, in order of time
  std::uint64_t sessions = 0;                     // that have a conversation left
  std::uint64_t repeated = 0, near_repeated = 0;  // conversations left out
  DropCounts dropped{};  // their messages that no other conversation has: kRepeated, kNearRepeated
};

DatasetSplit split_sessions(const SessionPool& pool, const SplitOptions& options);

}  // namespace attune
