// attune sync: delivers what a run could not, hours or days later, and what was measured of it since.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/train_hub.h"
#include "cli/train_tracking.h"
#include "track/evaluation.h"
#include "track/run_lock.h"
#include "track/stored_run.h"
#include "train/run_folder.h"

namespace attune {
namespace {

struct SyncArguments {
  std::string run;
  double patience = 30;
};

// What MLflow and TensorBoard were not told yet. Returns what still waits.
TrackReport deliver_tracking(const Recipe& recipe, const SyncArguments& options) {
  std::unique_ptr<Progress> bar;
  const auto show = [&](const TrackReport& report) {
    std::int64_t done = 0, all = 0;
    for (const DeliveryState& state : report) {
      done += state.acknowledged;
      all += state.last;
    }
    if (!bar)
      bar = std::make_unique<Progress>("delivering", "records", static_cast<std::uint64_t>(all),
                                       static_cast<std::uint64_t>(done));
    bar->update(static_cast<std::uint64_t>(done));
  };
  const StoredRun stored = read_run(options.run);
  {
    const FileLock lock = lock_run(options.run);  // of two that sync at once, one tells of the evaluation
    tell_evaluation(options.run, stored.steps);
  }
  const TrackReport report = deliver_spool(track_options(recipe), options.run, stored.status == "killed",
                                           {options.patience, options.patience}, show, interrupt_requested);
  bar.reset();
  print_track_report(report, options.run);
  return report;
}

void run_sync(const SyncArguments& options) {
  const Recipe recipe = open_run_folder(options.run);
  if (const auto process = training_process(options.run)) {
    throw UserError("[{}] process {} is training this run and delivers by itself", options.run, *process);
  }
  watch_interrupts();
  TrackReport report;
  if (track_options(recipe).any()) report = deliver_tracking(recipe, options);
  sync_pushes(options.run);
  for (const DeliveryState& state : report) {
    if (state.waiting() > 0) {
      throw UserError("[{}] {} records were not delivered to {}; run it again when that is back", options.run,
                      state.waiting(), state.destination);
    }
  }
}

}  // namespace

void add_sync_command(CLI::App& app) {
  const auto options = std::make_shared<SyncArguments>();
  CLI::App* const command =
      app.add_subcommand("sync", "Deliver to MLflow, TensorBoard and the Hub what a run could not, and its eval.json");
  command->add_option("RUN", options->run, "Folder of the run")->required();
  command->add_option("--patience", options->patience, "Seconds without any progress after which it gives up")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->footer("Example: attune sync runs/pete\nNothing is delivered twice, however often it is run.");
  command->callback([options] { run_sync(*options); });
}

}  // namespace attune
