#include "train/loop.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/memory_use.h"
#include "ops/peak.h"
#include "train/checkpoint.h"
#include "train/metrics.h"

namespace attune {
namespace {

Json step_line(const StepReport& report, double sol, bool with_kl) {
  Json line = {{"step", report.step},
               {"epoch", report.epoch},
               {"loss", report.loss},
               {"learning_rate", report.learning_rate},
               {"grad_norm", report.gradient_norm},
               {"tokens", report.tokens},
               {"supervised_tokens", report.supervised_tokens},
               {"tokens_per_second", static_cast<double>(report.tokens) / report.seconds},
               {"sol", sol}};
  if (with_kl) line["kl_to_base"] = report.kl_to_base;
  return line;
}

// A line of metrics.jsonl; with nothing but the step when nothing was measured.
Json eval_line(const EvalReport& report) {
  Json line = {{"step", report.step}};
  if (report.tokens > 0) line.update({{"eval_loss", report.loss}, {"eval_tokens", report.tokens}});
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) line[name] = *value;
  };
  add("eval_style_distance", report.measures.style_distance);
  add("eval_end_of_turn", report.measures.end_of_turn);
  add("eval_forgetting", report.measures.forgetting);
  add("eval_forgetting_kl", report.measures.forgetting_kl);
  return line;
}

std::int64_t elements_of(std::span<const NamedParameter> parameters) {
  std::int64_t sum = 0;
  for (const NamedParameter& p : parameters) sum += p.value.elements();
  return sum;
}

// A run under way: the buffers, the streams and the cadence around train_step().
class Loop {
 public:
  Loop(const Run& run, const LoopCallbacks& callbacks)
      : run_(run),
        recipe_(run.recipe.train),
        callbacks_(callbacks),
        parameters_(parameters_to_train(run.model, run.adapter)),
        checkpoints_(run.folder / "checkpoints"),
        packing_{recipe_.max_length, recipe_.packing, static_cast<std::uint64_t>(recipe_.seed)} {}

  RunSummary operator()() {
    const RunLength length = run_length(run_.train, run_.valid, recipe_);
    const auto checkpoint = run_.resume ? latest_checkpoint(checkpoints_) : std::nullopt;
    const RunNeeds needs = run_needs(run_.model, run_.adapter, length.pass_tokens);
    const RunPlan planned = run_.plan != nullptr ? *run_.plan : plan_here(needs, checkpoint);
    summary_.memory = planned.memory;
    arena_ = Arena(planned.arena);
    activations_ = bind_activations(planned.activations, arena_, run_.model.config);
    trained_ = bind_optimizer(planned.optimizer, arena_, parameters_);
    ranks_ = needs.ranks;
    batch_.reserve(length.pass_tokens);
    total_steps_ = length.steps;
    warmup_steps_ = count_warmup_steps(total_steps_, recipe_.warmup_steps, recipe_.warmup_ratio);
    gemm_peak_ = run_.gemm_peak > 0 ? run_.gemm_peak : measure_gemm_peak(activation_type(run_.recipe.compute));

    create_folder(checkpoints_);
    if (checkpoint) state_ = load_checkpoint(*checkpoint, trained_);
    MetricsLog metrics(run_.folder / "metrics.jsonl", state_.step);
    metrics_ = &metrics;
    if (callbacks_.on_start) {
      callbacks_.on_start({state_.step, total_steps_, warmup_steps_, gemm_peak_, summary_.memory,
                           elements_of(parameters_), parameter_count(run_.model.config)});
    }
    steps();
    return summary_;
  }

 private:
  RunPlan plan_here(const RunNeeds& needs, const std::optional<fs::path>& checkpoint) const {
    Recipe recipe = run_.recipe;
    if (checkpoint) recipe.train.optim = optimizer_of_checkpoint(*checkpoint);
    RunPlan plan = schedule_run(needs, recipe);
    check_budget(plan, needs, recipe);
    return plan;
  }

