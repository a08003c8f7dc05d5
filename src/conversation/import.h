// `attune import`: exports in, a folder of conversations out, and a ledger in which every line read is
// accounted for.
//   OUT/train.jsonl        conversations (conversation.h), oldest first
//   OUT/valid.jsonl        the last sessions in time, held out (split.h); absent when valid_share is 0 or there is only
//                          one session
//   OUT/ledger.json        the ledger
//   OUT/.redactions.json   what each replacement of a private value stands for: mode 0600, and read by nothing; absent
//                          when nothing was replaced
// The folder appears whole or not at all.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "conversation/importer.h"
#include "conversation/merge_logs.h"
#include "conversation/redact_logs.h"
#include "conversation/session_gap.h"
#include "conversation/windows.h"

namespace attune {

struct ImportOptions {
  std::vector<fs::path> paths;
  std::vector<std::string> me;  // names of the person that the model learns to be; several when it changed
  std::vector<Alias> aliases;   // --alias
  std::map<std::string, std::string> columns;  // --columns: time, sender, text, chat -> a table's own names
  fs::path output;
  std::string from;  // importer name; "" detects it for each path
  DateOrder date_order = DateOrder::kInfer;
  WindowOptions windows;
  bool learn_gap = false;       // windows.session_gap from the pauses of the chats, when they show a valley
  bool drop_duplicates = true;  // conversations that repeat another one
  double valid_share = 0.05;    // of the sessions, [0, 0.5]
  PrivacyOptions privacy;
};

struct ImportLedger {
  struct Chat {
    std::string source, format, dates, clock;
    std::uint64_t lines = 0, records = 0, entries = 0, messages = 0;
  };
  std::vector<Chat> chats;
  std::uint64_t lines = 0;     // of text files
  std::uint64_t records = 0;   // of structured exports
  std::uint64_t rows = 0;      // of the records those that are conversations already
  std::uint64_t entries = 0;   // dated entries: used + sum of dropped
  std::uint64_t messages = 0;  // with words of their sender
  std::uint64_t used = 0;      // messages that are in a conversation
  std::uint64_t edited = 0;    // "edited" markers removed
  DropCounts dropped{};
  std::vector<std::pair<std::string, std::uint64_t>> senders;  // messages each, most first
  std::vector<std::string> me;                                 // as written in the chats
  std::uint64_t sessions = 0, train = 0, valid = 0;            // conversations in the two files
  std::uint64_t repeated = 0, near_repeated = 0;               // conversations left out (split.h)
  SessionGap gap;                                              // pauses is 0 when it was not learnt
  std::string train_digest;                                    // dataset_digest of train.jsonl
  std::string digest;                                          // of train.jsonl and valid.jsonl: the data set's name
  bool redacted = false;                                       // false: --no-redact
  std::array<RedactionCount, kPrivateKinds> redactions{};      // by PrivateKind
};

// Does it all. Throws UserError or BadFile and leaves nothing behind.
ImportLedger import_chats(const ImportOptions& options);

Json to_json(const ImportLedger& ledger);
std::string to_text(const ImportLedger& ledger);  // for people, lines ending in '\n'

}  // namespace attune
