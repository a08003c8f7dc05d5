// tokenizer.bin of llama2.c: a SentencePiece vocabulary with scores, from which a tokenizer.json follows.
#include <algorithm>
#include <cstring>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "format/llama2c.h"

namespace attune {
namespace {

constexpr const char* kSpace = "\u2581";  // what SentencePiece writes for a space
constexpr int kSpecials = 3;              // <unk>, <s>, </s>

struct Piece {
  std::string text;
  float score;
};

std::vector<Piece> read_pieces(const fs::path& path, std::int64_t count) {
  const std::string where = path.string(), bytes = read_file(path);
  std::size_t position = sizeof(std::int32_t);  // the longest piece's length, which nothing needs
  const auto take = [&](auto& value) {
    if (bytes.size() < position + sizeof value) {
      throw BadFile("[{}] expected {} pieces; the file is cut short", where, count);
    }
    std::memcpy(&value, bytes.data() + position, sizeof value);
    position += sizeof value;
  };
  std::vector<Piece> pieces;
  for (std::int64_t i = 0; i < count; ++i) {
    float score;
    std::int32_t length;
    take(score);
    take(length);
    if (length < 0 || static_cast<std::size_t>(length) > bytes.size() - position) {
      throw BadFile("[{}] expected {} pieces; the file is cut short", where, count);
    }
    std::string text;
    for (const char c : std::string_view(bytes).substr(position, static_cast<std::size_t>(length))) {
      if (c == ' ')
        text += kSpace;
      else
        text += c;
    }
    position += static_cast<std::size_t>(length);
    if (i == 1) text = "<s>";  // the file has them between line breaks
    if (i == 2) text = "</s>";
    if (!is_valid_utf8(text)) throw BadFile("[{}] piece {} is not valid UTF-8", where, i);
    pieces.push_back({std::move(text), score});
  }
  if (position != bytes.size()) throw BadFile("[{}] has more than {} pieces", where, count);
  return pieces;
}

// Every way to make a piece from two others, best score first (transformers' convert_slow_tokenizer.py).
Json merges_of(const std::vector<Piece>& pieces) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t i = 0; i < pieces.size(); ++i) ids.emplace(pieces[i].text, i);
  struct Merge {
    std::string_view left, right;
    std::size_t left_id, right_id;
    float score;
  };
  std::vector<Merge> merges;
  for (std::size_t i = kSpecials; i < pieces.size(); ++i) {
    const std::string_view text = pieces[i].text;
    const std::size_t first = merges.size();
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      const auto left = ids.find(text.substr(0, cut)), right = ids.find(text.substr(cut));
      if (left == ids.end() || right == ids.end()) continue;
      merges.push_back({left->first, right->first, left->second, right->second, pieces[i].score});
    }
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(first), merges.end(), [](const Merge& a, const Merge& b) {
      return std::tie(a.left_id, a.right_id) < std::tie(b.left_id, b.right_id);
    });
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) { return a.score > b.score; });
  Json json = Json::array();
  for (const Merge& merge : merges) json.push_back({merge.left, merge.right});
  return json;
}

Json vocabulary_of(const std::vector<Piece>& pieces, const std::string& where) {
  SortedJson sorted = SortedJson::object();  // finding a key in a Json object takes linear time
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (!sorted.emplace(pieces[i].text, i).second) throw BadFile("[{}] has a piece twice: {}", where, pieces[i].text);
  }
  return sorted;
}

Json special_tokens(const std::vector<Piece>& pieces) {
  Json tokens = Json::array();
  for (std::size_t i = 0; i < kSpecials; ++i) {
    tokens.push_back({{"id", i},
                      {"content", pieces[i].text},
                      {"single_word", false},
                      {"lstrip", false},
                      {"rstrip", false},
                      {"normalized", false},
                      {"special", true}});
  }
  return tokens;
}

Json tokenizer_json(const std::vector<Piece>& pieces, const std::string& where) {
  const Json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json begin = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", special_tokens(pieces)},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             Json::array({Json{{"type", "Prepend"}, {"prepend", kSpace}},
                          Json{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}}})}}},
          {"pre_tokenizer", nullptr},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", Json::array({begin, sequence})},
            {"pair", Json::array({begin, sequence, begin, sequence})},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders", Json::array({Json{{"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}},
                                      Json{{"type", "ByteFallback"}}, Json{{"type", "Fuse"}},
                                      Json{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}})}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", "<unk>"},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"ignore_merges", false},
            {"vocab", vocabulary_of(pieces, where)},
            {"merges", merges_of(pieces)}}}};
}

}  // namespace

void convert_llama2c_tokenizer(const fs::path& tokenizer, std::int64_t vocab_size, const fs::path& folder) {
  const std::vector<Piece> pieces = read_pieces(tokenizer, vocab_size);
  if (pieces.size() < kSpecials) throw BadFile("[{}] expected at least {} pieces", tokenizer.string(), kSpecials);
  write_file_atomic(folder / "tokenizer.json", tokenizer_json(pieces, tokenizer.string()).dump(1) + "\n");
  const Json config = {{"tokenizer_class", "LlamaTokenizer"},
                       {"bos_token", "<s>"},
                       {"eos_token", "</s>"},
                       {"unk_token", "<unk>"},
                       {"add_bos_token", true},
                       {"add_eos_token", false}};
  write_file_atomic(folder / "tokenizer_config.json", config.dump(2) + "\n");
}

}  // namespace attune
