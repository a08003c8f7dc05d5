// A real pretrained model, from a llama2.c checkpoint to text: conversion, loading, tokenizer and generation together.
// The expected text is what transformers generates greedily from the same folder.
#include <gtest/gtest.h>
#include <unistd.h>

#include "format/llama2c.h"
#include "generate/generator.h"
#include "token/tokenizer.h"

namespace attune {
namespace {

const fs::path kStories = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/models/stories260K";
constexpr std::string_view kStory =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a "
    "big, red ball. She wanted to play with it, but it was too high";

class Stories : public testing::Test {
 protected:
  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune-stories-{}", ::getpid());
  void SetUp() override {
    if (!fs::exists(kStories)) GTEST_SKIP() << kStories << " is not there";
    fs::create_directories(folder_);
    convert_llama2c(kStories / "stories260K.bin", kStories / "tok512.bin", folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string tell(Quantization quantization, std::string_view prompt, std::int64_t tokens) const {
    const Model model = load_model(folder_, quantization);
    const auto tokenizer = load_tokenizer(folder_);
    EXPECT_TRUE(tokenizer->add_bos);
    std::vector<TokenId> text = {tokenizer->bos.value()};
    const std::vector<TokenId> ids = tokenizer->encode(prompt);
    text.insert(text.end(), ids.begin(), ids.end());
    Session session(model, 256, DType::kF32);
    const Generated answer =
        generate(session, text, {.sampler = {.temperature = 0}, .max_new_tokens = tokens, .stop_tokens = {}});
    text.insert(text.end(), answer.tokens.begin(), answer.tokens.end());
    return tokenizer->decode(text, true);
  }
};

TEST_F(Stories, TellsTheStoryThatTransformersTells) {
  EXPECT_EQ(tell(Quantization::kNone, "", 60), kStory);
  EXPECT_EQ(tell(Quantization::kNone, "Once upon a time", 60).substr(0, kStory.size()), kStory);
}

TEST_F(Stories, QuantizedWeightsBeginTheSameStory) {
  for (const Quantization quantization : {Quantization::kInt8, Quantization::kNF4}) {
    EXPECT_TRUE(tell(quantization, "", 30).starts_with("Once upon a time, there was a little girl named"));
  }
}

}  // namespace
}  // namespace attune
