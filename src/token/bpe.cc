#include "token/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "token/byte_alphabet.h"
#include "token/word_cache.h"

namespace attune {
namespace {

constexpr TokenId kMaxId = 1 << 24;  // far above every real vocabulary; bounds the id table
constexpr std::uint32_t kNoIndex = std::numeric_limits<std::uint32_t>::max();
constexpr char32_t kSmallUnits = 0x3000;
constexpr std::size_t kShortWord = 40;  // symbols; above, a heap is faster than repeated scans

std::uint64_t pair_key(TokenId a, TokenId b) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32 | static_cast<std::uint32_t>(b);
}
std::uint64_t character_pair(char32_t a, char32_t b) { return static_cast<std::uint64_t>(a) << 32 | b; }

// "<0x0A>" and its like.
bool is_byte_token(std::string_view token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

// Latin letters and SentencePiece's U+2581 for a space: most of a text, and few enough for a table of pairs.
constexpr char32_t kLatin = 0x180, kSpaceSign = 0x2581;
std::size_t latin_index(char32_t c) { return c < kLatin ? c : c == kSpaceSign ? kLatin : kLatin + 1; }
char32_t latin_character(std::size_t index) { return index < kLatin ? static_cast<char32_t>(index) : kSpaceSign; }

// Words that wait to be encoded together.
class WordBatch {
 public:
  static constexpr std::size_t kMost = 16;

  bool add(std::string_view word) {  // false: full
    if (size_ == kMost) return false;
    words_[size_++] = word;
    return true;
  }
  // What was added since the last call; valid until the next add().
  std::span<const std::string_view> take() { return {words_.data(), std::exchange(size_, 0)}; }

 private:
  std::array<std::string_view, kMost> words_;
  std::size_t size_ = 0;
};

}  // namespace

Bpe::Bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options, const std::string& where)
    : vocabulary_(std::move(vocabulary)), options_(std::move(options)), instance_(new_word_owner()) {
  for (const auto& [token, id] : vocabulary_) {
    if (id < 0 || id >= kMaxId) {
      throw BadFile("[{}] token \"{}\": expected an id from 0 to {}, got {}", where, token, kMaxId - 1, id);
    }
    end_id_ = std::max(end_id_, id + 1);
  }
  index_of_id_.assign(static_cast<std::size_t>(end_id_), kNoIndex);
  ids_.reserve(vocabulary_.size());
  for (std::size_t i = 0; i < vocabulary_.size(); ++i) {
    const auto& [token, id] = vocabulary_[i];
    std::uint32_t& index = index_of_id_[static_cast<std::size_t>(id)];
    if (index != kNoIndex) {
      throw BadFile("[{}] tokens \"{}\" and \"{}\" have the same id {}", where, vocabulary_[index].first, token, id);
    }
    index = static_cast<std::uint32_t>(i);
    if (!ids_.emplace(token, id).second) throw BadFile("[{}] token \"{}\" appears twice", where, token);
  }
  if (options_.unknown_token) {
    unknown_ = id_of(*options_.unknown_token);
    if (!unknown_ && !options_.pieces_are_bytes)
      throw BadFile("[{}] unk_token \"{}\" is not in the vocabulary", where, *options_.unknown_token);
  }
  read_units();
  read_merges(merges, where);
}

void Bpe::read_units() {
  small_units_.assign(kSmallUnits, -1);
  for (const auto& [token, id] : vocabulary_) {
    if (token.empty()) continue;
    const Utf8Step step = decode_utf8(token, 0);
    if (step.next == token.size()) {
      if (step.code_point < kSmallUnits)
        small_units_[step.code_point] = id;
      else
        large_units_.set(step.code_point, id);
    }
    if (options_.pieces_are_bytes && options_.ignore_merges) {
      if (const auto bytes = from_byte_characters(token)) whole_words_.set(*bytes, id);
    }
  }
  byte_units_.resize(256);
  for (std::size_t byte = 0; byte < 256; ++byte) {
    byte_units_[byte] = small_units_[character_of_byte(static_cast<std::uint8_t>(byte))];
  }
}

