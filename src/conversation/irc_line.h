// One line of an IRC log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace attune {

struct IrcLine {
  enum class Kind {
    kOther,    // not a line of a log
    kBadTime,  // one of somebody's words, or of a new day, whose time cannot be: `text` is the time
    kHeader,   // says which day it is, at least in part
    kNotice,   // joined, left, changed a name
    kSpoken,
    kAction,  // "/me waves"
  };
  Kind kind = Kind::kOther;
  std::optional<std::int64_t> day;     // since 1970, when the line tells
  std::optional<std::int64_t> second;  // of the day, when the line tells
  std::string nick;                    // without the channel's signs @ and +
  std::string text;
};

// `line` is UTF-8 without its line end.
IrcLine parse_irc_line(std::string_view line);

// Without colours and other formatting codes.
std::string strip_irc_codes(std::string_view text);

// The day in a file's name: "2024-01-15.log", "#chan_20240115.log", "2005-06-27_12.raw.txt"; nullopt when there is none.
std::optional<std::int64_t> day_in_name(std::string_view name);

}  // namespace attune
