// What tracking costs a training step: the same arithmetic on all cores, with nothing tracked, and with every step told to
// TensorBoard, to MLflow's files, and to a server that is not there. The column `of_step` is the time of a step beside
// that of an untracked one, measured in turns.
//   track_bench --benchmark_filter=server
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include "base/error.h"
#include "track/tracker.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStepsInTurn = 20;

// About ten milliseconds on every core, as short as a step of the smallest models.
void arithmetic(std::vector<float>& values) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < values.size(); ++i) {
    float x = values[i];
    for (int k = 0; k < 2000; ++k) x = x * 0.999f + 0.001f;
    values[i] = x;
  }
}

Json line_of(std::int64_t step) {
  return {{"step", step},
          {"epoch", 0.5},
          {"loss", 1.25 / static_cast<double>(step)},
          {"learning_rate", 1e-4},
          {"grad_norm", 0.7},
          {"tokens", 1024},
          {"supervised_tokens", 512},
          {"tokens_per_second", 1234.5},
          {"sol", 0.42}};
}

double seconds_of_turn(std::vector<float>& values, Tracker* tracker, std::int64_t& step) {
  const Clock::time_point begun = Clock::now();
  for (int i = 0; i < kStepsInTurn; ++i) {
    arithmetic(values);
    ++step;
    if (tracker != nullptr) tracker->line(line_of(step));
  }
  return std::chrono::duration<double>(Clock::now() - begun).count() / kStepsInTurn;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void tracked_steps(benchmark::State& state, const TrackOptions& wanted) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("attune_track_bench_{}", ::getpid());
  fs::create_directories(folder);
  TrackOptions options = wanted;
  if (options.mlflow == "folder") options.mlflow = (folder / "mlruns").string();
  {
    Tracker tracker(options, folder);
    tracker.begin({{"a", "b"}}, {}, {"data", "digest", "local", "{}", "{}"});
    std::vector<float> values(40000, 0.5f);
    std::vector<double> with, without;
    std::int64_t step = 0;
    for (auto _ : state) {
      without.push_back(seconds_of_turn(values, nullptr, step));
      with.push_back(seconds_of_turn(values, &tracker, step));
    }
    state.counters["step_ms"] = 1e3 * median(with);
    state.counters["of_step"] = median(with) / median(without);
  }
  fs::remove_all(folder);
}

void append(benchmark::State& state) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("attune_track_bench_{}", ::getpid());
  fs::create_directories(folder);
  {
    TrackOptions options;
    options.mlflow = "http://127.0.0.1:9";
    Tracker tracker(options, folder);
    std::int64_t step = 0;
    for (auto _ : state) tracker.line(line_of(++step));
  }
  fs::remove_all(folder);
}

TrackOptions options_of(const char* mlflow, const char* board) {
  TrackOptions options;
  options.mlflow = mlflow;
  options.tensorboard = board;
  return options;
}

BENCHMARK(append)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(tracked_steps, tensorboard, options_of("", "true"))->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(tracked_steps, mlflow_folder, options_of("folder", ""))
    ->Iterations(40)
    ->Unit(benchmark::kMillisecond);
// Port 9 (discard): nobody listens.
BENCHMARK_CAPTURE(tracked_steps, server_away, options_of("http://127.0.0.1:9", "true"))
    ->Iterations(40)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace attune

BENCHMARK_MAIN();
