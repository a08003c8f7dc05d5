// Plain text and Markdown. Markdown is cut by its structure and otherwise left as it is written: a language model reads
// it as well as any rendering.
#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/text_marks.h"
#include "synth/readers.h"

namespace attune {
namespace {

// UTF-16 after its byte order mark; lone surrogates become U+FFFD.
std::string from_utf16(std::string_view bytes, bool big_endian) {
  std::string text;
  const auto unit = [&](std::size_t i) {
    const auto first = static_cast<unsigned char>(bytes[i]), second = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<char32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    char32_t c = unit(i);
    if (c >= 0xD800 && c < 0xE000) {
      const char32_t low = c < 0xDC00 && i + 3 < bytes.size() ? unit(i + 2) : 0;
      const bool pair = low >= 0xDC00 && low < 0xE000;
      c = pair ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
      if (pair) i += 2;
    }
    append_utf8(text, c);
  }
  return text;
}

std::size_t first_invalid_byte(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const Utf8Step step = decode_utf8(text, i);
    if (!step.valid) break;
    i = step.next;
  }
  return i;
}

bool is_blank(std::string_view line) { return trim(line).empty(); }

// Calls visit(line) without its '\n'.
template <typename Visit>
void for_each_line(std::string_view text, const Visit& visit) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    visit(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

std::string_view without_indent(std::string_view line) {
  const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
  return indent <= 3 ? line.substr(indent) : line;  // four spaces are code
}

// The level of "## Heading", else 0; `title` becomes its words.
int atx_heading(std::string_view line, std::string_view& title) {
  const std::size_t hashes = std::min(line.find_first_not_of('#'), line.size());
  if (hashes < 1 || hashes > 6 || (hashes < line.size() && line[hashes] != ' ' && line[hashes] != '\t')) return 0;
  title = trim(line.substr(hashes));
  const std::size_t last = title.find_last_not_of('#');
  if (last != title.npos && last + 1 < title.size() && title[last] == ' ') title = trim(title.substr(0, last));
  return static_cast<int>(hashes);
}

// The level that a line of = or - gives the line above it, else 0.
int setext_underline(std::string_view line) {
  line = trim(line);
  if (line.size() < 2) return 0;
  if (line.find_first_not_of('=') == line.npos) return 1;
  return line.find_first_not_of('-') == line.npos ? 2 : 0;
}

// The fence that opens or closes code ("```", "~~~~"), or nothing.
std::string_view fence_of(std::string_view line) {
  for (const char c : {'`', '~'}) {
    const std::size_t length = std::min(line.find_first_not_of(c), line.size());
    if (length >= 3) return line.substr(0, length);
  }
  return {};
}

// The text after a "---" header of settings, which static site generators put first.
std::string_view without_front_matter(std::string_view text) {
  if (!text.starts_with("---\n")) return text;
  const std::size_t end = text.find("\n---\n", 3);
  return end == text.npos ? text : text.substr(end + 5);
}

class Markdown {
 public:
  explicit Markdown(TextBlocks& blocks) : blocks_(blocks) {}

  void line(std::string_view text) {
    const std::string_view bare = without_indent(text);
    if (!fence_.empty()) {
      append(text);
      const std::string_view end = fence_of(bare);
      if (end.starts_with(fence_) && is_blank(bare.substr(end.size()))) flush(), fence_.clear();
      return;
    }
    if (const std::string_view begin = fence_of(bare); !begin.empty()) {
      flush();
      fence_ = begin;
      append(text);
      return;
    }
    std::string_view title;
    if (const int level = atx_heading(bare, title)) {
      flush();
      add_block(blocks_, level, title);
    } else if (const int above = lines_ <= 1 ? setext_underline(bare) : 0) {
      flush(above);  // under nothing: a ruled line
    } else if (is_blank(text)) {
      flush();
    } else {
      append(text);
    }
  }

  void flush(int level = 0) {
    add_block(blocks_, level, paragraph_);
    paragraph_.clear();
    lines_ = 0;
  }

 private:
  void append(std::string_view text) {
    paragraph_.append(text) += '\n';
    ++lines_;
  }

  TextBlocks& blocks_;
  std::string paragraph_, fence_;
  int lines_ = 0;
};

}  // namespace

std::string plain_text(std::string_view bytes, const std::string& where) {
  std::string text;
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
    text = from_utf16(bytes.substr(2), bytes.front() == '\xFE');
  } else {
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
    if (const std::size_t bad = first_invalid_byte(bytes); bad < bytes.size()) {
      throw BadFile("[{}: byte {}] expected UTF-8 text; convert it, e.g. iconv -f ISO-8859-2 -t UTF-8", where, bad + 1);
    }
    text = bytes;
  }
  if (text.size() > kMaxDocumentText) {
    throw BadFile("[{}] has more than {} MB of text; split it", where, kMaxDocumentText >> 20);
  }
  if (text.find('\0') != text.npos) throw BadFile("[{}] expected text, got binary data", where);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      if (i + 1 < text.size() && text[i + 1] == '\n') continue;
      text[i] = '\n';
    }
    text[kept++] = text[i];
  }
  text.resize(kept);
  return text;
}

TextBlocks text_blocks(std::string_view bytes, const std::string& where) {
  TextBlocks blocks;
  std::string paragraph;
  for_each_line(plain_text(bytes, where), [&](std::string_view line) {
    if (is_blank(line) || line.starts_with('\f')) {  // a form feed begins a page
      add_block(blocks, 0, paragraph);
      paragraph.clear();
    }
    paragraph.append(line) += '\n';
  });
  add_block(blocks, 0, paragraph);
  return blocks;
}

TextBlocks markdown_blocks(std::string_view bytes, const std::string& where) {
  TextBlocks blocks;
  const std::string text = plain_text(bytes, where);
  Markdown markdown(blocks);
  for_each_line(without_front_matter(text), [&](std::string_view line) { markdown.line(line); });
  markdown.flush();
  return blocks;
}

}  // namespace attune
