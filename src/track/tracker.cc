#include "track/tracker.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <random>

#include "track/destinations.h"
#include "track/system_metrics.h"

namespace attune {
namespace {

constexpr std::chrono::seconds kSystemInterval{10};  // MLflow's own
constexpr std::string_view kSystemPrefix = "system/";

std::string new_uid() {
  std::random_device source;
  std::string uid;
  for (int word = 0; word < 4; ++word) uid += fmt::format("{:08x}", static_cast<std::uint32_t>(source()));
  return uid;
}

TrackReport report_of(const std::vector<std::unique_ptr<Delivery>>& deliveries) {
  TrackReport report;
  for (const auto& delivery : deliveries) report.push_back(delivery->state());
  return report;
}

}  // namespace

struct Tracker::State {
  TrackOptions options;
  fs::path folder;
  std::unique_ptr<SpoolWriter> writer;
  std::vector<std::unique_ptr<Delivery>> deliveries;

  bool begun = false;                              // in an earlier process
  std::map<std::string, std::int64_t> told_up_to;  // steps by key, by an earlier process
  std::int64_t system_step = 0, not_finite = 0;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  std::thread sampling;

  void sample() {
    SystemMetrics metrics(folder);
    std::unique_lock lock(mutex);
    for (bool last = false; !last;) {
      last = changed.wait_for(lock, kSystemInterval, [this] { return stopping; });  // a short run has one sample, too
      writer->append(to_json(Event(Points{now_ms(), ++system_step, metrics.sample()})));
    }
  }

  void end_sampling() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    if (sampling.joinable()) sampling.join();
  }
};

Tracker::Tracker(const TrackOptions& options, const fs::path& run_folder, DeliveryOptions delivery)
    : state_(std::make_unique<State>()) {
  state_->options = options;
  state_->folder = run_folder;
  create_folder(run_folder / "spool");
  read_journal();
  state_->writer = std::make_unique<SpoolWriter>(run_folder / "spool" / "journal");
  state_->deliveries = start_deliveries(options, run_folder, state_->writer.get(), delivery);
}

Tracker::~Tracker() {
  state_->end_sampling();
  state_->deliveries.clear();  // before the writer that they use
}

// A resumed run tells again what came after its checkpoint. The numbers are the same (a run is a function of its seed),
// and each is told once.
void Tracker::read_journal() {
  SpoolReader reader(state_->folder / "spool" / "journal");
  while (const auto record = reader.next()) {
    const auto event = event_of(*record);
    if (!event) continue;
    if (std::holds_alternative<RunBegun>(*event)) state_->begun = true;
    const auto* const points = std::get_if<Points>(&*event);
    if (points == nullptr) continue;
    for (const auto& [key, value] : points->values) {
      std::int64_t& last = key.starts_with(kSystemPrefix)
                               ? state_->system_step
                               : state_->told_up_to.try_emplace(key, points->step).first->second;
      last = std::max(last, points->step);
    }
  }
}

void Tracker::tell(const Event& event) { state_->writer->append(to_json(event)); }

void Tracker::begin(const TextPairs& params, const TextPairs& tags, const DataUsed& data) {
  State& state = *state_;
  if (state.begun) {
    tell(RunResumed{now_ms(), params});
  } else {
    const std::string& name = state.options.run_name;
    tell(RunBegun{now_ms(), new_uid(), name.empty() ? state.folder.filename().string() : name, state.options.parent_run,
                  params, tags});
    tell(data);
  }
  if (!state.options.mlflow.empty()) state.sampling = std::thread([&state] { state.sample(); });
}

void Tracker::line(const Json& metrics) {
  const auto step = metrics.find("step");
  if (step == metrics.end() || !step->is_number_integer()) return;
  Points points{now_ms(), step->get<std::int64_t>(), {}};
  for (const auto& [key, value] : metrics.items()) {
    if (key == "step" || !value.is_number()) continue;
    const auto told = state_->told_up_to.find(key);
    if (told != state_->told_up_to.end() && points.step <= told->second) continue;
    const double number = value.get<double>();
    if (std::isfinite(number))
      points.values.emplace_back(key, number);
    else
      not_finite(points.step, key);
  }
  if (!points.values.empty()) tell(points);
}

void Tracker::not_finite(std::int64_t step, const std::string& what) {
  ++state_->not_finite;
  tell(Tags{{{"attune.not_finite", fmt::format("{} times, the last: {} at step {}", state_->not_finite, what, step)}}});
}

void Tracker::artifact(const std::string& file, const std::string& path) { tell(Artifact{file, path}); }

void Tracker::model(const std::string& folder, const std::string& name, const std::string& base, std::int64_t step) {
  tell(ModelMade{folder, name, base, now_ms(), step});
}

void Tracker::status(RunStatus status) {
  if (status != RunStatus::kRunning) state_->end_sampling();
  tell(StatusChanged{status, now_ms()});
}

TrackReport Tracker::finish(const Patience& patience, const std::function<bool()>& stop) {
  for (const auto& delivery : state_->deliveries) delivery->drain(patience, stop);
  return report_of(state_->deliveries);
}

TrackReport deliver_spool(const TrackOptions& options, const fs::path& run_folder, bool killed,
                          const Patience& patience, const std::function<void(const TrackReport&)>& show,
                          const std::function<bool()>& stop) {
  const fs::path journal = run_folder / "spool" / "journal";
  if (!options.any())
    throw UserError("[{}] its recipe has no `track`: there is nothing to deliver", run_folder.string());
  if (!fs::exists(journal)) throw UserError("[{}] nothing was told yet: there is no spool", run_folder.string());
  if (killed) {
    std::optional<RunStatus> last;
    SpoolReader reader(journal);
    while (const auto record = reader.next()) {
      const auto event = event_of(*record);
      if (!event) continue;
      if (std::holds_alternative<RunBegun>(*event) || std::holds_alternative<RunResumed>(*event))
        last = RunStatus::kRunning;
      if (const auto* const change = std::get_if<StatusChanged>(&*event)) last = change->status;
    }
    if (last == RunStatus::kRunning)
      SpoolWriter(journal).append(to_json(Event(StatusChanged{RunStatus::kKilled, now_ms()})));
  }
  const auto deliveries = start_deliveries(options, run_folder, nullptr, {});
  for (const auto& delivery : deliveries) {
    delivery->drain(patience, [&] {
      if (show) show(report_of(deliveries));
      return stop && stop();
    });
  }
  return report_of(deliveries);
}

}  // namespace attune
