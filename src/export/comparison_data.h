// What an adapter and its merged model are compared on.
#pragma once

#include <functional>
#include <optional>

#include "base/file.h"
#include "export/comparison.h"

namespace attune {

// In this order: the rows of `data` (its held-out part when it has one); the rows that the run of attune train held out;
// built-in questions. With answers of `model`, which has the adapter attached. A few rows, cut to a few hundred tokens.
// `origin` says which, and why no rows of the run. Throws as read_dataset; UserError when `data` has nothing to score;
// Interrupted after Ctrl-C. `progress` may be empty; as that of greedy_answers().
ComparisonData load_comparison_data(const fs::path& model_folder, const std::optional<fs::path>& run,
                                    const std::optional<fs::path>& data, const Model& model,
                                    const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace attune
