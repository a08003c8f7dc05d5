// tokenizer.json: the parts of a tokenizer one by one, and every way in which a file can be wrong. Whole vocabularies
// against Hugging Face tokenizers: tests/interop/tokenizer_test.py, which also made the expected ids below.
#include "token/tokenizer_json.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"

namespace attune {
namespace {

using Ids = std::vector<TokenId>;

Json character_model() {
  Json vocabulary = Json::object();
  TokenId id = 0;
  for (const char* token : {"<unk>", "a", "b", "c", "ab", "abc", " ", "▁", "▁a", "é", "<0xC3>", "<0xA9>", "A"}) {
    vocabulary[token] = id++;
  }
  return {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "ab c", "▁ a"}}, {"unk_token", "<unk>"}};
}

Json tokenizer() {
  return {{"version", "1.0"},   {"added_tokens", Json::array()}, {"normalizer", nullptr}, {"pre_tokenizer", nullptr},
          {"decoder", nullptr}, {"model", character_model()}};
}

std::unique_ptr<Tokenizer> load(const Json& file, const TokenizerConfig& config = {}) {
  return make_json_tokenizer(file.dump(), config, "t");
}

std::string error_of(const std::string& text) {
  try {
    make_json_tokenizer(text, {}, "t");
  } catch (const UserError& error) {
    return error.what();
  }
  return "nothing was thrown";
}
std::string error_of(const Json& file) { return error_of(file.dump()); }

TEST(Bpe, MergesLowestRankFirstLeftmostOnTies) {
  EXPECT_EQ(load(tokenizer())->encode("abcab"), (Ids{5, 4}));
  EXPECT_EQ(load(tokenizer())->encode("aab"), (Ids{1, 4}));
}

TEST(Bpe, LongPiecesMergeAsShortOnesDo) {
  std::string text;
  Ids expected;
  for (int i = 0; i < 400; ++i) {
    text += "abca";
    expected.insert(expected.end(), {5, 1});
  }
  EXPECT_EQ(load(tokenizer())->encode(text), expected);
}

TEST(Bpe, UnknownCharacters) {
  Json file = tokenizer();
  EXPECT_EQ(load(file)->encode("xya"), (Ids{0, 0, 1}));
  file["model"]["fuse_unk"] = true;
  EXPECT_EQ(load(file)->encode("xya"), (Ids{0, 1}));
  file["model"]["unk_token"] = nullptr;
  EXPECT_EQ(load(file)->encode("xya"), (Ids{1}));
}

TEST(Bpe, ByteFallbackNeedsEveryByte) {
  Json file = tokenizer();
  file["model"]["vocab"].erase("é");
  file["model"]["byte_fallback"] = true;
  EXPECT_EQ(load(file)->encode("éá"), (Ids{10, 11, 0}));  // <0xA1> is no token
}

TEST(Bpe, IgnoreMergesTakesWholePieces) {
  Json file = tokenizer();
  file["model"]["merges"] = Json::array();
  EXPECT_EQ(load(file)->encode("abc"), (Ids{1, 2, 3}));
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(load(file)->encode("abc"), (Ids{5}));
}

TEST(Bpe, MergesMayBePairs) {
  Json file = tokenizer();
  file["model"]["merges"] = Json::array({Json::array({"a", "b"}), Json::array({"ab", "c"})});
  file["model"].erase("type");
  EXPECT_EQ(load(file)->encode("abc"), (Ids{5}));
}

TEST(AddedTokens, SpecialNormalizedAndStripping) {
  Json file = tokenizer();
  file["normalizer"] = {{"type", "Lowercase"}};
  file["added_tokens"] =
      Json::array({Json{{"id", 13}, {"content", "<S>"}, {"special", true}, {"normalized", false}},
                   Json{{"id", 14}, {"content", "CAB"}, {"normalized", true}},
                   Json{{"id", 15}, {"content", "<L>"}, {"normalized", false}, {"lstrip", true}},
                   Json{{"id", 16}, {"content", "ba"}, {"normalized", false}, {"single_word", true}}});
  const auto t = load(file);
  EXPECT_EQ(t->encode("a<S>A"), (Ids{1, 13, 1}));
  EXPECT_EQ(t->encode("cAbc"), (Ids{14, 3}));
  EXPECT_EQ(t->encode("a  <L> a"), (Ids{1, 15, 6, 1}));
  EXPECT_EQ(t->encode("ba cba"), (Ids{16, 6, 3, 2, 1}));
  EXPECT_TRUE(t->is_special(13));
  EXPECT_FALSE(t->is_special(14));
  EXPECT_EQ(t->vocab_size(), 17);
  EXPECT_EQ(t->decode({1, 13, 2}, true), "a b");
  EXPECT_EQ(t->decode({1, 13, 99, -1}, false), "a <S>");
}

