// A guess at the language of a text, good enough to tell which language a tokenizer is poor at.
//
// A text is of a script when most of its letters are. Scripts of one language, or close to it, name it (Greek, Hebrew,
// Thai, Hangul; kana with Han is Japanese). For Latin and Cyrillic the language is the one whose most frequent function
// words occur most often; without at least two of them, or when two languages are equal, it stays "other".
#pragma once

#include <cstdint>
#include <string_view>

namespace attune {

// "English", "Hungarian", ..., "Chinese"; "other" when nothing speaks for one.
std::string_view guess_language(std::string_view text);

// Characters per token below which a tokenizer is poor at a language: its users pay for two or three times as many tokens
// as English needs (about 4 characters each), and the model has seen little of it. 2.2 for alphabets; 0.8 for Chinese and
// Japanese, 1.0 for Korean, whose characters say more.
double poor_below(std::string_view language);

}  // namespace attune
