// The date and time that begins a line of a WhatsApp export. The form follows the phone's language, region
// and clock setting and is written down nowhere, so the grammar is what all of them share:
//   Android   12/31/23, 9:41 PM - Name: text         2023. 12. 31. du. 9:41 - Név: szöveg
//   iOS       [31.12.23, 21:41:05] Name: text        [2023/12/31 下午9:41:05] 名字: 文字
//   old iOS   31/12/13 21:41:05: Name: text
// Three date numbers and two or three time numbers, in any script's digits, in either order, with separators,
// marks and short words (AM, du., ص, klo, г.) between and around them. What the numbers and words mean is
// decided for the whole file in whatsapp_clock.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace attune {

struct WhatsAppStamp {
  std::array<int, 3> date{};            // in the order of the line
  std::array<std::uint8_t, 3> width{};  // their numbers of digits
  int hour = 0, minute = 0, second = 0;
  std::string words;     // lower case, "before|after" the time; "" when there are none
  std::string shape;     // the form: 'n' number, 'Y' a year of 3-4 digits, 'w' words, and separators
  std::size_t body = 0;  // offset of what follows the stamp
  bool exists = true;    // no clock shows 21:77, no calendar has a day 0
};

// The stamp at the start of `line` (without its line end), or nullopt when the line does not begin with one.
std::optional<WhatsAppStamp> parse_whatsapp_stamp(std::string_view line);
// The same, also one that only has the shape of a stamp, with numbers that cannot be: it does not exist.
std::optional<WhatsAppStamp> find_whatsapp_stamp(std::string_view line);

// Whether a shape is that of messages copied within WhatsApp, [21:41, 31/12/2023] Name: in brackets as the iPhone's, but
// without the seconds that its exports have.
bool is_copied_shape(std::string_view shape);

}  // namespace attune
