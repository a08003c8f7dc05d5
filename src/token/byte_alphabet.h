// GPT-2's byte alphabet: every byte as one visible character (33-126, 161-172 and 174-255 as themselves, the
// others in order from U+0100), so that a vocabulary of strings can hold arbitrary bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace attune {

constexpr char32_t kByteAlphabetEnd = 0x100 + 68;  // every character of the alphabet is below

char32_t character_of_byte(std::uint8_t byte);

// Each byte of `bytes` as its character.
std::string to_byte_characters(std::string_view bytes);

// The bytes that `text` stands for; absent when one of its characters is not in the alphabet.
std::optional<std::string> from_byte_characters(std::string_view text);

}  // namespace attune
