#include "eval/evaluate.h"

#include <algorithm>

#include "base/error.h"
#include "eval/measures.h"

namespace attune {
namespace {

const char* name_of(Quantization quantization) {
  switch (quantization) {
    case Quantization::kNone:
      return "none";
    case Quantization::kNF4:
      return "nf4";
    case Quantization::kInt8:
      return "int8";
  }
  return "";
}

}  // namespace

Json evaluate(const EvalRequest& request) {
  Subject subject(request);
  const auto wanted = [&](const char* measure) {
    return request.only.empty() || std::ranges::find(request.only, measure) != request.only.end();
  };
  Json results = {{"attune", ATTUNE_VERSION},
                  {"model", request.model.string()},
                  {"adapter", request.adapter ? Json(request.adapter->string()) : Json(nullptr)},
                  {"quantization", name_of(request.quantization)},
                  {"limit", request.limit}};
  const std::size_t head = results.size();
  const auto add = [&](const char* name, Json part) {
    if (!part.is_null()) results[name] = std::move(part);
  };
  if (wanted("held-out")) add("held_out", measure_held_out(subject));
  StyleResults style;
  if (wanted("style")) style = measure_style(subject);
  add("style", std::move(style.style));
  add("personal_data", std::move(style.personal_data));
  if (wanted("forgetting")) add("forgetting", measure_forgetting(subject));
  if (wanted("quantization")) add("quantization_loss", measure_quantization(subject));
  if (wanted("leak")) add("leak", measure_leak(subject));
  if (wanted("checks")) add("checks", measure_checks(subject));
  if (results.size() == head) {
    throw UserError("[eval] there is nothing to measure; name conversations with --data or questions with --checks");
  }
  add("samples", std::move(style.samples));
  results["table"] = table_of(results);
  results["verdict"] = verdict_of(results);
  return results;
}

Json join_evaluations(const Json& earlier, Json now) {
  if (!earlier.is_object()) return now;
  for (const char* const key : {"attune", "model", "adapter", "quantization", "limit"}) {
    if (earlier.value(key, Json()) != now.value(key, Json())) return now;
  }
  for (const auto& [key, part] : earlier.items()) {
    if (!now.contains(key)) now[key] = part;
  }
  now["table"] = table_of(now);
  now["verdict"] = verdict_of(now);
  return now;
}

}  // namespace attune
