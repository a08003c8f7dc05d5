// What holds for every importer whatever its bytes are: they are refused with a UserError, or give logs in which every
// entry is accounted for and that become conversations which training data may have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/conversation_store.h"
#include "conversation/importer.h"
#include "conversation/windows.h"

namespace attune {

inline void require(bool holds) {
  if (!holds) std::abort();
}

inline void check_log(const ChatLog& log) {
  const auto total = [](const DropCounts& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  };
  require(log.entries == log.messages.size() + total(log.dropped));
  for (const ChatMessage message : log.messages) {
    require(!message.text.empty() && !message.sender.empty());
    require(is_valid_utf8(message.text) && is_valid_utf8(message.sender));
  }
  if (log.messages.empty()) return;
  ConversationStore store;
  const std::string me(log.messages.back().sender);
  const SessionCounts counts = make_sessions(log, {me}, {}, [&](const MessageSession& session) {
    for (const Conversation& conversation : session.windows) require(store[store.add(conversation)] == conversation);
  });
  require(counts.used + total(counts.dropped) == log.messages.size());
}

// Detects and reads `data` as a file called `name`.
inline int fuzz_importer(const char* importer, const char* name, const std::uint8_t* data, std::size_t size) {
  const Importer& target = importer_named(importer);
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  target.detect(name, decode_head(bytes));
  ReadOptions options;
  options.me = {"Me"};
  Imported imported;
  try {
    imported = target.read(ExportFiles(name, bytes), {name}, options);
  } catch (const UserError&) {
    return 0;
  }
  for (const ChatLog& log : imported.logs) check_log(log);
  return 0;
}

}  // namespace attune
