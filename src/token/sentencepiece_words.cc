#include "token/sentencepiece_words.h"

#include <cstdint>
#include <optional>

namespace attune {
namespace {

constexpr std::string_view kMetaSpace = "\xE2\x96\x81";  // U+2581

// One field of a protocol buffer: a number, or bytes (text, or a message inside).
struct ProtoField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
};

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view bytes) : rest_(bytes) {}

  // The next field; nothing at the end, or where the bytes are none (see good()).
  std::optional<ProtoField> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t key = varint();
    ProtoField field{static_cast<std::uint32_t>(key >> 3), 0, {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        good_ = false;
    }
    if (!good_) return std::nullopt;
    return field;
  }
  bool good() const { return good_; }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    good_ = false;
    return 0;
  }
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

// What the fields say, with the defaults of sentencepiece_model.proto.
struct ModelFacts {
  bool bpe = false, suffix = false, charsmap = false, remove_extra = true, escape = true, space = false,
       crossing = false;
};

bool read_piece(std::string_view message, ModelFacts& facts) {
  ProtoReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number != 1) continue;
    const std::string_view piece = field->bytes;
    facts.space |= piece == kMetaSpace;
    facts.crossing |= piece.find(' ') != piece.npos;
    for (std::size_t at = piece.find(kMetaSpace); at != piece.npos; at = piece.find(kMetaSpace, at + 1)) {
      facts.crossing |= at > 0 && !piece.substr(0, at).ends_with(kMetaSpace);
    }
  }
  return reader.good();
}

bool read_trainer(std::string_view message, ModelFacts& facts) {
  ProtoReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number == 3) facts.bpe = field->value == 2;
    if (field->number == 24) facts.suffix = field->value != 0;
  }
  return reader.good();
}

bool read_normalizer(std::string_view message, ModelFacts& facts) {
  ProtoReader reader(message);
  while (const auto field = reader.next()) {
    if (field->number == 2) facts.charsmap = !field->bytes.empty();
    if (field->number == 4) facts.remove_extra = field->value != 0;
    if (field->number == 5) facts.escape = field->value != 0;
  }
  return reader.good();
}

}  // namespace

bool has_independent_words(std::string_view model) {
  ModelFacts facts;
  ProtoReader reader(model);
  bool good = true;
  while (const auto field = reader.next()) {
    if (field->number == 1) good = good && read_piece(field->bytes, facts);
    if (field->number == 2) good = good && read_trainer(field->bytes, facts);
    if (field->number == 3) good = good && read_normalizer(field->bytes, facts);
  }
  return good && reader.good() && facts.bpe && !facts.suffix && !facts.charsmap && !facts.remove_extra &&
         facts.escape && facts.space && !facts.crossing;
}

std::vector<std::string_view> independent_words(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t begin = 0;
  for (std::size_t at = text.find(' ', 1); at != text.npos; at = text.find(' ', at + 1)) {
    if (text[at - 1] == ' ' || text.substr(0, at).ends_with(kMetaSpace)) continue;
    words.push_back(text.substr(begin, at - begin));
    begin = at;
  }
  words.push_back(text.substr(begin));
  return words;
}

}  // namespace attune
