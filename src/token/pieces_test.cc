// What lies beneath a tokenizer: character classes, patterns, the byte alphabet, streaming and training.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>

#include "base/error.h"
#include "token/byte_alphabet.h"
#include "token/regex.h"
#include "token/stream_decoder.h"
#include "token/train_tokenizer.h"
#include "token/unicode.h"

namespace attune {
namespace {

std::vector<std::string> matches(const char* pattern, std::string_view text) {
  std::vector<std::string> found;
  for (const Match& slice : Regex(pattern, "t").find(text)) {
    if (slice.matched) found.emplace_back(text.substr(slice.begin, slice.end - slice.begin));
  }
  return found;
}

using Strings = std::vector<std::string>;

TEST(Regex, ReadsOnigurumasDialect) {
  EXPECT_EQ(matches(R"(\s)", "a\u180Eb\u0085\u2028\x1C"), (Strings{"\u0085", "\u2028"}));  // no U+180E, no U+001C
  EXPECT_EQ(matches(R"([^\S\n]+)", "a \n\u00A0b"), (Strings{" ", "\u00A0"}));
  EXPECT_EQ(matches(R"(\p{L}+)", "a\U00031350b1"), (Strings{"a\U00031350b"}));  // a letter since Unicode 15
  EXPECT_EQ(matches(R"([^\p{L}]+)", "a\U00031350b1"), (Strings{"1"}));
  EXPECT_EQ(matches(R"(\w+)", "e\u0301a_1-b"), (Strings{"e\u0301a_1", "b"}));
  EXPECT_EQ(matches(R"(\h+)", "12afz"), (Strings{"12af"}));
  EXPECT_EQ(matches(R"(\u0061+)", "aab"), (Strings{"aa"}));
  EXPECT_EQ(matches(R"((?m:a.b))", "a\nb"), (Strings{"a\nb"}));
  EXPECT_EQ(matches(R"(^.)", "ab\ncd"), (Strings{"a", "c"}));
  EXPECT_EQ(matches(R"(\p{Han}+)", "漢、字"), (Strings{"漢", "字"}));  // the script, not its extensions
  EXPECT_EQ(matches(R"(a{,2})", "aaa"), (Strings{"aa", "a"}));
  EXPECT_EQ(matches(R"((?i:'s|'t))", "'S'\u017F'T"), (Strings{"'S", "'\u017F", "'T"}));
}

TEST(Regex, EmptyMatchesMoveOn) {
  const std::vector<Match> slices = Regex("x*", "t").find("axb");
  EXPECT_EQ(slices.size(), 5U);  // "" a "x" b ""
}

TEST(Regex, RefusesWhatItWouldMisread) {
  for (const char* pattern :
       {"[[:alpha:]]", "[a&&b]", "[a[b]]", R"([\W])", R"(a{1,2}+)", R"(\p{Nope})", R"(\K)", "a\\"}) {
    EXPECT_THROW(Regex(pattern, "t"), Unsupported) << pattern;
  }
}

TEST(Regex, BoundsBacktracking) {
  const std::string text(40, 'a');
  EXPECT_THROW(Regex("(a+)+$", "t").find(text + "b"), Unsupported);
}

TEST(Unicode, LowerCaseAndNormalForms) {
  EXPECT_EQ(to_lower_case("ÁİΣ"), "ái\u0307σ");
  EXPECT_EQ(normalize_unicode("e\u0301", NormalForm::kNfc), "é");
  EXPECT_EQ(normalize_unicode("ﬁ㋿", NormalForm::kNfkc), "fi㋿");  // U+32FF is younger than the reference's tables
  EXPECT_EQ(normalize_unicode("é", NormalForm::kNfd), "e\u0301");
}

TEST(ByteAlphabet, IsGpt2s) {
  EXPECT_EQ(to_byte_characters(" \n!\xAD\xFF"), "ĠĊ!Ńÿ");
  std::string bytes(256, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  EXPECT_EQ(from_byte_characters(to_byte_characters(bytes)), bytes);
  EXPECT_EQ(from_byte_characters("a b"), std::nullopt);
}

struct TemporaryFolder {
  fs::path path;
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "attune-token-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { fs::remove_all(path); }
};

TokenizerRecipe small_recipe() {
  TokenizerRecipe recipe;
  recipe.vocab_size = 450;
  recipe.special_tokens = {"<|user|>", "<|assistant|>", "<|end|>"};
  recipe.eos_token = "<|end|>";
  recipe.chat_template = "{{ messages }}";
  return recipe;
}

const std::vector<std::string> kTexts = {
    "It is a truth universally acknowledged, that a single man in possession of a good fortune,\n"
    "must be in want of a wife. However little known the feelings or views of such a man may be ...",
    "árvíztűrő tükörfúrógép, árvíztűrő tükörfúrógép", "the the the then there these those   them"};

TEST(TrainTokenizer, BothFilesGiveTheSameIds) {
  const TemporaryFolder folder, only_model;
  train_tokenizer(small_recipe(), kTexts, folder.path);
  for (const char* file : {"tokenizer.model", "tokenizer_config.json"})
    fs::copy(folder.path / file, only_model.path / file);
  const auto json = load_tokenizer(folder.path), model = load_tokenizer(only_model.path);
  EXPECT_EQ(json->vocab_size(), 450);
  EXPECT_EQ(model->vocab_size(), 450);
  EXPECT_EQ(json->bos, 1);
  EXPECT_EQ(json->eos, json->id_of("<|end|>"));
  EXPECT_EQ(model->eos, json->eos);
  EXPECT_EQ(json->pad, 3);
  EXPECT_EQ(json->unknown, 0);
  EXPECT_TRUE(json->add_bos);
  EXPECT_TRUE(model->add_bos);
  const std::vector<std::string> texts = {"the truth",
                                          "  them\n\nthese ",
                                          "<|user|>the man<|end|>\n<|assistant|>a wife<|end|>",
                                          "😀 \xFF tűz 123 \t",
                                          "",
                                          " ",
                                          "▁",
                                          "thethethethethethethethethethethethethethe"};
  for (const std::string& text : texts) {
    EXPECT_EQ(json->encode(text), model->encode(text)) << text;
    EXPECT_EQ(json->encode_part(text, true, {}), model->encode_part(text, true, {})) << text;
    EXPECT_EQ(json->decode(json->encode(text), true), model->decode(json->encode(text), true)) << text;
  }
  EXPECT_EQ(json->decode(json->encode("the 😀\nwife"), false), "the 😀\nwife");
}

TEST(TrainTokenizer, SameTextsGiveTheSameBytes) {
  const TemporaryFolder a, b;
  train_tokenizer(small_recipe(), kTexts, a.path);
  train_tokenizer(small_recipe(), kTexts, b.path);
  for (const char* file : {"tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}) {
    EXPECT_EQ(read_file(a.path / file), read_file(b.path / file)) << file;
  }
}

TEST(TrainTokenizer, RefusesWhatCannotWork) {
  const TemporaryFolder folder;
  const auto message = [&](const TokenizerRecipe& recipe, std::span<const std::string> texts) -> std::string {
    try {
      train_tokenizer(recipe, texts, folder.path);
    } catch (const UserError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  TokenizerRecipe recipe = small_recipe();
  EXPECT_EQ(message(recipe, {}), "[tokenizer] there is no text to train on");
  recipe.vocab_size = 200;
  EXPECT_EQ(message(recipe, kTexts), "[tokenizer] vocab_size: expected 265 to 1000000, got 200");
  recipe.vocab_size = 300;
  EXPECT_THAT(message(recipe, kTexts), testing::StartsWith("[tokenizer] vocab_size: expected at least "));
  recipe = small_recipe();
  recipe.eos_token = "<|stop|>";
  EXPECT_EQ(message(recipe, kTexts), "[tokenizer] eos_token \"<|stop|>\" is none of the special tokens");
  recipe.special_tokens = {"<s>"};
  EXPECT_EQ(message(recipe, kTexts), "[tokenizer] special token \"<s>\" is named twice");
  EXPECT_TRUE(fs::is_empty(folder.path));
}

TEST(StreamDecoder, HoldsBackWhatIsNotYetText) {
  const TemporaryFolder folder;
  train_tokenizer(small_recipe(), kTexts, folder.path);
  const auto tokenizer = load_tokenizer(folder.path);
  StreamDecoder stream(*tokenizer);
  const std::string text = "the 😀 man";
  std::string streamed;
  for (const TokenId id : tokenizer->encode(text)) {
    const std::string piece = stream.push(id);
    EXPECT_EQ(piece.find("\uFFFD"), std::string::npos);
    streamed += piece;
  }
  EXPECT_EQ(streamed + stream.finish(), text);
  EXPECT_EQ(stream.push(*tokenizer->id_of("<0xF0>")), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
}

TEST(LoadTokenizer, NamesWhatIsMissing) {
  const TemporaryFolder folder;
  try {
    load_tokenizer(folder.path);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "[" + folder.path.string() + "] expected tokenizer.json or tokenizer.model in the model folder, found neither");
  }
  write_file_atomic(folder.path / "tokenizer.model", "no protobuf");
  EXPECT_THROW(load_tokenizer(folder.path), BadFile);
}

}  // namespace
}  // namespace attune