// Also finds out which pairs of adjacent characters some merge could join. A piece may be cut between any two known
// characters that no merge joins, since no token can then reach across; this turns the endless pieces of a tokenizer
// that does not split at spaces into words.
void Bpe::read_merges(const Merges& merges, const std::string& where) {
  const std::string& prefix = options_.continuing_subword_prefix;
  can_cut_ = !options_.pieces_are_bytes && prefix.empty() && options_.end_of_word_suffix.empty();
  merges_.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const auto& [left, right] : merges) {
    const auto left_id = id_of(left), right_id = id_of(right);
    const auto refuse = [&](std::string_view token) {
      throw BadFile("[{}] merge {} (\"{}\" \"{}\"): \"{}\" is not in the vocabulary", where, rank, left, right, token);
    };
    if (!left_id) refuse(left);
    if (!right_id) refuse(right);
    if (right.size() < prefix.size()) {
      throw BadFile("[{}] merge {}: \"{}\" does not begin with the prefix \"{}\"", where, rank, right, prefix);
    }
    const std::string whole = left + right.substr(prefix.size());
    const auto id = id_of(whole);
    if (!id) refuse(whole);
    const Merge merge{rank++, *id};
    merges_.set(pair_key(*left_id, *right_id), merge);
    if (may_start(left) && may_start(right)) starting_merges_.set(pair_key(*left_id, *right_id), merge);
    for (const std::string* part : {&left, &right}) {
      if ((options_.byte_fallback && is_byte_token(*part)) || options_.unknown_token == *part) can_cut_ = false;
    }
    if (!can_cut_ || whole.empty()) continue;
    char32_t before = decode_utf8(whole, 0).code_point;
    for (std::size_t i = decode_utf8(whole, 0).next; i < whole.size();) {
      const Utf8Step step = decode_utf8(whole, i);
      joined_.set(character_pair(before, step.code_point), 1);
      before = step.code_point;
      i = step.next;
    }
  }
  if (!can_cut_) return;
  cuts_latin_.reserve((kLatin + 1) * (kLatin + 1));
  for (std::size_t left = 0; left <= kLatin; ++left) {
    for (std::size_t right = 0; right <= kLatin; ++right) {
      const char32_t l = latin_character(left), r = latin_character(right);
      cuts_latin_.push_back(unit(l) >= 0 && unit(r) >= 0 && !joined_.find(character_pair(l, r)));
    }
  }
}

// Whether start_symbols() could put this token down.
bool Bpe::may_start(std::string_view token) const {
  const auto single = [](std::string_view text) { return !text.empty() && decode_utf8(text, 0).next == text.size(); };
  const auto bare = [&](std::string_view text) {
    if (single(text)) return true;
    return text.ends_with(options_.end_of_word_suffix) &&
           single(text.substr(0, text.size() - options_.end_of_word_suffix.size()));
  };
  if (bare(token) || is_byte_token(token) || options_.unknown_token == token) return true;
  return token.starts_with(options_.continuing_subword_prefix) &&
         bare(token.substr(options_.continuing_subword_prefix.size()));
}

std::optional<TokenId> Bpe::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const std::string* Bpe::token(TokenId id) const {
  if (id < 0 || id >= end_id_) return nullptr;
  const std::uint32_t index = index_of_id_[static_cast<std::size_t>(id)];
  return index == kNoIndex ? nullptr : &vocabulary_[index].first;
}

TokenId Bpe::unit(char32_t c) const {
  if (c < kSmallUnits) return small_units_[c];
  const TokenId* id = large_units_.find(c);
  return id ? *id : -1;
}

bool Bpe::may_cut(char32_t left, char32_t right) const {
  const std::size_t l = latin_index(left), r = latin_index(right);
  if (l <= kLatin && r <= kLatin) return cuts_latin_[l * (kLatin + 1) + r] != 0;
  return unit(left) >= 0 && unit(right) >= 0 && !joined_.find(character_pair(left, right));
}

