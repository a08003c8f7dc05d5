#include "token/train_tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::size_t kSentence = 4000;  // bytes; the trainer drops longer ones
constexpr double kCoverage = 0.9995;     // of characters; the rarer ones become bytes
constexpr const char* kUnknown = "<unk>";
constexpr const char* kBos = "<s>";
constexpr const char* kEos = "</s>";
constexpr const char* kPad = "<pad>";
constexpr std::string_view kSpace = "\u2581";

// What people type has pieces even where the texts lack it. The trainer wants to have seen every character once.
std::string printable_ascii() {
  std::string characters;
  for (char c = '!'; c <= '~'; ++c) characters += c;
  return characters;
}

// The texts in sentences of at most kSentence bytes, cut after a line or a space where one is near; then printable
// ASCII.
class Sentences : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(std::span<const std::string> texts) : texts_(texts) { Next(); }

  bool done() const override { return done_; }
  void Next() override {
    while (index_ < texts_.size() && at_ >= texts_[index_].size()) ++index_, at_ = 0;
    if (index_ == texts_.size()) {
      done_ = std::exchange(ascii_given_, true);
      sentence_ = printable_ascii();
      return;
    }
    const std::string_view rest = std::string_view(texts_[index_]).substr(at_);
    std::size_t size = std::min(rest.size(), kSentence);
    if (size < rest.size()) {
      const std::size_t cut = rest.find_last_of(" \n", size - 1);
      if (cut != std::string_view::npos && cut >= kSentence / 2)
        size = cut + 1;
      else
        size -= incomplete_utf8_tail(rest.substr(0, size));
    }
    sentence_ = to_valid_utf8(rest.substr(0, size));
    std::erase(sentence_, '\0');  // ends a sentence in the trainer's eyes
    at_ += size;
  }
  const std::string& value() const override { return sentence_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::span<const std::string> texts_;
  std::size_t index_ = 0, at_ = 0;
  std::string sentence_;
  bool ascii_given_ = false, done_ = false;
};

// One field of the trainer's comma-separated lists.
std::string csv_field(std::string_view field) {
  std::string result = "\"";
  for (const char c : field) result += c == '"' ? "\"\"" : std::string(1, c);
  return result + "\"";
}

// The trainer ends the process when the characters alone overfill the vocabulary, so they are counted first.
void check_characters(const TokenizerRecipe& recipe, std::span<const std::string> texts) {
  std::unordered_map<char32_t, std::uint64_t> counts;
  std::uint64_t all = 0;
  for (const std::string& text : texts) {
    for (std::size_t i = 0; i < text.size(); ++all) {
      const Utf8Step step = decode_utf8(text, i);
      ++counts[step.code_point];
      i = step.next;
    }
  }
  std::vector<std::uint64_t> sorted;
  for (const auto& [character, count] : counts) sorted.push_back(count);
  std::ranges::sort(sorted, std::greater<>{});
  std::uint64_t covered = 0;
  std::int64_t needed = static_cast<std::int64_t>(recipe.special_tokens.size()) + 4 + 256 + 2 + ('~' - '!' + 1);
  for (const std::uint64_t count : sorted) {
    if (static_cast<double>(covered) >= kCoverage * static_cast<double>(all)) break;
    covered += count;
    ++needed;
  }
  if (needed > recipe.vocab_size) {
    throw UserError("[tokenizer] vocab_size: expected at least {} to hold the characters of these texts, got {}",
                    needed, recipe.vocab_size);
  }
}

std::string train_model(const TokenizerRecipe& recipe, std::span<const std::string> texts) {
  std::string control = kPad;
  for (const std::string& token : recipe.special_tokens) control += "," + csv_field(token);
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(recipe.vocab_size)},
      {"hard_vocab_limit", "false"},
      {"byte_fallback", "true"},
      {"character_coverage", std::to_string(kCoverage)},
      {"required_chars", printable_ascii()},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"split_digits", "true"},
      {"control_symbols", control},
      {"user_defined_symbols", csv_field("\n")},  // a line break is one piece and no other holds it
      {"unk_piece", kUnknown},
      {"bos_piece", kBos},
      {"eos_piece", kEos},
      {"max_sentence_length", std::to_string(kSentence + 96)},
      {"num_threads", "1"},
      {"minloglevel", "3"}};
  Sentences sentences(texts);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &sentences, &model);
  if (!status.ok()) {
    std::string message = status.ToString();
    std::ranges::replace(message, '\n', ' ');
    throw UserError("[tokenizer] training failed: {}; give more text or another vocab_size (now {})", message,
                    recipe.vocab_size);
  }
  return model;
}

bool is_learned(const sentencepiece::SentencePieceProcessor& model, int id) {
  return !model.IsControl(id) && !model.IsUnknown(id) && !model.IsByte(id) && model.IdToPiece(id) != "\n";
}

// SentencePiece merges whatever pair makes the piece of highest score; as a list of merges, best first, that is every
// way to cut each piece into two others.
Json merges_of(const sentencepiece::SentencePieceProcessor& model) {
  struct Merge {
    int id;
    std::string_view left, right;
  };
  std::unordered_map<std::string_view, int> ids;
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    if (is_learned(model, id)) ids.emplace(model.IdToPiece(id), id);
  }
  std::vector<Merge> merges;
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    if (!is_learned(model, id)) continue;
    const std::string_view piece = model.IdToPiece(id);
    for (std::size_t cut = decode_utf8(piece, 0).next; cut < piece.size(); cut = decode_utf8(piece, cut).next) {
      const std::string_view left = piece.substr(0, cut), right = piece.substr(cut);
      if (ids.contains(left) && ids.contains(right)) merges.push_back({id, left, right});
    }
  }
  std::ranges::stable_sort(merges, std::greater<>{}, [&](const Merge& merge) { return model.GetScore(merge.id); });
  Json list = Json::array();
  for (const Merge& merge : merges) list.push_back({std::string(merge.left), std::string(merge.right)});
  return list;
}

