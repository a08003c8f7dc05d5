#include "conversation/whatsapp_text.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/utf8.h"
#include "conversation/text_marks.h"
#include "conversation/whatsapp_phrases.h"

namespace attune {
namespace {

constexpr std::size_t kMaxGeneratedBytes = 400;  // longer text is never looked up as a phrase
constexpr std::uint32_t kRepeated = 2;
constexpr std::ptrdiff_t kMaxNameSpaces = 6;

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

// "<...>" without further brackets or line ends inside.
bool is_bracketed(std::string_view text) {
  return text.size() >= 3 && text.front() == '<' && text.back() == '>' &&
         text.substr(1, text.size() - 2).find_first_of("<>\n") == std::string_view::npos;
}

std::string_view inside(std::string_view bracketed) { return bracketed.substr(1, bracketed.size() - 2); }

// Where a "<...>" that ends the text begins, or npos.
std::size_t trailing_bracket(std::string_view text) {
  if (text.empty() || text.back() != '>') return std::string_view::npos;
  const std::size_t open = text.rfind('<');
  return open != std::string_view::npos && is_bracketed(text.substr(open)) ? open : std::string_view::npos;
}

// "name.ext": a dot and 2-5 letters or digits at the end, something before it.
bool is_file_name(std::string_view text) {
  const std::size_t dot = text.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || text.size() - dot < 3 || text.size() - dot > 6) return false;
  const std::string_view extension = text.substr(dot + 1);
  return !contains(text, "\n") && !contains(text, "://") &&
         std::all_of(extension.begin(), extension.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
}

bool has_media_extension(std::string_view name) {
  static constexpr std::array<std::string_view, 34> kExtensions = {
      "jpg",  "jpeg", "png", "webp", "gif", "heic", "mp4", "mov", "3gp",  "avi", "mkv",  "opus",
      "ogg",  "m4a",  "mp3", "aac",  "amr", "wav",  "pdf", "doc", "docx", "xls", "xlsx", "ppt",
      "pptx", "txt",  "csv", "zip",  "rar", "vcf",  "apk", "was", "odt",  "rtf"};
  const std::string extension = fold_phrase(name.substr(name.rfind('.') + 1));
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

// Android's attachment line, "IMG-20230101-WA0001.jpg (file attached)": the file's name, or "".
std::string_view attached_file(std::string_view line, bool marked) {
  if (line.size() < 6 || line.back() != ')') return {};
  const std::size_t open = line.rfind(" (");
  if (open == std::string_view::npos) return {};
  const std::string_view name = trim(line.substr(0, open));
  if (!is_file_name(name) || !(marked || has_media_extension(name) || contains(name, "-WA"))) return {};
  return name;
}

// iOS' attachment, "attached: 00000012-PHOTO-2023-01-05-10-11-12.jpg" inside its brackets.
bool is_attachment(std::string_view inner) { return contains(inner, ": ") && is_file_name(trim(inner)); }

// POLL: / question / OPTION: a (3 votes) ... in any language: a first line that ends in a colon and, at the
// end, two lines or more that begin with the same word and a colon and end in "(n ...)".
bool is_poll(std::string_view text) {
  if (!contains(text, "\n")) return false;
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trim(text.substr(begin, end - begin));
    if (!line.empty()) lines.push_back(line);
    begin = end + 1;
  }
  if (lines.size() < 3) return false;
  const auto label = [](std::string_view line) { return line.substr(0, line.find(':') + 1); };
  if (!lines[0].ends_with(':') && !lines[0].ends_with("：")) return false;
  std::size_t options = 0;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    const std::size_t open = line->rfind('(');
    if (!line->ends_with(')') || open == std::string_view::npos || label(*line).empty()) break;
    if (label(*line) != label(lines.back())) break;
    if (digit_value(decode_utf8(*line, open + 1).code_point) < 0) break;
    ++options;
  }
  return options >= 2;
}

// "Location: https://maps.google.com/?q=47.5,19.0", with a place's name and address perhaps before it.
bool is_location(std::string_view text) {
  if (!contains(text, "://")) return false;
  const std::size_t link = std::min(text.find("https://maps.google.com/?q="), text.find("https://foursquare.com/v/"));
  return link != std::string_view::npos && link > 0 && !contains(text.substr(link), " ") &&
         !contains(text.substr(link), "\n") && contains(text.substr(0, link), ":");
}

// The kind of a whole generated text, by its phrase.
std::optional<Drop> phrase_kind(std::string_view folded, bool marked) {
  if (is_deleted_phrase(folded)) return Drop::kDeleted;
  if (is_omitted_phrase(folded)) return Drop::kMedia;
  if (is_contact_phrase(folded)) return Drop::kContact;
  if (is_call_phrase(folded, marked)) return Drop::kCall;
  if (is_live_location_phrase(folded)) return Drop::kLocation;
  if (is_notice_phrase(folded)) return Drop::kSystem;
  return std::nullopt;
}

// Whether a whole line in angle brackets is a place-holder. A single "<b>" or "<3 you>" may be the sender's.
bool is_place_holder(std::string_view bracketed, bool marked, const WhatsAppRepeats& repeats) {
  const std::string folded = fold_phrase(inside(bracketed));
  if (marked || is_omitted_phrase(folded) || is_attachment(inside(bracketed))) return true;
  return contains(folded, " ") && repeats.of(fold_phrase(bracketed)) >= kRepeated;
}

Drop file_kind(std::string_view name) { return name.ends_with(".vcf") ? Drop::kContact : Drop::kMedia; }

// The kind of a first line that stands for an attachment.
std::optional<Drop> attachment_kind(std::string_view line, bool marked, const WhatsAppRepeats& repeats) {
  if (is_bracketed(line) && is_place_holder(line, marked, repeats)) return file_kind(trim(inside(line)));
  if (const auto name = attached_file(line, marked); !name.empty()) return file_kind(name);
  return std::nullopt;
}

// Cuts generated text off the end: " <This message was edited>", "caption <U+200E><attached: x.jpg>",
// "report.pdf • <U+200E>2 pages <U+200E>document omitted". `marked_text` still has its marks. Returns whether
// media was cut.
bool cut_tail(std::string_view& marked_text, bool& edited, const WhatsAppRepeats& repeats) {
  bool media = false;
  while (true) {
    const std::string_view text = trim(marked_text);
    const std::size_t mark = text.rfind(kLeftToRightMark);
    const std::size_t bracket = trailing_bracket(text);
    std::size_t cut = std::string_view::npos;
    if (bracket != std::string_view::npos && bracket > 0) {
      const std::string_view tail = text.substr(bracket);
      const bool marked = text.substr(0, bracket).ends_with(kLeftToRightMark);
      const bool attachment = is_attachment(inside(tail)) || is_omitted_phrase(fold_phrase(inside(tail)));
      const bool marker = is_edited_phrase(fold_phrase(inside(tail))) ||
                          (contains(tail, " ") && repeats.of(fold_phrase(tail)) >= kRepeated);
      if (attachment)
        cut = bracket, media = true;
      else if (marker || marked)
        cut = bracket, edited = true;
    }
    if (cut == std::string_view::npos && mark != std::string_view::npos && mark > 0) {
      const std::string tail = fold_phrase(text.substr(mark));
      if (is_omitted_phrase(tail) || is_contact_phrase(tail)) cut = mark, media = true;
    }
    if (cut == std::string_view::npos) return media;
    marked_text = text.substr(0, cut);
  }
}

}  // namespace

