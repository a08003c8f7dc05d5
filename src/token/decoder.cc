#include "token/decoder.h"

#include "base/utf8.h"
#include "token/byte_alphabet.h"
#include "token/pattern.h"

namespace attune {
namespace {

struct ByteLevel : DecoderStep {
  void apply(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) bytes += from_byte_characters(token).value_or(token);
    tokens = {to_valid_utf8(bytes)};
  }
};

// A run of byte tokens that is not valid UTF-8 becomes one U+FFFD per byte.
struct ByteFallback : DecoderStep {
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> result;
    std::string bytes;
    const auto flush = [&] {
      if (is_valid_utf8(bytes)) {
        if (!bytes.empty()) result.push_back(bytes);
      } else {
        result.insert(result.end(), bytes.size(), "\uFFFD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const int byte = byte_of_fallback_token(token); byte >= 0) {
        bytes += static_cast<char>(byte);
      } else {
        flush();
        result.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(result);
  }
};

struct Replace : DecoderStep {
  Replace(Pattern p, std::string c) : pattern(std::move(p)), content(std::move(c)) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) token = pattern.replace(token, content);
  }
  Pattern pattern;
  std::string content;
};

struct Fuse : DecoderStep {
  void apply(std::vector<std::string>& tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens = {std::move(all)};
  }
};

struct Strip : DecoderStep {
  Strip(std::string c, std::size_t b, std::size_t e) : character(std::move(c)), from_start(b), from_end(e) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::size_t i = 0; i < from_start && rest.starts_with(character); ++i) rest.remove_prefix(character.size());
      for (std::size_t i = 0; i < from_end && rest.ends_with(character); ++i) rest.remove_suffix(character.size());
      token = std::string(rest);
    }
  }
  std::string character;
  std::size_t from_start, from_end;
};

struct Metaspace : DecoderStep {
  Metaspace(std::string r, bool d) : replacement(std::move(r)), drops_first(d) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string text;
      for (const Match& slice : find_string(tokens[i], replacement)) {
        if (!slice.matched)
          text += tokens[i].substr(slice.begin, slice.end - slice.begin);
        else if (i > 0 || !drops_first)
          text += ' ';
      }
      tokens[i] = std::move(text);
    }
  }
  std::string replacement;
  bool drops_first;
};

struct WordSuffix : DecoderStep {
  explicit WordSuffix(std::string s) : suffix(std::move(s)) {}
  void apply(std::vector<std::string>& tokens) const override {
    if (suffix.empty()) return;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string text;
      for (const Match& slice : find_string(tokens[i], suffix)) {
        if (!slice.matched)
          text += tokens[i].substr(slice.begin, slice.end - slice.begin);
        else if (i + 1 < tokens.size())
          text += ' ';
      }
      tokens[i] = std::move(text);
    }
  }
  std::string suffix;
};

std::string read_character(const Json& value, const char* key, const std::string& where) {
  const auto text = json_require<std::string>(value, key, where);
  if (text.empty() || decode_utf8(text, 0).next != text.size()) {
    throw BadFile("[{}] key \"{}\": expected one character, got \"{}\"", where, key, text);
  }
  return text;
}

std::size_t read_count(const Json& value, const char* key, const std::string& where) {
  const auto count = json_get_or<std::int64_t>(value, key, 0, where);
  if (count < 0) throw BadFile("[{}] key \"{}\": expected a count, got {}", where, key, count);
  return static_cast<std::size_t>(count);
}

void read_into(Decoder& decoder, const Json& value, const std::string& where) {
  const auto type = json_require<std::string>(value, "type", where);
  const std::string here = where + "." + type;
  auto& steps = decoder.steps;
  if (type == "Sequence") {
    const auto parts = value.find("decoders");
    if (parts == value.end() || !parts->is_array()) throw BadFile("[{}] key \"decoders\": expected a list", here);
    for (const Json& part : *parts) read_into(decoder, part, where);
  } else if (type == "ByteLevel") {
    steps.push_back(std::make_unique<ByteLevel>());
    decoder.byte_level = true;
  } else if (type == "ByteFallback") {
    steps.push_back(std::make_unique<ByteFallback>());
    decoder.byte_fallback = true;
  } else if (type == "Replace") {
    steps.push_back(
        std::make_unique<Replace>(read_pattern(value, here), json_require<std::string>(value, "content", here)));
  } else if (type == "Fuse") {
    steps.push_back(std::make_unique<Fuse>());
  } else if (type == "Strip") {
    steps.push_back(std::make_unique<Strip>(read_character(value, "content", here), read_count(value, "start", here),
                                            read_count(value, "stop", here)));
  } else if (type == "Metaspace") {
    const bool never = json_get_or<std::string>(value, "prepend_scheme", "always", here) == "never" ||
                       !json_get_or<bool>(value, "add_prefix_space", true, here);
    steps.push_back(std::make_unique<Metaspace>(read_character(value, "replacement", here), !never));
  } else if (type == "BPEDecoder") {
    steps.push_back(std::make_unique<WordSuffix>(json_get_or<std::string>(value, "suffix", "</w>", here)));
  } else {
    throw Unsupported("[{}] decoder \"{}\" is not supported", where, type);
  }
}

}  // namespace

int byte_of_fallback_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  const int high = digit(token[3]), low = digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

Decoder read_decoder(const Json& value, const std::string& where) {
  Decoder decoder;
  if (value.is_null())
    decoder.joins_with_spaces = true;
  else
    read_into(decoder, value, where);
  return decoder;
}

std::string decode_tokens(const Decoder& decoder, std::vector<std::string> tokens) {
  for (const auto& step : decoder.steps) step->apply(tokens);
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && decoder.joins_with_spaces) text += ' ';
    text += tokens[i];
  }
  return text;
}

}  // namespace attune