std::vector<std::string> special_tokens(const TokenizerRecipe& recipe) {
  std::vector<std::string> tokens = {kUnknown, kBos, kEos, kPad};
  tokens.insert(tokens.end(), recipe.special_tokens.begin(), recipe.special_tokens.end());
  return tokens;
}

Json added_token(const std::string& content) {
  return {{"content", content}, {"single_word", false}, {"lstrip", false},
          {"rstrip", false},    {"normalized", false},  {"special", true}};
}

Json tokenizer_json(const TokenizerRecipe& recipe, const sentencepiece::SentencePieceProcessor& model) {
  Json added = Json::array(), vocabulary = Json::object();
  for (const std::string& token : special_tokens(recipe)) {
    Json entry = {{"id", model.PieceToId(token)}};
    entry.update(added_token(token));
    added.push_back(std::move(entry));
  }
  // Straight into the ordered object's array: its insertion searches for the key first.
  auto& entries = vocabulary.get_ref<Json::object_t&>();
  for (int id = 0; id < model.GetPieceSize(); ++id) entries.emplace_back(model.IdToPiece(id), id);
  const Json bos = {{"SpecialToken", {{"id", kBos}, {"type_id", 0}}}};
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const Json second_bos = {{"SpecialToken", {{"id", kBos}, {"type_id", 1}}}};
  const auto replace = [](std::string_view from, std::string_view to) {
    return Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers", Json::array({Json{{"type", "Prepend"}, {"prepend", kSpace}}, replace(" ", kSpace)})}}},
      {"pre_tokenizer", nullptr},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", Json::array({bos, sequence("A", 0)})},
        {"pair", Json::array({bos, sequence("A", 0), second_bos, sequence("B", 1)})},
        {"special_tokens",
         {{kBos, {{"id", kBos}, {"ids", Json::array({model.PieceToId(kBos)})}, {"tokens", Json::array({kBos})}}}}}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders", Json::array({replace(kSpace, " "), Json{{"type", "ByteFallback"}}, Json{{"type", "Fuse"}},
                                  Json{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}})}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", kUnknown},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"ignore_merges", false},
        {"vocab", vocabulary},
        {"merges", merges_of(model)}}}};
}

Json tokenizer_config(const TokenizerRecipe& recipe, const sentencepiece::SentencePieceProcessor& model) {
  Json added = Json::object();
  for (const std::string& token : special_tokens(recipe)) {
    added[std::to_string(model.PieceToId(token))] = added_token(token);
  }
  Json config = {{"add_bos_token", true},
                 {"add_eos_token", false},
                 {"added_tokens_decoder", added},
                 {"bos_token", kBos},
                 {"clean_up_tokenization_spaces", false},
                 {"eos_token", recipe.eos_token},
                 {"legacy", true},
                 {"pad_token", kPad},
                 {"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"unk_token", kUnknown}};
  if (!recipe.chat_template.empty()) config["chat_template"] = recipe.chat_template;
  return config;
}

void check(const TokenizerRecipe& recipe) {
  const std::vector<std::string> tokens = special_tokens(recipe);
  std::set<std::string_view> seen;
  for (const std::string& token : tokens) {
    if (token.empty() || !is_valid_utf8(token)) throw UserError("[tokenizer] a special token is empty or not UTF-8");
    if (!seen.insert(token).second) throw UserError("[tokenizer] special token \"{}\" is named twice", token);
  }
  if (!seen.contains(recipe.eos_token)) {
    throw UserError("[tokenizer] eos_token \"{}\" is none of the special tokens", recipe.eos_token);
  }
  const auto least = static_cast<std::int64_t>(tokens.size()) + 256 + 2;
  if (recipe.vocab_size < least || recipe.vocab_size > 1'000'000) {
    throw UserError("[tokenizer] vocab_size: expected {} to 1000000, got {}", least, recipe.vocab_size);
  }
}

}  // namespace

void train_tokenizer(const TokenizerRecipe& recipe, std::span<const std::string> texts, const fs::path& model_folder) {
  check(recipe);
  if (std::ranges::all_of(texts, [](const std::string& text) { return text.empty(); })) {
    throw UserError("[tokenizer] there is no text to train on");
  }
  check_characters(recipe, texts);
  const std::string bytes = train_model(recipe, texts);
  sentencepiece::SentencePieceProcessor model;
  if (const auto status = model.LoadFromSerializedProto(bytes); !status.ok()) {
    throw InternalError("[tokenizer] the trained model does not load: {}", status.ToString());
  }
  write_file_atomic(model_folder / "tokenizer.model", bytes);
  write_file_atomic(model_folder / "tokenizer.json", tokenizer_json(recipe, model).dump(1) + "\n");
  write_file_atomic(model_folder / "tokenizer_config.json", tokenizer_config(recipe, model).dump(2) + "\n");
  const Json roles = {
      {"bos_token", kBos}, {"eos_token", recipe.eos_token}, {"pad_token", kPad}, {"unk_token", kUnknown}};
  write_file_atomic(model_folder / "special_tokens_map.json", roles.dump(2) + "\n");
}

}  // namespace attune
