// What the recipe's `track` names, as destinations that serve one run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "track/tracker.h"

namespace attune {

enum class MlflowPlace : std::uint8_t { kServer, kDatabricks, kSqlite, kFolder };
MlflowPlace place_of(const std::string& mlflow);

// One delivery for each destination of `options`, begun. `writer` may be null.
std::vector<std::unique_ptr<Delivery>> start_deliveries(const TrackOptions& options, const fs::path& run_folder,
                                                        SpoolWriter* writer, const DeliveryOptions& delivery);

}  // namespace attune