void Bpe::encode(std::span<const std::string_view> pieces, std::vector<TokenId>& ids) const {
  if (!can_cut_) return encode_words(pieces, ids);
  WordBatch words;
  const auto add = [&](std::string_view word) {
    if (words.add(word)) return;
    encode_words(words.take(), ids);
    words.add(word);
  };
  for (const std::string_view piece : pieces) {
    if (piece.empty()) continue;
    if (options_.ignore_merges) {
      if (const auto id = id_of(piece)) {
        encode_words(words.take(), ids);
        ids.push_back(*id);
        continue;
      }
    }
    std::size_t start = 0;
    Utf8Step before = decode_utf8(piece, 0);
    while (before.next < piece.size()) {
      const Utf8Step step = decode_utf8(piece, before.next);
      if (may_cut(before.code_point, step.code_point)) {
        add(piece.substr(start, before.next - start));
        start = before.next;
      }
      before = step;
    }
    add(piece.substr(start));
  }
  encode_words(words.take(), ids);
}

void Bpe::encode_words(std::span<const std::string_view> words, std::vector<TokenId>& ids) const {
  thread_local std::vector<TokenId> symbols;
  std::array<ShortWord, WordBatch::kMost> keys;
  std::array<CachedWord*, WordBatch::kMost> slots;  // nullptr: too long for one
  WordCache& cache = WordCache::of_this_thread();
  while (!words.empty()) {
    const auto batch = words.first(std::min(words.size(), WordBatch::kMost));
    words = words.subspan(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      slots[i] = nullptr;
      if (!ShortWord::fits(batch[i])) continue;
      keys[i].set(batch[i]);
      slots[i] = &cache.slot(keys[i]);
      __builtin_prefetch(slots[i]);  // all of them on their way before the first is needed
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      CachedWord* const cached = slots[i];
      if (cached && cached->holds(keys[i], instance_)) {
        ids.insert(ids.end(), cached->ids.begin(), cached->ids.begin() + cached->count);
        continue;
      }
      merge_word(batch[i], symbols);
      ids.insert(ids.end(), symbols.begin(), symbols.end());
      if (cached && symbols.size() <= CachedWord::kMostIds) cached->set(keys[i], instance_, symbols);
    }
  }
}

// The ids of a word that no cache knows, in `symbols`.
void Bpe::merge_word(std::string_view word, std::vector<TokenId>& symbols) const {
  symbols.clear();
  if (options_.ignore_merges && !can_cut_) {
    const auto whole = options_.pieces_are_bytes ? whole_words_.find(word) : id_of(word);
    if (whole) {
      symbols.push_back(*whole);
      return;
    }
  }
  start_symbols(word, symbols);
  if (symbols.size() <= kShortWord)
    merge_short(symbols);
  else
    merge_long(symbols);
}

void Bpe::start_symbols(std::string_view word, std::vector<TokenId>& symbols) const {
  std::string mapped;
  if (options_.pieces_are_bytes) {
    const bool plain = options_.continuing_subword_prefix.empty() && options_.end_of_word_suffix.empty();
    const auto id_of_byte = [&](char c) { return byte_units_[static_cast<std::uint8_t>(c)]; };
    if (plain && std::ranges::all_of(word, [&](char c) { return id_of_byte(c) >= 0; })) {
      for (const char c : word) symbols.push_back(id_of_byte(c));
      return;
    }
    mapped = to_byte_characters(word);
    word = mapped;
  }
  bool pending_unknown = false;  // an unknown token is put down when the next known character comes, or at the end
  for (std::size_t i = 0; i < word.size();) {
    const Utf8Step step = decode_utf8(word, i);
    std::string_view text = word.substr(i, step.next - i);
    std::string decorated;
    const bool first = i == 0, last = step.next == word.size();
    i = step.next;
    TokenId id;
    if ((first || options_.continuing_subword_prefix.empty()) && (!last || options_.end_of_word_suffix.empty())) {
      id = unit(step.code_point);
    } else {
      if (!first) decorated = options_.continuing_subword_prefix;
      decorated += text;
      if (last) decorated += options_.end_of_word_suffix;
      text = decorated;
      id = id_of(text).value_or(-1);
    }
    if (id >= 0) {
      if (pending_unknown) symbols.push_back(*unknown_);
      pending_unknown = false;
      symbols.push_back(id);
      continue;
    }
    if (options_.byte_fallback) {
      const std::size_t before = symbols.size();
      for (const char c : text) {
        const auto byte = id_of(fmt::format("<0x{:02X}>", static_cast<std::uint8_t>(c)));
        if (!byte) break;
        symbols.push_back(*byte);
      }
      if (symbols.size() - before == text.size()) continue;
      symbols.resize(before);
    }
    if (!unknown_) continue;
    if (pending_unknown && !options_.fuse_unknown) symbols.push_back(*unknown_);
    pending_unknown = true;
  }
  if (pending_unknown) symbols.push_back(*unknown_);
}

