#include "conversation/signal_text.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{1} << 24;

// Calls visit(line, number) for each line without its end.
template <typename Visit>
void for_each_line(ExportText& file, ChatLog& log, const Visit& visit) {
  const PagedText paged = file.utf8(true);
  const std::string_view text = paged.all();
  for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
    paged.touch(at);
    end = std::min(text.find('\n', at), text.size());
    ++log.lines;
    if (end - at > kMaxLineBytes) throw BadFile("[{}:{}] a line of {} bytes", file.source(), log.lines, end - at);
    visit(text.substr(at, end - at));
  }
}

struct MarkdownHead {
  std::int64_t time = 0;
  std::string_view sender, text;
};

// "[2022-05-01 12:00:00] Anna: text", in old versions "[2019-05-29, 15:04] Anna: text".
std::optional<MarkdownHead> markdown_head(std::string_view line) {
  if (!line.starts_with('[') || line.size() < 20) return std::nullopt;
  const std::size_t close = line.find("] ");
  if (close == std::string_view::npos || close > 28) return std::nullopt;
  std::string date(line.substr(1, close - 1));
  if (const std::size_t comma = date.find(", "); comma != std::string::npos) date.erase(comma, 1);
  const auto time = parse_iso_time(date);
  const std::size_t colon = line.find(':', close);
  if (!time || colon == std::string_view::npos) return std::nullopt;
  return MarkdownHead{*time, line.substr(close + 2, colon - close - 2), line.substr(colon + 1)};
}

// Attachments are links into the folder media, reactions a line "(- Anna: 👍 -)", quotations lines with ">".
bool is_decoration(std::string_view line) {
  line = trim(line);
  return line.starts_with("> ") || line == ">" || (line.starts_with("(- ") && line.ends_with("-)")) ||
         ((line.starts_with("![") || line.starts_with('[')) && line.ends_with(')') &&
          (line.find("](media/") != std::string_view::npos || line.find("](./media/") != std::string_view::npos ||
           line.find("](<") != std::string_view::npos)) ||
         line.starts_with("<audio ") || line.starts_with("<video ");
}

// Collects the lines of one message.
struct Pending {
  std::int64_t time = 0;
  std::string sender, text;
  bool open = false, media = false;
};

void flush(Pending& pending, ChatLog& log, const std::string& me) {
  if (!pending.open) return;
  pending.open = false;
  const std::string words = strip_marks(trim(pending.text));
  if (words.empty()) return log.drop(pending.media ? Drop::kMedia : Drop::kEmpty);
  const std::string sender = clean_name(pending.sender);
  const bool mine = sender == "Me" || sender == "You" || sender.empty();
  if (sender == "No-Sender") return log.drop(Drop::kSystem);
  log.add(pending.time, mine ? me : sender, words);
}

// “Anna” +36301234567 (device: 1) -> Anna
std::string envelope_name(std::string_view text) {
  const std::size_t open = text.find("“"), close = text.find("”");
  if (open != std::string_view::npos && close != std::string_view::npos && close > open + 3) {
    return clean_name(text.substr(open + 3, close - open - 3));
  }
  text = trim(text.substr(0, text.find(" (device")));
  return clean_name(text);
}

}  // namespace

bool is_signal_markdown(const std::string& name, std::string_view head) {
  if (!name.ends_with(".md")) return false;
  for (std::size_t at = 0, end; at < head.size(); at = end + 1) {
    end = std::min(head.find('\n', at), head.size());
    if (markdown_head(head.substr(at, end - at))) return true;
  }
  return false;
}

bool is_signal_envelopes(std::string_view head) {
  return (head.starts_with("Envelope from: ") || head.find("\nEnvelope from: ") != std::string_view::npos) &&
         head.find("Timestamp: ") != std::string_view::npos;
}

ChatLog read_signal_markdown(ExportText& file, const std::string& me) {
  ChatLog log;
  log.source = file.source();
  log.format = "Signal";
  Pending pending;
  for_each_line(file, log, [&](std::string_view line) {
    if (const auto head = markdown_head(line)) {
      flush(pending, log, me);
      pending = {head->time, std::string(head->sender), "", true, false};
      line = head->text;
    } else if (!pending.open) {
      return;
    }
    if (is_decoration(line))
      pending.media = pending.media || line.find("](") != std::string_view::npos;
    else
      pending.text.append(trim(line)).append("\n");
  });
  flush(pending, log, me);
  if (log.entries == 0) {
    throw BadFile("[{}] no line reads as \"[2022-05-01 12:00:00] Name: text\"", file.source());
  }
  return log;
}

ChatLog read_signal_envelopes(ExportText& file, const std::string& me) {
  ChatLog log;
  log.source = file.source();
  log.format = "Signal";
  Pending pending;
  bool body = false, words = false;
  const auto finish = [&] {
    if (pending.open && !words && !pending.media) {  // a receipt or a typing sign
      pending.open = false;
      log.drop(Drop::kSystem);
    }
    flush(pending, log, me);
  };
  for_each_line(file, log, [&](std::string_view line) {
    const std::string_view plain = trim(line);
    // The keys that follow a text, which may have several lines.
    static constexpr std::array<std::string_view, 8> kKeys = {
        "With profile key", "Expires in:", "Attachments:", "Quote:",
        "Mentions:",        "Reaction:",   "Group info:",  "Previews:"};
    const bool key =
        std::any_of(kKeys.begin(), kKeys.end(), [&](std::string_view word) { return plain.starts_with(word); });
    if (line.starts_with("Envelope from: ")) {
      finish();
      pending = {0, envelope_name(line.substr(15)), "", true, false};
      body = words = false;
    } else if (!pending.open) {
      return;
    } else if (plain.starts_with("Timestamp: ") && pending.time == 0) {
      std::int64_t count = 0;
      std::from_chars(plain.data() + 11, plain.data() + plain.size(), count);
      const auto time = seconds_of_epoch(count);
      if (!time) throw BadFile("[{}:{}] expected milliseconds since 1970, got \"{}\"", file.source(), log.lines, plain);
      pending.time = *time;
    } else if (plain.starts_with("Received sync sent message")) {
      pending.sender = "Me";
    } else if (plain.starts_with("Body: ")) {
      pending.text = plain.substr(6);
      body = words = true;
    } else if (key) {
      body = false;
      pending.media = pending.media || plain.starts_with("Attachments:");
    } else if (body && !plain.empty()) {
      pending.text.append("\n").append(line);
    }
  });
  finish();
  log.messages.sort_by_time();
  return log;
}

}  // namespace attune
