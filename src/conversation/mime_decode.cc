// The encodings of mail: charsets, quoted-printable, base64, encoded words in headers.
#include <iconv.h>

#include <algorithm>
#include <memory>

#include "base/ascii.h"
#include "base/utf8.h"
#include "conversation/mime.h"

namespace attune {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct CloseIconv {
  using pointer = iconv_t;
  void operator()(iconv_t converter) const { iconv_close(converter); }
};

}  // namespace

std::string decode_charset(std::string_view bytes, std::string_view charset) {
  std::string name = lower_ascii(charset);
  if (name.empty() || name == "utf-8" || name == "utf8" || name == "us-ascii" || name == "unknown-8bit") {
    if (is_valid_utf8(bytes) || name == "utf-8" || name == "utf8") return to_valid_utf8(bytes);
    name = "windows-1252";
  }
  // Mail programs say Latin-1 and mean its Windows relative, which has more characters.
  if (name == "iso-8859-1" || name == "latin1") name = "windows-1252";
  if (name == "iso-8859-8-i") name = "iso-8859-8";
  if (name == "ks_c_5601-1987") name = "cp949";
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.:") != std::string::npos)
    return to_valid_utf8(bytes);
  const iconv_t opened = iconv_open("UTF-8", name.c_str());
  if (opened == reinterpret_cast<iconv_t>(-1)) return to_valid_utf8(bytes);
  const std::unique_ptr<iconv_t, CloseIconv> converter(opened);
  std::string source(bytes), result;
  char* in = source.data();
  std::size_t left = source.size();
  char block[4096];
  while (left > 0) {
    char* out = block;
    std::size_t room = sizeof block;
    const std::size_t status = iconv(converter.get(), &in, &left, &out, &room);
    result.append(block, static_cast<std::size_t>(out - block));
    if (status != static_cast<std::size_t>(-1) || room < sizeof block / 2) continue;
    if (left == 0) break;
    result += "\uFFFD";  // a byte that the charset does not have
    ++in, --left;
  }
  return to_valid_utf8(result);
}

std::string decode_quoted_printable(std::string_view text, bool header) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (header && text[i] == '_') {
      result += ' ';
    } else if (text[i] != '=') {
      result += text[i];
    } else if (i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      // A soft line end; anything else is a fault that is left out.
      const std::size_t end = text.find_first_not_of(" \t\r", i + 1);
      if (end != std::string_view::npos && text[end] == '\n') i = end;
    }
  }
  return result;
}

std::string decode_base64(std::string_view text) {
  std::string result;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    int value = -1;
    if (c >= 'A' && c <= 'Z')
      value = c - 'A';
    else if (c >= 'a' && c <= 'z')
      value = c - 'a' + 26;
    else if (c >= '0' && c <= '9')
      value = c - '0' + 52;
    else if (c == '+' || c == '-')
      value = 62;
    else if (c == '/' || c == '_')
      value = 63;
    if (value < 0) continue;
    bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xFFFFFFu;
    if (++count == 4) {
      for (const int shift : {16, 8, 0}) result += static_cast<char>(bits >> shift & 0xFF);
      count = 0, bits = 0;
    }
  }
  if (count >= 2) result += static_cast<char>(bits >> (count == 2 ? 4 : 10) & 0xFF);
  if (count == 3) result += static_cast<char>(bits >> 2 & 0xFF);
  return result;
}

std::string decode_header(std::string_view value) {
  std::string result, pending, charset;  // a character may be divided between two words of one charset
  bool after_word = false;
  const auto flush = [&] {
    result += decode_charset(pending, charset);
    pending.clear();
  };
  for (std::size_t i = 0; i < value.size();) {
    const std::size_t open = value.find("=?", i);
    const std::size_t set_end = open == std::string_view::npos ? open : value.find('?', open + 2);
    const bool complete = set_end != std::string_view::npos && set_end + 2 < value.size() && value[set_end + 2] == '?';
    const std::size_t close = complete ? value.find("?=", set_end + 3) : std::string_view::npos;
    if (close == std::string_view::npos) break;
    const std::string_view between = value.substr(i, open - i);
    const bool blank = between.find_first_not_of(" \t\r\n") == std::string_view::npos;
    std::string_view set = value.substr(open + 2, set_end - open - 2);
    set = set.substr(0, set.find('*'));  // a language may follow
    if (!(after_word && blank) || charset != set) {
      flush();
      if (!(after_word && blank)) result += decode_charset(between, "");
      charset = set;
    }
    const std::string_view data = value.substr(set_end + 3, close - set_end - 3);
    const char encoding = value[set_end + 1];
    pending += encoding == 'B' || encoding == 'b' ? decode_base64(data) : decode_quoted_printable(data, true);
    after_word = true;
    i = close + 2;
    if (value.find("=?", i) == std::string_view::npos) {
      flush();
      return result + decode_charset(value.substr(i), "");
    }
    // The rest is looked at from the end of this word on.
    value.remove_prefix(i);
    i = 0;
  }
  flush();
  return result + decode_charset(value, "");
}

}  // namespace attune
