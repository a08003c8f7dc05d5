// Rows of comma-separated values (RFC 4180): fields in quotes may hold commas, quotes written twice, and line ends. The
// separator is the one of , ; tab and | that divides the first line into the most fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/spill.h"

namespace attune {

class CsvReader {
 public:
  // `text` is UTF-8; `source` begins the errors.
  CsvReader(const PagedText& text, std::string source);

  // The fields of the next row; false at the end. Empty lines are skipped. BadFile when a quote is never closed, or a field
  // is longer than a message can be.
  bool next(std::vector<std::string>& fields);
  // "source:line" of the row read last.
  std::string place() const;
  std::uint64_t line() const { return row_line_; }

 private:
  std::size_t read_field(std::size_t at, std::string& field);
  PagedText paged_;
  std::string_view text_;
  std::string source_;
  char separator_ = ',';
  std::size_t at_ = 0;
  std::uint64_t line_ = 1, row_line_ = 1;
};

}  // namespace attune
