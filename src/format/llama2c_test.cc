// llama2.c checkpoints: synthetic files of both layouts, and the real one of the shared data where it is.
#include "format/llama2c.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "format/safetensors.h"

namespace attune {
namespace {

const fs::path kStories = fs::path(ATTUNE_SOURCE_DIR) / "../shared/data/models/stories260K";

class Llama2cTest : public testing::Test {
 protected:
  fs::path folder_ = fs::path(testing::TempDir()) / fmt::format("attune-llama2c-{}", ::getpid());
  fs::path checkpoint_ = folder_ / "model.bin";
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "out");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write_legacy(const std::vector<std::int32_t>& sizes, std::size_t floats) const {
    std::string bytes(sizes.size() * 4 + floats * 4, '\0');
    std::memcpy(bytes.data(), sizes.data(), sizes.size() * 4);
    for (std::size_t i = 0; i < floats; ++i) {
      const auto value = static_cast<float>(i);
      std::memcpy(bytes.data() + sizes.size() * 4 + i * 4, &value, 4);
    }
    write_file_atomic(checkpoint_, bytes);
  }
  std::string error() const {
    try {
      convert_llama2c_model(checkpoint_, folder_ / "out");
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(Llama2cTest, LegacyLayoutWithItsOwnHead) {
  // hidden 8, inner 3, 1 layer, 2 heads, 1 kv head, 256 pieces with a head of their own, 2 positions
  constexpr std::size_t kEmbedding = 256 * 8, kQ = kEmbedding + 8, kK = kQ + 64, kV = kK + 32, kO = kV + 32,
                        kMlpNorm = kO + 64, kGate = kMlpNorm + 8, kDown = kGate + 24, kUp = kDown + 24,
                        kNorm = kUp + 24, kRope = kNorm + 8, kHead = kRope + 8, kEnd = kHead + kEmbedding;
  write_legacy({8, 3, 1, 2, 1, -256, 2}, kEnd);
  convert_llama2c_model(checkpoint_, folder_ / "out");
  const SafetensorsFolder folder(folder_ / "out");
  const auto first = [&](const char* name) { return folder.find(name)->view().as<float>()[0]; };
  EXPECT_EQ(first("model.embed_tokens.weight"), 0.0f);
  EXPECT_EQ(first("model.layers.0.input_layernorm.weight"), static_cast<float>(kEmbedding));
  EXPECT_EQ(first("model.layers.0.self_attn.v_proj.weight"), static_cast<float>(kV));
  EXPECT_EQ(first("model.layers.0.self_attn.o_proj.weight"), static_cast<float>(kO));
  EXPECT_EQ(first("model.layers.0.mlp.gate_proj.weight"), static_cast<float>(kGate));
  EXPECT_EQ(first("model.layers.0.mlp.down_proj.weight"), static_cast<float>(kDown));
  EXPECT_EQ(first("model.layers.0.mlp.up_proj.weight"), static_cast<float>(kUp));
  EXPECT_EQ(first("model.norm.weight"), static_cast<float>(kNorm));
  EXPECT_EQ(first("lm_head.weight"), static_cast<float>(kHead));
  const float* const q = folder.find("model.layers.0.self_attn.q_proj.weight")->view().as<float>();
  std::vector<std::size_t> rows;  // which row of the checkpoint each row of q is
  for (std::size_t row = 0; row < 8; ++row) rows.push_back((static_cast<std::size_t>(q[row * 8]) - kQ) / 8);
  EXPECT_EQ(rows, (std::vector<std::size_t>{0, 2, 1, 3, 4, 6, 5, 7}));
  const Json config = parse_json(read_file(folder_ / "out/config.json"), "config");
  EXPECT_EQ(config["tie_word_embeddings"], false);
  EXPECT_EQ(config["vocab_size"], 256);
}

TEST_F(Llama2cTest, BadFiles) {
  write_file_atomic(checkpoint_, "short");
  EXPECT_EQ(error(), fmt::format("[{}] has 5 bytes, expected a llama2.c checkpoint", checkpoint_.string()));
  write_legacy({8, 3, 1, 2, 1, 256, 2}, 2000);
  EXPECT_EQ(error(),
            fmt::format("[{}] ends at byte 8028, expected more weights; the file is cut short", checkpoint_.string()));
  write_legacy({8, 3, 1, 2, 1, 256, 2}, 3000);
  EXPECT_EQ(error(),
            fmt::format("[{}] expected 9404 bytes, got 12028; not a llama2.c checkpoint", checkpoint_.string()));
  write_legacy({0, 3, 1, 2, 1, 256, 2}, 2000);
  EXPECT_EQ(error(), fmt::format("[{}] is not a llama2.c checkpoint: a size of 0", checkpoint_.string()));
  write_legacy({8, 3, 1, 3, 1, 256, 2}, 2000);
  EXPECT_EQ(error(),
            fmt::format("[{}] is not a llama2.c checkpoint: 8 wide, 3 heads, 1 key/value heads", checkpoint_.string()));
  EXPECT_FALSE(fs::exists(folder_ / "out/config.json"));
}

TEST_F(Llama2cTest, TheRealModelIsTheSameInBothLayouts) {
  if (!fs::exists(kStories)) GTEST_SKIP() << kStories << " is not there";
  fs::create_directories(folder_ / "v1");
  convert_llama2c(kStories / "stories260K.bin", kStories / "tok512.bin", folder_ / "out");
  convert_llama2c(kStories / "stories260K.v1.bin", kStories / "tok512.bin", folder_ / "v1");
  for (const char* const name : {"model.safetensors", "config.json", "tokenizer.json"}) {
    EXPECT_EQ(read_file(folder_ / "out" / name), read_file(folder_ / "v1" / name)) << name;
  }
  const Json tokenizer = parse_json(read_file(folder_ / "out/tokenizer.json"), "tokenizer.json");
  EXPECT_EQ(tokenizer["model"]["vocab"].size(), 512u);
  EXPECT_EQ(tokenizer["model"]["vocab"]["<0x0A>"], 13);
}

}  // namespace
}  // namespace attune
