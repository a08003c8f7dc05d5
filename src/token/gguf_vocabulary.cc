// Reading a vocabulary out of a folder.
#include "token/gguf_vocabulary.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "token/decoder.h"
#include "token/gguf_pre.h"
#include "token/tokenizer_config.h"
#include "token/tokenizer_file.h"

namespace attune {
namespace {

constexpr std::uint64_t kMaxBytes = 256 << 20;
constexpr float kAddedScore = -1000.0f;  // of tokens that a SentencePiece model was given later

using Type = GgufTokenType;

void put(GgufVocabulary& vocabulary, TokenId id, std::string token, float score, Type type) {
  const auto at = static_cast<std::size_t>(id);
  if (at >= vocabulary.tokens.size()) {
    vocabulary.tokens.resize(at + 1);
    vocabulary.scores.resize(at + 1);
    vocabulary.types.resize(at + 1, Type::kUnused);
  }
  vocabulary.tokens[at] = std::move(token);
  vocabulary.scores[at] = score;
  vocabulary.types[at] = type;
}

bool is_byte_level(const Json& pre_tokenizer) {
  if (!pre_tokenizer.is_object()) return false;
  if (pre_tokenizer.value("type", Json()) == "ByteLevel") return true;
  const auto list = pre_tokenizer.find("pretokenizers");
  return list != pre_tokenizer.end() && list->is_array() && std::any_of(list->begin(), list->end(), is_byte_level);
}

Json part(const Json& file, const char* key) {
  const auto found = file.find(key);
  return found == file.end() ? Json() : *found;
}

void read_byte_level(GgufVocabulary& vocabulary, const TokenizerFile& file, const std::string& where) {
  vocabulary.model = "gpt2";
  const GgufPre& pre = recognise_gguf_pre(part(file.rest, "pre_tokenizer"), where + ":pre_tokenizer");
  vocabulary.pre = pre.name;
  if (file.merges.empty()) throw Unsupported("[{}] has no merges; llama.cpp wants one at least", where);
  if (const bool ignores = json_get_or<bool>(file.rest["model"], "ignore_merges", false, where);
      ignores && !pre.ignore_merges) {
    throw Unsupported("[{}] ignore_merges is {}, which llama.cpp does not do for a tokenizer of type {}", where,
                      ignores, pre.name);
  }
  for (const auto& [token, id] : file.vocabulary) put(vocabulary, id, token, 0, Type::kNormal);
  for (const auto& [left, right] : file.merges) {
    const auto without_space = [](std::string piece) {
      for (std::size_t at; (at = piece.find(' ')) != std::string::npos;) piece.replace(at, 1, "\u0120");
      return piece;
    };
    vocabulary.merges.push_back(without_space(left) + " " + without_space(right));
  }
}

// A BPE with byte fallback whose words begin with U+2581 is SentencePiece's. Its merges order the pieces as the scores of
// a SentencePiece model would.
void read_byte_fallback(GgufVocabulary& vocabulary, const TokenizerFile& file) {
  vocabulary.model = "llama";
  std::unordered_map<std::string, std::size_t> ranks;
  for (std::size_t rank = 0; rank < file.merges.size(); ++rank) {
    ranks.emplace(file.merges[rank].first + file.merges[rank].second, rank);
  }
  for (const auto& [token, id] : file.vocabulary) {
    const auto rank = ranks.find(token);
    const std::size_t score = rank != ranks.end() ? rank->second : file.merges.size();
    put(vocabulary, id, token, -static_cast<float>(score),
        byte_of_fallback_token(token) >= 0 ? Type::kByte : Type::kNormal);
  }
}

void read_sentencepiece(GgufVocabulary& vocabulary, const fs::path& path) {
  vocabulary.model = "llama";
  sentencepiece::SentencePieceProcessor model;
  if (const auto status = model.LoadFromSerializedProto(read_file(path, kMaxBytes)); !status.ok()) {
    throw BadFile("[{}] SentencePiece refuses the model", path.string());
  }
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    const Type type = model.IsUnknown(id)   ? Type::kUnknown
                      : model.IsControl(id) ? Type::kControl
                      : model.IsUnused(id)  ? Type::kUnused
                      : model.IsByte(id)    ? Type::kByte
                                            : Type::kNormal;
    put(vocabulary, id, model.IdToPiece(id), model.GetScore(id), type);
  }
}

// Added tokens are recognised in a text before BPE sees it; special ones are left out of an answer.
void read_added(GgufVocabulary& vocabulary, const Tokenizer& tokenizer, const std::string& content, bool special) {
  const auto id = tokenizer.id_of(content);
  if (!id) return;
  const auto at = static_cast<std::size_t>(*id);
  if (at < vocabulary.types.size() && (vocabulary.types[at] == Type::kUnknown || vocabulary.types[at] == Type::kByte)) {
    return;
  }
  put(vocabulary, *id, content, vocabulary.model == "llama" ? kAddedScore : 0.0f,
      special || tokenizer.is_special(*id) ? Type::kControl : Type::kUserDefined);
}

// tokenizer.model has the scores, but only counts when both files mean the same ids.
bool agrees(const GgufVocabulary& pieces, const TokenizerFile& file) {
  return std::all_of(file.vocabulary.begin(), file.vocabulary.end(), [&](const auto& entry) {
    const auto at = static_cast<std::size_t>(entry.second);
    return at >= pieces.tokens.size() || pieces.tokens[at] == entry.first;
  });
}

}  // namespace