void WhatsAppRepeats::count(std::string_view raw) {
  const std::string_view text = trim(raw);
  if (!contains(text, "<")) return;
  const std::string plain = strip_marks(text);
  const std::string_view line = trim(first_line(plain));
  if (is_bracketed(line)) {
    ++counts_[fold_phrase(line)];
  } else if (const std::size_t open = trailing_bracket(plain); open != std::string::npos) {
    ++counts_[fold_phrase(std::string_view(plain).substr(open))];
  }
}

std::uint32_t WhatsAppRepeats::of(const std::string& folded) const {
  const auto found = counts_.find(folded);
  return found == counts_.end() ? 0 : found->second;
}

WhatsAppText classify_whatsapp_text(std::string_view raw, const WhatsAppRepeats& repeats) {
  WhatsAppText result;
  const std::string_view trimmed = trim(raw);
  const bool marked = contains(raw.substr(0, static_cast<std::size_t>(trimmed.data() - raw.data())), kLeftToRightMark);
  std::string plain = strip_marks(trimmed);
  std::string_view text = trim(plain);
  if (text.empty() || text == "null") {
    result.drop = Drop::kEmpty;
    return result;
  }
  if (text.size() <= kMaxGeneratedBytes) {
    result.drop = phrase_kind(fold_phrase(text), marked);
    if (!result.drop && is_location(text)) result.drop = Drop::kLocation;
    if (result.drop) return result;
  }
  if (is_poll(text)) {
    result.drop = Drop::kPoll;
    return result;
  }

  // An attachment's line first; what follows it is a caption, the sender's words, or the file's name once
  // more.
  const std::string_view line = trim(first_line(text));
  if (const auto kind = attachment_kind(line, marked, repeats)) {
    const std::string_view caption = trim(text.substr(first_line(text).size()));
    if (caption.empty() || is_file_name(caption)) {
      result.drop = kind;
      return result;
    }
    result.text = caption;
    return result;
  }

  std::string_view with_marks = trimmed;
  const bool cut_media = cut_tail(with_marks, result.edited, repeats);
  if (with_marks.size() < trimmed.size()) {
    plain = strip_marks(with_marks);
    text = trim(plain);
  }
  if (cut_media) {
    // What remains of "report.pdf • 2 pages" is no caption.
    const std::string_view name = trim(text.substr(0, text.find("•")));
    if (text.empty() || is_file_name(name)) {
      result.drop = file_kind(name);
      return result;
    }
  }
  if (text.empty()) {
    result.drop = Drop::kEmpty;
    return result;
  }
  if (marked && !cut_media) {
    result.drop = Drop::kSystem;
    result.unknown_notice = true;
  }
  result.text = text;
  return result;
}

bool is_notice_before_colon(std::string_view before) {
  // A quotation that opens before the colon and closes after it.
  static constexpr std::array<std::array<std::string_view, 2>, 5> kQuotes = {
      {{"“", "”"}, {"«", "»"}, {"「", "」"}, {"„", "“"}, {"„", "”"}}};
  int open = 0;
  for (const auto& [left, right] : kQuotes) {
    const std::size_t at = before.rfind(left);
    open += at != std::string_view::npos && !contains(before.substr(at + left.size()), right) ? 1 : 0;
  }
  const bool low_quote_closed = contains(before, "„") && (contains(before, "“") || contains(before, "”"));
  if (open > 0 && !low_quote_closed) return true;
  if (std::count(before.begin(), before.end(), '"') % 2 == 1 && contains(before, " ")) return true;
  // A sentence rather than a name.
  const std::string folded = fold_phrase(before);
  return std::count(folded.begin(), folded.end(), ' ') >= kMaxNameSpaces || has_group_phrase(folded);
}

}  // namespace attune
