// Linear layers as a fraction of the GEMM peak (many tokens) or of the memory's bandwidth (one token), LoRA's products,
// and what a second thread is worth.
//   products_bench --benchmark_filter=linear
#include <fmt/format.h>
#include <omp.h>

#include "ops/bf16_tile.h"
#include "ops/linear.h"
#include "ops/lora.h"
#include "ops/matvec.h"
#include "ops/rows_linear.h"
#include "quant/nf4.h"
#include "table.h"

namespace attune {
namespace {

// A weight whose codes are arbitrary; of 16 bits, none that stands for a subnormal, which some processors take long for.
struct Quantized {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  WeightMatrix matrix;

  Quantized(WeightFormat format, std::int64_t rows, std::int64_t columns) {
    const auto count = static_cast<std::size_t>(rows * columns);
    codes.resize(format == WeightFormat::kNF4 ? count / 2 : format == WeightFormat::kInt8 ? count : count * 2);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::uint8_t>((i * 37 >> 3 & 0x0F) | 0x30);
    scales.assign(format == WeightFormat::kNF4 ? count / 64 : static_cast<std::size_t>(rows), 0.01f);
    matrix = {.format = format, .rows = rows, .columns = columns, .data = codes.data()};
    (format == WeightFormat::kNF4 ? matrix.absmax : matrix.row_scales) = scales.data();
  }
};

struct LayerShape {
  const char* name;
  std::int64_t inputs, outputs;
};
constexpr LayerShape kLayers[] = {{"0.5b.q", 896, 896},     {"0.5b.k", 896, 128},    {"0.5b.gate", 896, 4864},
                                  {"0.5b.down", 4864, 896}, {"1b.gate", 2048, 8192}, {"7b.down", 14336, 4096}};
constexpr LayerShape kAnswerLayers[] = {{"250m.q", 1024, 1024}, {"250m.gate", 1024, 2816}, {"250m.down", 2816, 1024}};
constexpr LayerShape kHead = {"250m.head", 1024, 32000};

enum class Arithmetic { kF32, kBF16, kInt8 };
constexpr const char* kArithmeticNames[] = {"", "_bf16", "_int8"};

// A product with `tokens` rows, forward or backward.
void register_linear(const LayerShape& layer, std::int64_t tokens, bool backward, Arithmetic arithmetic) {
  const std::string name = fmt::format("linear_{}{}/nf4/{}/{}", backward ? "backward" : "forward",
                                       kArithmeticNames[static_cast<int>(arithmetic)], layer.name, tokens);
  const DType act = arithmetic == Arithmetic::kBF16 ? DType::kBF16 : DType::kF32;
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    Quantized weight(WeightFormat::kNF4, layer.outputs, layer.inputs);
    weight.matrix.int8_products = arithmetic == Arithmetic::kInt8;
    Buffer x(act, {tokens, layer.inputs}), y(act, {tokens, layer.outputs});
    Buffer tile(act, {kTileRows * (std::max(layer.inputs, layer.outputs) + 64)});
    for (auto _ : state) {
      if (backward)
        linear_backward_input(x.view(), GradientMode::kOverwrite, y.view(), weight.matrix, tile.view());
      else
        linear_forward(y.view(), x.view(), weight.matrix, {}, tile.view());
    }
    report_flops(state, 2.0 * static_cast<double>(tokens * layer.inputs * layer.outputs), act);
  })->UseRealTime();
}

// What tiles of bf16 alone reach, in every thread: their operands in L1, as no product of matrices can have them.
void register_tiles() {
  benchmark::RegisterBenchmark("bf16_tiles/L1", [](benchmark::State& state) {
    constexpr std::int64_t kSteps = 8, kTiles = 10000;
    Buffer values(DType::kBF16, {2 * kSteps * kBf16Step});
    for (auto _ : state) {
#pragma omp parallel
      {
        alignas(64) bf16 left[kSteps * kBf16Step], right[kSteps * kBf16Step];
        std::copy_n(values.view().as<bf16>(), std::size(left), left);
        std::copy_n(values.view().as<bf16>() + std::size(left), std::size(right), right);
        alignas(64) float sums[kBf16Tile * kBf16Tile];
        const Bf16Multiplier multiplier;
        for (std::int64_t i = 0; i < kTiles; ++i) {
          multiplier.multiply(sums, kBf16Tile, Bf16Left::packed(left), right, kSteps, false);
        }
      }
    }
    report_flops(state, 2.0 * kBf16Tile * kBf16Step * kSteps * kTiles * omp_get_max_threads(), DType::kBF16);
  })->UseRealTime();
}

void register_one_token(WeightFormat format) {
  benchmark::RegisterBenchmark(fmt::format("linear_one_token/{}", name_of(format)).c_str(),
                               [=](benchmark::State& state) {
                                 Quantized weight(format, 32768, 4096);  // 75 MB or more, beyond any cache
                                 Buffer x(DType::kF32, {1, 4096}), y(DType::kF32, {1, 32768});
                                 for (auto _ : state) multiply_vectors(y.view(), x.view(), weight.matrix, false);
                                 report_bytes(state, static_cast<double>(weight.matrix.bytes()));
                               })
      ->UseRealTime();
}

