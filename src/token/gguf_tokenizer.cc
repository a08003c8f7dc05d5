// A vocabulary in the keys of a GGUF file, and the tokenizer that those keys mean.
#include <algorithm>
#include <bit>

#include "base/error.h"
#include "token/gguf_pre.h"
#include "token/gguf_vocabulary.h"
#include "token/sentencepiece_tokenizer.h"
#include "token/tokenizer_json.h"

namespace attune {
namespace {

using Type = GgufTokenType;

std::optional<TokenId> id_at(const GgufFile& file, const std::string& key, std::size_t tokens) {
  const auto value = file.get<std::int64_t>(key);
  if (!value) return std::nullopt;
  if (*value < 0 || *value >= static_cast<std::int64_t>(tokens)) {
    throw BadFile("[{}] key {}: {} is no token of {}", file.path().string(), key, *value, tokens);
  }
  return static_cast<TokenId>(*value);
}

// ---- The protobuf of a SentencePiece model (sentencepiece_model.proto), as far as BPE needs it.

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_field(std::string& out, int field, std::uint64_t value) {
  put_varint(out, static_cast<std::uint64_t>(field) << 3);
  put_varint(out, value);
}
void put_field(std::string& out, int field, std::string_view bytes) {
  put_varint(out, static_cast<std::uint64_t>(field) << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}
void put_field(std::string& out, int field, float value) {
  put_varint(out, static_cast<std::uint64_t>(field) << 3 | 5);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int i = 0; i < 4; ++i) out += static_cast<char>(bits >> (8 * i));
}

std::string sentencepiece_model(const GgufVocabulary& vocabulary) {
  std::string model;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    std::string piece;
    put_field(piece, 1, std::string_view(vocabulary.tokens[id]));
    put_field(piece, 2, vocabulary.scores[id]);
    put_field(piece, 3, static_cast<std::uint64_t>(vocabulary.types[id]));
    put_field(model, 1, std::string_view(piece));
  }
  std::string trainer, normalizer;
  put_field(trainer, 3, std::uint64_t{2});   // model_type BPE
  put_field(trainer, 35, std::uint64_t{1});  // byte_fallback
  put_field(normalizer, 1, std::string_view("identity"));
  put_field(normalizer, 3, std::uint64_t{vocabulary.add_space_prefix});  // add_dummy_prefix
  put_field(normalizer, 4, std::uint64_t{0});                            // remove_extra_whitespaces
  put_field(model, 2, std::string_view(trainer));
  put_field(model, 3, std::string_view(normalizer));
  return model;
}

// ----

TokenizerConfig config_of(const GgufVocabulary& vocabulary) {
  TokenizerConfig config;
  const auto token = [&](const std::optional<TokenId>& id) {
    return id ? std::optional(vocabulary.tokens[static_cast<std::size_t>(*id)]) : std::nullopt;
  };
  config.bos = token(vocabulary.bos);
  config.eos = token(vocabulary.eos);
  config.unknown = token(vocabulary.unknown);
  config.pad = token(vocabulary.pad);
  config.add_bos = vocabulary.add_bos;
  config.add_eos = vocabulary.add_eos;
  config.legacy = true;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const Type type = vocabulary.types[id];
    if (type != Type::kControl && type != Type::kUserDefined) continue;
    config.added.emplace_back(
        static_cast<TokenId>(id),
        AddedToken{.content = vocabulary.tokens[id], .normalized = false, .special = type == Type::kControl});
  }
  return config;
}

TokenizerFile byte_level_file(const GgufVocabulary& vocabulary, const std::string& where) {
  const GgufPre& pre = find_gguf_pre(vocabulary.pre, where);
  TokenizerFile file;
  file.rest = {{"normalizer", pre.composes ? Json{{"type", "NFC"}} : Json()},
               {"pre_tokenizer", pre_tokenizer_json(pre)},
               {"decoder", {{"type", "ByteLevel"}}},
               {"model", {{"type", "BPE"}, {"ignore_merges", pre.ignore_merges}}}};
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    file.vocabulary.emplace_back(vocabulary.tokens[id], static_cast<TokenId>(id));
  }
  for (const std::string& merge : vocabulary.merges) {
    const std::size_t space = merge.find(' ');
    if (space == std::string::npos) throw BadFile("[{}] merge \"{}\": expected \"left right\"", where, merge);
    file.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return file;
}

}  // namespace

