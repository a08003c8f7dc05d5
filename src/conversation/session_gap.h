// How long a silence ends a conversation, learnt from the pauses between the messages themselves.
//
// People answer within minutes and fall silent for hours, so the histogram of the logarithms of all pauses has a hill on
// either side of a valley (Halfaker et al., "User Session Identification Based on Strong Regularities in Inter-activity
// Time", WWW 2015). The gap is the middle of that valley:
//   1. pauses of at least a minute go into bins of one octave (1-2 minutes, 2-4, 4-8, ...), since most exports round to
//      the minute; the counts are smoothed with weights 1 2 1
//   2. the valley is the bin from 8 minutes to 3 days that lies deepest under the lower of the two hills beside it
//   3. it counts only when that hill is at least 1.25 times as high, and when there are 100 pauses to judge by
#pragma once

#include <cstdint>
#include <span>

#include "conversation/chat_log.h"

namespace attune {

struct SessionGap {
  std::int64_t seconds = 0;  // a silence this long begins a new session
  std::uint64_t pauses = 0;  // looked at
  bool valley = false;       // false: the pauses show none, and `seconds` is the fallback
};

// Of all chats together: they are one person's habits. `fallback` in seconds.
SessionGap learn_session_gap(std::span<const ChatLog> logs, std::int64_t fallback);

}  // namespace attune
