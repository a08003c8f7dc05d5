#include "conversation/csv_reader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "conversation/chat_log.h"

namespace attune {
namespace {

char likely_separator(std::string_view text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  char best = ',';
  std::ptrdiff_t most = 0;
  for (const char candidate : {',', ';', '\t', '|'}) {
    const auto count = std::count(line.begin(), line.end(), candidate);
    if (count > most) most = count, best = candidate;
  }
  return best;
}

}  // namespace

CsvReader::CsvReader(const PagedText& text, std::string source)
    : paged_(text), text_(paged_.all()), source_(std::move(source)), separator_(likely_separator(text_)) {}

std::string CsvReader::place() const { return fmt::format("{}:{}", source_, row_line_); }

// Reads one field from `at` on; returns where it ends: at a separator, a line end or the end of the text.
std::size_t CsvReader::read_field(std::size_t at, std::string& field) {
  const std::size_t begin = at;
  const std::string_view within = text_.substr(0, begin + std::min(text_.size() - begin, kMaxTextBytes));
  const auto check = [&](std::size_t end) {
    if (end == within.size() && end < text_.size()) throw BadFile("[{}] {}", place(), kTooLong);
  };
  if (at < text_.size() && text_[at] == '"') {
    for (++at;; ++at) {
      const std::size_t quote = std::min(within.find('"', at), within.size());
      check(quote);
      if (quote == text_.size()) throw BadFile("[{}] a quoted field of this row never ends", place());
      field.append(text_, at, quote - at);
      at = quote + 1;
      if (at >= text_.size() || text_[at] != '"') break;
      field += '"';
    }
    line_ += static_cast<std::uint64_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(begin),
                                                   text_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  }
  // What is not quoted, or stands carelessly behind the closing quote.
  const std::size_t end = std::min(within.find_first_of(std::string{separator_, '\n'}, at), within.size());
  check(end);
  field.append(text_, at, end - at);
  if (field.ends_with('\r') && (end == text_.size() || text_[end] == '\n')) field.pop_back();
  return end;
}

bool CsvReader::next(std::vector<std::string>& fields) {
  while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) line_ += text_[at_++] == '\n';
  if (at_ >= text_.size()) return false;
  paged_.touch(at_);
  row_line_ = line_;
  fields.clear();
  for (;;) {
    fields.emplace_back();
    at_ = read_field(at_, fields.back());
    if (at_ >= text_.size()) return true;
    const char end = text_[at_++];
    if (end == '\n') {
      ++line_;
      return true;
    }
  }
}

}  // namespace attune
