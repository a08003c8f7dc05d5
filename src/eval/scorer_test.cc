// eval/: losses and divergences against what torch computed for the models of tests/golden.
#include "eval/scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "adapter/lora.h"
#include "format/safetensors.h"

namespace attune {
namespace {

const fs::path kCase = fs::path(ATTUNE_SOURCE_DIR) / "tests" / "golden" / "llama2";

template <typename T>
std::vector<T> values(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor& tensor = *file.find(name);
  std::vector<T> copy(tensor.bytes.size() / sizeof(T));
  std::memcpy(copy.data(), tensor.bytes.data(), tensor.bytes.size());
  return copy;
}

// softmax in double, plainly.
std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> p;
  double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp(static_cast<double>(x)));
  for (double& x : p) x /= sum;
  return p;
}

class ScorerTest : public testing::Test {
 protected:
  static constexpr std::int64_t kLength = 48, kVocabulary = 320;

  ScorerTest()
      : golden_(kCase / "golden.safetensors"),
        base_(load_model(kCase / "model", Quantization::kNone)),
        tuned_(base_),
        adapter_(Adapter::load(tuned_, kCase / "adapter", false)),
        scorer_(tuned_, kLength, DType::kF32, watch_),
        rows_(make_tokenized_dataset()) {
    const auto ids = values<std::int64_t>(golden_, "input_ids"), labels = values<std::int64_t>(golden_, "labels");
    for (std::int64_t row = 0; row < 2; ++row) {
      EncodedConversation encoded;
      for (std::int64_t t = 0; t < kLength; ++t) {
        const auto i = static_cast<std::size_t>(row * kLength + t);
        encoded.tokens.push_back(static_cast<TokenId>(ids[i]));
        encoded.mask.push_back(labels[i] >= 0);
      }
      append_row(rows_, encoded, kLength);
    }
  }

  // torch's logits that predict the trained tokens, in order.
  std::vector<std::vector<float>> expected_logits(const std::string& name) const {
    const auto all = values<float>(golden_, name);
    std::vector<std::vector<float>> picked;
    for (std::int64_t i = 0; i < 2 * kLength; ++i) {
      if (i % kLength == 0 || rows_.mask[static_cast<std::size_t>(i)] == 0) continue;
      const auto from = all.begin() + (i - 1) * kVocabulary;
      picked.emplace_back(from, from + kVocabulary);
    }
    return picked;
  }

  EvalWatch watch_;
  SafetensorsFile golden_;
  Model base_, tuned_;
  Adapter adapter_;
  Scorer scorer_;
  TokenizedDataset rows_;
};

TEST_F(ScorerTest, LossIsTorchs) {
  const double base = values<float>(golden_, "loss_base")[0], tuned = values<float>(golden_, "loss")[0];
  EXPECT_NEAR(mean_loss(scorer_.loss(base_, rows_, "")), base, 1e-5);
  EXPECT_NEAR(mean_loss(scorer_.loss(tuned_, rows_, "")), tuned, 1e-5);
  const Divergence d = scorer_.compare(base_, tuned_, rows_, "");
  EXPECT_NEAR(mean_loss(d.reference), base, 1e-5);
  EXPECT_NEAR(mean_loss(d.other), tuned, 1e-5);
  EXPECT_NEAR(loss_increase(d.reference, d.other), tuned / base - 1, 1e-5);
}

TEST_F(ScorerTest, DivergenceIsThatOfTorchsLogits) {
  const auto base = expected_logits("logits_base"), tuned = expected_logits("logits_adapter");
  double kl = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const auto p = softmax(base[i]), q = softmax(tuned[i]);
    for (std::size_t v = 0; v < p.size(); ++v) kl += p[v] * std::log(p[v] / q[v]);
  }
  kl /= static_cast<double>(base.size());
  EXPECT_GT(kl, 0.01);
  EXPECT_NEAR(scorer_.compare(base_, tuned_, rows_, "").kl, kl, 1e-5 * kl + 1e-6);
  EXPECT_NEAR(scorer_.compare(base_, base_, rows_, "").kl, 0, 1e-9);
}

TEST_F(ScorerTest, ScoresKnowTheLikeliestToken) {
  const auto logits = expected_logits("logits_adapter");
  const auto ids = values<std::int64_t>(golden_, "input_ids");
  const std::vector<RowScores> scores = scorer_.scores(tuned_, rows_, "");
  ASSERT_EQ(scores.size(), 2u);
  std::size_t at = 0;
  for (std::int64_t i = 0; i < 2 * kLength; ++i) {
    if (i % kLength == 0 || rows_.mask[static_cast<std::size_t>(i)] == 0) continue;
    const auto target = static_cast<std::size_t>(ids[static_cast<std::size_t>(i)]);
    const std::size_t in_first = scores[0].size();
    const TokenScore& score = at < in_first ? scores[0][at] : scores[1][at - in_first];
    EXPECT_NEAR(score.loss, -std::log(softmax(logits[at])[target]), 1e-4);
    const auto best = std::max_element(logits[at].begin(), logits[at].end()) - logits[at].begin();
    EXPECT_EQ(score.likeliest, static_cast<std::size_t>(best) == target);
    ++at;
  }
  EXPECT_EQ(at, scores[0].size() + scores[1].size());
}

TEST(KlDivergence, ByHand) {
  // (1/2, 1/2) against (3/4, 1/4): (ln(2/3) + ln 2) / 2
  const float p[] = {0.0f, 0.0f}, q[] = {std::log(3.0f), 0.0f};
  EXPECT_NEAR(kl_divergence(p, q), 0.5 * std::log(4.0 / 3), 1e-7);
  EXPECT_EQ(kl_divergence(p, p), 0);
  const float far[] = {1000.0f, -1000.0f};
  EXPECT_NEAR(kl_divergence(p, far), -std::log(2.0) + 1000, 1e-3);
}

TEST(MeanLoss, WithoutATokenIsNoNumber) { EXPECT_TRUE(std::isnan(mean_loss({}))); }

}  // namespace
}  // namespace attune
