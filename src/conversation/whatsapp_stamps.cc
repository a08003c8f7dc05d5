#include "conversation/whatsapp_stamps.h"

namespace attune {

std::uint32_t WhatsAppStamps::Texts::number(const std::string& text) {
  const auto found = numbers.find(text);
  if (found != numbers.end()) return found->second;
  texts.push_back(text);
  return numbers[texts.back()] = static_cast<std::uint32_t>(texts.size() - 1);
}

void WhatsAppStamps::push_back(const WhatsAppStamp& stamp) {
  Packed packed{{},
                stamp.width,
                static_cast<std::uint8_t>(stamp.hour),
                static_cast<std::uint8_t>(stamp.minute),
                static_cast<std::uint8_t>(stamp.second),
                words_.number(stamp.words),
                shapes_.number(stamp.shape)};
  for (std::size_t i = 0; i < 3; ++i) packed.date[i] = static_cast<std::int16_t>(stamp.date[i]);  // four digits at most
  packed_.push_back(packed);
}

WhatsAppStamps::View WhatsAppStamps::operator[](std::size_t i) const {
  const Packed& packed = packed_[i];
  return {{packed.date[0], packed.date[1], packed.date[2]},
          packed.width,
          packed.hour,
          packed.minute,
          packed.second,
          words_.texts[packed.words],
          shapes_.texts[packed.shape]};
}

}  // namespace attune
