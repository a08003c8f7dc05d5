#include "cli/train_hub.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "base/json.h"
#include "cli/hub_session.h"
#include "hub/background.h"
#include "hub/card_check.h"
#include "report/run_record.h"
#include "train/run_folder.h"

namespace attune {
namespace {

constexpr double kLastSeconds = 60;

std::int64_t step_of(const fs::path& checkpoint) {
  const std::string where = checkpoint / "state.json";
  return json_require<std::int64_t>(parse_json(read_file(where), where), "step", where);
}

// The lowest held-out loss of the steps from the first to `last_step`, as the run wrote it down.
double best_loss(const fs::path& run, std::int64_t last_step) {
  double best = std::numeric_limits<double>::infinity();
  for (const Point& point : read_run_record(run).eval_loss) {
    if (point.step > 0 && point.step <= static_cast<double>(last_step)) best = std::min(best, point.value);
  }
  return best;
}

}  // namespace

struct TrainHub::State {
  HubStrategy strategy;
  PushTarget target;
  HubAccount account;
  fs::path run;
  std::unique_ptr<BackgroundPusher> pusher;
  std::function<void(const std::string&)> note;
  bool announced = false;
  double best = std::numeric_limits<double>::infinity();
  std::optional<EvalReport> eval;

  // Whatever goes wrong here must not stop the run.
  void add(const fs::path& folder, std::int64_t step) {
    try {
      std::string message = fmt::format("Step {}", step);
      if (eval && eval->step == step && eval->tokens > 0) message += fmt::format(": held-out loss {:.4f}", eval->loss);
      const std::vector<std::string> paths = spool_push(run, target, folder, step, message);
      if (!paths.empty() && !std::exchange(announced, true)) {
        note(fmt::format("hub       {}{}{}: {}", account.endpoint, page_path({RepoType::kModel, target.repo}),
                         target.is_private ? ", private when it is made now" : "", fmt::join(paths, ", ")));
      }
      pusher->wake();
    } catch (const UserError& error) {
      note(fmt::format("warning   step {} is not pushed: {}", step, error.what()));
    }
  }

  void on_checkpoint(const fs::path& checkpoint) {
    if (strategy == HubStrategy::kEnd) return;
    const std::int64_t step = step_of(checkpoint);
    if (strategy == HubStrategy::kBest) {
      if (!eval || eval->step != step || !(eval->loss < best)) return;
      best = eval->loss;
    }
    add(checkpoint, step);
  }

  // A run that was killed between a checkpoint and its push makes up for it.
  void catch_up() {
    const std::int64_t last = last_spooled_step(run);
    best = best_loss(run, last);
    if (strategy != HubStrategy::kEverySave || !fs::is_directory(run / "checkpoints")) return;
    std::map<std::int64_t, fs::path> missed;
    for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
      if (!fs::exists(entry.path() / "state.json")) continue;
      if (const std::int64_t step = step_of(entry.path()); step > last) missed[step] = entry.path();
    }
    for (const auto& [step, path] : missed) add(path, step);
  }

  void say(const PushDelivery& delivery) const {
    if (delivery.pending == 0) {
      fmt::print("hub       {}{}: all pushes have arrived\n", account.endpoint,
                 page_path({RepoType::kModel, target.repo}));
      return;
    }
    fmt::print("hub       {} push{} wait{} in {}; deliver with: attune sync {}\n", delivery.pending,
               delivery.pending == 1 ? "" : "es", delivery.pending == 1 ? "s" : "", (run / "hub").string(),
               run.string());
    if (!delivery.problem.empty()) fmt::print("          {}\n", delivery.problem);
  }
};

TrainHub::TrainHub(std::unique_ptr<State> state) : state_(std::move(state)) {}
TrainHub::~TrainHub() = default;

std::unique_ptr<TrainHub> TrainHub::from(const Recipe& recipe) {
  if (recipe.hub.repo.empty()) return nullptr;
  auto state = std::make_unique<State>();
  const HubRecipe& hub = recipe.hub;
  state->strategy = hub.strategy;
  state->target = {make_repo(RepoType::kModel, hub.repo).id,
                   hub.is_private,
                   hub.branch_per_step,
                   hub.tag_per_step,
                   hub.base_model,
                   hub.license};
  if (!hub.base_model.empty()) make_repo(RepoType::kModel, hub.base_model);
  if (!hub.license.empty() && (!is_license(hub.license) || hub.license == "other")) {
    throw UserError("[hub.license] expected an identifier of the Hub such as apache-2.0, got \"{}\"", hub.license);
  }
  state->account = hub_account_from_environment();
  if (state->account.token.empty() && state->account.offline_because.empty()) {
    throw UserError(
        "[hub.repo] expected a token with write access, found none; set HF_TOKEN, or HF_HUB_OFFLINE=1 to deliver later "
        "with attune sync");
  }
  state->run = run_folder_of(recipe);
  return std::unique_ptr<TrainHub>(new TrainHub(std::move(state)));
}

void TrainHub::connect(FinetuneCallbacks& callbacks, std::function<void(const std::string&)> note) {
  State* const state = state_.get();
  state->note = std::move(note);
  callbacks.on_start = [state, next = callbacks.on_start](const FinetuneStart& start) {
    if (next) next(start);
    state->pusher = std::make_unique<BackgroundPusher>(state->run, state->account);
    if (start.run.first_step > 0) state->catch_up();
  };
  callbacks.loop.on_eval = [state, next = callbacks.loop.on_eval](const EvalReport& report) {
    if (next) next(report);
    state->eval = report;
  };
  callbacks.loop.on_checkpoint = [state, next = callbacks.loop.on_checkpoint](const fs::path& checkpoint) {
    if (next) next(checkpoint);
    state->on_checkpoint(checkpoint);
  };
}

void TrainHub::finish(const FinetuneResult& result) {
  if (state_->strategy == HubStrategy::kEnd) state_->add(result.output, result.summary.steps);
  state_->say(state_->pusher->finish(kLastSeconds));
}

void TrainHub::stop() {
  if (!state_->pusher) return;
  state_->pusher.reset();
  state_->say({0, static_cast<int>(pending_pushes(state_->run).size()), ""});
}

void sync_pushes(const fs::path& run) {
  if (pending_pushes(run).empty()) return;
  HubApi api = open_hub(hub_account_from_environment());
  const PushDelivery delivery = deliver_pending_pushes(run, api);
  if (delivery.pending > 0)
    throw UserError("{}; {} pushes still wait, run attune sync again", delivery.problem, delivery.pending);
  fmt::print("hub       {} pushes have arrived\n", delivery.delivered);
}

}  // namespace attune
