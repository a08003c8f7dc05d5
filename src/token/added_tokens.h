// Added tokens: strings that are recognised in a text before BPE sees it, as "<|im_end|>" or "</s>".
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "token/tokenizer.h"

namespace attune {

struct AddedToken {
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space on its left
  bool rstrip = false;       // and on its right
  bool normalized = true;    // looked for in the normalized text, as its normalized content
  bool special = false;      // left out by decode(skip_special)
};

// A part of a text: an added token, or (id absent) text between them.
struct AddedTokenMatch {
  std::size_t begin, end;
  std::optional<TokenId> id;
};

class AddedTokens {
 public:
  using Normalize = std::function<std::string(const std::string&)>;

  // Adds `token` with `id`, replacing one of the same content. Call finish() after the last.
  void add(AddedToken token, TokenId id);
  // Prepares matching. Throws BadFile when two tokens match the same text, or one the empty text.
  void finish(const Normalize& normalize, const std::string& where);

  // Parts that cover `text` in order; `normalized` picks the tokens that are looked for in normalized text. Special
  // tokens that overlap a `plain` range (ascending, disjoint) are passed over.
  std::vector<AddedTokenMatch> find(std::string_view text, bool normalized, std::span<const ByteRange> plain) const;

  std::optional<TokenId> id_of(std::string_view content) const;
  const AddedToken* token(TokenId id) const;     // nullptr: not an added token
  const std::string* decoded(TokenId id) const;  // what a decoder sees: the normalized content
  bool is_special(std::string_view decoded) const { return special_.contains(std::string(decoded)); }
  TokenId end_id() const { return end_id_; }  // 1 + the largest id; 0 when there are none

 private:
  struct Entry {
    AddedToken token;
    std::string pattern;  // what is looked for
  };
  struct Matcher {
    struct Candidate {
      std::string_view pattern;
      TokenId id;
    };
    std::size_t next_begin(std::string_view text, std::size_t at) const;
    std::string first_bytes;  // of all patterns, each once
    std::array<bool, 256> begins{};
    std::unordered_map<std::uint16_t, std::vector<Candidate>> by_two_bytes;  // longest first
    std::array<std::optional<TokenId>, 256> single_byte{};
  };
  std::optional<Matcher::Candidate> longest_at(const Matcher& matcher, std::string_view text, std::size_t at,
                                               std::span<const ByteRange> plain) const;

  std::unordered_map<TokenId, Entry> entries_;
  std::unordered_map<std::string, TokenId> ids_;
  std::unordered_set<std::string> special_;
  Matcher raw_, normalized_;
  TokenId end_id_ = 0;
};

}  // namespace attune
