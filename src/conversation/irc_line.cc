#include "conversation/irc_line.h"

#include <algorithm>

#include "base/ascii.h"
#include "conversation/calendar.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

constexpr std::string_view kDayChanged = "--- Day changed";
constexpr std::size_t kMaxNickBytes = 64;
constexpr std::size_t kMaxStampBytes = 40;

int two_digits(std::string_view text, std::size_t at) {
  if (at + 2 > text.size() || !is_digit(text[at]) || !is_digit(text[at + 1])) return -1;
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

// "12:34" or "12:34:56" at the beginning; `length` is that of the time.
std::optional<std::int64_t> clock_at(std::string_view text, std::size_t& length) {
  const int hour = two_digits(text, 0), minute = two_digits(text, 3);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || text[2] != ':') return std::nullopt;
  length = 5;
  int second = 0;
  if (text.size() > 5 && text[5] == ':') {
    second = two_digits(text, 6);
    if (second < 0 || second > 60) return std::nullopt;
    length = 8;
  }
  if (length < text.size() && is_digit(text[length])) return std::nullopt;
  return hour * 3600 + minute * 60 + second;
}

// A full date and time before `length`: "2024-01-15 12:34:56", "Jan 15 12:34:56" (no year: only the time counts).
bool read_stamp(std::string_view line, IrcLine& parsed, std::size_t& length) {
  const bool bracket = line.starts_with('[');
  const std::string_view text = line.substr(bracket ? 1 : 0);
  std::size_t size = 0;
  if (const auto clock = clock_at(text, size)) {
    parsed.second = clock;
  } else if (text.size() >= 16 && text[4] == '-' && text[7] == '-') {
    const auto time = parse_iso_time(text.substr(0, 19));
    if (!time) return false;
    parsed.day = *time / kDaySeconds;
    parsed.second = *time % kDaySeconds;
    size = text.size() > 16 && text[16] == ':' ? 19 : 16;
    while (size < text.size() && text[size] != ']' && text[size] != '\t' && text[size] != ' ') ++size;  // zone
  } else if (text.size() >= 15 && text[3] == ' ' && text[6] == ' ') {
    std::size_t clock_size = 0;
    if (!(parsed.second = clock_at(text.substr(7), clock_size))) return false;
    size = 7 + clock_size;
  } else {
    return false;
  }
  length = size + (bracket ? 1 : 0);
  if (!bracket) return true;
  if (length >= line.size() || line[length] != ']') return false;
  ++length;
  return true;
}

std::string_view without_signs(std::string_view nick) {
  nick = trim(nick);
  while (!nick.empty() && (nick.front() == '@' || nick.front() == '+' || nick.front() == '%' || nick.front() == '&' ||
                           nick.front() == '~')) {
    nick.remove_prefix(1);
  }
  return nick;
}

bool is_nick(std::string_view nick) {
  return !nick.empty() && nick.size() <= kMaxNickBytes && nick.find_first_of(" \t<>:") == std::string_view::npos;
}

// What stands behind the time.
void read_body(std::string_view body, IrcLine& parsed) {
  const bool spaced = body.starts_with(' ') || body.starts_with('\t');
  const std::string_view rest = trim(body);
  const auto says = [&](IrcLine::Kind kind, std::string_view nick, std::string_view text) {
    parsed.kind = kind;
    parsed.nick = without_signs(nick);
    parsed.text = strip_marks(trim(text));
  };
  if (rest.starts_with('<') && !rest.starts_with("<-")) {
    const std::size_t close = rest.find('>');
    const std::string_view nick = close == std::string_view::npos ? "" : rest.substr(1, close - 1);
    if (is_nick(without_signs(nick))) return says(IrcLine::Kind::kSpoken, nick, rest.substr(close + 1));
  }
  for (const std::string_view notice : {"-!-", "***", "-->", "<--", "---", "--", "===", "=-=", "<-", "->"}) {
    if (!rest.starts_with(notice)) continue;
    parsed.kind = IrcLine::Kind::kNotice;
    return;
  }
  if (rest.starts_with('-')) {  // "-nick- a notice of a server or a bot"
    parsed.kind = IrcLine::Kind::kNotice;
    return;
  }
  if (rest.starts_with("* ") || rest.starts_with("*\t")) {
    std::string_view action = trim(rest.substr(1));
    if (action.starts_with("* ")) action = trim(action.substr(1));
    const std::size_t end = action.find_first_of(" \t");
    const std::string_view nick = action.substr(0, end);
    if (end != std::string_view::npos && is_nick(without_signs(nick))) {
      says(IrcLine::Kind::kAction, nick, action.substr(end));
      // mIRC writes joins with one star as well: "* nick (user@host) has joined #chan"; HexChat "* Now talking on #chan".
      if (parsed.nick == "Now" || parsed.nick == "Topic" || parsed.nick == "You" || parsed.nick == "Channel" ||
          parsed.text.starts_with('(') || parsed.text.starts_with("has joined #") ||
          parsed.text.starts_with("has quit") || parsed.text.starts_with("has left #") ||
          parsed.text.starts_with("is now known as")) {
        parsed.kind = IrcLine::Kind::kNotice;
      }
    }
    return;
  }
  // weechat: the nick in a column of its own.
  const std::size_t tab = spaced ? body.find('\t', 1) : std::string_view::npos;
  if (tab == std::string_view::npos) return;
  const std::string_view nick = without_signs(body.substr(0, tab));
  if (is_nick(nick))
    says(IrcLine::Kind::kSpoken, nick, body.substr(tab + 1));
  else if (nick.empty() && body.find_first_not_of(" \t") != std::string_view::npos)
    parsed.kind = IrcLine::Kind::kNotice;
}

