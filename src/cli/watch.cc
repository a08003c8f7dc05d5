#include "cli/watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "base/interrupt.h"
#include "base/progress.h"
#include "report/run_record.h"
#include "track/run_lock.h"

namespace attune {
namespace {

std::string details_of(const RunRecord& run) {
  std::string text;
  const auto add = [&](const char* form, const Curve& curve) {
    if (!curve.empty()) text += fmt::format(fmt::runtime(form), curve.back().value);
  };
  add("loss {:.3f}", run.loss);
  add("  held-out {:.3f}", run.eval_loss);
  add("  style {:.2f}", run.style_distance);
  if (!run.forgetting.empty()) text += fmt::format("  forgot {:+.1f}%", 100 * run.forgetting.back().value);
  add("  lr {:.1e}", run.learning_rate);
  add("  {:.0f} tok/s", run.tokens_per_second);
  return text;
}

}  // namespace

void watch_run(const std::string& folder) {
  watch_interrupts();
  std::optional<Progress> progress;
  while (true) {
    // In this order: of a process that ended, what is read next is the last word.
    const bool alive = training_process(folder).has_value();
    const RunRecord run = read_run_record(folder);
    const auto status = json_get_or<std::string>(run.info, "status", "", folder);
    if (!progress && run.total_steps > 0) {
      progress.emplace("training", "steps", static_cast<std::uint64_t>(run.total_steps),
                       static_cast<std::uint64_t>(run.last_step));
    }
    if (progress) progress->update(static_cast<std::uint64_t>(run.last_step), details_of(run));
    // A run that is being resumed still has the status of its stop, and one that was killed that of its last moment.
    const bool stopped = status == "stopped" && !alive;
    const bool killed = status != "finished" && status != "stopped" && !alive;
    if (status == "finished" || stopped || killed || interrupt_requested()) {
      progress.reset();
      fmt::print("{}: {}, step {:.0f} of {:.0f}\n", folder,
                 killed                  ? "was killed"
                 : interrupt_requested() ? "goes on"
                                         : status,
                 run.last_step, run.total_steps);
      return;
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

void open_in_browser(const std::string& url) {
  std::string program = "xdg-open", address = url;
  char* arguments[] = {program.data(), address.data(), nullptr};
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&quiet, stream, "/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
  }
  pid_t child = 0;
  posix_spawnp(&child, program.c_str(), &quiet, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&quiet);
}

}  // namespace attune
