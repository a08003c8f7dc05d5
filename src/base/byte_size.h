// Sizes as people write them: "5GB", "1.5GiB", "96B".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace attune {

// Bytes, rounded down; powers of ten for KB to TB, of two for KiB to TiB. Nothing when `text` is no number with one of
// these units or B, or less than one byte or more than 10^15.
std::optional<std::uint64_t> parse_byte_size(std::string_view text);

// The shortest text that means exactly so many bytes: "5GB".
std::string byte_size_text(std::uint64_t bytes);

}  // namespace attune