// What stands in the place of a time, before "<nick>", "* nick" or a column with the nick; "" when nothing does.
std::string_view time_shape(std::string_view line) {
  const std::size_t body = std::min(line.find_first_of("<*\t"), line.size());
  const std::string_view shape = trim(line.substr(0, body));
  line.remove_prefix(body);
  bool spoken = false;
  if (line.starts_with('<')) {
    const std::size_t close = line.find('>');
    spoken = close != std::string_view::npos && is_nick(without_signs(line.substr(1, close - 1)));
  } else if (line.starts_with('\t')) {
    const std::size_t tab = line.find('\t', 1);
    spoken = tab != std::string_view::npos && is_nick(without_signs(line.substr(0, tab)));
  } else {
    spoken = line.starts_with("* ");
  }
  const bool month = shape.size() > 4 && shape[3] == ' ' && !is_digit(shape[0]);  // "Jan 15 12:34:56"
  const std::string_view numbers = shape.substr(month ? 4 : 0);
  const bool digits = std::count_if(numbers.begin(), numbers.end(), is_digit) >= 3;
  if (!spoken || !digits || numbers.size() > kMaxStampBytes || numbers.find(':') == std::string_view::npos ||
      numbers.find_first_not_of("0123456789:-./TZ+[] ") != std::string_view::npos) {
    return {};
  }
  return shape;
}

// Lines of the log's own, with or without a date.
bool read_header(std::string_view line, IrcLine& parsed) {
  const bool header = line.starts_with("--- Log ") || line.starts_with(kDayChanged) || line.starts_with("**** ") ||
                      line.starts_with("Session Start:") || line.starts_with("Session Close:") ||
                      line.starts_with("Session Time:");
  if (!header) return false;
  parsed.kind = IrcLine::Kind::kHeader;
  const std::size_t digit = line.find_first_of("0123456789");
  if (digit == std::string_view::npos) return true;
  // From the month on: "Day changed Tue Jan 16 2024" has no time.
  const std::size_t begin = line.rfind(' ', digit < 2 ? 0 : digit - 2);
  const std::string_view date = line.substr(begin == std::string_view::npos ? 0 : begin);
  if (const auto time = parse_worded_time(date))
    parsed.day = *time / kDaySeconds;
  else if (const auto day = parse_worded_time("00:00 " + std::string(date)))
    parsed.day = *day / kDaySeconds;
  else if (const auto midnight = parse_worded_time(std::string(date) + " 00:00"))
    parsed.day = *midnight / kDaySeconds;
  else if (const auto iso = parse_any_time(trim(line.substr(digit)).substr(0, 10), DateOrder::kInfer))
    parsed.day = *iso / kDaySeconds;
  else if (line.starts_with(kDayChanged))
    parsed = {IrcLine::Kind::kBadTime, {}, {}, {}, std::string(trim(line.substr(kDayChanged.size())))};
  return true;
}

}  // namespace

std::string strip_irc_codes(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\x03') {  // colour: up to two digits, and after a comma two more
      for (int part = 0; part < 2; ++part) {
        for (int d = 0; d < 2 && i + 1 < text.size() && is_digit(text[i + 1]); ++d) ++i;
        if (part == 1 || i + 2 >= text.size() || text[i + 1] != ',' || !is_digit(text[i + 2])) break;
        ++i;
      }
    } else if (static_cast<unsigned char>(c) >= 0x20 || c == '\t') {
      plain += c;
    }
  }
  return plain;
}

IrcLine parse_irc_line(std::string_view line) {
  IrcLine parsed;
  if (read_header(line, parsed)) return parsed;
  if (line.starts_with("=== ") || line.starts_with("*** ")) {
    parsed.kind = IrcLine::Kind::kNotice;
    return parsed;
  }
  std::size_t length = 0;
  if (!read_stamp(line, parsed, length)) {
    const std::string_view time = time_shape(line);
    if (time.empty()) return {};
    return {IrcLine::Kind::kBadTime, {}, {}, {}, std::string(time)};
  }
  read_body(line.substr(length), parsed);
  if (parsed.kind == IrcLine::Kind::kOther) return {};
  return parsed;
}

std::optional<std::int64_t> day_in_name(std::string_view name) {
  const auto number = [&](std::size_t at, std::size_t width) {
    int value = 0;
    for (std::size_t i = at; i < at + width; ++i) value = value * 10 + (name[i] - '0');
    return value;
  };
  for (std::size_t i = 0; i + 8 <= name.size(); ++i) {
    const auto digits = [&](std::size_t at, std::size_t width) {
      for (std::size_t k = at; k < at + width; ++k) {
        if (k >= name.size() || !is_digit(name[k])) return false;
      }
      return true;
    };
    if (i > 0 && is_digit(name[i - 1])) continue;
    std::optional<CalendarDay> day;
    if (digits(i, 8))
      day = day_of(number(i, 4), 4, number(i + 4, 2), number(i + 6, 2));
    else if (digits(i, 4) && digits(i + 5, 2) && digits(i + 8, 2) && name[i + 4] == name[i + 7]) {
      day = day_of(number(i, 4), 4, number(i + 5, 2), number(i + 8, 2));
    }
    if (day && day->year >= 1988) return day->day;
  }
  return std::nullopt;
}

}  // namespace attune
