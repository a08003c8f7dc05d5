// MLflow's limits, messages, and the stores that need no server. The server's calls are tested in tests/e2e/track_test.py.
#include "track/mlflow.h"

#include <gtest/gtest.h>

#include <map>

#include "track/databricks_auth.h"
#include "track/mlflow_artifacts.h"
#include "track/mlflow_folder.h"
#include "track/mlflow_messages.h"
#include "track/mlflow_sqlite.h"
#include "track/test_folder.h"
#include "track/tracker.h"

namespace attune {
namespace {

TEST(MlflowLimits, Keys) {
  EXPECT_EQ(mlflow_key("train/loss.x-y z_1"), "train/loss.x-y z_1");
  EXPECT_EQ(mlflow_key("a:b*c"), "a_b_c");
  EXPECT_EQ(mlflow_key("/a//b/../c/./"), "a/b/_/c/_");
  EXPECT_EQ(mlflow_key(""), "_");
  EXPECT_EQ(mlflow_key("//"), "_");
  EXPECT_EQ(mlflow_key("ü"), "__");
  EXPECT_EQ(mlflow_key(std::string(300, 'a')).size(), kMlflowKeyBytes);
  EXPECT_EQ(mlflow_key(std::string(249, 'a') + "/b").back(), '_');
}

TEST(MlflowLimits, LongTextsAreCutBetweenCharacters) {
  EXPECT_EQ(shortened("short", 10), "short");
  EXPECT_EQ(shortened("0123456789ab", 10), "0123456...");
  EXPECT_EQ(shortened("012345\xC3\xA9xxxxxx", 10), "012345...");  // not half an e with an accent
}

TEST(MlflowLimits, EveryBatchIsWithinAllLimits) {
  std::vector<MlflowPoint> points;
  for (int i = 0; i < 2500; ++i) points.push_back({std::string(200, 'k'), 1.0, 1, i});
  TextPairs params, tags;
  for (int i = 0; i < 250; ++i) params.emplace_back(fmt::format("p{}", i), std::string(6000, '\n'));
  for (int i = 0; i < 150; ++i) tags.emplace_back(fmt::format("t{}", i), std::string(5000, 'x'));
  std::size_t metrics = 0, pairs = 0;
  for (const MlflowBatch& batch : mlflow_batches(points, params, tags)) {
    EXPECT_LE(batch.points.size(), 1000u);
    EXPECT_LE(batch.params.size(), 100u);
    EXPECT_LE(batch.tags.size(), 100u);
    EXPECT_LE(batch.points.size() + batch.params.size() + batch.tags.size(), 1000u);
    EXPECT_LE(to_json_line(batch_body({"1", std::string(32, 'a'), ""}, batch)).size(), 1'000'000u);
    metrics += batch.points.size();
    pairs += batch.params.size() + batch.tags.size();
  }
  EXPECT_EQ(metrics, 2500u);
  EXPECT_EQ(pairs, 400u);
}

TEST(MlflowLimits, EqualKeysAreToldOnce) {
  const TextPairs pairs = mlflow_pairs({{"a:b", "first"}, {"a_b", "second"}}, 100);
  EXPECT_EQ(pairs, (TextPairs{{"a_b", "first"}}));
}

TEST(MlflowMessages, WholeNumbersAreNumbersOrTexts) {
  const auto history = read_history(parse_json(
      R"({"metrics":[{"key":"a","value":1,"timestamp":"17","step":"3"},{"key":"a","value":"NaN","timestamp":18}],"next_page_token":"x"})",
      "t"));
  EXPECT_EQ(history.points, (std::vector<std::pair<std::int64_t, std::int64_t>>{{17, 3}, {18, 0}}));
  EXPECT_EQ(history.next_page, "x");
  EXPECT_TRUE(read_history(Json::object()).points.empty());
  EXPECT_THROW(read_history(parse_json(R"({"metrics":[{"timestamp":"x"}]})", "t")), BadFile);
}

TEST(MlflowMessages, FaultsOfAnyForm) {
  EXPECT_EQ(read_mlflow_fault(R"({"error_code":"A","message":"b\nc"})").message, "b c");
  EXPECT_EQ(read_mlflow_fault(R"({"error_code":1000})").code, "1000");
  EXPECT_EQ(read_mlflow_fault("<html>").code, "");
  EXPECT_EQ(read_mlflow_fault("[]").message, "");
}

TEST(MlflowArtifacts, Addresses) {
  EXPECT_EQ(artifact_url("https://h:1/prefix", "mlflow-artifacts:/3/run/artifacts", "a b/c.txt"),
            "https://h:1/prefix/api/2.0/mlflow-artifacts/artifacts/3/run/artifacts/a%20b/c.txt");
  EXPECT_EQ(artifact_url("https://h:1", "mlflow-artifacts://other:9/x", "y"),
            "https://other:9/api/2.0/mlflow-artifacts/artifacts/x/y");
  EXPECT_EQ(artifact_url("https://h:1", "mlflow-artifacts:///x", "y"),
            "https://h:1/api/2.0/mlflow-artifacts/artifacts/x/y");
}

TEST(Event, RoundTripAndRefusals) {
  const std::vector<Event> events = {RunBegun{1, "u", "n", "", {{"a", "b"}}, {{"c", "d"}}},
                                     RunResumed{2, {{"a", "b"}}},
                                     DataUsed{"n", "d", "local", "{}", "{}"},
                                     Points{3, 4, {{"x", 0.1}}},
                                     Tags{{{"a", "b"}}},
                                     Artifact{"a/b", "b"},
                                     ModelMade{"adapter", "adapter", "base", 5, 6},
                                     StatusChanged{RunStatus::kKilled, 7}};
  for (const Event& event : events) EXPECT_EQ(to_json(parse_event(to_json(event), "t")), to_json(event));
  for (const char* path : {"../x", "/etc/passwd", "", "a/../../b"}) {
    EXPECT_THROW(parse_event(to_json(Event(Artifact{path, "b"})), "t"), BadFile) << path;
  }
  EXPECT_THROW(parse_event({{"kind", "later version"}}, "t"), BadFile);
}

// What a store without a server holds after it was told everything twice over, with a crash in between.
class LocalStore : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<MlflowStore> store() {
    if (std::string(GetParam()) == "folder") return std::make_unique<MlflowFolder>(folder_.path / "mlruns");
    return std::make_unique<MlflowSqlite>(folder_.path / "mlflow.db");
  }
  std::vector<MlflowPoint> known(MlflowStore& store, const MlflowRun& run, const std::vector<MlflowPoint>& points) {
    const auto absent = store.absent(run, points);
    std::vector<MlflowPoint> there;
    for (const MlflowPoint& point : points) {
      if (std::none_of(absent.begin(), absent.end(),
                       [&](const auto& a) { return a.key == point.key && a.step == point.step; })) {
        there.push_back(point);
      }
    }
    return there;
  }
  TestFolder folder_;
  const RunBegun begun_{1000, std::string(32, 'a'), "name", "", {}, {}};
};

TEST_P(LocalStore, TheSameRunIsFoundAgain) {
  const MlflowRun first = store()->open_run("talk", begun_), again = store()->open_run("talk", begun_);
  EXPECT_EQ(first.run_id, again.run_id);
  EXPECT_EQ(first.experiment_id, again.experiment_id);
  RunBegun other = begun_;
  other.uid = std::string(32, 'b');
  EXPECT_EQ(store()->open_run("talk", other).experiment_id, first.experiment_id);
  EXPECT_NE(store()->open_run("another", other).experiment_id, first.experiment_id);
}

TEST_P(LocalStore, KnowsWhichPointsItHas) {
  const auto mlflow = store();
  const MlflowRun run = mlflow->open_run("talk", begun_);
  const std::vector<MlflowPoint> points = {{"loss", 0.5, 10, 1}, {"loss", 0.25, 20, 2}, {"eval/loss", 1e-9, 20, 2}};
  EXPECT_EQ(mlflow->absent(run, points).size(), 3u);
  mlflow->log(run, {points.data(), 2}, {{"a", "b"}}, {{"t", "v"}});
  EXPECT_EQ(known(*mlflow, run, points).size(), 2u);
  mlflow->log(run, {points.data() + 2, 1}, {}, {});
  EXPECT_TRUE(mlflow->absent(run, points).empty());
  EXPECT_EQ(mlflow->params(run), (TextPairs{{"a", "b"}}));
}

INSTANTIATE_TEST_SUITE_P(Places, LocalStore, testing::Values("folder", "sqlite"));

TEST(MlflowFolder, ATornLineIsCutOffAndItsPointSentAgain) {
  const TestFolder folder;
  MlflowFolder store(folder.path);
  const MlflowRun run = store.open_run("e", {1, std::string(32, 'a'), "n", "", {}, {}});
  const std::vector<MlflowPoint> points = {{"loss", 0.5, 10, 1}, {"loss", 0.25, 20, 2}};
  store.log(run, points, {}, {});
  const fs::path file = folder.path / run.experiment_id / run.run_id / "metrics" / "loss";
  const std::string whole = read_file(file);
  for (std::size_t cut = 1; cut < 8; ++cut) {
    write_file_atomic(file, whole.substr(0, whole.size() - cut));
    const auto absent = store.absent(run, points);
    ASSERT_EQ(absent.size(), 1u) << cut;
    store.log(run, absent, {}, {});
    EXPECT_EQ(read_file(file), whole) << cut;
  }
}

TEST(MlflowSqlite, Addresses) {
  EXPECT_EQ(sqlite_path("sqlite:///a.db"), fs::path("a.db"));
  EXPECT_EQ(sqlite_path("sqlite:////tmp/a.db"), fs::path("/tmp/a.db"));
  EXPECT_EQ(sqlite_path("sqlite:///"), std::nullopt);
  EXPECT_EQ(sqlite_path("./mlruns"), std::nullopt);
}

TEST(Tracking, AddressesThatCannotWorkAreRefused) {
  const auto refusal = [](const std::string& mlflow) {
    TrackOptions options;
    options.mlflow = mlflow;
    try {
      check_tracking(options);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal("http://localhost:5000"), "");
  EXPECT_EQ(refusal("./mlruns"), "");
  EXPECT_EQ(refusal("sqlite:///a.db"), "");
  EXPECT_EQ(refusal("postgresql://h/db"),
            "[track.mlflow] expected http(s)://HOST, databricks, sqlite:///FILE or a folder, got postgresql://h/db");
  const std::string secret = refusal("https://me:hunter2@host/x");
  EXPECT_NE(secret, "");
  EXPECT_EQ(secret.find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace attune