TEST(AddedTokens, PlainRangesHideSpecialTokens) {
  Json file = tokenizer();
  file["added_tokens"] = Json::array({Json{{"id", 13}, {"content", "<S>"}, {"special", true}, {"normalized", false}},
                                      Json{{"id", 14}, {"content", "ba"}, {"special", false}, {"normalized", false}}});
  const auto t = load(file);
  const std::string text = "<S>a<S>ba";
  EXPECT_EQ(t->encode_part(text, false, {}), (Ids{13, 1, 13, 14}));
  const std::vector<ByteRange> plain = {{3, 9}};
  EXPECT_EQ(t->encode_part(text, false, plain), (Ids{13, 1, 0, 0, 0, 14}));
  const std::vector<ByteRange> touching = {{5, 6}};  // overlaps the second token
  EXPECT_EQ(t->encode_part(text, false, touching), (Ids{13, 1, 0, 0, 0, 14}));
  const std::string broken = "\xFF<S>";
  EXPECT_EQ(t->encode_part(broken, false, std::vector<ByteRange>{{1, 4}}), (Ids{0, 0, 0, 0}));
  EXPECT_EQ(t->encode_part(broken, false, std::vector<ByteRange>{{0, 1}}), (Ids{0, 13}));
}

TEST(PreTokenizer, MetaspacePrependsByScheme) {
  Json file = tokenizer();
  file["added_tokens"] = Json::array({Json{{"id", 13}, {"content", "<S>"}, {"special", true}, {"normalized", false}}});
  const auto with = [&](const char* scheme) {
    file["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", false}};
    return load(file);
  };
  EXPECT_EQ(with("always")->encode("a a<S>a"), (Ids{8, 8, 13, 8}));
  EXPECT_EQ(with("first")->encode("a a<S>a"), (Ids{8, 8, 13, 1}));
  EXPECT_EQ(with("never")->encode("a a<S>a"), (Ids{1, 8, 13, 1}));
  EXPECT_EQ(with("always")->encode_part("a a<S>a", true, {}), (Ids{1, 8, 13, 8}));
}

TEST(PreTokenizer, ContinuedTextGetsNoPrependedSpace) {
  Json file = tokenizer();
  file["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", Json::array({Json{{"type", "Prepend"}, {"prepend", "▁"}},
                                   Json{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}})}};
  EXPECT_EQ(load(file)->encode("a a"), (Ids{8, 8}));
  EXPECT_EQ(load(file)->encode_part("a a", true, {}), (Ids{1, 8}));
}

TEST(Roles, ComeFromConfigAndPostProcessor) {
  Json file = tokenizer();
  file["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", Json::array({Json{{"SpecialToken", {{"id", "A"}, {"type_id", 0}}}},
                                                    Json{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})}};
  TokenizerConfig config;
  config.bos = "A";
  config.eos = "nowhere";
  const auto t = load(file, config);
  EXPECT_EQ(t->bos, 12);
  EXPECT_EQ(t->eos, std::nullopt);
  EXPECT_TRUE(t->add_bos);
  EXPECT_TRUE(t->is_special(12));  // only the config says so
  EXPECT_EQ(t->encode("aAa"), (Ids{1, 12, 1}));
  config.add_bos = false;
  EXPECT_FALSE(load(file, config)->add_bos);
}

