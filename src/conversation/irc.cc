#include "conversation/irc.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/utf8.h"
#include "conversation/calendar.h"
#include "conversation/irc_line.h"
#include "conversation/mime.h"
#include "conversation/text_marks.h"
#include "conversation/wall_clock.h"

namespace attune {
namespace {

constexpr std::int64_t kHalfDay = kDaySeconds / 2;
constexpr std::int64_t kNoDay = 10957;  // 2000-01-01: only the order counts
constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;

std::string name_part(const std::string& name) { return name.substr(name.rfind('/') + 1); }

// One channel, of one file or several.
struct Channel {
  ChatLog log;                  // each line is an entry
  std::uint64_t read = 0;       // lines that IRC programs write, headers apart
  std::uint64_t converted = 0;  // lines that were Windows-1252
  bool undated = false;
};

// Reads the files of one channel, oldest first.
class ChannelReader {
 public:
  ChannelReader(Channel& channel, const std::string& name)
      : channel_(channel), log_(channel.log), day_(day_in_name(name_part(name))) {
    dated_ = day_.has_value();
    if (!day_) day_ = kNoDay;
  }

  void read(ExportText& file) {
    const PagedText paged = is_utf16(file.bytes()) ? file.utf8() : file.raw();
    std::string_view text = paged.all();
    std::uint64_t number = 0;
    std::size_t at = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    for (std::size_t end; at < text.size(); at = end + 1) {
      paged.touch(at);
      end = std::min(text.find('\n', at), text.size());
      ++number;
      if (end - at > kMaxLineBytes) {
        throw BadFile("[{}:{}] a line of {} bytes; IRC has none longer than 512", file.source(), number, end - at);
      }
      add(text.substr(at, end - at), [&] { return fmt::format("{}:{}", file.source(), number); });
    }
    log_.lines += number;
    channel_.undated = channel_.undated || !dated_;
  }

 private:
  static bool is_utf16(std::string_view bytes) {
    return bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF");
  }

  template <typename Place>
  void add(std::string_view bytes, const Place& place) {
    if (bytes.ends_with('\r')) bytes.remove_suffix(1);
    const bool utf8 = is_valid_utf8(bytes);
    channel_.converted += !utf8;
    const IrcLine line = parse_irc_line(strip_irc_codes(utf8 ? bytes : decode_charset(bytes, "windows-1252")));
    if (line.day) {
      day_ = line.day;
      dated_ = true;
      last_ = line.second.value_or(0);
    } else if (line.second) {
      if (*line.second + kHalfDay < last_) ++*day_;  // past midnight
      last_ = *line.second;
    }
    switch (line.kind) {
      case IrcLine::Kind::kOther:
        return log_.drop(trim(bytes).empty() ? Drop::kEmpty : Drop::kSystem);
      case IrcLine::Kind::kBadTime:
        throw BadFile("[{}] the time \"{}\" does not exist or is written as no IRC program does; correct it", place(),
                      line.text);
      case IrcLine::Kind::kHeader:
        return log_.drop(Drop::kSystem);
      case IrcLine::Kind::kNotice:
        ++channel_.read;
        return log_.drop(Drop::kSystem);
      case IrcLine::Kind::kSpoken:
      case IrcLine::Kind::kAction:
        break;
    }
    ++channel_.read;
    if (line.text.empty()) return log_.drop(Drop::kEmpty);
    const bool action = line.kind == IrcLine::Kind::kAction;
    log_.add(*day_ * kDaySeconds + last_, line.nick, action ? "*" + line.text + "*" : line.text);
  }

  Channel& channel_;
  ChatLog& log_;
  std::optional<std::int64_t> day_;
  std::int64_t last_ = 0;  // second of the day of the line before
  bool dated_ = false;
};

bool detect_irc(const std::string&, std::string_view head) {
  std::size_t lines = 0, known = 0, spoken = 0;
  for (std::size_t at = 0, end; at < head.size() && lines < 200; at = end + 1) {
    end = std::min(head.find('\n', at), head.size());
    std::string_view text = head.substr(at, end - at);
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (trim(text).empty()) continue;
    ++lines;
    const IrcLine line = parse_irc_line(strip_irc_codes(text));
    known += line.kind != IrcLine::Kind::kOther;
    spoken += line.kind == IrcLine::Kind::kSpoken || line.kind == IrcLine::Kind::kAction;
  }
  return spoken > 0 && known * 10 >= lines * 9;
}

// The channel that a file belongs to: its folder, with the name of the file where that is no day's.
std::string channel_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : name.substr(0, slash);
  std::string file = name_part(name);
  const bool day = day_in_name(file).has_value();
  // "#chan_20240115.log" and "#chan_20240116.log" are one channel.
  std::erase_if(file, [](char c) { return c >= '0' && c <= '9'; });
  return day ? folder + "/" + file : name;
}

Imported read_irc(const ExportFiles& files, const std::set<std::string>& names, const ReadOptions&) {
  std::map<std::string, Channel> channels;
  files.read([&](const std::string& name) { return names.contains(name); },
             [&](const std::string& name, ExportText& text) {
               Channel& channel = channels[channel_of(name)];
               if (channel.log.source.empty()) channel.log.source = text.source();
               ChannelReader(channel, name).read(text);
             });
  Imported result;
  for (auto& [name, channel] : channels) {
    ChatLog& log = channel.log;
    if (channel.read == 0) throw BadFile("[{}] not an IRC log: no line reads as \"12:34 <nick> text\"", log.source);
    log.format = channel.converted == 0 ? "IRC" : fmt::format("IRC ({} lines were Windows-1252)", channel.converted);
    if (channel.undated) log.dates = "none in the file: only the order of the lines counts";
    log.messages.sort_by_time();
    result.logs.push_back(std::move(log));
  }
  return result;
}

}  // namespace

const Importer kIrc = {"irc", "IRC logs", true, detect_irc, read_irc};

}  // namespace attune
