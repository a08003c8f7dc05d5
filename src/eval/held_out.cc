#include <cmath>

#include "eval/measures.h"

namespace attune {

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json measure_held_out(Subject& subject) {
  const TokenizedDataset rows = subject.rows(subject.request.valid);
  if (rows.rows() == 0) return nullptr;
  Json json = by_voice(subject, [&](const Voice& voice) {
    const double loss = mean_loss(subject.scorer->loss(voice.model, rows, "held-out loss, " + voice.name));
    return Json{{"loss", number_or_null(loss)}, {"perplexity", number_or_null(std::exp(loss))}};
  });
  json["conversations"] = rows.rows();
  json["tokens"] = rows.trained_tokens();
  return json;
}

}  // namespace attune
