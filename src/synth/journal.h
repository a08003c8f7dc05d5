// Every reply that was paid for, kept: an append-only file of JSON lines, each on disk before it is used. A run that
// goes on after a kill asks it first, so nothing is asked twice. A line that a crash cut off is dropped.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/file.h"
#include "synth/language_model.h"

namespace attune {

// Names a call: SHA-256 of the model, the call and the attempt (0, 1, ...; an unusable reply is asked for again).
std::string call_key(const std::string& model, const ModelCall& call, int attempt);

struct JournalTotals {
  std::int64_t calls = 0, prompt_tokens = 0, reply_tokens = 0;
  std::int64_t estimated = 0;  // calls whose tokens the endpoint did not count
};

// Thread-safe. The file is made with the first reply, so a run that is refused leaves nothing.
class Journal {
 public:
  // Reads what is there and locks it: UserError when another process writes it, BadFile naming a damaged line.
  explicit Journal(fs::path path);
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  std::optional<ModelReply> find(const std::string& key) const;
  void add(const std::string& key, const ModelReply& reply);  // synced when it returns
  JournalTotals totals() const;                               // of all runs

 private:
  void open(bool create);
  void remember(std::string key, ModelReply reply);
  [[noreturn]] void fail(const char* action) const;

  struct Descriptor {
    int fd = -1;
    ~Descriptor();
  };

  const fs::path path_;
  Descriptor file_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, ModelReply> replies_;
  JournalTotals totals_;
};

// One line, without its '\n'. Throws BadFile.
std::pair<std::string, ModelReply> parse_journal_line(std::string_view line, const std::string& where);
std::string journal_line(const std::string& key, const ModelReply& reply);

}  // namespace attune
