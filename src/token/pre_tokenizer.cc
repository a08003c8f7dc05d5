#include "token/pre_tokenizer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "base/utf8.h"
#include "token/byte_alphabet.h"
#include "token/pattern.h"
#include "token/unicode.h"

namespace attune {
namespace {

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// `slices` cover the text; the result is what the behavior makes of them.
std::vector<Match> arrange(std::vector<Match> slices, Behavior behavior) {
  std::vector<Match> kept;
  bool previous = false;
  const auto join = [&](const Match& slice, bool joined) {
    if (joined && !kept.empty()) {
      kept.back().begin = std::min(kept.back().begin, slice.begin);
      kept.back().end = std::max(kept.back().end, slice.end);
    } else {
      kept.push_back(slice);
    }
    previous = slice.matched;
  };
  switch (behavior) {
    case Behavior::kIsolated:
      return slices;
    case Behavior::kRemoved:
      std::erase_if(slices, [](const Match& slice) { return slice.matched; });
      return slices;
    case Behavior::kContiguous:
      for (const Match& slice : slices) join(slice, slice.matched == previous);
      return kept;
    case Behavior::kMergedWithPrevious:
      for (const Match& slice : slices) join(slice, slice.matched && !previous);
      return kept;
    case Behavior::kMergedWithNext:
      for (auto slice = slices.rbegin(); slice != slices.rend(); ++slice) join(*slice, slice->matched && !previous);
      std::ranges::reverse(kept);
      return kept;
  }
  return slices;
}

// Replaces every piece by the parts that `split(piece text)` gives.
template <typename Split>
void split_pieces(Pieces& pieces, Behavior behavior, bool invert, const Split& split) {
  std::vector<Piece> parts;
  parts.reserve(pieces.list.size());
  for (const Piece& piece : pieces.list) {
    std::vector<Match> slices = split(piece.text);
    if (invert) {
      for (Match& slice : slices) slice.matched = !slice.matched;
    }
    for (const Match& slice : arrange(std::move(slices), behavior)) {
      if (slice.begin == slice.end) continue;
      parts.push_back(
          {piece.text.substr(slice.begin, slice.end - slice.begin), slice.begin == 0 ? piece.beginning : Beginning{}});
    }
  }
  pieces.list = std::move(parts);
}

// Every character that `is` true for, as a slice of its own.
template <typename Is>
std::vector<Match> find_characters(std::string_view text, const Is& is) {
  std::vector<Match> slices;
  std::size_t covered = 0;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text, i);
    if (is(step.code_point)) {
      if (covered < i) slices.push_back({covered, i, false});
      slices.push_back({i, step.next, true});
      covered = step.next;
    }
    i = step.next;
  }
  if (covered < text.size()) slices.push_back({covered, text.size(), false});
  return slices;
}

struct SplitStep : PreTokenizerStep {
  SplitStep(Pattern p, Behavior b, bool i) : pattern(std::move(p)), behavior(b), invert(i) {}
  void apply(Pieces& pieces) const override {
    split_pieces(pieces, behavior, invert, [&](std::string_view text) { return pattern.find(text); });
  }
  Pattern pattern;
  Behavior behavior;
  bool invert;
};

// One slice per character of a class, joined or dropped as the behavior says.
struct CharacterStep : PreTokenizerStep {
  CharacterStep(bool (*i)(char32_t), Behavior b) : is(i), behavior(b) {}
  void apply(Pieces& pieces) const override {
    split_pieces(pieces, behavior, false, [&](std::string_view text) { return find_characters(text, is); });
  }
  bool (*is)(char32_t);
  Behavior behavior;
};

// \w+|[^\w\s]+
struct WordStep : PreTokenizerStep {
  void apply(Pieces& pieces) const override {
    split_pieces(pieces, Behavior::kRemoved, false, [](std::string_view text) {
      std::vector<Match> slices;
      enum class Kind { kNone, kSpace, kWord, kOther } previous = Kind::kNone;
      for (std::size_t i = 0; i < text.size();) {
        const Utf8Step step = decode_utf8(text, i);
        const Kind kind = is_word_character(step.code_point) ? Kind::kWord
                          : is_white_space(step.code_point)  ? Kind::kSpace
                                                             : Kind::kOther;
        if (kind == previous)
          slices.back().end = step.next;
        else
          slices.push_back({i, step.next, kind == Kind::kSpace});
        previous = kind;
        i = step.next;
      }
      return slices;
    });
  }
};

