#include "token/valid_text.h"

#include <algorithm>

#include "base/utf8.h"

namespace attune {

ValidText::ValidText(std::string_view raw, std::span<const ByteRange> ranges) : text(raw), plain(ranges) {
  if (is_valid_utf8(raw)) return;
  moved_.assign(ranges.begin(), ranges.end());
  std::size_t next_border = 0;  // 2 * index of a range, + 1 for its end
  const auto move_borders = [&](std::size_t at) {
    for (; next_border < 2 * ranges.size(); ++next_border) {
      const ByteRange& range = ranges[next_border / 2];
      const bool is_end = next_border % 2 == 1;
      if ((is_end ? range.end : range.begin) > at) return;
      (is_end ? moved_[next_border / 2].end : moved_[next_border / 2].begin) = repaired_.size();
    }
  };
  for (std::size_t i = 0; i < raw.size();) {
    move_borders(i);
    const Utf8Step step = decode_utf8(raw, i);
    append_utf8(repaired_, step.code_point);
    i = step.next;
  }
  move_borders(raw.size());
  text = repaired_;
  plain = moved_;
}

std::vector<ByteRange> ranges_within(std::span<const ByteRange> ranges, ByteRange part) {
  std::vector<ByteRange> within;
  for (const ByteRange& range : ranges) {
    const std::size_t begin = std::max(range.begin, part.begin), end = std::min(range.end, part.end);
    if (begin < end) within.push_back({begin - part.begin, end - part.begin});
  }
  return within;
}

}  // namespace attune
