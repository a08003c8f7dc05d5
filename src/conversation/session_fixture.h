// For tests: all sessions of a log at once.
#pragma once

#include <string>
#include <vector>

#include "conversation/windows.h"

namespace attune {

struct MadeSessions : SessionCounts {
  std::vector<MessageSession> list;
};

inline MadeSessions all_sessions(const ChatLog& log, const std::vector<std::string>& me, const WindowOptions& options) {
  MadeSessions made;
  static_cast<SessionCounts&>(made) =
      make_sessions(log, me, options, [&](const MessageSession& session) { made.list.push_back(session); });
  return made;
}

}  // namespace attune
