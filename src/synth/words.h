// Words, numbers and sentences of a text in any language: what chunks, grounding and duplicates compare.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace attune {

struct Word {
  std::string folded;       // composed, case-folded, without accents ("Évának" -> "evanak"); a number: its digits
  bool number = false;      // with its separators: "1,200", "3.5", "80 000"
  bool capital = false;     // begins with a capital letter
  bool begins = false;      // begins a sentence, a line or a quotation: a capital says nothing there
  std::size_t letters = 0;  // code points
};

// In order. Digits and letters that touch are two words ("10km"); each Chinese, Japanese and Thai letter is one, as
// nothing separates words there. Invalid UTF-8 separates words.
std::vector<Word> words_of(std::string_view text);

// Cut after their ends (". ", "? ", line ends ...), without the white space between them; none is empty.
std::vector<std::string_view> sentences_of(std::string_view text);

// Code points; an invalid byte counts as one.
std::size_t length_of(std::string_view text);

}  // namespace attune
