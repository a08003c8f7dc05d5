// Byte-pair encoding (arXiv:1508.07909) as Hugging Face `tokenizers` does it: a piece starts as its characters, and the
// adjacent pair of lowest rank (leftmost on ties) is merged until none is left.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "token/flat_map.h"
#include "token/text_map.h"
#include "token/tokenizer.h"

namespace attune {

struct BpeOptions {
  std::optional<std::string> unknown_token;  // stands for characters the vocabulary lacks; without it they vanish
  std::string continuing_subword_prefix;     // put before every character of a piece but the first
  std::string end_of_word_suffix;            // put after the last character of a piece
  bool fuse_unknown = false;                 // consecutive unknown characters make one token
  bool byte_fallback = false;                // a character the vocabulary lacks becomes its bytes' <0xNN> tokens
  bool ignore_merges = false;                // a piece that is a token is that token
  bool pieces_are_bytes = false;             // pieces hold raw bytes; the vocabulary writes them in the byte alphabet
};

class Bpe {
 public:
  using Vocabulary = std::vector<std::pair<std::string, TokenId>>;
  using Merges = std::vector<std::pair<std::string, std::string>>;  // in order of rank

  // `where` begins the messages of BadFile: a negative, huge or repeated id, or a merge of tokens that do not exist.
  Bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options, const std::string& where);

  // Appends the ids of `pieces`, in order. Quicker for many than one by one. Thread-safe.
  void encode(std::span<const std::string_view> pieces, std::vector<TokenId>& ids) const;

  std::optional<TokenId> id_of(std::string_view token) const;
  const std::string* token(TokenId id) const;  // nullptr: no token has this id
  TokenId end_id() const { return end_id_; }   // 1 + the largest id
  std::size_t size() const { return vocabulary_.size(); }

 private:
  void read_merges(const Merges& merges, const std::string& where);
  void read_units();
  TokenId unit(char32_t c) const;
  void encode_words(std::span<const std::string_view> words, std::vector<TokenId>& ids) const;
  void merge_word(std::string_view word, std::vector<TokenId>& symbols) const;
  bool may_start(std::string_view token) const;
  bool may_cut(char32_t left, char32_t right) const;
  void start_symbols(std::string_view word, std::vector<TokenId>& symbols) const;
  void merge_short(std::vector<TokenId>& symbols) const;
  void merge_long(std::vector<TokenId>& symbols) const;

  Vocabulary vocabulary_;
  BpeOptions options_;
  TokenId end_id_ = 0;
  std::optional<TokenId> unknown_;
  std::unordered_map<std::string_view, TokenId> ids_;  // views into vocabulary_
  TextMap<TokenId> whole_words_;                       // pieces_are_bytes and ignore_merges: ids by raw bytes
  std::vector<std::uint32_t> index_of_id_;             // into vocabulary_; kNoIndex: no such id
  std::vector<TokenId> small_units_;                   // ids of single characters below 0x3000, or -1
  std::vector<TokenId> byte_units_;                    // pieces_are_bytes: ids of the 256 bytes, or -1
  FlatMap<TokenId> large_units_;                       // the other single characters
  struct Merge {
    std::uint32_t rank;
    TokenId id;
  };
  FlatMap<Merge> merges_;           // by pair of ids
  FlatMap<Merge> starting_merges_;  // of these, those that start_symbols() may give: few, and half of what is looked up
  bool can_cut_ = false;            // see read_merges()
  FlatMap<char> joined_;            // pairs of characters that some merge may join
  std::vector<char> cuts_latin_;    // may_cut() of pairs of the characters that latin_index() knows
  std::uint32_t instance_ = 0;      // owner of entries in a thread's word cache
};

}  // namespace attune
