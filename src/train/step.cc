#include "train/step.h"

#include <chrono>
#include <cmath>
#include <cstring>

#include "base/clock.h"
#include "model/flops.h"
#include "ops/adamw.h"

namespace attune {
namespace {

TensorView view_of(std::vector<std::int32_t>& column) {
  return {column.data(), DType::kI32, {static_cast<std::int64_t>(column.size())}};
}

double gradient_norm(std::span<const TrainedParameter> parameters) {
  double sum = 0;
  for (const TrainedParameter& p : parameters) sum += sum_of_squares(p.gradient);
  return std::sqrt(sum);
}

}  // namespace

PassInput pass_input(Batch& batch) { return {view_of(batch.ids), view_of(batch.positions), batch.sequence_starts}; }
TensorView targets_of(Batch& batch) { return view_of(batch.targets); }

StepReport train_step(const Model& model, std::span<const TrainedParameter> parameters, BatchStream& batches,
                      Batch& batch, const Activations& activations, const LoraRanks& ranks, const StepOptions& options,
                      TrainState& state) {
  const double begun = seconds_now();
  StepReport report;
  for (const TrainedParameter& p : parameters) std::memset(p.gradient.data, 0, p.gradient.bytes());

  HeadLoss loss;
  for (std::int64_t i = 0; i < options.gradient_accumulation; ++i) {
    batches.next(batch);
    const PassNoise noise{true, options.seed, state.passes++, options.neftune_alpha};
    const HeadLoss part =
        loss_and_gradients(model, pass_input(batch), targets_of(batch), noise, activations, options.kl_to_base);
    loss.sum += part.sum;
    loss.tokens += part.tokens;
    loss.divergence += part.divergence;
    report.tokens += batch.used_tokens;
    const Work work = necessary_work(model.config, ranks, ranks.empty(), batch.used_starts(), part.tokens);
    report.work += work.total() + (options.kl_to_base > 0 ? work.forward : 0);
    if (batches.at_epoch_end()) break;
  }

  const double mean = 1.0 / static_cast<double>(loss.tokens);
  report.loss = loss.sum * mean;
  report.kl_to_base = loss.divergence * mean;
  report.gradient_norm = gradient_norm(parameters) * mean;
  const bool finite = std::isfinite(report.gradient_norm) && std::isfinite(report.loss);
  report.skipped = !finite || report.loss > options.most_loss;
  if (!report.skipped) {
    // torch.nn.utils.clip_grad_norm_: max_norm / (norm + 1e-6), never above 1.
    const double clip =
        options.max_grad_norm > 0 ? std::min(1.0, options.max_grad_norm / (report.gradient_norm + 1e-6)) : 1.0;
    const AdamWParams update{static_cast<float>(options.learning_rate),
                             static_cast<float>(options.beta1),
                             static_cast<float>(options.beta2),
                             static_cast<float>(options.epsilon),
                             static_cast<float>(options.weight_decay),
                             state.step + 1,
                             static_cast<float>(mean * clip)};
    for (std::size_t i = 0; i < parameters.size(); ++i) update_parameter(parameters[i], i, update, options.seed);
  }

  if (!report.skipped) state.losses.add(report.loss);
  state.skipped = report.skipped ? state.skipped + 1 : 0;
  state.step += 1;
  state.tokens += report.tokens;
  state.position = batches.position();
  report.step = state.step;
  report.epoch = batches.epochs_done();
  report.learning_rate = options.learning_rate;
  report.supervised_tokens = loss.tokens;
  report.seconds = seconds_now() - begun;
  return report;
}

}  // namespace attune
