#include "token/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "token/unicode.h"

namespace attune {
namespace {

// Where the character before `at` begins (at > 0).
std::size_t character_before(std::string_view text, std::size_t at) {
  --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

std::uint16_t two_bytes(std::string_view text, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<std::uint8_t>(text[at]) << 8 | static_cast<std::uint8_t>(text[at + 1]));
}

}  // namespace

void AddedTokens::add(AddedToken token, TokenId id) {
  if (token.special) special_.insert(token.content);
  ids_[token.content] = id;
  end_id_ = std::max(end_id_, id + 1);
  entries_[id] = {std::move(token), ""};
}

void AddedTokens::finish(const Normalize& normalize, const std::string& where) {
  raw_ = {};
  normalized_ = {};
  std::unordered_map<std::string_view, TokenId> seen[2];
  for (auto& [id, entry] : entries_) {
    const AddedToken& token = entry.token;
    entry.pattern = token.normalized ? normalize(token.content) : token.content;
    if (entry.pattern.empty()) throw BadFile("[{}] added token \"{}\" normalizes to nothing", where, token.content);
    const auto [other, is_new] = seen[token.normalized].emplace(entry.pattern, id);
    if (!is_new) {
      throw BadFile("[{}] added tokens {} and {} match the same text \"{}\"", where, std::min(id, other->second),
                    std::max(id, other->second), entry.pattern);
    }
    Matcher& matcher = token.normalized ? normalized_ : raw_;
    const std::string& pattern = entry.pattern;
    if (!std::exchange(matcher.begins[static_cast<std::uint8_t>(pattern[0])], true)) matcher.first_bytes += pattern[0];
    if (pattern.size() == 1)
      matcher.single_byte[static_cast<std::uint8_t>(pattern[0])] = id;
    else
      matcher.by_two_bytes[two_bytes(pattern, 0)].push_back({pattern, id});
  }
  for (Matcher* matcher : {&raw_, &normalized_}) {
    for (auto& [bytes, candidates] : matcher->by_two_bytes) {
      std::ranges::sort(candidates, [](const auto& a, const auto& b) { return a.pattern.size() > b.pattern.size(); });
    }
  }
}

// The first byte at `at` or behind it that begins some token. Those of most models begin with '<'.
std::size_t AddedTokens::Matcher::next_begin(std::string_view text, std::size_t at) const {
  if (first_bytes.size() <= 1)
    return first_bytes.empty() ? text.size() : std::min(text.find(first_bytes[0], at), text.size());
  while (at < text.size() && !begins[static_cast<std::uint8_t>(text[at])]) ++at;
  return at;
}

std::optional<AddedTokens::Matcher::Candidate> AddedTokens::longest_at(const Matcher& matcher, std::string_view text,
                                                                       std::size_t at,
                                                                       std::span<const ByteRange> plain) const {
  const auto allowed = [&](TokenId id, std::size_t size) {
    if (plain.empty() || !entries_.at(id).token.special) return true;
    const auto range = std::ranges::upper_bound(plain, at, {}, &ByteRange::end);  // the first that ends after `at`
    return range == plain.end() || range->begin >= at + size;
  };
  if (at + 1 < text.size()) {
    if (const auto found = matcher.by_two_bytes.find(two_bytes(text, at)); found != matcher.by_two_bytes.end()) {
      for (const auto& candidate : found->second) {
        if (text.substr(at).starts_with(candidate.pattern) && allowed(candidate.id, candidate.pattern.size())) {
          return candidate;
        }
      }
    }
  }
  const auto id = matcher.single_byte[static_cast<std::uint8_t>(text[at])];
  if (id && allowed(*id, 1)) return {{text.substr(at, 1), *id}};
  return std::nullopt;
}

// The order of events is the reference's, also where it surprises: a match that single_word discards still hides the
// shorter tokens inside it, and white space taken by rstrip is still searched for tokens.
std::vector<AddedTokenMatch> AddedTokens::find(std::string_view text, bool normalized,
                                               std::span<const ByteRange> plain) const {
  const Matcher& matcher = normalized ? normalized_ : raw_;
  std::vector<AddedTokenMatch> parts;
  std::size_t covered = 0;
  for (std::size_t at = 0; (at = matcher.next_begin(text, at)) < text.size();) {
    const auto found = longest_at(matcher, text, at, plain);
    if (!found) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + found->pattern.size();
    at = end;
    const AddedToken& token = entries_.at(found->id).token;
    if (token.single_word) {
      const bool word_before =
          begin > 0 && is_word_character(decode_utf8(text, character_before(text, begin)).code_point);
      const bool word_after = end < text.size() && is_word_character(decode_utf8(text, end).code_point);
      if (word_before || word_after) continue;
    }
    if (token.lstrip) {
      while (begin > 0) {
        const std::size_t previous = character_before(text, begin);
        if (!is_white_space(decode_utf8(text, previous).code_point)) break;
        begin = previous;
      }
      begin = std::max(begin, covered);
    }
    if (token.rstrip) {
      while (end < text.size() && is_white_space(decode_utf8(text, end).code_point)) end = decode_utf8(text, end).next;
    }
    if (covered < begin) parts.push_back({covered, begin, std::nullopt});
    parts.push_back({begin, end, found->id});
    covered = end;
  }
  if (covered != text.size()) parts.push_back({covered, text.size(), std::nullopt});
  return parts;
}

std::optional<TokenId> AddedTokens::id_of(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

const AddedToken* AddedTokens::token(TokenId id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.token;
}

const std::string* AddedTokens::decoded(TokenId id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second.pattern;
}

}  // namespace attune
