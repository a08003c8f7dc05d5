// The splitting patterns of GPT-2, Llama 3 and Qwen 2, which most byte-level tokenizers share, written out by hand: they
// are chosen by the exact text of the pattern, run an order of magnitude faster than a regular expression, and a test
// holds them to it on random Unicode.
#pragma once

#include <cstddef>
#include <string_view>

namespace attune {

// The end of the match that begins at `begin` (below text.size()) of valid UTF-8 text. These patterns match every
// character, so the matches are the pieces.
using PieceEnd = std::size_t (*)(std::string_view text, std::size_t begin);

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// nullptr when no scanner is written for this pattern.
PieceEnd scanner_for(std::string_view pattern);

}  // namespace attune
