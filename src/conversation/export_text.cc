#include "conversation/export_text.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 16;

enum class Encoding { kUtf8, kUtf16Little, kUtf16Big };

struct Mark {
  Encoding encoding = Encoding::kUtf8;
  std::size_t length = 0;
};

Mark byte_order_mark(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) return {Encoding::kUtf8, 3};
  if (bytes.starts_with("\xFF\xFE")) return {Encoding::kUtf16Little, 2};
  if (bytes.starts_with("\xFE\xFF")) return {Encoding::kUtf16Big, 2};
  return {};
}

// Appends the UTF-16 text to `sink` piece by piece.
template <typename Sink>
void decode_utf16(std::string_view bytes, bool little, bool drop_returns, const Sink& sink) {
  const auto unit = [&](std::size_t i) {
    const auto a = static_cast<unsigned char>(bytes[i]), b = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<char32_t>(little ? b << 8 | a : a << 8 | b);
  };
  std::string piece;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    char32_t c = unit(i);
    if (c >= 0xD800 && c < 0xDC00 && i + 3 < bytes.size() && unit(i + 2) >= 0xDC00 && unit(i + 2) < 0xE000) {
      c = 0x10000 + ((c - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
      i += 2;
    }
    if (c == '\r' && drop_returns) continue;
    append_utf8(piece, c >= 0xD800 && c < 0xE000 ? U'\uFFFD' : c);
    if (piece.size() >= kPieceBytes) sink(piece), piece.clear();
  }
  sink(piece);
}

// What a look at every byte of a text tells.
struct Survey {
  bool returns = false;
  std::size_t invalid = 0;  // bytes
  std::size_t letters = 0;  // of them those that are accented letters in Latin-1, before an ASCII character
  std::size_t valid = 0;    // sequences of several bytes
  std::size_t first = 0;    // offset of the first invalid byte
};

// The end of the run of ASCII that begins at `i`, eight bytes at a time.
std::size_t ascii_end(std::string_view text, std::size_t i, bool& returns) {
  constexpr std::uint64_t kHigh = 0x8080808080808080u, kOnes = 0x0101010101010101u, kReturns = kOnes * '\r';
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & kHigh) != 0) break;
    const std::uint64_t difference = word ^ kReturns;  // a zero byte where the text has '\r'
    returns |= ((difference - kOnes) & ~difference & kHigh) != 0;
  }
  for (; i < text.size() && static_cast<unsigned char>(text[i]) < 0x80; ++i) returns |= text[i] == '\r';
  return i;
}

Survey survey(const PagedText& paged, std::size_t begin) {
  Survey found;
  const std::string_view text = paged.all();
  for (std::size_t i = begin; i < text.size();) {
    paged.touch(i);
    const std::size_t stop = std::min(text.size(), i + kPieceBytes);
    while (i < stop) {
      i = ascii_end(text.substr(0, stop), i, found.returns);
      if (i >= stop) break;
      const Utf8Step step = decode_utf8(text, i);
      if (step.valid) {
        ++found.valid;
      } else {
        if (found.invalid++ == 0) found.first = i;
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool before_ascii = step.next < text.size() && static_cast<unsigned char>(text[step.next]) < 0x80;
        found.letters += byte >= 0xC0 && byte <= 0xFD && before_ascii;
      }
      i = step.next;
    }
  }
  return found;
}

}  // namespace

std::string place_in(const std::string& source, std::string_view text, std::size_t offset) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return fmt::format("{}:{}", source, std::count(text.begin(), end, '\n') + 1);
}

PagedText decode_utf8_text(const PagedText& bytes, bool drop_returns, const std::string& source, SpillBuffer& copy) {
  const Mark mark = byte_order_mark(bytes.all());
  if (mark.encoding != Encoding::kUtf8) {
    decode_utf16(bytes.all().substr(mark.length), mark.encoding == Encoding::kUtf16Little, drop_returns,
                 [&](const std::string& piece) { copy.append(piece); });
    return copy.text();
  }
  const Survey found = survey(bytes, mark.length);
  if (found.letters > found.valid) {
    throw BadFile(
        "[{}] not UTF-8 but an older encoding such as Latin-1 (byte 0x{:02X}); convert the file first: iconv -f "
        "ISO-8859-1 -t UTF-8 OLD > NEW",
        place_in(source, bytes.all(), found.first), static_cast<unsigned char>(bytes.all()[found.first]));
  }
  if (mark.length == 0 && found.invalid == 0 && !(found.returns && drop_returns)) return bytes;
  std::size_t i = mark.length;
  while (i < bytes.size()) {
    std::string_view piece = bytes.view(i, kPieceBytes);
    if (i + piece.size() < bytes.size()) piece.remove_suffix(incomplete_utf8_tail(piece));
    i += piece.size();
    std::string valid = to_valid_utf8(piece);
    if (drop_returns) valid.erase(std::remove(valid.begin(), valid.end(), '\r'), valid.end());
    copy.append(valid);
  }
  return copy.text();
}

std::string decode_head(std::string_view bytes) {
  const Mark mark = byte_order_mark(bytes);
  bytes.remove_prefix(mark.length);
  std::string text;
  if (mark.encoding == Encoding::kUtf8)
    return to_valid_utf8(bytes.substr(0, bytes.size() - incomplete_utf8_tail(bytes)));
  decode_utf16(bytes, mark.encoding == Encoding::kUtf16Little, false, [&](const std::string& piece) { text += piece; });
  return text;
}

ExportText::ExportText(const fs::path& path, std::string source) : source_(std::move(source)), file_(path) {}

ExportText::ExportText(SpillBuffer bytes, std::string source) : source_(std::move(source)), stored_(std::move(bytes)) {}

std::string_view ExportText::bytes() const {
  if (stored_.size() > 0) return stored_.text().all();
  return {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
}

PagedText ExportText::raw() const { return stored_.size() > 0 ? stored_.text() : PagedText(bytes(), true); }

PagedText ExportText::utf8(bool drop_returns) { return decode_utf8_text(raw(), drop_returns, source_, decoded_); }

}  // namespace attune