void Bpe::merge_short(std::vector<TokenId>& symbols) const {
  constexpr std::uint64_t kNone = ~std::uint64_t{0};
  const std::size_t size = symbols.size();
  // Of symbol i and the one after it: the merge's rank << 32 | i, so that the least is the one to do; and what it makes.
  std::array<std::uint64_t, kShortWord> order;
  std::array<TokenId, kShortWord> whole;
  std::array<std::uint8_t, kShortWord> previous, next;
  const auto look_up = [&](const FlatMap<Merge>& merges, std::size_t i) {
    const Merge* merge = next[i] < size ? merges.find(pair_key(symbols[i], symbols[next[i]])) : nullptr;
    order[i] = merge ? static_cast<std::uint64_t>(merge->rank) << 32 | i : kNone;
    if (merge) whole[i] = merge->id;
  };
  for (std::size_t i = 0; i < size; ++i) {
    previous[i] = static_cast<std::uint8_t>(i - 1);  // of the first: 255, beyond the end
    next[i] = static_cast<std::uint8_t>(i + 1);
    look_up(starting_merges_, i);
  }
  while (true) {
    std::uint64_t least = kNone;
    for (std::size_t i = 0; i < size; ++i) least = std::min(least, order[i]);
    if (least == kNone) break;
    const std::size_t left = least & 0xFF, right = next[left];
    symbols[left] = whole[left];
    symbols[right] = -1;
    order[right] = kNone;
    next[left] = next[right];
    if (next[left] < size) previous[next[left]] = static_cast<std::uint8_t>(left);
    look_up(merges_, left);
    if (previous[left] < size) look_up(merges_, previous[left]);
  }
  std::erase(symbols, -1);
}

void Bpe::merge_long(std::vector<TokenId>& symbols) const {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  const auto count = static_cast<std::uint32_t>(symbols.size());
  struct Links {
    std::uint32_t previous, next;
  };
  std::vector<Links> links(count);
  std::vector<std::uint64_t> heap;  // rank << 32 | position of the left symbol; smallest first
  heap.reserve(count);
  const auto merge_at = [&](std::uint32_t i) -> const Merge* {
    return links[i].next == kNone ? nullptr : merges_.find(pair_key(symbols[i], symbols[links[i].next]));
  };
  const auto push = [&](std::uint32_t i) {
    if (const Merge* merge = merge_at(i)) {
      heap.push_back(static_cast<std::uint64_t>(merge->rank) << 32 | i);
      std::ranges::push_heap(heap, std::greater<>{});
    }
  };
  for (std::uint32_t i = 0; i < count; ++i) links[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  for (std::uint32_t i = 0; i < count; ++i) push(i);
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, std::greater<>{});
    const auto i = static_cast<std::uint32_t>(heap.back());
    const auto rank = static_cast<std::uint32_t>(heap.back() >> 32);
    heap.pop_back();
    if (symbols[i] < 0) continue;  // merged into its left neighbour since
    const Merge* merge = merge_at(i);
    if (!merge || merge->rank != rank) continue;
    const std::uint32_t right = links[i].next;
    symbols[i] = merge->id;
    symbols[right] = -1;
    links[i].next = links[right].next;
    if (links[i].next != kNone) links[links[i].next].previous = i;
    if (links[i].previous != kNone) push(links[i].previous);
    push(i);
  }
  std::erase(symbols, -1);
}

}  // namespace attune
