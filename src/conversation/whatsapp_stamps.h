// The stamps of a whole export, 20 bytes each (base/spill.h): what they mean is decided from all of them together, and
// there may be ten million.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/spill.h"
#include "conversation/whatsapp_stamp.h"

namespace attune {

class WhatsAppStamps {
 public:
  // A stamp without its place in the line.
  struct View {
    std::array<int, 3> date;
    std::array<std::uint8_t, 3> width;
    int hour, minute, second;
    const std::string& words;
    const std::string& shape;
  };
  void push_back(const WhatsAppStamp& stamp);
  std::size_t size() const { return packed_.size(); }
  bool empty() const { return packed_.empty(); }
  View operator[](std::size_t i) const;
  // The different shapes, and the number of stamp i's among them.
  const std::deque<std::string>& shapes() const { return shapes_.texts; }
  std::uint32_t shape(std::size_t i) const { return packed_[i].shape; }

 private:
  struct Packed {
    std::array<std::int16_t, 3> date;
    std::array<std::uint8_t, 3> width;
    std::uint8_t hour, minute, second;
    std::uint32_t words, shape;
  };
  struct Texts {
    std::uint32_t number(const std::string& text);
    std::deque<std::string> texts;
    std::unordered_map<std::string_view, std::uint32_t> numbers;
  };
  SpillVector<Packed> packed_;
  Texts words_, shapes_;
};

}  // namespace attune
