#include "conversation/signal_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "conversation/signal_chats.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{1} << 24;
constexpr const char* kSealed = "unknown source";  // what old versions call a sender that they name lines later

// Calls visit(line) for each line without its end, and counts them.
template <typename Visit>
void for_each_line(ExportText& file, std::uint64_t& lines, const Visit& visit) {
  const PagedText paged = file.utf8(true);
  const std::string_view text = paged.all();
  for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
    paged.touch(at);
    end = std::min(text.find('\n', at), text.size());
    ++lines;
    if (end - at > kMaxLineBytes) throw BadFile("[{}:{}] a line of {} bytes", file.source(), lines, end - at);
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

// “Anna” +36301234567 (device: 1) to +36309876543
struct Contact {
  std::string_view name, number;  // the number, or the account's uuid
};

Contact read_contact(std::string_view text) {
  Contact contact;
  const std::size_t open = text.find("“"), close = text.find("”");
  if (open == 0 && close != std::string_view::npos && close >= 3) {
    contact.name = text.substr(3, close - 3);
    text.remove_prefix(close + 3);
  }
  for (const std::string_view end : {" (device", " ,"}) text = text.substr(0, text.find(end));
  contact.number = trim(text);
  return contact;
}

// A block that begins "Envelope from: ", as far as it is read.
struct Envelope {
  bool open = false, mine = false, media = false, words = false;
  std::optional<std::int64_t> time;
  std::string from, chat, text;
  std::uint64_t lines = 0;
};

// The keys that follow a text, which may have several lines.
bool is_key(std::string_view line) {
  static constexpr std::array<std::string_view, 4> kBeginnings = {"With profile key",
                                                                  "Expires in: ", "Quote:", "Remote delete message: "};
  static constexpr std::array<std::string_view, 10> kLines = {
      "Attachments:", "Mentions:", "Reaction:", "Group info:",        "Previews:",
      "Story reply:", "Contacts:", "Sticker:",  "Group call update:", "Profile key update"};
  return std::find(kLines.begin(), kLines.end(), line) != kLines.end() ||
         std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](std::string_view beginning) { return line.starts_with(beginning); });
}

void flush(Envelope& envelope, const std::string& me, SignalChats& chats) {
  if (!envelope.open) return;
  ChatLog& log = chats.log(envelope.chat);
  log.lines += envelope.lines;
  const std::string words = strip_marks(trim(envelope.text));
  if (!words.empty())
    log.add(*envelope.time, envelope.mine ? me : envelope.from, words);
  else if (envelope.words || envelope.media)
    log.drop(envelope.media ? Drop::kMedia : Drop::kEmpty);
  else
    log.drop(Drop::kSystem);  // a receipt or a typing sign
  envelope = {};
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
  for_each_line(file, log.lines, [&](std::string_view line) {
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

std::vector<ChatLog> read_signal_envelopes(ExportText& file, const std::string& me) {
  SignalChats chats(file.source(), me);
  Envelope envelope;
  bool body = false, group = false;  // inside the text, inside "Group info:"
  const auto person = [&](std::string_view text) {
    const Contact contact = read_contact(text);
    return chats.person("", std::string(contact.number), contact.name);
  };
  std::uint64_t number = 0, before = 0;
  for_each_line(file, number, [&](std::string_view line) {
    const std::string_view plain = trim(line);
    if (line.starts_with("Envelope from: ")) {
      flush(envelope, me, chats);
      envelope.open = true;
      envelope.lines = 1 + std::exchange(before, 0);
      envelope.from = envelope.chat = person(line.substr(15));
      body = group = false;
      return;
    }
    if (!envelope.open) {
      ++before;
      return;
    }
    ++envelope.lines;
    if (is_key(plain)) {
      body = false;
      group = plain == "Group info:";
      envelope.media = envelope.media || plain == "Attachments:" || plain == "Sticker:";
    } else if (body) {
      if (!plain.empty()) envelope.text.append("\n").append(line);
    } else if (plain.starts_with("Timestamp: ") && !envelope.time) {
      std::int64_t count = 0;
      std::from_chars(plain.data() + 11, plain.data() + plain.size(), count);
      envelope.time = seconds_of_epoch(count);
      if (!envelope.time) {
        throw BadFile("[{}:{}] expected milliseconds since 1970, got \"{}\"", file.source(), number, plain);
      }
    } else if (plain.starts_with("Sender: ") && envelope.from == kSealed) {
      envelope.from = envelope.chat = person(plain.substr(8));
    } else if (plain.starts_with("Received sync sent message")) {
      envelope.mine = true;
    } else if (plain.starts_with("To: ") && envelope.mine && !envelope.words) {
      envelope.chat = person(plain.substr(4));
    } else if (plain.starts_with("Id: ") && group) {
      envelope.chat = plain.substr(4);
    } else if (plain.starts_with("Name: ") && group) {
      chats.call(envelope.chat, plain.substr(6));
    } else if (plain.starts_with("Body: ") && !envelope.words) {
      if (!envelope.time) throw BadFile("[{}:{}] a message without a Timestamp", file.source(), number);
      envelope.text = plain.substr(6);
      body = envelope.words = true;
    }
  });
  flush(envelope, me, chats);
  return chats.finish();
}

}  // namespace attune
