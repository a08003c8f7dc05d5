#include "token/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "base/error.h"
#include "token/sentencepiece_words.h"
#include "token/valid_text.h"
#include "token/word_cache.h"

namespace attune {
namespace {

using sentencepiece::SentencePieceProcessor;

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& model, const TokenizerConfig& config, const std::string& where)
      : where_(where), legacy_(config.legacy) {
    // Appended fields override: normalizer_spec (3) { add_dummy_prefix (3): false }.
    constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);
    check(model_.LoadFromSerializedProto(model));
    check(without_prefix_.LoadFromSerializedProto(model + std::string(kNoDummyPrefix)));
    if (model_.GetPieceSize() <= 0) throw BadFile("[{}] the SentencePiece model has no pieces", where);
    const TokenId pieces = model_.GetPieceSize();
    for (TokenId id = 0; id < pieces; ++id) {
      if (!model_.IsControl(id) && !model_.IsUnknown(id)) continue;
      if (const std::string& piece = model_.IdToPiece(id); !piece.empty()) {
        added_.add({piece, false, false, false, false, true}, id);
      }
    }
    for (const auto& [id, config_token] : config.added) {
      AddedToken token = config_token;
      token.normalized = false;  // there is no normalized text to look in
      const auto existing = id_of(token.content);
      if (!existing && id < pieces) {
        throw BadFile("[{}] added token \"{}\" has id {}, which the model gives to \"{}\"", where, token.content, id,
                      model_.IdToPiece(id));
      }
      added_.add(std::move(token), existing.value_or(id));
    }
    added_.finish([](const std::string& text) { return text; }, where);
    independent_words_ = has_independent_words(model);
    end_id_ = std::max(pieces, added_.end_id());
    read_roles(config);
  }

  std::vector<TokenId> encode(std::string_view text) const override { return encode_part(text, false, {}); }

  std::vector<TokenId> encode_part(std::string_view raw, bool continues,
                                   std::span<const ByteRange> plain) const override {
    const ValidText valid(raw, plain);
    std::vector<TokenId> ids;
    for (const AddedTokenMatch& part : added_.find(valid.text, false, valid.plain)) {
      if (part.id) {
        ids.push_back(*part.id);
        continue;
      }
      const bool prefix = part.begin == 0 ? !continues : legacy_;
      encode_text(std::string_view(valid.text).substr(part.begin, part.end - part.begin), prefix, ids);
    }
    return ids;
  }

  // Tokens that the model does not hold, and control pieces (which the library decodes to nothing), interrupt the runs
  // of ids that the library decodes.
  std::string decode(const std::vector<TokenId>& ids, bool skip_special) const override {
    std::string text;
    std::vector<int> run;
    const auto flush = [&] {
      if (run.empty()) return;
      std::string part;
      check((text.empty() ? model_ : without_prefix_).Decode(run, &part));
      text += part;
      run.clear();
    };
    for (const TokenId id : ids) {
      const AddedToken* added = added_.token(id);
      if (added && added->special && skip_special) continue;
      if (added) {
        flush();
        text += added->content;
      } else if (id >= 0 && id < model_.GetPieceSize()) {
        run.push_back(id);
      }
    }
    flush();
    return text;
  }

  std::string token_bytes(TokenId id) const override {
    if (const AddedToken* added = added_.token(id)) return added->content;
    if (id < 0 || id >= model_.GetPieceSize()) return "";
    if (model_.IsByte(id))
      return std::string(1, static_cast<char>(std::stoi(model_.IdToPiece(id).substr(3, 2), nullptr, 16)));
    std::string text;
    check(without_prefix_.Decode(std::vector<int>{id}, &text));
    return text;
  }

  bool is_byte_fallback(TokenId id) const override {
    return id >= 0 && id < model_.GetPieceSize() && model_.IsByte(id);
  }

  TokenId vocab_size() const override { return end_id_; }

  std::optional<TokenId> id_of(std::string_view token) const override {
    if (const auto added = added_.id_of(token)) return added;
    const int id = model_.PieceToId({token.data(), token.size()});
    if (id < 0 || id >= model_.GetPieceSize() || model_.IdToPiece(id) != token) return std::nullopt;
    return id;
  }

  bool is_special(TokenId id) const override {
    const AddedToken* token = added_.token(id);
    return token && token->special;
  }

 private:
  void encode_text(std::string_view text, bool prefix, std::vector<TokenId>& ids) const {
    if (!independent_words_) {
      encode_whole(text, prefix, ids);
      return;
    }
    for (const std::string_view word : independent_words(text)) {
      if (prefix) {
        encode_whole(word, true, ids);
        prefix = false;
      } else {
        encode_word(word, ids);
      }
    }
  }

  void encode_word(std::string_view word, std::vector<TokenId>& ids) const {
    if (!ShortWord::fits(word)) {
      encode_whole(word, false, ids);
      return;
    }
    ShortWord key;
    key.set(word);
    CachedWord& cached = WordCache::of_this_thread().slot(key);
    if (cached.holds(key, owner_)) {
      ids.insert(ids.end(), cached.ids.begin(), cached.ids.begin() + cached.count);
      return;
    }
    const std::size_t before = ids.size();
    encode_whole(word, false, ids);
    const auto found = std::span(ids).subspan(before);
    if (found.size() <= CachedWord::kMostIds) cached.set(key, owner_, found);
  }

  void encode_whole(std::string_view text, bool prefix, std::vector<TokenId>& ids) const {
    std::vector<int> found;
    check((prefix ? model_ : without_prefix_).Encode({text.data(), text.size()}, &found));
    ids.insert(ids.end(), found.begin(), found.end());
  }

  void check(const sentencepiece::util::Status& status) const {
    if (status.ok()) return;
    std::string message = status.ToString();
    std::ranges::replace(message, '\n', ' ');
    throw BadFile("[{}] SentencePiece refuses the model: {}", where_, message);
  }

  void read_roles(const TokenizerConfig& config) {
    const auto role = [&](const std::optional<std::string>& named, int id) -> std::optional<TokenId> {
      if (named) return id_of(*named);
      return id >= 0 ? std::optional(id) : std::nullopt;
    };
    bos = role(config.bos, model_.bos_id());
    eos = role(config.eos, model_.eos_id());
    pad = role(config.pad, model_.pad_id());
    unknown = role(config.unknown, model_.unk_id());
    add_bos = config.add_bos.value_or(true) && bos;  // Llama's convention
    add_eos = config.add_eos.value_or(false) && eos;
  }

  std::string where_;
  bool legacy_;
  SentencePieceProcessor model_, without_prefix_;
  AddedTokens added_;
  TokenId end_id_ = 0;
  bool independent_words_ = false;
  std::uint32_t owner_ = new_word_owner();  // of entries in a thread's word cache
};

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const std::string& model, const TokenizerConfig& config,
                                                        const std::string& where) {
  return std::make_unique<SentencePieceTokenizer>(model, config, where);
}

}  // namespace attune