  BatchStream stream(DataPosition position) const {
    return {run_.train, packing_, recipe_.per_device_train_batch_size, position};
  }

  void steps() {
    summary_.valid_loss_before = summary_.valid_loss_after = std::numeric_limits<double>::quiet_NaN();
    if (state_.step == 0) summary_.valid_loss_before = evaluate();
    BatchStream batches = stream(state_.position);
    double work = 0;
    while (state_.step < total_steps_ && !ends_early()) {
      const StepReport report =
          train_step(run_.model, trained_, batches, batch_, activations_, ranks_, step_options(), state_);
      summary_.tokens += report.tokens;
      summary_.seconds += report.seconds;
      work += report.work;
      record(report);

      const std::int64_t eval_steps = run_.recipe.eval.eval_steps;
      bool better = false;
      if (state_.step == total_steps_ || (eval_steps > 0 ? state_.step % eval_steps == 0 : batches.at_epoch_end())) {
        better = improves(evaluate());
      }
      const bool last = state_.step == total_steps_ || ends_early();
      const bool interrupted = interrupt_requested() && !last;
      if (last || interrupted || save_due(better) || take_save_request()) save();
      if (interrupted) {
        throw Interrupted("[{}] stopped at step {} of {} and saved; go on with: attune train --resume {}",
                          run_.folder.string(), state_.step, total_steps_, run_.folder.string());
      }
    }
    summary_.steps = summary_.result_step = state_.step;
    summary_.stopped_early = state_.step < total_steps_;
    summary_.best = state_.best;
    summary_.forgot_too_much = forgot_too_much();
    if ((run_.recipe.save.load_best_model_at_end || forgot_too_much()) && state_.best.step >= 0) take_best();
    if (summary_.seconds > 0) {
      summary_.tokens_per_second = static_cast<double>(summary_.tokens) / summary_.seconds;
      summary_.sol = work / summary_.seconds / gemm_peak_;
    }
    summary_.peak_bytes = peak_resident_bytes();
  }

  // Logs and shows a step; throws when too many in a row were skipped.
  void record(const StepReport& report) {
    const double sol = report.work / report.seconds / gemm_peak_;
    if (!report.skipped) summary_.last_loss = report.loss;
    if (!report.skipped && (state_.step % recipe_.logging_steps == 0 || state_.step == total_steps_)) {
      append(step_line(report, sol, recipe_.kl_to_base > 0));
    }
    if (callbacks_.on_step) callbacks_.on_step(report, sol);
    if (!report.skipped) return;
    const bool finite = std::isfinite(report.loss) && std::isfinite(report.gradient_norm);
    const std::string why = finite ? fmt::format("loss {:.3f} beside a mean of {:.3f}", report.loss, state_.losses.mean)
                                   : std::string("the loss is not finite");
    append({{"step", report.step}, {"skipped", why}});
    if (callbacks_.on_skip) callbacks_.on_skip(report, why);
    if (state_.skipped < recipe_.max_skipped_steps) return;
    throw UserError(
        "[train] {} steps in a row up to step {} were skipped, the last because {}; lower train.learning_rate "
        "and resume from the last checkpoint in {}",
        state_.skipped, report.step, why, checkpoints_.string());
  }

  bool save_due(bool better) const {
    const SaveRecipe& wanted = run_.recipe.save;
    const bool best_is_used = wanted.load_best_model_at_end || run_.recipe.eval.early_stopping_forgetting > 0;
    if (better && (wanted.save_steps > 0 || best_is_used)) return true;
    return wanted.save_steps > 0 && state_.step % wanted.save_steps == 0;
  }

  bool out_of_patience() const {
    const std::int64_t patience = run_.recipe.eval.early_stopping_patience;
    return patience > 0 && state_.best.since >= patience;
  }

  bool forgot_too_much() const {
    const double budget = run_.recipe.eval.early_stopping_forgetting;
    return budget > 0 && summary_.measures.forgetting.value_or(0) > budget;
  }

