// Every op as a fraction of what this machine can do at most: of its reading bandwidth for ops that touch each byte
// once, of the rate of a large matrix product of its type for attention. The ceilings are measured first, in the same
// process.
//   ops_bench --benchmark_filter=attention
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "ops/adamw.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/noise.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"
#include "table.h"

namespace attune {
namespace {

constexpr std::int64_t kTokens = 2048, kHidden = 2048;  // 16 MiB per f32 activation, beyond most caches

void register_element_ops(DType type) {
  const std::string suffix = fmt::format("/{}", name_of(type));
  const Shape shape{kTokens, kHidden};
  const double bytes = static_cast<double>(shape.elements()) * static_cast<double>(size_of(type));

  const auto add_bench = [&](const std::string& name, double touched, auto body) {
    benchmark::RegisterBenchmark((name + suffix).c_str(), [=](benchmark::State& state) {
      Buffer a(type, shape), b(type, shape), c(type, shape), d(type, shape), e(type, shape);
      for (auto _ : state) body(a.view(), b.view(), c.view(), d.view(), e.view());
      report_bytes(state, touched * bytes);
    })->UseRealTime();
  };
  using V = TensorView;
  static Buffer weight(DType::kF32, {kHidden}), inv_rms(DType::kF32, {kTokens}), dweight(DType::kF32, {kHidden});
  add_bench("add", 3, [](V a, V b, V, V, V) { add(a, b); });
  add_bench("dropout", 2, [](V a, V b, V, V, V) { dropout(a, b, 0.1f, {1, 2}); });
  add_bench("swiglu_forward", 3, [](V a, V b, V c, V, V) { swiglu_forward(a, b, c); });
  add_bench("swiglu_backward", 5, [](V a, V b, V c, V d, V e) { swiglu_backward(a, b, c, d, e); });
  add_bench("rms_norm_forward", 2,
            [](V a, V b, V, V, V) { rms_norm_forward(a, inv_rms.view(), b, weight.view(), 1e-6f); });
  add_bench("rms_norm_backward", 3, [](V a, V b, V c, V, V) {
    rms_norm_backward(a, GradientMode::kOverwrite, {}, b, c, weight.view(), inv_rms.view());
  });
  add_bench("rms_norm_backward_dweight", 3, [](V a, V b, V c, V, V) {
    rms_norm_backward(a, GradientMode::kOverwrite, dweight.view(), b, c, weight.view(), inv_rms.view());
  });
  static Buffer positions(DType::kI32, {kTokens}), cosines(DType::kF32, {1000, 32}), sines(DType::kF32, {1000, 32});
  add_bench("rope_forward", 2, [](V a, V, V, V, V) {
    a.shape = {kTokens, kHidden / 64, 64};
    rope_forward(a, positions.view(), cosines.view(), sines.view());
  });
  add_bench("embedding_forward", 2, [](V a, V b, V, V, V) { embedding_forward(a, positions.view(), b); });
}

void register_parameter_ops() {
  benchmark::RegisterBenchmark("adamw_step", [](benchmark::State& state) {
    const Shape shape{4 << 20};
    Buffer parameter(DType::kF32, shape), gradient(DType::kF32, shape), first(DType::kF32, shape);
    Buffer second(DType::kF32, shape);
    std::memset(second.view().data, 0, second.view().bytes());  // a second moment is not negative
    const AdamWParams params{1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 1, 1.0f};
    for (auto _ : state) adamw_step(parameter.view(), gradient.view(), first.view(), second.view(), params);
    report_bytes(state, 7.0 * static_cast<double>(parameter.view().bytes()));
  })->UseRealTime();
  benchmark::RegisterBenchmark("sum_of_squares", [](benchmark::State& state) {
    Buffer x(DType::kF32, {8 << 20});
    for (auto _ : state) benchmark::DoNotOptimize(sum_of_squares(x.view()));
    report_bytes(state, static_cast<double>(x.view().bytes()));
  })->UseRealTime();
  benchmark::RegisterBenchmark("cross_entropy", [](benchmark::State& state) {
    constexpr std::int64_t kRows = 32, kVocabulary = 151936;
    Buffer logits(DType::kF32, {kRows, kVocabulary}), losses(DType::kF32, {kRows}), targets(DType::kI32, {kRows});
    for (auto _ : state) cross_entropy_backward(losses.view(), logits.view(), targets.view(), DType::kF32);
    report_bytes(state, 2.0 * static_cast<double>(logits.view().bytes()));
  })->UseRealTime();
}

// `tokens` tokens as sequences of `length`, or in a window: time must follow the attended pairs.
void register_attention(const std::string& which, DType type, std::int64_t tokens, std::int64_t length,
                        std::int64_t window) {
  constexpr std::int64_t kHeads = 16, kKeyHeads = 4, kSize = 64;
  for (const bool backward : {false, true}) {
    const std::string name = fmt::format("attention_{}/{}", backward ? "backward" : "forward", which);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
      const Shape queries{tokens, kHeads, kSize}, keys{tokens, kKeyHeads, kSize}, rows{kHeads, tokens};
      Buffer q(type, queries), out(type, queries), dout(type, queries), dq(type, queries);
      Buffer k(type, keys), v(type, keys), dk(type, keys), dv(type, keys);
      Buffer log_sum_exp(DType::kF32, rows), delta(DType::kF32, rows);
      std::vector<std::int32_t> starts;
      for (std::int64_t t = 0; t <= tokens; t += length) starts.push_back(static_cast<std::int32_t>(t));
      const AttentionParams params{.scale = 0.125f, .sliding_window = window};
      attention_forward(out.view(), log_sum_exp.view(), q.view(), k.view(), v.view(), starts, params);
      for (auto _ : state) {
        if (backward) {
          attention_backward(dq.view(), dk.view(), dv.view(), dout.view(), q.view(), k.view(), v.view(), out.view(),
                             log_sum_exp.view(), delta.view(), starts, params);
        } else {
          attention_forward(out.view(), log_sum_exp.view(), q.view(), k.view(), v.view(), starts, params);
        }
      }
      const auto seen = static_cast<double>(window > 0 ? std::min(window, length) : length);
      const double pairs = seen * (seen + 1) / 2 + (static_cast<double>(length) - seen) * seen;
      // Two products over the visible pairs forward; backward four, and a fifth to have the probabilities again.
      report_flops(state, (backward ? 5.0 : 2.0) * 2.0 * pairs * static_cast<double>(tokens / length) * kHeads * kSize,
                   type);
    })->UseRealTime();
  }
}

void register_decode(DType type) {
  benchmark::RegisterBenchmark(fmt::format("attention_decode/{}", name_of(type)).c_str(), [=](benchmark::State& state) {
    constexpr std::int64_t kLength = 16384;
    Buffer keys(type, {kLength, 4, 64}), values(type, {kLength, 4, 64}), q(type, {16, 64}), out(type, {16, 64});
    for (auto _ : state) {
      attention_decode(out.view(), q.view(), keys.view(), values.view(), kLength, {.scale = 0.125f});
    }
    report_bytes(state, 2.0 * static_cast<double>(keys.view().bytes()));
  })->UseRealTime();
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  using namespace attune;
  for (const DType type : {DType::kF32, DType::kBF16}) {
    register_element_ops(type);
    for (const std::int64_t tokens : {512, 2048}) {
      register_attention(fmt::format("{}/{}", name_of(type), tokens), type, tokens, tokens, 0);
    }
    register_decode(type);
  }
  for (const auto& [length, window] : {std::pair{2048, 0}, {512, 0}, {128, 0}, {2048, 256}}) {
    register_attention(fmt::format("length_{}/window_{}", length, window), DType::kF32, 2048, length, window);
  }
  register_parameter_ops();
  return run_benchmarks(argc, argv);
}
