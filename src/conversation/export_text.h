// The text of one file of an export as UTF-8, whatever it was saved as: Unicode with a byte order mark is decoded, text in
// an old 8-bit encoding is refused, single broken bytes become U+FFFD. A clean file is used where it lies, mapped; only
// what must change is copied (base/spill.h).
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"
#include "base/spill.h"

namespace attune {

class ExportText {
 public:
  // A file on disk; the text of an archive's entry. `source` names it in errors.
  ExportText(const fs::path& path, std::string source);
  ExportText(SpillBuffer bytes, std::string source);

  const std::string& source() const { return source_; }
  std::string_view bytes() const;  // as stored
  PagedText raw() const;           // the same, not kept resident as it is read
  // As UTF-8 without byte order mark; with `drop_returns` also without '\r'. Valid as long as this object lives.
  // BadFile with file and line when it is in another encoding.
  PagedText utf8(bool drop_returns = false);

 private:
  std::string source_;
  MappedFile file_;
  SpillBuffer stored_, decoded_;
};

// The same for bytes in memory, copied only when needed: `copy` then holds the text.
PagedText decode_utf8_text(const PagedText& bytes, bool drop_returns, const std::string& source, SpillBuffer& copy);

// The beginning of a text for looking at: decoded, a character cut at its end left out, never refused.
std::string decode_head(std::string_view bytes);

// A position in a text for error messages: "source:line".
std::string place_in(const std::string& source, std::string_view text, std::size_t offset);

}  // namespace attune
