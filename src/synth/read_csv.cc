// Tables as text (RFC 4180, and with ; or tabs): each row names its columns, so that it can be understood alone.
#include <algorithm>

#include "base/error.h"
#include "conversation/text_marks.h"
#include "synth/readers.h"

namespace attune {
namespace {

// Reads the fields of one row after another.
class CsvRows {
 public:
  CsvRows(std::string_view text, const std::string& where) : text_(text), where_(where) {
    const std::string_view first = text.substr(0, text.find('\n'));
    for (const char candidate : {',', ';', '\t'}) {
      if (std::count(first.begin(), first.end(), candidate) > std::count(first.begin(), first.end(), separator_)) {
        separator_ = candidate;
      }
    }
  }

  bool next(std::vector<std::string>& fields) {
    fields.clear();
    if (at_ >= text_.size()) return false;
    row_line_ = ++line_;
    while (true) {
      fields.push_back(text_.substr(at_).starts_with('"') ? quoted() : plain());
      if (at_ >= text_.size()) return true;
      if (text_[at_++] == '\n') return true;
    }
  }

  std::size_t line() const { return row_line_; }  // on which the row began

 private:
  std::string plain() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n') ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        if (text_.substr(at_ + 1).starts_with('"')) {
          ++at_;
        } else {
          ++at_;
          if (at_ < text_.size() && text_[at_] != separator_ && text_[at_] != '\n') {
            throw BadFile("[{}:{}] expected a separator after the closing quote", where_, line_);
          }
          return field;
        }
      }
      if (text_[at_] == '\n') ++line_;
      field += text_[at_];
    }
    throw BadFile("[{}:{}] a quoted field does not end", where_, row_line_);
  }

  std::string_view text_;
  const std::string& where_;
  char separator_ = ',';
  std::size_t at_ = 0, line_ = 0, row_line_ = 0;
};

bool blank(const std::string& field) { return trim(field).empty(); }

}  // namespace

TextBlocks csv_blocks(std::string_view bytes, const std::string& where) {
  const std::string text = plain_text(bytes, where);
  CsvRows rows(text, where);
  std::vector<std::string> names, fields;
  if (!rows.next(names)) return {};
  TextBlocks blocks;
  std::size_t unpacked = 0;
  while (rows.next(fields)) {
    while (fields.size() > names.size() && blank(fields.back())) fields.pop_back();
    if (fields.size() > names.size()) {
      throw BadFile("[{}:{}] expected {} fields as in the first row, got {}", where, rows.line(), names.size(),
                    fields.size());
    }
    std::string row;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (blank(fields[i])) continue;
      const std::string_view name = trim(names[i]);
      row += fmt::format("{}{}{}\n", name, name.empty() ? "" : ": ", trim(fields[i]));
    }
    unpacked += row.size();
    if (unpacked > kMaxDocumentText) {
      throw BadFile("[{}] has more than {} MB of text with its column names; split it", where, kMaxDocumentText >> 20);
    }
    add_block(blocks, 0, row);
  }
  return blocks;
}

}  // namespace attune
