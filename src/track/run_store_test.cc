// runs.sqlite follows the folders, is rebuilt from them, and stands several writers.
#include "track/run_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "track/run_lock.h"
#include "track/sqlite.h"
#include "track/test_folder.h"

namespace attune {
namespace {

constexpr const char* kMetrics =
    "{\"step\":0,\"eval_loss\":3.0,\"eval_tokens\":10}\n"
    "{\"step\":1,\"loss\":2.5,\"tokens_per_second\":100.0,\"sol\":0.5}\n"
    "{\"step\":2,\"loss\":2.0,\"tokens_per_second\":110.0,\"sol\":0.6}\n"
    "{\"step\":2,\"eval_loss\":2.25,\"eval_tokens\":10}\n";

void make_run(const fs::path& folder, const std::string& status, const std::string& metrics = kMetrics) {
  fs::create_directories(folder);
  write_file_atomic(folder / "recipe.yaml", "model: base\n");
  const Json info = {
      {"status", status}, {"model", "base"}, {"data", {"a", "b"}}, {"parameters", {{"trained", 5}, {"all", 50}}}};
  write_file_atomic(folder / "run.json", info.dump());
  write_file_atomic(folder / "metrics.jsonl", metrics);
}

std::int64_t metric_rows(const fs::path& runs) {
  Database database(runs / "runs.sqlite");
  Statement count(database, "SELECT count(*) FROM metrics");
  count.step();
  return count.integer(0);
}

TEST(RunStore, ReadsWhatTheFolderSays) {
  const TestFolder folder;
  make_run(folder.path / "pete", "finished");
  const StoredRun run = RunStore(folder.path).refresh(folder.path / "pete");
  EXPECT_EQ(run.name, "pete");
  EXPECT_EQ(run.status, "finished");
  EXPECT_EQ(run.data, "a, b");
  EXPECT_EQ(run.steps, 2);
  EXPECT_EQ(run.train_loss, 2.0);
  EXPECT_EQ(run.eval_loss_before, 3.0);
  EXPECT_EQ(run.eval_loss_after, 2.25);
  EXPECT_EQ(run.trained_parameters, 5);
  EXPECT_EQ(run.seconds, std::nullopt);
  EXPECT_EQ(metric_rows(folder.path), 10);
}

TEST(RunStore, RunningMeansThatAProcessHoldsTheLock) {
  const TestFolder folder;
  make_run(folder.path / "a", "running");
  EXPECT_EQ(read_run(folder.path / "a").status, "killed");
  {
    const FileLock lock = lock_run(folder.path / "a");
    EXPECT_EQ(read_run(folder.path / "a").status, "running");
    EXPECT_EQ(training_process(folder.path / "a"), ::getpid());
    EXPECT_THROW(lock_run(folder.path / "a"), UserError);
  }
  EXPECT_EQ(read_run(folder.path / "a").status, "killed");
}

TEST(RunStore, AKilledProcessLetsGoOfItsLock) {
  const TestFolder folder;
  make_run(folder.path / "a", "running");
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock lock = lock_run(folder.path / "a");
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(training_process(folder.path / "a"), child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(read_run(folder.path / "a").status, "killed");
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(RunStore, TakesNewLinesAndReplacedFiles) {
  const TestFolder folder;
  make_run(folder.path / "a", "stopped", "{\"step\":1,\"loss\":3}\n{\"step\":2,\"lo");
  RunStore store(folder.path);
  EXPECT_EQ(store.refresh(folder.path / "a").steps, 1);
  EXPECT_EQ(metric_rows(folder.path), 1);
  make_run(folder.path / "a", "stopped", "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n");
  store.refresh(folder.path / "a");
  EXPECT_EQ(metric_rows(folder.path), 2);
  make_run(folder.path / "a", "stopped", "{\"step\":1,\"loss\":3}\n");  // resumed from an earlier checkpoint
  store.refresh(folder.path / "a");
  EXPECT_EQ(metric_rows(folder.path), 1);
}

TEST(RunStore, IsRebuiltWhenLostOrDamagedAndForgetsRemovedRuns) {
  const TestFolder folder;
  make_run(folder.path / "a", "finished");
  make_run(folder.path / "b", "finished");
  EXPECT_EQ(RunStore(folder.path).refresh_all().size(), 2u);
  for (const char* damage :
       {"", "not a database, but long enough to be taken for the header of one, if one did not look"}) {
    fs::remove(folder.path / "runs.sqlite");
    if (*damage != '\0') write_file_atomic(folder.path / "runs.sqlite", damage);
    EXPECT_EQ(RunStore(folder.path).refresh_all().size(), 2u);
    EXPECT_EQ(metric_rows(folder.path), 20);
  }
  fs::remove_all(folder.path / "a");
  EXPECT_EQ(RunStore(folder.path).refresh_all().size(), 1u);
  EXPECT_EQ(metric_rows(folder.path), 10);
}

TEST(RunStore, DamagedRunsAreListedWithTheirProblem) {
  const TestFolder folder;
  make_run(folder.path / "a", "finished");
  write_file_atomic(folder.path / "a" / "run.json", "{\"status\": 3");
  const auto runs = RunStore(folder.path).refresh_all();
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].status, "unknown");
  EXPECT_NE(runs[0].problem, "");
}

TEST(RunStore, SeveralProcessesWriteAtOnce) {
  const TestFolder folder;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    make_run(folder.path / fmt::format("run{}", i), "finished");
    const pid_t child = ::fork();
    if (child == 0) {
      int status = 0;
      try {
        for (int round = 0; round < 20; ++round) RunStore(folder.path).refresh(folder.path / fmt::format("run{}", i));
      } catch (const std::exception&) {
        status = 1;
      }
      ::_exit(status);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(metric_rows(folder.path), 40);
}

}  // namespace
}  // namespace attune
