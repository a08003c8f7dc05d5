// Python's str operations that depend on Unicode: white space, case, code-point indexing, quoting.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attune::jinja {

std::u32string decode(std::string_view utf8);  // valid UTF-8
std::string encode(std::u32string_view text);
std::size_t count_code_points(std::string_view utf8);

bool is_space(char32_t c);       // str.isspace
bool is_line_break(char32_t c);  // what str.splitlines splits at
bool is_printable(char32_t c);   // what repr() leaves as it is
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);
bool is_identifier(std::string_view name);

// Full case mapping (one character may become three: "ß" -> "SS").
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);        // str.title
std::string to_capitalized(std::string_view text);  // str.capitalize
std::string swap_case(std::string_view text);

enum Side { kLeft = 1, kRight = 2, kBoth = 3 };
std::string_view strip(std::string_view text, Side side);
std::string_view strip(std::string_view text, Side side, std::string_view characters);

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
// str.split() on white space, at most `limit` cuts (negative: no limit), from the left or from the right.
std::vector<std::string_view> split_space(std::string_view text, std::int64_t limit, bool from_right);

// repr() of a str.
std::string quote(std::string_view text);
// markupsafe.escape
std::string escape_html(std::string_view text);

}  // namespace attune::jinja
