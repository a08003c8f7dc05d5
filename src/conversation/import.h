// `attune import`: exports in, a folder of conversations out, and a ledger in which every line read is
// accounted for.
//   OUT/train.jsonl   conversations (conversation.h), oldest first
//   OUT/valid.jsonl   the last sessions in time, held out; absent when valid_share is 0 or there is only one
//   session OUT/ledger.json   the ledger
// The folder appears whole or not at all.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "conversation/importer.h"
#include "conversation/windows.h"

namespace attune {

struct ImportOptions {
  std::vector<fs::path> paths;
  std::vector<std::string> me;  // names of the person that the model learns to be; several when it changed
  fs::path output;
  std::string from;  // importer name; "" detects it for each path
  DateOrder date_order = DateOrder::kInfer;
  WindowOptions windows;
  double valid_share = 0.05;  // of the sessions, [0, 0.5]
};

struct ImportLedger {
  struct Chat {
    std::string source, format, dates, clock;
    std::uint64_t lines = 0, entries = 0, messages = 0;
  };
  std::vector<Chat> chats;
  std::uint64_t lines = 0;     // read
  std::uint64_t entries = 0;   // dated entries: used + sum of dropped
  std::uint64_t messages = 0;  // with words of their sender
  std::uint64_t used = 0;      // messages that are in a conversation
  std::uint64_t edited = 0;    // "edited" markers removed
  DropCounts dropped{};
  std::vector<std::pair<std::string, std::uint64_t>> senders;  // messages each, most first
  std::vector<std::string> me;                                 // as written in the chats
  std::uint64_t sessions = 0, train = 0, valid = 0;            // conversations in the two files
  std::string train_digest;                                    // dataset_digest of train.jsonl
};

// Does it all. Throws UserError or BadFile and leaves nothing behind.
ImportLedger import_chats(const ImportOptions& options);

Json to_json(const ImportLedger& ledger);
std::string to_text(const ImportLedger& ledger);  // for people, lines ending in '\n'

}  // namespace attune