struct ByteLevelStep : PreTokenizerStep {
  ByteLevelStep(bool prefix, bool split, const std::string& where) : add_prefix_space(prefix) {
    if (split) pattern.emplace(kGpt2Pattern, where);
  }
  void apply(Pieces& pieces) const override {
    if (add_prefix_space) {
      for (Piece& piece : pieces.list) {
        if (piece.text.starts_with(' ') || piece.beginning.continues) continue;
        std::string spaced(1, ' ');
        spaced += piece.text;
        piece.text = pieces.keep(std::move(spaced));
      }
    }
    if (pattern) {
      split_pieces(pieces, Behavior::kIsolated, false, [&](std::string_view text) { return pattern->find(text); });
    }
  }
  bool add_prefix_space;
  std::optional<Regex> pattern;
};

struct ByteCharactersStep : PreTokenizerStep {
  void apply(Pieces& pieces) const override {
    for (Piece& piece : pieces.list) piece.text = pieces.keep(to_byte_characters(piece.text));
  }
};

enum class PrependScheme { kAlways, kFirst, kNever };

struct MetaspaceStep : PreTokenizerStep {
  MetaspaceStep(std::string r, PrependScheme p, bool s) : replacement(std::move(r)), prepend(p), split(s) {}
  void apply(Pieces& pieces) const override {
    for (Piece& piece : pieces.list) {
      std::string text;
      text.reserve(piece.text.size() + piece.text.size() / 2);
      for (const char c : piece.text) {
        if (c == ' ')
          text += replacement;
        else
          text += c;
      }
      const bool wanted =
          prepend == PrependScheme::kAlways || (prepend == PrependScheme::kFirst && piece.beginning.of_text);
      if (wanted && !piece.beginning.continues && !text.starts_with(replacement)) text.insert(0, replacement);
      piece.text = pieces.keep(std::move(text));
    }
    if (!split) return;
    split_pieces(pieces, Behavior::kMergedWithNext, false,
                 [&](std::string_view text) { return find_string(text, replacement); });
  }
  std::string replacement;
  PrependScheme prepend;
  bool split;
};

Behavior read_behavior(const Json& value, const char* fallback, const std::string& where) {
  static constexpr std::array<std::pair<const char*, Behavior>, 5> kNames = {
      {{"Removed", Behavior::kRemoved},
       {"Isolated", Behavior::kIsolated},
       {"MergedWithPrevious", Behavior::kMergedWithPrevious},
       {"MergedWithNext", Behavior::kMergedWithNext},
       {"Contiguous", Behavior::kContiguous}}};
  const std::string name = json_get_or<std::string>(value, "behavior", fallback, where);
  for (const auto& [known, behavior] : kNames) {
    if (name == known) return behavior;
  }
  throw BadFile(
      "[{}] key \"behavior\": expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, "
      "got \"{}\"",
      where, name);
}

std::unique_ptr<MetaspaceStep> read_metaspace(const Json& value, const std::string& where) {
  const auto replacement = json_require<std::string>(value, "replacement", where);
  if (replacement.empty() || decode_utf8(replacement, 0).next != replacement.size()) {
    throw BadFile("[{}] key \"replacement\": expected one character, got \"{}\"", where, replacement);
  }
  std::string scheme = json_get_or<std::string>(value, "prepend_scheme", "always", where);
  if (!json_get_or<bool>(value, "add_prefix_space", true, where)) {
    if (value.contains("prepend_scheme") && scheme != "never") {
      throw BadFile("[{}] \"add_prefix_space\" is false but \"prepend_scheme\" is \"{}\"", where, scheme);
    }
    scheme = "never";
  }
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    throw BadFile("[{}] key \"prepend_scheme\": expected always, first or never, got \"{}\"", where, scheme);
  }
  return std::make_unique<MetaspaceStep>(replacement,
                                         scheme == "always"  ? PrependScheme::kAlways
                                         : scheme == "first" ? PrependScheme::kFirst
                                                             : PrependScheme::kNever,
                                         json_get_or<bool>(value, "split", true, where));
}

