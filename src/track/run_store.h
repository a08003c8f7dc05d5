// runs/runs.sqlite: the runs of a folder and their metrics, for SQL. Open it with `sqlite3 runs/runs.sqlite`:
//
//   SELECT name, status, eval_loss_after FROM runs ORDER BY eval_loss_after;
//   SELECT step, value FROM metrics WHERE run = 'pete' AND key = 'loss';
//
// The folders are the truth and the file only repeats them: it may be removed at any time, and a damaged one is replaced.
// Several processes may write it at once (write-ahead log, and a wait for the other writer).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "track/stored_run.h"

namespace attune {

class RunStore {
 public:
  // The file in `runs`, made when missing. Throws SqliteError when it can neither be used nor replaced.
  explicit RunStore(fs::path runs);
  ~RunStore();

  // Brings one run up to date; metrics already stored are not read again. The row, as stored.
  StoredRun refresh(const fs::path& run);
  // All runs of the folder; rows of runs that are gone are removed.
  std::vector<StoredRun> refresh_all();

 private:
  struct State;
  fs::path runs_;
  std::unique_ptr<State> state_;
};

}  // namespace attune
