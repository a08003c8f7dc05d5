#include "track/destinations.h"

#include <algorithm>

#include "http/url.h"
#include "track/databricks_auth.h"
#include "track/mlflow.h"
#include "track/mlflow_folder.h"
#include "track/mlflow_server.h"
#include "track/mlflow_sqlite.h"
#include "track/tensorboard.h"

namespace attune {
namespace {

std::unique_ptr<MlflowStore> store_of(const std::string& mlflow, const DeliveryControl& control) {
  switch (place_of(mlflow)) {
    case MlflowPlace::kServer:
      return MlflowServer::at(mlflow, control);
    case MlflowPlace::kDatabricks:
      return MlflowServer::on_databricks(control);
    case MlflowPlace::kSqlite:
      return std::make_unique<MlflowSqlite>(*sqlite_path(mlflow));
    case MlflowPlace::kFolder:
      return std::make_unique<MlflowFolder>(mlflow.starts_with("file://") ? mlflow.substr(7) : mlflow);
  }
  throw InternalError("track: a place without a store");
}

fs::path board_folder(const TrackOptions& options, const fs::path& run_folder) {
  if (options.tensorboard == "true") return run_folder / "tensorboard";
  return fs::path(options.tensorboard) / run_folder.filename();
}

}  // namespace

MlflowPlace place_of(const std::string& mlflow) {
  if (mlflow.starts_with("http://") || mlflow.starts_with("https://")) return MlflowPlace::kServer;
  if (mlflow == "databricks") return MlflowPlace::kDatabricks;
  if (sqlite_path(mlflow)) return MlflowPlace::kSqlite;
  return MlflowPlace::kFolder;
}

void check_tracking(const TrackOptions& options) {
  if (options.mlflow.empty()) return;
  const std::string expected = "expected http(s)://HOST, databricks, sqlite:///FILE or a folder";
  const MlflowPlace place = place_of(options.mlflow);
  if (place == MlflowPlace::kServer) {
    if (!origin_of(options.mlflow)) throw UserError("[track.mlflow] {}, got {}", expected, shown_url(options.mlflow));
    const std::size_t host = options.mlflow.find("://") + 3;
    if (options.mlflow.substr(host, options.mlflow.find('/', host) - host).find('@') != std::string::npos) {
      throw UserError(
          "[track.mlflow] a recipe is no place for a password; write the address without it and set "
          "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN");
    }
  }
  if (place == MlflowPlace::kFolder && options.mlflow.find("://") != std::string::npos &&
      !options.mlflow.starts_with("file://")) {
    throw UserError("[track.mlflow] {}, got {}", expected, shown_url(options.mlflow));
  }
  if (place == MlflowPlace::kDatabricks) {
    databricks_authorization(databricks_host());
    if (!options.experiment.starts_with("/")) {
      throw UserError(
          "[track.experiment] Databricks: expected an absolute path of the workspace, got {}; e.g. "
          "/Users/you@example.com/attune",
          options.experiment);
    }
  }
}

std::vector<std::unique_ptr<Delivery>> start_deliveries(const TrackOptions& options, const fs::path& run_folder,
                                                        SpoolWriter* writer, const DeliveryOptions& delivery) {
  const fs::path spool = run_folder / "spool";
  std::vector<std::unique_ptr<Delivery>> deliveries;
  if (!options.mlflow.empty()) {
    deliveries.push_back(std::make_unique<Delivery>(
        spool / "journal", spool / "mlflow.lock", writer, "MLflow",
        [options, run_folder](const DeliveryControl& control) {
          return std::make_unique<Mlflow>(store_of(options.mlflow, control), run_folder, options.experiment);
        },
        delivery));
  }
  if (options.board()) {
    deliveries.push_back(std::make_unique<Delivery>(
        spool / "journal", spool / "tensorboard.lock", writer, "TensorBoard",
        [folder = board_folder(options, run_folder)](const DeliveryControl&) {
          return std::make_unique<TensorBoard>(folder);
        },
        delivery));
  }
  return deliveries;
}

}  // namespace attune