// What `attune serve` multiplies: a token of each of many answers.
void register_answers(const LayerShape& layer, std::int64_t answers, WeightFormat format) {
  const std::string name = fmt::format("answers/{}/{}/{}", name_of(format), layer.name, answers);
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    Quantized weight(format, layer.outputs, layer.inputs);
    Buffer x(DType::kF32, {answers, layer.inputs}), y(DType::kF32, {answers, layer.outputs});
    for (auto _ : state) rows_linear(y.view(), x.view(), weight.matrix, {}, {}, answers, {});
    report_flops(state, 2.0 * static_cast<double>(answers * layer.inputs * layer.outputs));
  })->UseRealTime();
}

// An adapter's pair for the answers that use it.
void register_adapted(std::int64_t answers) {
  constexpr std::int64_t kInputs = 1024, kOutputs = 1024, kRank = 16;
  benchmark::RegisterBenchmark(fmt::format("answers/lora_r16/{}", answers).c_str(), [=](benchmark::State& state) {
    Buffer x(DType::kF32, {answers, kInputs}), hidden(DType::kF32, {answers, kRank}),
        y(DType::kF32, {answers, kOutputs});
    Buffer a(DType::kF32, {kRank, kInputs}), b(DType::kF32, {kOutputs, kRank});
    for (auto _ : state) {
      rows_matmul_bt(hidden.view(), x.view(), a.view());
      rows_matmul_bt(y.view(), hidden.view(), b.view(), 0.01f, GradientMode::kAccumulate);
    }
    report_flops(state, 2.0 * static_cast<double>(answers * kRank * (kInputs + kOutputs)));
  })->UseRealTime();
}

void register_lora(DType act) {
  constexpr std::int64_t kTokens = 2048, kInputs = 2048, kOutputs = 2048, kRank = 16;
  benchmark::RegisterBenchmark(fmt::format("lora_backward/{}/r16", name_of(act)).c_str(), [=](benchmark::State& state) {
    Buffer dx(act, {kTokens, kInputs}), dy(act, {kTokens, kOutputs}), x(act, {kTokens, kInputs});
    Buffer hidden(act, {kTokens, kRank}), a(DType::kF32, {kRank, kInputs}), b(DType::kF32, {kOutputs, kRank});
    Buffer da(DType::kF32, {kRank, kInputs}), db(DType::kF32, {kOutputs, kRank}), dhidden(act, {kTokens, kRank});
    for (auto _ : state) {
      lora_backward_pair(dhidden.view(), da.view(), db.view(), dy.view(), x.view(), hidden.view(), b.view(), {}, {});
      lora_backward_input(dx.view(), dhidden.view(), a.view(), {}, {});
    }
    report_flops(state, 2.0 * kTokens * kRank * (2.0 * kInputs + 2.0 * kOutputs), act);
  })->UseRealTime();
  benchmark::RegisterBenchmark(fmt::format("lora_hidden/{}/r16", name_of(act)).c_str(), [=](benchmark::State& state) {
    Buffer x(act, {kTokens, kInputs}), hidden(act, {kTokens, kRank}), a(DType::kF32, {kRank, kInputs});
    for (auto _ : state) lora_hidden(hidden.view(), x.view(), a.view(), {}, {});
    report_flops(state, 2.0 * kTokens * kRank * kInputs, act);
  })->UseRealTime();
}

void register_thread_scaling(int threads) {
  benchmark::RegisterBenchmark(
      fmt::format("linear_forward/nf4/1b.gate/threads_{}", threads).c_str(),
      [=](benchmark::State& state) {
        const int before = omp_get_max_threads();
        omp_set_num_threads(threads);
        constexpr std::int64_t kTokens = 1024, kInputs = 2048, kOutputs = 8192;
        const Quantized weight(WeightFormat::kNF4, kOutputs, kInputs);
        const DType act = has_fast_bf16() ? DType::kBF16 : DType::kF32;
        Buffer x(act, {kTokens, kInputs}), y(act, {kTokens, kOutputs}), tile(act, {kTileRows * kOutputs});
        for (auto _ : state) linear_forward(y.view(), x.view(), weight.matrix, {}, tile.view());
        omp_set_num_threads(before);
        report_flops(state, 2.0 * kTokens * kInputs * kOutputs, act);
      })
      ->UseRealTime();
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  using namespace attune;
  const bool bf16 = has_fast_bf16();
  if (bf16) register_tiles();
  for (const Arithmetic arithmetic : {Arithmetic::kF32, Arithmetic::kInt8, Arithmetic::kBF16}) {
    if (arithmetic == Arithmetic::kBF16 && !bf16) continue;
    for (const bool backward : {false, true}) {
      for (const LayerShape& layer : kLayers) register_linear(layer, 2048, backward, arithmetic);
      register_linear(kLayers[2], 512, backward, arithmetic);
    }
  }
  for (const WeightFormat format : {WeightFormat::kNF4, WeightFormat::kInt8, WeightFormat::kBF16})
    register_one_token(format);
  for (const std::int64_t answers : {4, 8, 59}) {
    for (const WeightFormat format : {WeightFormat::kNF4, WeightFormat::kInt8}) {
      for (const LayerShape& layer : kAnswerLayers) register_answers(layer, answers, format);
    }
    register_answers(kHead, answers, WeightFormat::kBF16);
    register_adapted(answers);
  }
  register_lora(DType::kF32);
  if (bf16) register_lora(DType::kBF16);
  for (const int threads : {1, 2}) register_thread_scaling(threads);
  return run_benchmarks(argc, argv);
}
