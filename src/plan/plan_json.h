// A plan as JSON: every number in bytes, tokens or parameters, nothing rounded.
#pragma once

#include "base/json.h"
#include "plan/estimate.h"
#include "plan/plan.h"

namespace attune {

// With `buffers`, also every buffer's name, kind, type, shape, bytes and lifetime ("always", or the moments of a pass
// that it lives through).
Json to_json(const Plan& plan, bool buffers);

Json to_json(const MachineProfile& machine);
Json to_json(const Estimate& estimate);
Json to_json(const std::vector<SweepRow>& sweep);

// "q_proj" ...: the distinct linears that the adapter changes, in the model's order.
std::vector<std::string> adapted_modules(const Plan& plan);
std::int64_t adapted_blocks(const Plan& plan);

}  // namespace attune
