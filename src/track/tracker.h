// Tracking of one run, as `attune train` and `attune sync` use it: what is told goes into the run's spool, and each
// destination that the recipe names is served from there by a thread of its own (track/delivery.h).
//
//   runs/NAME/spool/journal          what was told (track/spool.h)
//   runs/NAME/spool/mlflow.json      how far MLflow has it (track/mlflow.h)
//   runs/NAME/spool/*.lock           who delivers
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "track/delivery.h"
#include "track/event.h"

namespace attune {

// The recipe's `track`.
struct TrackOptions {
  std::string mlflow;       // http(s)://..., databricks, sqlite:///file, a folder; empty: none
  std::string tensorboard;  // a folder that gets one of the run's name; "true": RUN/tensorboard; empty or "false": none
  std::string experiment = "attune";
  std::string run_name;    // empty: the name of the run folder
  std::string parent_run;  // MLflow's id of the run that this one is nested in; may be empty

  bool any() const { return !mlflow.empty() || board(); }
  bool board() const { return !tensorboard.empty() && tensorboard != "false"; }
};

// UserError for what cannot work: an address of no known kind, credentials in it, a workspace without its token. Sends
// nothing.
void check_tracking(const TrackOptions& options);

// A destination as it stands when a command ends.
using TrackReport = std::vector<DeliveryState>;

class Tracker {
 public:
  // `run_folder` exists. Delivery begins at once. UserError when the spool cannot be written.
  Tracker(const TrackOptions& options, const fs::path& run_folder, DeliveryOptions delivery = {});
  ~Tracker();

  // The run begins, or goes on when its spool has begun before.
  void begin(const TextPairs& params, const TextPairs& tags, const DataUsed& data);
  // A line of metrics.jsonl. Points told before the run was resumed are left out; numbers that are not finite become a
  // tag. Costs one append.
  void line(const Json& metrics);
  void not_finite(std::int64_t step, const std::string& what);
  void artifact(const std::string& file, const std::string& path);
  void model(const std::string& folder, const std::string& name, const std::string& base, std::int64_t step);
  void status(RunStatus status);

  // Waits until everything has arrived, for each destination as long as `patience` allows and `stop` is false.
  TrackReport finish(const Patience& patience, const std::function<bool()>& stop);

 private:
  void tell(const Event& event);
  void read_journal();
  struct State;
  std::unique_ptr<State> state_;
};

// Delivers what a run's spool holds, without adding to it; as finish(). UserError when there is no spool, or nothing is
// tracked. `killed`: the run ended without saying so; it is told.
TrackReport deliver_spool(const TrackOptions& options, const fs::path& run_folder, bool killed,
                          const Patience& patience, const std::function<void(const TrackReport&)>& show,
                          const std::function<bool()>& stop);

}  // namespace attune