void read_into(PreTokenizer& result, const Json& value, const std::string& where) {
  const auto type = json_require<std::string>(value, "type", where);
  const std::string here = where + "." + type;
  if (type == "Sequence") {
    const auto parts = value.find("pretokenizers");
    if (parts == value.end() || !parts->is_array()) throw BadFile("[{}] key \"pretokenizers\": expected a list", here);
    for (const Json& part : *parts) read_into(result, part, where);
    return;
  }
  if (std::exchange(result.ends_in_bytes, false)) result.steps.push_back(std::make_unique<ByteCharactersStep>());
  if (type == "Split") {
    result.steps.push_back(std::make_unique<SplitStep>(read_pattern(value, here), read_behavior(value, "", here),
                                                       json_get_or<bool>(value, "invert", false, here)));
  } else if (type == "ByteLevel") {
    result.steps.push_back(std::make_unique<ByteLevelStep>(json_get_or<bool>(value, "add_prefix_space", true, here),
                                                           json_get_or<bool>(value, "use_regex", true, here), here));
    result.ends_in_bytes = true;
  } else if (type == "Metaspace") {
    result.steps.push_back(read_metaspace(value, here));
  } else if (type == "Digits") {
    const bool single = json_get_or<bool>(value, "individual_digits", false, here);
    result.steps.push_back(
        std::make_unique<CharacterStep>(&is_numeric, single ? Behavior::kIsolated : Behavior::kContiguous));
  } else if (type == "Whitespace") {
    result.steps.push_back(std::make_unique<WordStep>());
  } else if (type == "WhitespaceSplit") {
    result.steps.push_back(std::make_unique<CharacterStep>(&is_white_space, Behavior::kRemoved));
  } else if (type == "Punctuation") {
    result.steps.push_back(std::make_unique<CharacterStep>(&is_punctuation, read_behavior(value, "Isolated", here)));
  } else {
    throw Unsupported("[{}] pre-tokenizer \"{}\" is not supported", where, type);
  }
}

// The pattern, when splitting by it is all that is done before the bytes: GPT-2's ByteLevel, or Split (isolated) and then
// a ByteLevel that does not split. What read_into() accepted is of the right types.
std::optional<std::string> only_pattern(const Json& value) {
  const auto type = [](const Json& step) { return step.value("type", ""); };
  const auto flag = [](const Json& step, const char* key) {
    const auto found = step.find(key);
    return found == step.end() || found->is_null() || found->get<bool>();  // both default to true
  };
  if (type(value) == "Sequence" && value["pretokenizers"].size() == 1) return only_pattern(value["pretokenizers"][0]);
  if (type(value) == "ByteLevel") {
    if (flag(value, "add_prefix_space") || !flag(value, "use_regex")) return std::nullopt;
    return std::string(kGpt2Pattern);
  }
  if (type(value) != "Sequence" || value["pretokenizers"].size() != 2) return std::nullopt;
  const Json &split = value["pretokenizers"][0], &bytes = value["pretokenizers"][1];
  if (type(split) != "Split" || type(bytes) != "ByteLevel" || split.value("behavior", "") != "Isolated")
    return std::nullopt;
  const auto invert = split.find("invert");
  if (invert != split.end() && invert->is_boolean() && invert->get<bool>()) return std::nullopt;
  if (flag(bytes, "add_prefix_space") || flag(bytes, "use_regex")) return std::nullopt;
  const auto regex = split["pattern"].find("Regex");
  if (regex == split["pattern"].end() || !regex->is_string()) return std::nullopt;
  return regex->get<std::string>();
}

}  // namespace

PreTokenizer read_pre_tokenizer(const Json& value, const std::string& where) {
  PreTokenizer result;
  if (value.is_null()) return result;
  read_into(result, value, where);
  if (const auto pattern = only_pattern(value)) result.piece_end = scanner_for(*pattern);
  return result;
}

}  // namespace attune
