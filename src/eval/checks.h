// The user's own questions with what a right answer is: a file of JSON lines, each
//   {"prompt": "2 + 2 =", "expect": {"equals": "4"}}
//   {"messages": [{"role": "user", "content": "..."}], "expect": {...}}       the last message is the user's
// where `expect` holds one of
//   "equals": TEXT or list       the answer, without outer white space, is one of them
//   "contains": TEXT or list     every one of them occurs in the answer
//   "regex": PATTERN             it matches somewhere; ^ and $ at lines; an empty answer matches nothing
//   "choices": list, "answer": TEXT or index from 0
//                                of the choices as whole answers, the model finds this one the most likely
// Further keys of a row (id, source, ...) are ignored, further keys of `expect` are an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "conversation/conversation.h"
#include "token/regex.h"

namespace attune {

struct Check {
  enum class Kind : std::uint8_t { kEquals, kContains, kRegex, kChoices };
  std::string where;  // "file:line", for messages
  std::vector<Message> messages;
  Kind kind = Kind::kEquals;
  std::vector<std::string> texts;  // kEquals, kContains, kChoices: at least one, two choices
  std::optional<Regex> regex;      // kRegex
  std::size_t right = 0;           // kChoices: of texts
};

const char* name_of(Check::Kind kind);  // "equals", ...

// Throws BadFile "[name:line] ..." for the first row that is wrong, or for a file without rows; Unsupported for a
// pattern that is none.
std::vector<Check> parse_checks(std::string_view text, const std::string& name);
std::vector<Check> read_checks(const fs::path& file);

// Whether an answer is right; not for kChoices. Throws Unsupported when a pattern needs more backtracking than allowed.
bool is_right(const Check& check, std::string_view answer);

}  // namespace attune
