// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): the checksum of TensorBoard's records and of the spool's lines.
#pragma once

#include <cstdint>
#include <string_view>

namespace attune {

// crc32c("123456789") is 0xe3069283.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace attune
