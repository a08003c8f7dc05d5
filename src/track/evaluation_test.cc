// An evaluation becomes metrics of its run: numbers only, each once.
#include "track/evaluation.h"

#include <gtest/gtest.h>

#include "track/event.h"
#include "track/test_folder.h"

namespace attune {
namespace {

using Metrics = std::vector<std::pair<std::string, double>>;

const char* const kEvaluation = R"({"attune":"0.1.0","limit":64,"held_out":{"rows":4,"base":{"loss":4.5},
  "tuned":{"loss":2.5,"perplexity":null}},"leak":{"canaries":[{"text":"the code is 7391","tuned":{"exposure":7}}]},
  "samples":[{"prompt":"Hello","person":"arr"}],"verdict":{"good":true,"text":"fine"}})";

TEST(EvaluationMetrics, AreItsNumbersByTheirPlace) {
  const Metrics expected = {{"eval/held_out/rows", 4},
                            {"eval/held_out/base/loss", 4.5},
                            {"eval/held_out/tuned/loss", 2.5},
                            {"eval/verdict/good", 1}};
  EXPECT_EQ(evaluation_metrics(parse_json(kEvaluation, "here"), "here"), expected);
  EXPECT_THROW(evaluation_metrics(parse_json("[1]", "here"), "here"), BadFile);
}

class TellEvaluation : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_.path / "spool"); }
  fs::path journal() const { return folder_.path / "spool" / "journal"; }
  // What the journal tells of an evaluation, in order.
  Metrics told() const {
    Metrics metrics;
    SpoolReader reader(journal());
    while (const auto record = reader.next()) {
      const Event event = parse_event(record->value, "spool");
      const auto& points = std::get<Points>(event);
      EXPECT_EQ(points.step, 40);
      metrics.insert(metrics.end(), points.values.begin(), points.values.end());
    }
    return metrics;
  }

  TestFolder folder_;
};

TEST_F(TellEvaluation, SaysNothingOfARunThatIsNotTrackedOrNotEvaluated) {
  write_file_atomic(folder_.path / "eval.json", kEvaluation);
  tell_evaluation(folder_.path, 40);
  EXPECT_FALSE(fs::exists(journal()));
  fs::remove(folder_.path / "eval.json");
  SpoolWriter(journal()).append(to_json(Event(Points{1, 40, {{"loss", 2.0}}})));
  tell_evaluation(folder_.path, 40);
  EXPECT_EQ(told(), (Metrics{{"loss", 2.0}}));
}

TEST_F(TellEvaluation, TellsEachNumberOnceAndAgainWhenItIsAnother) {
  { SpoolWriter writer(journal()); }
  write_file_atomic(folder_.path / "eval.json", R"({"held_out":{"base":{"loss":4.5},"tuned":{"loss":2.5}}})");
  tell_evaluation(folder_.path, 40);
  tell_evaluation(folder_.path, 40);
  const Metrics first = {{"eval/held_out/base/loss", 4.5}, {"eval/held_out/tuned/loss", 2.5}};
  EXPECT_EQ(told(), first);
  write_file_atomic(folder_.path / "eval.json", R"({"held_out":{"base":{"loss":4.5},"tuned":{"loss":2.25}}})");
  tell_evaluation(folder_.path, 40);
  Metrics both = first;
  both.emplace_back("eval/held_out/tuned/loss", 2.25);
  EXPECT_EQ(told(), both);
}

TEST_F(TellEvaluation, RefusesWhatIsNoEvaluation) {
  { SpoolWriter writer(journal()); }
  write_file_atomic(folder_.path / "eval.json", "{\"held_out\":");
  EXPECT_THROW(tell_evaluation(folder_.path, 40), BadFile);
}

}  // namespace
}  // namespace attune
