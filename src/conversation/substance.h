// Whether a turn says anything in words: an answer that is only a link or one emoji teaches a model nothing.
#pragma once

#include <string>
#include <string_view>

namespace attune {

// What the messages of a turn hold together.
struct Substance {
  bool words = false;          // a letter or a digit outside of links
  bool links = false;          // http://..., https://..., www....
  bool several_signs = false;  // two different emoji or punctuation signs ("?!", "😂👍")
  std::string sign;            // the first one

  void add(std::string_view text);
  bool only_links() const { return links && !words; }
  bool only_one_sign() const { return !words && !links && !several_signs; }  // "😂", "❤️❤️❤️", "?"
};

}  // namespace attune