GgufVocabulary read_gguf_vocabulary(const GgufFile& file) {
  const std::string where = file.path().string();
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  GgufVocabulary vocabulary;
  vocabulary.model = file.require<std::string>(key("model"));
  if (vocabulary.model != "gpt2" && vocabulary.model != "llama") {
    throw Unsupported("[{}] key tokenizer.ggml.model: \"{}\" is not supported; expected gpt2 or llama", where,
                      vocabulary.model);
  }
  vocabulary.tokens = file.require<std::vector<std::string>>(key("tokens"));
  const std::size_t count = vocabulary.tokens.size();
  if (count == 0) throw BadFile("[{}] key tokenizer.ggml.tokens: the list is empty", where);
  for (const std::int32_t type :
       file.get<std::vector<std::int32_t>>(key("token_type"))
           .value_or(std::vector<std::int32_t>(count, static_cast<std::int32_t>(Type::kNormal)))) {
    if (type < 0 || type > static_cast<std::int32_t>(Type::kByte)) {
      throw BadFile("[{}] key tokenizer.ggml.token_type: {} is no type of token", where, type);
    }
    vocabulary.types.push_back(type == 0 ? Type::kNormal : static_cast<Type>(type));
  }
  const bool spm = vocabulary.model == "llama";
  if (spm) vocabulary.scores = file.get<std::vector<float>>(key("scores")).value_or(std::vector<float>(count));
  if (vocabulary.types.size() != count || (spm && vocabulary.scores.size() != count)) {
    throw BadFile("[{}] {} tokens, {} types and {} scores; expected as many of each", where, count,
                  vocabulary.types.size(), vocabulary.scores.size());
  }
  if (!spm) {
    vocabulary.pre = file.get<std::string>(key("pre")).value_or("gpt-2");
    vocabulary.merges = file.require<std::vector<std::string>>(key("merges"));
  }
  vocabulary.bos = id_at(file, key("bos_token_id"), count);
  vocabulary.eos = id_at(file, key("eos_token_id"), count);
  vocabulary.unknown = id_at(file, key("unknown_token_id"), count);
  vocabulary.pad = id_at(file, key("padding_token_id"), count);
  const bool llama3 = !spm && vocabulary.pre == "llama-bpe";  // llama.cpp's defaults
  vocabulary.add_bos = file.get<bool>(key("add_bos_token")).value_or(spm || llama3);
  vocabulary.add_eos = file.get<bool>(key("add_eos_token")).value_or(false);
  vocabulary.add_space_prefix = spm && file.get<bool>(key("add_space_prefix")).value_or(true);
  return vocabulary;
}

std::vector<GgufEntry> gguf_entries(const GgufVocabulary& vocabulary) {
  std::vector<GgufEntry> entries;
  const auto add = [&](const char* name, GgufValue value) {
    entries.emplace_back(std::string("tokenizer.ggml.") + name, std::move(value));
  };
  add("model", vocabulary.model);
  add("pre", vocabulary.pre);
  add("tokens", GgufArray(vocabulary.tokens));
  if (vocabulary.model == "llama") add("scores", GgufArray(vocabulary.scores));
  std::vector<std::int32_t> types;
  for (const Type type : vocabulary.types) types.push_back(static_cast<std::int32_t>(type));
  add("token_type", GgufArray(std::move(types)));
  if (vocabulary.model == "gpt2") add("merges", GgufArray(vocabulary.merges));
  const auto id = [&](const char* name, const std::optional<TokenId>& token) {
    if (token) add(name, static_cast<std::uint32_t>(*token));
  };
  id("bos_token_id", vocabulary.bos);
  id("eos_token_id", vocabulary.eos);
  id("unknown_token_id", vocabulary.unknown);
  id("padding_token_id", vocabulary.pad);
  add("add_bos_token", vocabulary.add_bos);
  add("add_eos_token", vocabulary.add_eos);
  if (vocabulary.model == "llama") add("add_space_prefix", vocabulary.add_space_prefix);
  return entries;
}

std::unique_ptr<Tokenizer> make_gguf_tokenizer(const GgufVocabulary& vocabulary, const std::string& where) {
  if (vocabulary.model == "gpt2") {
    return make_json_tokenizer(byte_level_file(vocabulary, where), config_of(vocabulary), where);
  }
  return make_sentencepiece_tokenizer(sentencepiece_model(vocabulary), config_of(vocabulary), where);
}

}  // namespace attune