  bool ends_early() const { return out_of_patience() || forgot_too_much(); }

  // What forgets too much is never the best.
  bool improves(double held_out_loss) {
    summary_.valid_loss_after = held_out_loss;
    BestEval& best = state_.best;
    if (forgot_too_much() ||
        !(held_out_loss < best.loss - run_.recipe.eval.early_stopping_threshold)) {  // NaN without held-out data
      if (best.step >= 0) best.since += 1;
      return false;
    }
    best = {state_.step, held_out_loss, 0};
    return true;
  }

  // The parameters of the best checkpoint in the place of the last ones.
  void take_best() {
    load_checkpoint(checkpoint_path(checkpoints_, state_.best.step), trained_);
    summary_.result_step = state_.best.step;
    summary_.valid_loss_after = state_.best.loss;
  }

  StepOptions step_options() const {
    const double factor = learning_rate_factor(recipe_.lr_scheduler_type, state_.step, warmup_steps_, total_steps_);
    return {recipe_.gradient_accumulation_steps,
            recipe_.learning_rate * factor,
            recipe_.adam_beta1,
            recipe_.adam_beta2,
            recipe_.adam_epsilon,
            recipe_.weight_decay,
            recipe_.max_grad_norm,
            recipe_.neftune_noise_alpha,
            recipe_.kl_to_base,
            static_cast<std::uint64_t>(recipe_.seed),
            state_.losses.most_believable(recipe_.loss_spike_deviations)};
  }

  double held_out_loss(std::int64_t& tokens) {
    HeadLoss sum;
    for (const PackedRow& row : pack_in_order(run_.valid.lengths(), activations_.normed.rows())) {
      fill_batch(batch_, run_.valid, {&row, 1});
      const HeadLoss part = loss_only(run_.model, pass_input(batch_), targets_of(batch_), {}, activations_);
      sum.sum += part.sum;
      sum.tokens += part.tokens;
    }
    tokens = sum.tokens;
    return sum.sum / static_cast<double>(sum.tokens);
  }

  double evaluate() {
    EvalReport report{state_.step, std::numeric_limits<double>::quiet_NaN(), 0, {}};
    if (run_.valid.rows() > 0) report.loss = held_out_loss(report.tokens);
    if (callbacks_.measure) {
      try {
        report.measures = callbacks_.measure(state_.step, arena_.give_back(BufferKind::kActivations));
      } catch (const Interrupted&) {
        // The next step is followed by a checkpoint and the end.
      }
    }
    summary_.measures = report.measures;
    const Json line = eval_line(report);
    if (line.size() == 1) return report.loss;
    append(line);
    if (callbacks_.on_eval) callbacks_.on_eval(report);
    return report.loss;
  }

  void append(const Json& line) {
    metrics_->append(line);
    if (callbacks_.on_metrics) callbacks_.on_metrics(line);
  }

  void save() {
    const fs::path path = save_checkpoint(checkpoints_, run_.model, run_.adapter, trained_, state_);
    prune_checkpoints(checkpoints_, run_.recipe.save.save_total_limit, state_.best.step);
    if (callbacks_.on_checkpoint) callbacks_.on_checkpoint(path);
  }

  const Run& run_;
  const TrainRecipe& recipe_;
  const LoopCallbacks& callbacks_;
  std::vector<NamedParameter> parameters_;
  fs::path checkpoints_;
  PackingOptions packing_;
  Arena arena_;
  Activations activations_;
  std::vector<TrainedParameter> trained_;
  LoraRanks ranks_;
  Batch batch_;
  TrainState state_;
  MetricsLog* metrics_ = nullptr;
  std::int64_t total_steps_ = 0, warmup_steps_ = 0;
  double gemm_peak_ = 0;
  RunSummary summary_;
};

}  // namespace

RunSummary run_training(const Run& run, const LoopCallbacks& callbacks) { return Loop(run, callbacks)(); }

}  // namespace attune