TEST(Refused, WrongFilesGiveOneClearLine) {
  const auto changed = [](const char* key, Json value) {
    Json file = tokenizer();
    file[key] = std::move(value);
    return file;
  };
  const auto changed_model = [](const char* key, Json value) {
    Json file = tokenizer();
    file["model"][key] = std::move(value);
    return file;
  };
  EXPECT_EQ(error_of(std::string("{\"model\": ")), "[t] not valid JSON near byte 11");
  EXPECT_EQ(error_of(std::string("[]")), "[t] expected a tokenizer.json with a \"model\" object");
  EXPECT_EQ(error_of(std::string("{\"model\": {}}")), "[t] the model has no vocabulary");
  EXPECT_EQ(error_of(std::string("{\"a\": 1, \"a\": 2}")), "[t] JSON key \"a\" appears twice in one object");
  EXPECT_EQ(error_of(std::string(300, '[')), "[t] JSON is nested deeper than 256");
  EXPECT_EQ(error_of(changed_model("type", "WordPiece")),
            "[t] model type \"WordPiece\" is not supported; attune reads BPE here and SentencePiece models from "
            "tokenizer.model");
  EXPECT_EQ(error_of(changed_model("vocab", {{"a", 1}, {"b", 1}})), "[t] tokens \"a\" and \"b\" have the same id 1");
  EXPECT_EQ(error_of(changed_model("vocab", {{"a", -1}})), "[t] token \"a\": -1 is no token id");
  EXPECT_EQ(error_of(changed_model("vocab", {{"a", 99'000'000}})),
            "[t] token \"a\": expected an id from 0 to 16777215, got 99000000");
  EXPECT_EQ(error_of(changed_model("vocab", {{"a", "1"}})), "[t] token \"a\": expected an integer id");
  EXPECT_EQ(error_of(changed_model("vocab", Json::array())), "[t] key \"vocab\" of the model has the wrong type");
  EXPECT_EQ(error_of(changed_model("merges", {"a x"})), "[t] merge 0 (\"a\" \"x\"): \"x\" is not in the vocabulary");
  EXPECT_EQ(error_of(changed_model("merges", {"a c"})), "[t] merge 0 (\"a\" \"c\"): \"ac\" is not in the vocabulary");
  EXPECT_EQ(error_of(changed_model("merges", {"a b c"})), "[t] merge 0: expected \"left right\", got \"a b c\"");
  EXPECT_EQ(error_of(changed_model("merges", {1})), "[t] merge 0: expected \"left right\" or [\"left\", \"right\"]");
  EXPECT_EQ(error_of(changed_model("merges", Json::array({Json::array({"a"})}))),
            "[t] merge 1: expected two tokens, got 1");
  EXPECT_EQ(error_of(changed_model("unk_token", "?")), "[t] unk_token \"?\" is not in the vocabulary");
  EXPECT_EQ(error_of(changed("normalizer", {{"type", "BertNormalizer"}})),
            "[t:normalizer] normalizer \"BertNormalizer\" is not supported");
  EXPECT_EQ(error_of(changed("normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}})),
            "[t:normalizer] normalizer \"Precompiled\" is not supported");
  EXPECT_EQ(error_of(changed("pre_tokenizer", {{"type", "BertPreTokenizer"}})),
            "[t:pre_tokenizer] pre-tokenizer \"BertPreTokenizer\" is not supported");
  EXPECT_EQ(
      error_of(changed("pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Odd"}})),
      "[t:pre_tokenizer.Split] key \"behavior\": expected Removed, Isolated, MergedWithPrevious, MergedWithNext or "
      "Contiguous, got \"Odd\"");
  EXPECT_EQ(
      error_of(changed("pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}})),
      "[t:pre_tokenizer.Split] pattern \"(a\" is not supported: missing closing parenthesis");
  EXPECT_EQ(error_of(changed("decoder", {{"type", "CTC"}})), "[t:decoder] decoder \"CTC\" is not supported");
  EXPECT_EQ(error_of(changed("added_tokens", {{"content", "x"}})), "[t] key \"added_tokens\": expected a list");
  Json same = changed("added_tokens", Json::array({Json{{"content", "XX"}, {"normalized", true}},
                                                   Json{{"content", "xx"}, {"normalized", true}}}));
  same["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_EQ(error_of(same), "[t] added tokens 13 and 14 match the same text \"xx\"");
}

}  // namespace
}  // namespace attune
