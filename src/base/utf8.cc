#include "base/utf8.h"

#include <algorithm>
#include <cstring>

namespace attune {
namespace {

struct Lead {
  int length;               // of the whole sequence; 0: not a lead byte
  unsigned char low, high;  // allowed range of the second byte (Unicode 15, table 3-7)
};

Lead lead(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// How many bytes from `position` form a valid prefix of one sequence, and whether the sequence is complete.
struct Prefix {
  std::size_t bytes;
  bool complete;
};
Prefix valid_prefix(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Lead first = lead(byte(position));
  if (first.length == 0) return {0, false};
  std::size_t used = 1;
  while (used < static_cast<std::size_t>(first.length) && position + used < text.size()) {
    const unsigned char low = used == 1 ? first.low : 0x80, high = used == 1 ? first.high : 0xBF;
    const unsigned char next = byte(position + used);
    if (next < low || next > high) break;
    ++used;
  }
  return {used, used == static_cast<std::size_t>(first.length)};
}

// Whether a sequence of two bytes stands there: most letters beyond ASCII.
bool is_pair(std::string_view text, std::size_t position) {
  const auto first = static_cast<unsigned char>(text[position]);
  return first >= 0xC2 && first <= 0xDF && position + 1 < text.size() &&
         (static_cast<unsigned char>(text[position + 1]) & 0xC0) == 0x80;
}

// The end of the run of ASCII that begins at `i`, eight bytes at a time.
std::size_t ascii_end(std::string_view text, std::size_t i) {
  for (std::uint64_t word; i + sizeof word <= text.size(); i += sizeof word) {
    std::memcpy(&word, text.data() + i, sizeof word);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

}  // namespace

Utf8Step decode_utf8_sequence(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[position + i]));
  };
  if (is_pair(text, position)) return {(byte(0) & 0x1F) << 6 | (byte(1) & 0x3F), position + 2, true};
  const Prefix prefix = valid_prefix(text, position);
  if (!prefix.complete) return {U'\uFFFD', position + std::max<std::size_t>(prefix.bytes, 1), false};
  static constexpr char32_t kLeadMask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t code_point = byte(0) & kLeadMask[prefix.bytes];
  for (std::size_t i = 1; i < prefix.bytes; ++i) code_point = code_point << 6 | (byte(i) & 0x3F);
  return {code_point, position + prefix.bytes, true};
}

void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6), put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; (i = ascii_end(text, i)) < text.size();) {
    if (is_pair(text, i)) {
      i += 2;
      continue;
    }
    const Prefix prefix = valid_prefix(text, i);
    if (!prefix.complete) return false;
    i += prefix.bytes;
  }
  return true;
}

std::string to_valid_utf8(std::string_view text) {
  if (is_valid_utf8(text)) return std::string(text);
  std::string valid;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    append_utf8(valid, step.code_point);
    i = step.next;
  }
  return valid;
}

std::size_t incomplete_utf8_tail(std::string_view text) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const std::size_t start = text.size() - back;
    if (lead(static_cast<unsigned char>(text[start])).length == 0) continue;
    const Prefix prefix = valid_prefix(text, start);
    return !prefix.complete && prefix.bytes == back ? back : 0;
  }
  return 0;
}

}  // namespace attune
