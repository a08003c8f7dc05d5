#include "token/tokenizer_json.h"

#include <algorithm>
#include <array>

#include "token/bpe.h"
#include "token/byte_alphabet.h"
#include "token/decoder.h"
#include "token/normalizer.h"
#include "token/pre_tokenizer.h"
#include "token/tokenizer_file.h"
#include "token/valid_text.h"

namespace attune {
namespace {

constexpr std::size_t kBytesPerToken = 3;  // hardly a text has more tokens than this makes
constexpr std::size_t kPiecesAtOnce = 64;

class JsonTokenizer : public Tokenizer {
 public:
  JsonTokenizer(TokenizerFile file, const TokenizerConfig& config, const std::string& where)
      : normalizer_(read_normalizer(part(file.rest, "normalizer"), where + ":normalizer")),
        pre_tokenizer_(read_pre_tokenizer(part(file.rest, "pre_tokenizer"), where + ":pre_tokenizer")),
        decoder_(read_decoder(part(file.rest, "decoder"), where + ":decoder")),
        bpe_(std::move(file.vocabulary), file.merges, bpe_options(file.rest["model"], where + ":model"), where) {
    read_added_tokens(part(file.rest, "added_tokens"), config, where);
    Beginning beginning{true, false};
    added_.finish([&](const std::string& text) { return normalize(text, beginning); }, where);
    end_id_ = std::max(bpe_.end_id(), added_.end_id());
    read_roles(part(file.rest, "post_processor"), config, where);
  }

  std::vector<TokenId> encode(std::string_view text) const override { return encode_part(text, false, {}); }

  std::vector<TokenId> encode_part(std::string_view raw, bool continues,
                                   std::span<const ByteRange> plain) const override {
    const ValidText valid(raw, plain);
    std::vector<TokenId> ids;
    ids.reserve(valid.text.size() / kBytesPerToken);
    for (const AddedTokenMatch& outer : added_.find(valid.text, false, valid.plain)) {
      if (outer.id) {
        ids.push_back(*outer.id);
        continue;
      }
      const std::string_view outer_text = valid.text.substr(outer.begin, outer.end - outer.begin);
      const Beginning outer_beginning{outer.begin == 0 && !continues, outer.begin == 0 && continues};
      Beginning beginning = outer_beginning;
      std::string normalized;
      if (!normalizer_.empty()) normalized = normalize(std::string(outer_text), beginning);
      const std::string_view text = normalizer_.empty() ? outer_text : std::string_view(normalized);
      std::vector<ByteRange> inner_plain;
      for (const ByteRange& range : ranges_within(valid.plain, {outer.begin, outer.end})) {
        // Where the range lies after normalization: what stands before its borders normalizes to as many bytes.
        const auto after = [&](std::size_t border) {
          Beginning ignored = outer_beginning;
          return normalizer_.empty() ? border : normalize(std::string(outer_text.substr(0, border)), ignored).size();
        };
        inner_plain.push_back({after(range.begin), after(range.end)});
      }
      for (const AddedTokenMatch& inner : added_.find(text, true, inner_plain)) {
        if (inner.id)
          ids.push_back(*inner.id);
        else
          encode_text(text.substr(inner.begin, inner.end - inner.begin), inner.begin == 0 ? beginning : Beginning{},
                      ids);
      }
    }
    return ids;
  }

  std::string decode(const std::vector<TokenId>& ids, bool skip_special) const override {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const TokenId id : ids) {
      const std::string* token = string_of(id);
      if (token && !(skip_special && added_.is_special(*token))) tokens.push_back(*token);
    }
    return decode_tokens(decoder_, std::move(tokens));
  }

  std::string token_bytes(TokenId id) const override {
    const std::string* token = string_of(id);
    if (!token) return "";
    if (decoder_.byte_level) return from_byte_characters(*token).value_or(*token);
    if (is_byte_fallback(id)) return std::string(1, static_cast<char>(byte_of_fallback_token(*token)));
    // What decoding appends to a text that has begun.
    const std::string before = decode_tokens(decoder_, {"x"}), with = decode_tokens(decoder_, {"x", *token});
    return with.starts_with(before) ? with.substr(before.size()) : with;
  }

  bool is_byte_fallback(TokenId id) const override {
    const std::string* token = decoder_.byte_fallback ? string_of(id) : nullptr;
    return token && byte_of_fallback_token(*token) >= 0;
  }

  TokenId vocab_size() const override { return end_id_; }

  std::optional<TokenId> id_of(std::string_view token) const override {
    const auto added = added_.id_of(token);
    return added ? added : bpe_.id_of(token);
  }

  bool is_special(TokenId id) const override {
    const std::string* token = string_of(id);
    return token && added_.is_special(*token);
  }

 private:
  static const Json& part(const Json& file, const char* key) {
    static const Json kNull;
    const auto found = file.find(key);
    return found == file.end() ? kNull : *found;
  }