GgufVocabulary read_gguf_vocabulary(const fs::path& model_folder, std::int64_t size) {
  const auto tokenizer = load_tokenizer(model_folder);
  const TokenizerConfig config = read_tokenizer_config(model_folder);
  const fs::path json = model_folder / "tokenizer.json", model = model_folder / "tokenizer.model";
  GgufVocabulary vocabulary;
  Json added = Json::array();
  if (fs::exists(json)) {
    const std::string where = json.string();
    const TokenizerFile file = read_tokenizer_file(read_file(json, kMaxBytes), where);
    added = part(file.rest, "added_tokens");
    if (is_byte_level(part(file.rest, "pre_tokenizer"))) {
      read_byte_level(vocabulary, file, where);
    } else if (json_get_or<bool>(file.rest["model"], "byte_fallback", false, where)) {
      if (fs::exists(model)) read_sentencepiece(vocabulary, model);
      if (vocabulary.tokens.empty() || !agrees(vocabulary, file)) {
        vocabulary = {};
        read_byte_fallback(vocabulary, file);
      }
    } else {
      throw Unsupported(
          "[{}] is neither byte-level BPE nor SentencePiece's BPE with byte fallback; llama.cpp runs no other", where);
    }
  } else {
    read_sentencepiece(vocabulary, model);
  }
  const auto unknown = static_cast<std::size_t>(tokenizer->unknown.value_or(-1));
  if (vocabulary.model == "llama" && unknown < vocabulary.types.size()) vocabulary.types[unknown] = Type::kUnknown;
  for (const Json& token : added) {
    read_added(vocabulary, *tokenizer, token.value("content", ""), token.value("special", false));
  }
  for (const auto& [id, token] : config.added) read_added(vocabulary, *tokenizer, token.content, token.special);
  for (const auto* role : {&config.bos, &config.eos, &config.pad}) {
    if (*role) read_added(vocabulary, *tokenizer, **role, true);
  }
  if (std::ssize(vocabulary.tokens) > size) {
    throw UserError("[{}] the tokenizer has {} ids, the model {} embeddings; the two are not of the same model",
                    model_folder.string(), vocabulary.tokens.size(), size);
  }
  vocabulary.tokens.resize(static_cast<std::size_t>(size));
  vocabulary.scores.resize(static_cast<std::size_t>(size));
  vocabulary.types.resize(static_cast<std::size_t>(size), Type::kUnused);
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != Type::kUnused || !vocabulary.tokens[id].empty()) continue;
    vocabulary.tokens[id] = fmt::format("[PAD{}]", id);
    vocabulary.scores[id] = kAddedScore;
  }
  if (vocabulary.model == "gpt2") vocabulary.scores.clear();
  vocabulary.bos = tokenizer->bos;
  vocabulary.eos = tokenizer->eos;
  vocabulary.unknown = tokenizer->unknown;
  vocabulary.pad = tokenizer->pad;
  vocabulary.add_bos = tokenizer->add_bos;
  vocabulary.add_eos = tokenizer->add_eos;
  vocabulary.add_space_prefix =
      vocabulary.model == "llama" && tokenizer->encode("a") != tokenizer->encode_part("a", true, {});
  return vocabulary;
}

}  // namespace attune
