// What holding the weights in 4 or 8 bits costs, against the weights as they are stored.
#include "eval/measures.h"

namespace attune {
namespace {

struct Loaded {
  Model model;
  std::optional<Adapter> adapter;
};

// What the user speaks with, with its weights held in another form.
Loaded load_best(const EvalRequest& request, Quantization quantization) {
  Loaded loaded{load_model(request.tuned ? *request.tuned : request.model, quantization), {}};
  if (request.adapter) loaded.adapter = Adapter::load(loaded.model, *request.adapter, false);
  return loaded;
}

}  // namespace

Json measure_quantization(Subject& subject) {
  const EvalRequest& request = subject.request;
  const Json& source = subject.best().model.config.source;
  // The weights that another program has quantized already are gone.
  if (source.is_object() && source.contains("quantization_config")) return nullptr;
  const TokenizedDataset rows = subject.rows(request.valid);
  if (rows.rows() == 0) return nullptr;
  const Loaded stored = load_best(request, Quantization::kNone);
  Json json = {{"of", subject.best().name}};
  for (const auto& [name, form] : {std::pair{"nf4", Quantization::kNF4}, std::pair{"int8", Quantization::kInt8}}) {
    const Loaded held = load_best(request, form);
    const Divergence d = subject.scorer->compare(stored.model, held.model, rows, std::string("quantization, ") + name);
    json["stored"] = {{"loss", number_or_null(mean_loss(d.reference))}};
    json[name] = {{"loss", number_or_null(mean_loss(d.other))},
                  {"loss_increase", number_or_null(loss_increase(d.reference, d.other))},
                  {"kl", number_or_null(d.kl)}};
  }
  return json;
}

}  // namespace attune