  BpeOptions bpe_options(const Json& model, const std::string& where) const {
    BpeOptions options;
    options.unknown_token = json_get<std::string>(model, "unk_token", where);
    options.continuing_subword_prefix = json_get_or<std::string>(model, "continuing_subword_prefix", "", where);
    options.end_of_word_suffix = json_get_or<std::string>(model, "end_of_word_suffix", "", where);
    options.fuse_unknown = json_get_or<bool>(model, "fuse_unk", false, where);
    options.byte_fallback = json_get_or<bool>(model, "byte_fallback", false, where);
    options.ignore_merges = json_get_or<bool>(model, "ignore_merges", false, where);
    options.pieces_are_bytes = pre_tokenizer_.ends_in_bytes;
    return options;
  }

  void encode_text(std::string_view text, Beginning beginning, std::vector<TokenId>& ids) const {
    if (pre_tokenizer_.piece_end) {
      std::array<std::string_view, kPiecesAtOnce> words;
      std::size_t count = 0;
      for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = pre_tokenizer_.piece_end(text, begin);
        words[count++] = text.substr(begin, end - begin);
        begin = end;
        if (count < words.size() && begin < text.size()) continue;
        bpe_.encode({words.data(), count}, ids);
        count = 0;
      }
      return;
    }
    Pieces pieces;
    pieces.list.push_back({text, beginning});
    for (const auto& step : pre_tokenizer_.steps) step->apply(pieces);
    std::vector<std::string_view> words;
    words.reserve(pieces.list.size());
    for (const Piece& piece : pieces.list) words.push_back(piece.text);
    bpe_.encode(words, ids);
  }

  std::string normalize(std::string text, Beginning& beginning) const {
    for (const auto& step : normalizer_) step->apply(text, beginning);
    return text;
  }

  const std::string* string_of(TokenId id) const {
    const std::string* added = added_.decoded(id);
    return added ? added : bpe_.token(id);
  }

  // The vocabulary's id wins; a token the vocabulary lacks gets the next free id, whatever the file says.
  void add(AddedToken token) {
    if (token.content.empty()) return;
    auto id = id_of(token.content);
    if (!id) id = std::max({static_cast<TokenId>(bpe_.size()), added_.end_id()});
    added_.add(std::move(token), *id);
  }

  void read_added_tokens(const Json& list, const TokenizerConfig& config, const std::string& where) {
    if (!list.is_null() && !list.is_array()) throw BadFile("[{}] key \"added_tokens\": expected a list", where);
    for (const Json& value : list) {
      const std::string here = where + ":added_tokens";
      add({json_require<std::string>(value, "content", here), json_get_or<bool>(value, "single_word", false, here),
           json_get_or<bool>(value, "lstrip", false, here), json_get_or<bool>(value, "rstrip", false, here),
           json_get_or<bool>(value, "normalized", true, here), json_get_or<bool>(value, "special", false, here)});
    }
    for (const auto& [id, token] : config.added) add(token);
    // Tokens of the vocabulary that only the config files call special.
    std::vector<std::string> special = config.other_special;
    for (const auto* role : {&config.bos, &config.eos, &config.pad, &config.unknown}) {
      if (*role) special.push_back(**role);
    }
    for (const std::string& content : special) {
      if (!added_.id_of(content) && bpe_.id_of(content)) add({content, false, false, false, false, true});
    }
  }

  void read_roles(const Json& post_processor, const TokenizerConfig& config, const std::string& where) {
    const auto resolve = [&](const std::optional<std::string>& token) { return token ? id_of(*token) : std::nullopt; };
    bos = resolve(config.bos);
    eos = resolve(config.eos);
    pad = resolve(config.pad);
    unknown = resolve(config.unknown);
    read_post_processor(post_processor, config, where + ":post_processor");
    if (config.add_bos) add_bos = *config.add_bos && bos;
    if (config.add_eos) add_eos = *config.add_eos && eos;
  }

  void read_post_processor(const Json& value, const TokenizerConfig& config, const std::string& where) {
    if (value.is_null()) return;
    if (json_require<std::string>(value, "type", where) == "Sequence") {
      const auto processors = value.find("processors");
      if (processors == value.end() || !processors->is_array()) {
        throw BadFile("[{}] key \"processors\": expected a list", where);
      }
      for (const Json& processor : *processors) {
        if (json_require<std::string>(processor, "type", where) != "Sequence") {
          read_post_processor(processor, config, where);
        }
      }
      return;
    }
    const auto single = value.find("single");
    if (single == value.end() || !single->is_array() || single->empty()) return;
    const auto is_token = [&](const Json& item, const std::optional<std::string>& token) {
      const auto special = item.find("SpecialToken");
      return token && special != item.end() && json_get<std::string>(*special, "id", where) == token;
    };
    add_bos = bos && is_token(single->front(), config.bos);
    add_eos = eos && is_token(single->back(), config.eos);
  }

  const Normalizer normalizer_;
  const PreTokenizer pre_tokenizer_;
  const Decoder decoder_;
  const Bpe bpe_;
  AddedTokens added_;
  TokenId end_id_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> make_json_tokenizer(std::string_view text, const TokenizerConfig& config,
                                               const std::string& where) {
  return make_json_tokenizer(read_tokenizer_file(text, where), config, where);
}

std::unique_ptr<Tokenizer> make_json_tokenizer(TokenizerFile file, const TokenizerConfig& config,
                                               const std::string& where) {
  return std::make_unique<JsonTokenizer>(std::move(file), config, where);
}

}  // namespace attune
