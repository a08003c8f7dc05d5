// What a run tells, as it arrives in MLflow's files: finite numbers only, and each once although the run was resumed.
#include "track/tracker.h"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "track/test_folder.h"

namespace attune {
namespace {

constexpr Patience kAsLongAsItTakes{60, 60};

class TrackerTest : public testing::Test {
 protected:
  // A process that trains the steps from `first` to `last`.
  void tell(std::int64_t first, std::int64_t last, double norm) {
    TrackOptions options;
    options.mlflow = folder_.path / "mlruns";
    Tracker tracker(options, folder_.path, {0.01, 0.01, 0.01});
    tracker.begin({{"lora.r", "4"}}, {}, {"data", "digest", "local", "{}", "{}"});
    for (std::int64_t step = first; step <= last; ++step)
      tracker.line({{"step", step}, {"loss", 1.0 / static_cast<double>(step)}, {"grad_norm", norm}});
    for (const DeliveryState& state : tracker.finish(kAsLongAsItTakes, {}))
      EXPECT_EQ(state.waiting(), 0) << state.problem;
  }
  // The file of that name in the one run, or nothing.
  std::optional<std::string> file(const std::string& name) const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path / "mlruns")) {
      if (entry.is_regular_file() && entry.path().string().ends_with(name)) return read_file(entry.path());
    }
    return std::nullopt;
  }

  TestFolder folder_;
};

TEST_F(TrackerTest, NumbersThatAreNotFiniteBecomeATag) {
  tell(1, 2, std::numeric_limits<double>::quiet_NaN());
  EXPECT_TRUE(file("metrics/loss"));
  EXPECT_FALSE(file("metrics/grad_norm"));
  EXPECT_EQ(file("tags/attune.not_finite"), "2 times, the last: grad_norm at step 2");
}

TEST_F(TrackerTest, AResumedRunTellsEachPointOnce) {
  tell(1, 5, 0.5);
  tell(4, 7, 0.5);  // steps 4 and 5 came after the checkpoint
  std::istringstream lines(file("metrics/loss").value_or(""));
  std::vector<std::int64_t> steps;
  std::int64_t time = 0, step = 0;
  for (double value = 0; lines >> time >> value >> step;) {
    EXPECT_EQ(value, 1.0 / static_cast<double>(step));
    steps.push_back(step);
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{1, 2, 3, 4, 5, 6, 7}));
}

}  // namespace
}  // namespace attune
