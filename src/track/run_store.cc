#include "track/run_store.h"

#include <sys/stat.h>

#include <utility>

#include "track/sqlite.h"

namespace attune {
namespace {

// `seen` is how much of metrics.jsonl is in `metrics`, `inode` of which file: a resumed run replaces the file.
constexpr const char* kSchema = R"sql(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS runs (
    name TEXT PRIMARY KEY, status TEXT, started TEXT, model TEXT, data TEXT, data_sha256 TEXT, steps INTEGER,
    train_loss REAL, eval_loss_before REAL, eval_loss_after REAL, trained_parameters INTEGER, all_parameters INTEGER,
    planned_bytes INTEGER, measured_peak_bytes INTEGER, seconds REAL, tokens_per_second REAL, sol REAL, recipe TEXT);
  CREATE TABLE IF NOT EXISTS metrics (
    run TEXT, key TEXT, step INTEGER, value REAL, PRIMARY KEY (run, key, step)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS metric_files (run TEXT PRIMARY KEY, inode INTEGER, seen INTEGER);
)sql";

constexpr std::int64_t kSchemaVersion = 1;

std::unique_ptr<Database> open_store(const fs::path& path) {
  auto database = std::make_unique<Database>(path);
  Statement version(*database, "PRAGMA user_version");
  const bool current = version.step() && version.integer(0) == kSchemaVersion;
  version.run();
  if (!current) {
    database->execute("DROP TABLE IF EXISTS runs; DROP TABLE IF EXISTS metrics; DROP TABLE IF EXISTS metric_files");
    database->execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion).c_str());
  }
  database->execute(kSchema);
  return database;
}

std::optional<std::int64_t> inode_of(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return static_cast<std::int64_t>(info.st_ino);
}

std::string text_or_empty(const fs::path& path) {
  try {
    return read_file(path);
  } catch (const UserError&) {
    return {};
  }
}

}  // namespace

struct RunStore::State {
  std::unique_ptr<Database> database;

  void remove(const std::string& name) {
    for (const char* sql : {"DELETE FROM runs WHERE name = ?", "DELETE FROM metrics WHERE run = ?",
                            "DELETE FROM metric_files WHERE run = ?"}) {
      Statement(*database, sql).bind(name).run();
    }
  }

  void put_row(const StoredRun& run, const std::string& recipe) {
    Statement put(*database, "INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    put.bind(run.name).bind(run.status).bind(run.started).bind(run.model).bind(run.data).bind(run.data_digest);
    put.bind(run.steps).bind(run.train_loss).bind(run.eval_loss_before).bind(run.eval_loss_after);
    put.bind(run.trained_parameters).bind(run.all_parameters).bind(run.planned_bytes).bind(run.measured_peak_bytes);
    put.bind(run.seconds).bind(run.tokens_per_second).bind(run.sol).bind(recipe).run();
  }

  // Stores the lines of metrics.jsonl that are new; all of them when the file is another one.
  void put_metrics(const std::string& run, const fs::path& file) {
    const std::int64_t inode = inode_of(file).value_or(0);
    const std::string text = text_or_empty(file);
    std::size_t begin = 0;
    Statement seen(*database, "SELECT seen FROM metric_files WHERE run = ? AND inode = ?");
    if (seen.bind(run).bind(inode).step() && static_cast<std::size_t>(seen.integer(0)) <= text.size()) {
      begin = static_cast<std::size_t>(seen.integer(0));
    } else {
      Statement(*database, "DELETE FROM metrics WHERE run = ?").bind(run).run();
    }
    Statement put(*database, "INSERT OR REPLACE INTO metrics VALUES (?,?,?,?)");
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      for (const MetricValue& metric : metric_values(std::string_view(text).substr(begin, end - begin))) {
        put.bind(run).bind(metric.key).bind(metric.step).bind(metric.value).run();
      }
    }
    Statement(*database, "INSERT OR REPLACE INTO metric_files VALUES (?,?,?)")
        .bind(run)
        .bind(inode)
        .bind(static_cast<std::int64_t>(begin))
        .run();
  }
};

RunStore::RunStore(fs::path runs) : runs_(std::move(runs)), state_(std::make_unique<State>()) {
  if (runs_.empty()) runs_ = ".";
  const fs::path path = runs_ / "runs.sqlite";
  try {
    state_->database = open_store(path);
  } catch (const SqliteError& error) {
    if (!error.not_a_database()) throw;
    for (const char* ending : {"", "-wal", "-shm"}) {
      std::error_code stays;  // then it cannot be opened either
      fs::remove(path.string() + ending, stays);
    }
    state_->database = open_store(path);
  }
}

RunStore::~RunStore() = default;

StoredRun RunStore::refresh(const fs::path& run) {
  const StoredRun record = read_run(run);
  Transaction transaction(*state_->database);
  state_->put_row(record, text_or_empty(run / "recipe.yaml"));
  state_->put_metrics(record.name, run / "metrics.jsonl");
  transaction.commit();
  return record;
}

std::vector<StoredRun> RunStore::refresh_all() {
  std::vector<StoredRun> runs;
  for (const fs::path& folder : run_folders(runs_)) runs.push_back(refresh(folder));
  std::vector<std::string> gone;
  Statement names(*state_->database, "SELECT name FROM runs");
  while (names.step()) {
    if (!fs::exists(runs_ / names.text(0) / "recipe.yaml")) gone.push_back(names.text(0));
  }
  for (const std::string& name : gone) state_->remove(name);
  return runs;
}

}  // namespace attune
