#include "cli/line_buffer.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"

namespace attune {
namespace {

int columns_of(char32_t code_point) {
  return code_point < 0x20 ? 0 : std::max(0, utf8proc_charwidth(static_cast<utf8proc_int32_t>(code_point)));
}

bool breaks_words(char byte) { return byte == ' ' || byte == '\n' || byte == '\t'; }

}  // namespace

void LineBuffer::set(std::string text) {
  text_.clear();
  cursor_ = 0;
  insert(text);
}

void LineBuffer::insert(std::string_view text) {
  std::string valid = to_valid_utf8(text);
  for (char& byte : valid) {
    if ((static_cast<unsigned char>(byte) < ' ' && byte != '\n') || byte == 0x7F) byte = ' ';
  }
  text_.insert(cursor_, valid);
  cursor_ += valid.size();
}

std::size_t LineBuffer::before(std::size_t position) const {
  while (position > 0) {
    --position;
    while (position > 0 && (text_[position] & 0xC0) == 0x80) --position;
    const char32_t code_point = decode_utf8(text_, position).code_point;
    if (code_point == '\n' || columns_of(code_point) > 0) break;
  }
  return position;
}

std::size_t LineBuffer::after(std::size_t position) const {
  if (position >= text_.size()) return text_.size();
  position = decode_utf8(text_, position).next;
  while (position < text_.size()) {
    const Utf8Step step = decode_utf8(text_, position);
    if (step.code_point == '\n' || columns_of(step.code_point) > 0) break;
    position = step.next;
  }
  return position;
}

std::size_t LineBuffer::word_before(std::size_t position) const {
  while (position > 0 && breaks_words(text_[position - 1])) --position;
  while (position > 0 && !breaks_words(text_[position - 1])) --position;
  return position;
}

void LineBuffer::erase_before() {
  const std::size_t begin = before(cursor_);
  text_.erase(begin, cursor_ - begin);
  cursor_ = begin;
}

void LineBuffer::erase_after() { text_.erase(cursor_, after(cursor_) - cursor_); }

void LineBuffer::erase_word_before() {
  const std::size_t begin = word_before(cursor_);
  text_.erase(begin, cursor_ - begin);
  cursor_ = begin;
}

void LineBuffer::erase_to_begin() {
  text_.erase(0, cursor_);
  cursor_ = 0;
}

void LineBuffer::erase_to_end() { text_.erase(cursor_); }
void LineBuffer::left() { cursor_ = before(cursor_); }
void LineBuffer::right() { cursor_ = after(cursor_); }
void LineBuffer::word_left() { cursor_ = word_before(cursor_); }

void LineBuffer::word_right() {
  while (cursor_ < text_.size() && breaks_words(text_[cursor_])) ++cursor_;
  while (cursor_ < text_.size() && !breaks_words(text_[cursor_])) ++cursor_;
}

ScreenPlace place_after(std::string_view text, int begin, int width) {
  ScreenPlace place{begin / width, begin % width};
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    i = step.next;
    if (step.code_point == '\n') {
      place = {place.row + 1, 0};
      continue;
    }
    const int columns = columns_of(step.code_point);
    if (place.column + columns > width) place = {place.row + 1, 0};
    place.column += columns;
    if (place.column >= width && columns > 0) place = {place.row + 1, 0};
  }
  return place;
}

}  // namespace attune
