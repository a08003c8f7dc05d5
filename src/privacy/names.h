// The people of a chat, found in its texts by their names, and the pseudonyms that stand for them.
//
// A name is a word, or several of one person in a row ("Nagy Kata"), that is part of a person's name as the chat or the
// user gives it: in any letter case, or with a capital only when it is also an everyday word ("Will", "Mark", "Nagy").
// English and German 's and the endings of Hungarian are seen through ("Annának", "Kataval") and kept. People who
// neither write in the chat nor are named by the user are not known and stay; scripts without spaces are not searched.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "privacy/finding.h"

namespace attune {

class Names {
 public:
  // `people` in the order in which they get pseudonyms.
  explicit Names(const std::vector<std::string>& people);

  // value: the person's name as given.
  void find(std::string_view text, std::vector<Finding>& found) const;

  // What stands for people[i]: "Robin", "Charlie", ...; never a name that one of them has.
  const std::string& pseudonym(std::size_t person) const { return pseudonyms_[person]; }
  const std::vector<std::string>& people() const { return people_; }

 private:
  struct Part {
    std::vector<std::size_t> people;
    bool everyday = false;  // also a word of the language
  };
  const Part* part_of(std::string_view word, std::size_t& length) const;

  std::vector<std::string> people_, pseudonyms_;
  std::unordered_map<std::string, Part> parts_;  // by folded word
};

}  // namespace attune
