#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "report/chart.h"

namespace attune {
namespace {

using testing::HasSubstr;
using testing::Not;

class Report : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / fmt::format("report-{}", ::getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write("recipe.yaml", "model: base\n");
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { write_file_atomic(folder_ / name, text); }
  std::string page() const { return html_report(read_run_record(folder_)); }

  fs::path folder_;
};

TEST_F(Report, RefusesWhatIsNoRun) {
  fs::remove(folder_ / "recipe.yaml");
  EXPECT_THROW(read_run_record(folder_), UserError);
  write("recipe.yaml", "model: base\n");
  write("run.json", "{\"status\":");
  EXPECT_THROW(read_run_record(folder_), BadFile);
}

TEST_F(Report, ReadsCurvesAndEpochsAndForgivesATornLine) {
  write("metrics.jsonl",
        "{\"step\":0,\"eval_loss\":4.5,\"eval_style_distance\":0.5,\"eval_forgetting\":0.25}\n"
        "{\"step\":1,\"epoch\":0.5,\"loss\":4,\"learning_rate\":0.1,\"sol\":0.5}\n"
        "{\"step\":2,\"epoch\":1.0,\"loss\":3}\nnot json\n{\"step\":3,\"epoch\":1.5,\"loss\":2.5}\n{\"step\":4,\"lo");
  const RunRecord run = read_run_record(folder_);
  ASSERT_EQ(run.loss.size(), 3U);
  EXPECT_EQ(run.loss[2].step, 3);
  EXPECT_EQ(run.loss[2].value, 2.5);
  ASSERT_EQ(run.eval_loss.size(), 1U);
  ASSERT_EQ(run.forgetting.size(), 1U);
  EXPECT_EQ(run.forgetting[0].value, 0.25);
  EXPECT_EQ(run.style_distance.at(0).value, 0.5);
  EXPECT_EQ(run.eval_loss[0].value, 4.5);
  EXPECT_EQ(run.epoch_ends, std::vector<double>{2});
  EXPECT_EQ(run.last_step, 3);
}

TEST_F(Report, SaysWhatTheRunSaysAndLoadsNothing) {
  write("run.json",
        R"({"status":"finished","model":"base","data":["a","b"],"eval_loss":{"before":4.5,"after":2.25},
            "parameters":{"trained":1000,"all":200000},"planned_bytes":{"weights":5000000,"total":7000000},
            "measured_peak_bytes":7100000,"lengths":{"bin":8,"counts":[1,5,2],"max_length":1024},"versions":{"attune":"0.1.0"}})");
  write("metrics.jsonl", "{\"step\":1,\"epoch\":0.5,\"loss\":4}\n{\"step\":2,\"epoch\":1,\"loss\":3}\n");
  const std::string text = page();
  for (const char* expected : {"4.5 → 2.25", "1,000", "0.50% of 200,000", "7.0 MB", "7.1 MB", "Loss by step",
                               "Length of a conversation", "model: base", "a, b", "finished"}) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
  EXPECT_THAT(text, Not(HasSubstr("src=")));
  EXPECT_THAT(text, Not(HasSubstr("@import")));
  EXPECT_THAT(text, Not(HasSubstr("://")));
}

TEST_F(Report, TextFromOutsideStaysText) {
  write("run.json", R"({"status":"finished","model":"<script>alert(1)</script>"})");
  write("recipe.yaml", "model: \"<img src=x>\"\n");
  write("eval.json",
        R"({"table":[["<i>","1","2",""],"no row"],"samples":[{"prompt":"<b>","base":"&","tuned":"\"'"}]})");
  const std::string text = page();
  EXPECT_THAT(text, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(text, Not(HasSubstr("<img")));
  EXPECT_THAT(text, HasSubstr("<td>&lt;b&gt;</td><td>&amp;</td><td>&quot;&#39;</td><td></td>"));
  EXPECT_THAT(text, HasSubstr("<td>&lt;i&gt;</td><td class=\"n\">1</td>"));
}

TEST_F(Report, ShowsTheEvaluation) {
  EXPECT_THAT(page(), Not(HasSubstr("Evaluation")));
  write("eval.json",
        R"({"forgetting":{"loss_increase":0.031,"budget":0.05},"table":[["held-out loss","5.123","2.500",""]],
            "verdict":{"good":true,"text":"held-out loss 5.123 -> 2.500"},
            "samples":[{"prompt":"How are you?","base":"Fine.","tuned":"arr, fine","person":"arr"}]})");
  const std::string text = page();
  for (const char* expected :
       {"+3.1%", "budget 5.0%", "<h2>Evaluation</h2><p>held-out loss 5.123 -&gt; 2.500</p>",
        "<tr><td>held-out loss</td><td class=\"n\">5.123</td><td class=\"n\">2.500</td><td class=\"n\"></td></tr>",
        "<td>How are you?</td><td>Fine.</td><td>arr, fine</td><td>arr</td>"}) {
    EXPECT_THAT(text, HasSubstr(expected));
  }
}

TEST_F(Report, ShowsTheAnswersOfTheRunUntilItIsEvaluated) {
  write("samples.json",
        R"({"step":20,"samples":[{"prompt":"How are you?","base":"Fine.","tuned":"arr, <fine","person":"arr"}]})");
  EXPECT_THAT(page(), HasSubstr("before the first step and at step 20</p>"));
  EXPECT_THAT(page(), HasSubstr("<td>How are you?</td><td>Fine.</td><td>arr, &lt;fine</td><td>arr</td>"));
  write("eval.json", R"({"samples":[{"prompt":"And you?","base":"Well.","tuned":"aye","person":"aye"}]})");
  EXPECT_THAT(page(), HasSubstr("<td>And you?</td>"));
  EXPECT_THAT(page(), Not(HasSubstr("How are you?")));
  write("eval.json", R"({"samples":[]})");
  EXPECT_THAT(page(), HasSubstr("How are you?"));
}

TEST(Chart, ThinsALongCurveButKeepsItsExtremes) {
  Curve curve;
  for (int i = 0; i < 100000; ++i) curve.push_back({static_cast<double>(i), i == 54321 ? 1000.0 : 1.0});
  const std::string svg = to_svg(LineChart{"t", "", {{"s", "a", curve}}, {}, true, ""});
  EXPECT_LT(svg.size(), 20000U);
  EXPECT_THAT(svg, HasSubstr("L283.5 20.9L"));  // the high point: x = 64 + 54321 / 99999 * 404, y = 198 - 186 / 1.05
}

TEST(Chart, OnePointAndEqualValuesAndNothing) {
  EXPECT_THAT(to_svg(LineChart{"t", "", {{"s", "a", {{3, 7}}}}, {}, false, ""}), HasSubstr("step 3: 7"));
  EXPECT_THAT(to_svg(LineChart{"t", "", {{"s", "a", {{1, 7}, {2, 7}}}}, {}, true, ""}), Not(HasSubstr("nan")));
  EXPECT_EQ(to_svg(LineChart{"t", "", {{"s", "a", {}}}, {}, true, ""}), "");
  EXPECT_EQ(to_svg(Histogram{}), "");
}

TEST(Chart, ShortNumbers) {
  EXPECT_EQ(short_number(1234567.4), "1,234,567");
  EXPECT_EQ(short_number(-1000), "-1,000");
  EXPECT_EQ(short_number(0.012345678), "0.01235");
  EXPECT_EQ(short_number(std::nan("")), "-");
}

}  // namespace
}  // namespace attune
