#include "token/normalizer.h"

#include "base/utf8.h"
#include "token/byte_alphabet.h"
#include "token/pattern.h"
#include "token/unicode.h"

namespace attune {
namespace {

struct Prepend : NormalizerStep {
  explicit Prepend(std::string p) : prefix(std::move(p)) {}
  void apply(std::string& text, Beginning& beginning) const override {
    if (!text.empty() && !beginning.continues) text.insert(0, prefix);
  }
  std::string prefix;
};

struct Replace : NormalizerStep {
  Replace(Pattern p, std::string c) : pattern(std::move(p)), content(std::move(c)) {}
  void apply(std::string& text, Beginning& beginning) const override {
    if (const auto* needle = std::get_if<std::string>(&pattern.what)) {
      if (!needle->empty() && text.starts_with(*needle)) note_first(text, needle->size(), beginning);
      replace_string(text, *needle);
      return;
    }
    const std::vector<Match> slices = pattern.find(text);
    if (!slices.empty() && slices.front().matched) note_first(text, slices.front().end, beginning);
    text = pattern.replace(text, content);
  }
  // The text begins with a match that ends at `end`.
  void note_first(std::string_view text, std::size_t end, Beginning& beginning) const {
    const bool one_character = end > 0 && decode_utf8(text, 0).next == end;
    if (content.empty() || !one_character) beginning.of_text = false;
  }
  // pattern.replace() for a string, without a list of slices: SentencePiece models replace every space.
  void replace_string(std::string& text, const std::string& needle) const {
    std::size_t at = needle.empty() ? std::string::npos : text.find(needle);
    if (at == std::string::npos) return;
    std::string replaced;
    replaced.reserve(text.size() + text.size() / 2);
    std::size_t covered = 0;
    for (; at != std::string::npos; at = text.find(needle, covered)) {
      replaced.append(text, covered, at - covered);
      replaced += content;
      covered = at + needle.size();
    }
    replaced.append(text, covered);
    text = std::move(replaced);
  }
  Pattern pattern;
  std::string content;
};

struct Normal : NormalizerStep {
  explicit Normal(NormalForm f) : form(f) {}
  void apply(std::string& text, Beginning&) const override {
    if (form == NormalForm::kNfc && is_surely_nfc(text)) return;
    text = normalize_unicode(text, form);
  }
  NormalForm form;
};

struct Lowercase : NormalizerStep {
  void apply(std::string& text, Beginning&) const override { text = to_lower_case(text); }
};

struct Strip : NormalizerStep {
  Strip(bool l, bool r) : left(l), right(r) {}
  void apply(std::string& text, Beginning& beginning) const override {
    std::size_t begin = 0, end = 0;  // end: after the last character that is not white space
    for (std::size_t i = 0; i < text.size();) {
      const Utf8Step step = decode_utf8(text, i);
      const bool space = is_white_space(step.code_point);
      if (space && left && begin == i) begin = step.next;
      i = step.next;
      if (!space) end = i;
    }
    if (!right) end = text.size();
    if (begin > 0) beginning.of_text = false;
    text = begin < end ? text.substr(begin, end - begin) : "";
  }
  bool left, right;
};

struct ByteLevel : NormalizerStep {
  void apply(std::string& text, Beginning&) const override { text = to_byte_characters(text); }
};

void read_into(Normalizer& steps, const Json& value, const std::string& where) {
  const auto type = json_require<std::string>(value, "type", where);
  const std::string here = where + "." + type;
  if (type == "Sequence") {
    const auto parts = value.find("normalizers");
    if (parts == value.end() || !parts->is_array()) throw BadFile("[{}] key \"normalizers\": expected a list", here);
    for (const Json& part : *parts) read_into(steps, part, where);
  } else if (type == "Prepend") {
    steps.push_back(std::make_unique<Prepend>(json_require<std::string>(value, "prepend", here)));
  } else if (type == "Replace") {
    steps.push_back(
        std::make_unique<Replace>(read_pattern(value, here), json_require<std::string>(value, "content", here)));
  } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    steps.push_back(std::make_unique<Normal>(type == "NFC"    ? NormalForm::kNfc
                                             : type == "NFD"  ? NormalForm::kNfd
                                             : type == "NFKC" ? NormalForm::kNfkc
                                                              : NormalForm::kNfkd));
  } else if (type == "Lowercase") {
    steps.push_back(std::make_unique<Lowercase>());
  } else if (type == "Strip") {
    steps.push_back(std::make_unique<Strip>(json_get_or<bool>(value, "strip_left", true, here),
                                            json_get_or<bool>(value, "strip_right", true, here)));
  } else if (type == "ByteLevel") {
    steps.push_back(std::make_unique<ByteLevel>());
  } else if (type == "Precompiled" && json_get_or<std::string>(value, "precompiled_charsmap", "", here).empty()) {
    // Maps nothing.
  } else {
    throw Unsupported("[{}] normalizer \"{}\" is not supported", where, type);
  }
}

}  // namespace

Normalizer read_normalizer(const Json& value, const std::string& where) {
  Normalizer steps;
  if (!value.is_null()) read_into(steps, value, where);
  return steps;
}

}  // namespace attune
