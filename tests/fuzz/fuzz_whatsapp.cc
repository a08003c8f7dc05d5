// Chat exports from outside: any bytes are either refused with a UserError or give a log in which every dated entry is
// accounted for, and conversations that training data may have.
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/conversation.h"
#include "conversation/whatsapp.h"
#include "conversation/windows.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  attune::ChatLog log;
  try {
    log = attune::parse_whatsapp({reinterpret_cast<const char*>(data), size}, "fuzz", {});
  } catch (const attune::UserError&) {
    return 0;
  }
  const auto total = [](const attune::DropCounts& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  };
  require(log.entries == log.messages.size() + total(log.dropped));
  require(log.entries <= log.lines);
  for (const attune::ChatMessage message : log.messages) {
    require(!message.text.empty() && !message.sender.empty());
    require(attune::is_valid_utf8(message.text) && attune::is_valid_utf8(message.sender));
  }
  if (log.messages.empty()) return 0;
  const auto sessions = attune::make_sessions(log, {std::string(log.messages.back().sender)}, {});
  require(sessions.used + total(sessions.dropped) == log.messages.size());
  for (const attune::MessageSession& session : sessions.list) {
    for (const attune::Conversation& conversation : session.windows) {
      require(attune::conversation_from_json(attune::to_json(conversation), "fuzz") == conversation);
    }
  }
  return 0;
}
