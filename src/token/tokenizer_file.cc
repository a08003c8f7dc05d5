#include "token/tokenizer_file.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

namespace attune {
namespace {

constexpr std::size_t kMaxDepth = 256;
constexpr std::size_t kMaxKeys = 10'000;  // of an object that is not the vocabulary; a Json object searches linearly

// Receives the parser's events: those inside model.vocab and model.merges fill arrays, the others build `rest`.
class Reader : public nlohmann::json_sax<Json> {
 public:
  Reader(TokenizerFile& file, const std::string& where) : file_(file), where_(where) {}

  bool null() override { return scalar(nullptr); }
  bool boolean(bool value) override { return scalar(value); }
  bool number_integer(number_integer_t value) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr auto kMax = static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max());
    return number(static_cast<std::int64_t>(std::min(value, kMax)));
  }
  bool number_float(number_float_t value, const string_t&) override { return scalar(value); }
  bool string(string_t& value) override {
    if (part_ == Part::kMerges && depth_ == 3) {
      const auto space = value.find(' ');
      if (value.starts_with("#version")) return true;
      if (space == std::string::npos || value.find(' ', space + 1) != std::string::npos) {
        bad("merge {}: expected \"left right\", got \"{}\"", file_.merges.size(), value);
      }
      file_.merges.emplace_back(value.substr(0, space), value.substr(space + 1));
      return true;
    }
    if (part_ == Part::kMerges && depth_ == 4) {
      if (++in_pair_ == 1)
        file_.merges.emplace_back(std::move(value), "");
      else if (in_pair_ == 2)
        file_.merges.back().second = std::move(value);
      return true;
    }
    return scalar(std::move(value));
  }
  bool binary(binary_t&) override { return true; }

  bool key(string_t& value) override {
    key_ = std::move(value);
    if (part_ == Part::kVocabulary) return true;  // Bpe refuses tokens that appear twice
    if (!keys_.back().insert(key_).second) bad("JSON key \"{}\" appears twice in one object", key_);
    if (keys_.back().size() > kMaxKeys) bad("an object has more than {} keys", kMaxKeys);
    return true;
  }
  bool start_object(std::size_t) override {
    if (part_ != Part::kRest) wrong_entry();
    if (in_model() && key_ == "vocab") {
      part_ = Part::kVocabulary;
      ++depth_;
      return true;
    }
    open(Json::object());
    keys_.emplace_back();
    return true;
  }
  bool end_object() override {
    --depth_;
    if (part_ == Part::kVocabulary) {
      part_ = Part::kRest;
    } else {
      if (stack_.back() == model_) model_ = nullptr;
      keys_.pop_back();
      stack_.pop_back();
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (part_ == Part::kMerges && depth_ == 3) {
      in_pair_ = 0;
      ++depth_;
      return true;
    }
    if (part_ != Part::kRest) wrong_entry();
    if (in_model() && key_ == "merges") {
      part_ = Part::kMerges;
      ++depth_;
      return true;
    }
    open(Json::array());
    return true;
  }
  bool end_array() override {
    --depth_;
    if (part_ == Part::kMerges) {
      if (depth_ == 3 && in_pair_ != 2) bad("merge {}: expected two tokens, got {}", file_.merges.size(), in_pair_);
      if (depth_ == 2) part_ = Part::kRest;
    } else {
      stack_.pop_back();
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    bad("not valid JSON near byte {}", position);
  }

 private:
  enum class Part { kRest, kVocabulary, kMerges };

  template <typename... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    throw BadFile("[{}] {}", where_, fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void wrong_entry() const {
    if (part_ == Part::kVocabulary) bad("token \"{}\": expected an integer id", key_);
    bad("merge {}: expected \"left right\" or [\"left\", \"right\"]", file_.merges.size());
  }

  // Directly inside the top-level object's "model".
  bool in_model() const { return depth_ == 2 && model_ && stack_.back() == model_; }

  Json& place(Json value) {
    if (stack_.empty()) return file_.rest = std::move(value);
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return parent.back();
    }
    return parent[key_] = std::move(value);
  }
  void open(Json value) {
    if (++depth_ > kMaxDepth) bad("JSON is nested deeper than {}", kMaxDepth);
    const bool is_model = stack_.size() == 1 && file_.rest.is_object() && key_ == "model" && value.is_object();
    stack_.push_back(&place(std::move(value)));
    if (is_model) model_ = stack_.back();
  }
  bool scalar(Json value) {
    if (part_ != Part::kRest) wrong_entry();
    place(std::move(value));
    return true;
  }
  bool number(std::int64_t value) {
    if (part_ != Part::kVocabulary) return scalar(value);
    if (value < 0 || value > std::numeric_limits<TokenId>::max()) bad("token \"{}\": {} is no token id", key_, value);
    file_.vocabulary.emplace_back(std::move(key_), static_cast<TokenId>(value));
    return true;
  }

  TokenizerFile& file_;
  const std::string& where_;
  std::vector<Json*> stack_;                           // open values of `rest`
  std::vector<std::unordered_set<std::string>> keys_;  // of the open objects of `rest`
  std::string key_;
  const Json* model_ = nullptr;
  Part part_ = Part::kRest;
  std::size_t depth_ = 0;
  int in_pair_ = 0;
};

}  // namespace

TokenizerFile read_tokenizer_file(std::string_view text, const std::string& where) {
  TokenizerFile file;
  Reader reader(file, where);
  Json::sax_parse(text, &reader);
  const auto model = file.rest.is_object() ? file.rest.find("model") : file.rest.end();
  if (!file.rest.is_object() || model == file.rest.end() || !model->is_object()) {
    throw BadFile("[{}] expected a tokenizer.json with a \"model\" object", where);
  }
  const auto type = json_get<std::string>(*model, "type", where);
  if (type && type != "BPE") {
    throw Unsupported(
        "[{}] model type \"{}\" is not supported; attune reads BPE here and SentencePiece models from "
        "tokenizer.model",
        where, *type);
  }
  for (const char* key : {"vocab", "merges"}) {
    if (model->contains(key)) throw BadFile("[{}] key \"{}\" of the model has the wrong type", where, key);
  }
  if (file.vocabulary.empty()) throw BadFile("[{}] the model has no vocabulary", where);
  return file;
}

}  // namespace attune
