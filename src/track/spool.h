// The spool of a run: everything that is to be told to the outside, in order, on the local disk first.
//
// runs/NAME/spool/journal holds one record per line, `SEQUENCE CRC JSON\n`: the sequence counts from 1 without gaps, the
// CRC-32C (8 hexadecimal digits) is that of "SEQUENCE JSON". Records are only ever appended, by one process at a time.
// How far each destination has come is the destination's own to remember (track/delivery.h).
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace attune {

struct SpoolRecord {
  std::int64_t sequence = 0;
  Json value;
};

std::string spool_line(std::int64_t sequence, const Json& value);
// nullopt for a damaged line; `line` without its newline.
std::optional<SpoolRecord> parse_spool_line(std::string_view line);

// Appends; safe to use from several threads. An append costs a write to the page cache and never throws, waits for the
// disk or blocks on who delivers: what a full disk refuses stays in memory and is written with the next append.
class SpoolWriter {
 public:
  // Opens the journal, made when missing. A line torn by a crash is cut off. UserError when it cannot be opened.
  explicit SpoolWriter(const fs::path& journal);
  ~SpoolWriter();
  SpoolWriter(const SpoolWriter&) = delete;
  SpoolWriter& operator=(const SpoolWriter&) = delete;

  std::int64_t append(const Json& value);  // its sequence number
  std::int64_t last_sequence() const;
  bool sync();  // to the disk; false when something could not be written yet

 private:
  void write_pending();
  mutable std::mutex mutex_;
  std::string pending_;
  std::int64_t last_ = 0;
  int fd_ = -1;
};

// Reads a journal that may be growing: a last line without its newline is not there yet. Damaged lines are passed over
// and counted. One thread at a time.
class SpoolReader {
 public:
  explicit SpoolReader(const fs::path& journal, std::int64_t after_sequence = 0);
  ~SpoolReader();
  SpoolReader(const SpoolReader&) = delete;
  SpoolReader& operator=(const SpoolReader&) = delete;

  std::optional<SpoolRecord> next();  // nullopt: no more for now
  std::int64_t damaged() const { return damaged_; }

 private:
  bool fill();
  fs::path path_;
  std::string buffer_;
  std::size_t begin_ = 0;
  std::int64_t last_, damaged_ = 0;
  int fd_ = -1;
};

}  // namespace attune
