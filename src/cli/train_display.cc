#include "cli/train_display.h"

#include <fmt/format.h>

#include <cmath>

#include "base/progress.h"

namespace attune {

namespace {

// "  held-out 2.345  style 0.41  forgot +1.2%", as far as it was measured.
std::string measured_text(const EvalReport& report) {
  std::string text;
  if (std::isfinite(report.loss)) text += fmt::format("  held-out {:.3f}", report.loss);
  if (const auto& style = report.measures.style_distance) text += fmt::format("  style {:.2f}", *style);
  if (const auto& forgetting = report.measures.forgetting) text += fmt::format("  forgot {:+.1f}%", 100 * *forgetting);
  return text;
}

}  // namespace

struct TrainDisplay::State {
  std::unique_ptr<Progress> bar;
  std::string held_out;
};

TrainDisplay::TrainDisplay() : state_(std::make_unique<State>()) {}
TrainDisplay::~TrainDisplay() = default;

void TrainDisplay::begin(const RunStart& start) {
  state_->bar = std::make_unique<Progress>("training", "steps", static_cast<std::uint64_t>(start.total_steps),
                                           static_cast<std::uint64_t>(start.first_step));
}

void TrainDisplay::note(const std::string& line) {
  if (state_->bar) return state_->bar->note(line);
  fmt::print(stderr, "{}\n", line);
}

void TrainDisplay::end() { state_->bar.reset(); }

LoopCallbacks TrainDisplay::callbacks() {
  LoopCallbacks callbacks;
  callbacks.on_start = [this](const RunStart& start) { begin(start); };
  callbacks.on_step = [this](const StepReport& report, double sol) {
    state_->bar->update(
        static_cast<std::uint64_t>(report.step),
        fmt::format("loss {:.3f}{}  lr {:.1e}  {} tok/s  SOL {:.0f}%", report.loss, state_->held_out,
                    report.learning_rate,
                    with_commas(std::llround(static_cast<double>(report.tokens) / report.seconds)), 100 * sol));
  };
  callbacks.on_skip = [this](const StepReport& report, const std::string& why) {
    state_->bar->note(fmt::format("skipped   step {}: {}", report.step, why));
  };
  callbacks.on_eval = [this](const EvalReport& report) { state_->held_out = measured_text(report); };
  return callbacks;
}

FinetuneCallbacks TrainDisplay::finetune_callbacks() {
  FinetuneCallbacks both;
  both.loop = callbacks();
  both.on_read = [this](std::uint64_t done, std::uint64_t total) {
    if (!state_->bar) state_->bar = std::make_unique<Progress>("tokenizing", "conversations", total);
    state_->bar->update(done);
  };
  both.on_start = [this](const FinetuneStart& start) {
    state_->bar.reset();
    print_start(start);
    begin(start.run);
  };
  return both;
}

// The two above stand in the ledger of the tokens, which also knows what was cut.
void print_warnings(const ProblemCounts& problems) {
  for (std::size_t i = 0; i < kProblems; ++i) {
    const auto problem = static_cast<Problem>(i);
    const std::uint64_t rows = problems.of[i].rows;
    if (rows == 0 || problem == Problem::kCut || problem == Problem::kNothingTrained) continue;
    fmt::print("warning   {}; attune data check shows them\n", problem_sentence(problem, rows));
  }
}

void print_start(const FinetuneStart& s) {
  const RunMemory& memory = s.run.memory;
  fmt::print(
      "data      {} conversations to learn from, {} held out; {} tokens an epoch, {} of them trained on; longest {}\n",
      with_commas(s.train_conversations), with_commas(s.valid_conversations), with_commas(s.train_tokens),
      with_commas(s.trained_tokens), with_commas(s.longest_row));
  if (s.replay_conversations > 0) {
    fmt::print("replay    {} conversations mixed in\n", with_commas(s.replay_conversations));
  }
  if (s.cut_rows > 0) {
    fmt::print("warning   {} conversations are longer than max_length: {} tokens at their ends are not learnt\n",
               with_commas(s.cut_rows), with_commas(s.cut_tokens));
  }
  if (s.untrained_rows > 0) {
    fmt::print("warning   {} conversations have no token to learn and are left out\n", with_commas(s.untrained_rows));
  }
  print_warnings(s.problems);
  fmt::print("trained   {} of {} parameters ({:.2f}%)\n", with_commas(s.run.trained_parameters),
             with_commas(s.run.all_parameters),
             100.0 * static_cast<double>(s.run.trained_parameters) / static_cast<double>(s.run.all_parameters));
  fmt::print(
      "memory    {} planned: weights {}, adapter and gradients {}, activations and optimizer {}, program {}{}{}\n",
      format_bytes(static_cast<double>(memory.total())), format_bytes(static_cast<double>(memory.weights)),
      format_bytes(static_cast<double>(memory.adapter + memory.gradients)),
      format_bytes(static_cast<double>(memory.arena)), format_bytes(static_cast<double>(memory.program)),
      memory.streamed > 0
          ? fmt::format("; {} of weights stay on disk", format_bytes(static_cast<double>(memory.streamed)))
          : "",
      memory.recomputed_blocks > 0 ? fmt::format("; {} blocks recomputed", memory.recomputed_blocks) : "");
  fmt::print("steps     {}; this machine multiplies {:.0f} GFLOP/s\n", with_commas(s.run.total_steps),
             s.run.gemm_peak / 1e9);
  std::fflush(stdout);
}

void print_summary(const FinetuneResult& result) {
  const RunSummary& s = result.summary;
  if (std::isfinite(s.valid_loss_before) && std::isfinite(s.valid_loss_after)) {
    fmt::print("held-out  loss {:.3f} before, {:.3f} after (perplexity {:.1f} -> {:.1f})\n", s.valid_loss_before,
               s.valid_loss_after, std::exp(s.valid_loss_before), std::exp(s.valid_loss_after));
  }
  if (s.measures.style_distance) {
    fmt::print("style     distance {:.3f} from the person's, {:.0f}% of the answers end by themselves\n",
               *s.measures.style_distance, 100 * s.measures.end_of_turn.value_or(0));
  }
  if (s.measures.forgetting) {
    fmt::print("forgot    loss on general words {:+.1f}%, KL to the base {:.3f}\n", 100 * *s.measures.forgetting,
               s.measures.forgetting_kl.value_or(0));
  }
  if (s.forgot_too_much) {
    fmt::print("stopped   early: that is more than eval.early_stopping_forgetting{}\n",
               s.best.step < 0 ? ", and so was every measurement; the result is the last step" : "");
  } else if (s.stopped_early) {
    fmt::print("stopped   early: no better held-out loss for {} measurements\n", s.best.since);
  }
  if (s.result_step != s.steps) fmt::print("best      step {}, whose parameters are the result\n", s.result_step);
  fmt::print("speed     {} tokens/s, SOL {:.0f}%; {} in {} steps\n", with_commas(std::llround(s.tokens_per_second)),
             100 * s.sol, format_duration(s.seconds), with_commas(s.steps));
  fmt::print("memory    {} planned, {} measured at the peak, the program itself included\n",
             format_bytes(static_cast<double>(s.memory.total())), format_bytes(static_cast<double>(s.peak_bytes)));
  fmt::print("result    {}\n", result.output.string());
}

}  // namespace attune
