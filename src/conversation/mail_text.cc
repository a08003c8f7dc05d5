#include "conversation/mail_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "conversation/text_marks.h"

namespace attune {
namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    begin = end + 1;
  }
  return lines;
}

bool is_quoted(std::string_view line) { return trim(line).starts_with('>'); }

// "-----Original Message-----", "-------- Eredeti üzenet --------", "---------- Forwarded message ---------", "_____".
bool is_divider(std::string_view line) {
  line = trim(line);
  if (line.size() < 10) return false;
  if (line.find_first_not_of('_') == std::string_view::npos) return line.size() >= 20;
  const std::size_t first = line.find_first_not_of('-'), last = line.find_last_not_of('-');
  return first != std::string_view::npos && first >= 4 && line.size() - 1 - last >= 4 && last - first >= 5;
}

// The first line of the block that Outlook puts before the mail it answers.
bool is_header_block(const std::vector<std::string_view>& lines, std::size_t at) {
  static constexpr std::array<std::string_view, 10> kFrom = {
      "From:", "Von:", "De:", "De :", "Feladó:", "Da:", "Van:", "Från:", "Fra:", "От:"};
  std::string_view line = trim(lines[at]);
  while (line.starts_with('*')) line.remove_prefix(1);
  if (std::none_of(kFrom.begin(), kFrom.end(), [&](std::string_view word) { return line.starts_with(word); }))
    return false;
  std::size_t labels = 0;
  for (std::size_t i = at; i < lines.size() && i < at + 6; ++i) {
    const std::size_t colon = lines[i].find(':');
    labels += colon != std::string_view::npos && colon < 24;
  }
  return labels >= 3;
}

bool is_device_line(std::string_view line) {
  static constexpr std::array<std::string_view, 9> kLines = {"Sent from my ", "Sent from Mail", "Get Outlook for",
                                                             "Küldve: ",      "Elküldve ",      "Von meinem ",
                                                             "Gesendet von ", "Envoyé de",      "Enviado desde"};
  line = trim(line);
  return line.size() < 80 &&
         std::any_of(kLines.begin(), kLines.end(), [&](std::string_view begin) { return line.starts_with(begin); });
}

void drop_blank_end(std::vector<std::string_view>& kept) {
  while (!kept.empty() && trim(kept.back()).empty()) kept.pop_back();
}

// How many of the last lines say who wrote when, before a quotation: one or two that end in a colon and hold a digit or
// an address. `kept` ends with words.
std::size_t attribution_lines(const std::vector<std::string_view>& kept) {
  if (kept.empty() || !trim(kept.back()).ends_with(':')) return 0;
  const auto tells = [](std::string_view line) { return line.find_first_of("0123456789@") != std::string_view::npos; };
  const std::string_view last = trim(kept.back());
  const std::string_view before = kept.size() >= 2 ? trim(kept[kept.size() - 2]) : std::string_view();
  if (tells(last)) {
    // "On Monday, 15 January 2024 at 10:30," and the name on the line below.
    const bool opens = before.starts_with("On ") || before.starts_with("Am ") || before.starts_with("Le ");
    return opens && tells(before) && !before.ends_with('.') && before.size() < 90 ? 2 : 1;
  }
  if (tells(before) && last.size() < 60) return 2;
  return last.ends_with("wrote:") || last.ends_with("írta:") || last.ends_with("schrieb:") ||
                 last.ends_with("a écrit :")
             ? 1
             : 0;
}

void drop_attribution(std::vector<std::string_view>& kept) {
  std::size_t words = kept.size();
  while (words > 0 && trim(kept[words - 1]).empty()) --words;
  const std::size_t lines =
      attribution_lines(std::vector<std::string_view>(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(words)));
  if (lines == 0) return;
  kept.resize(words - lines);
  drop_blank_end(kept);
}

}  // namespace

std::string own_words(std::string_view mail_text) {
  const auto lines = lines_of(mail_text);
  std::vector<std::string_view> kept;
  bool in_quote = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (is_quoted(line)) {
      if (!in_quote) drop_attribution(kept);
      in_quote = true;
      continue;
    }
    if (line == "-- " || line == "--" || is_divider(line) || is_header_block(lines, i)) break;
    in_quote = in_quote && trim(line).empty();
    kept.push_back(line);
  }
  drop_blank_end(kept);
  while (!kept.empty() && is_device_line(kept.back())) {
    kept.pop_back();
    drop_blank_end(kept);
  }
  // HTML has no ">": its quotation is gone, and the line before it is the last.
  drop_attribution(kept);
  std::string text;
  bool blank = false;
  for (const std::string_view line : kept) {
    std::string_view words = line;
    while (words.ends_with(' ') || words.ends_with('\t')) words.remove_suffix(1);
    if (words.empty() && (blank || text.empty())) continue;
    if (!text.empty()) text += '\n';
    text += words;
    blank = words.empty();
  }
  return strip_marks(trim(text));
}

std::string base_subject(std::string_view subject, bool& answers) {
  static constexpr std::array<std::string_view, 14> kPrefixes = {
      "re:", "fw:", "fwd:", "aw:", "wg:", "vá:", "va:", "sv:", "vs:", "ref:", "rv:", "tr:", "továbbítás:", "ynt:"};
  std::string folded = fold_phrase(subject);
  answers = false;
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : kPrefixes) {
      if (!folded.starts_with(prefix)) continue;
      folded = std::string(trim(std::string_view(folded).substr(prefix.size())));
      answers = again = true;
    }
  }
  return folded;
}

}  // namespace attune
