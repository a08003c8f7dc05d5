// The speed of this machine: each of the things that limit a pass is done for a fraction of a second with the ops that a
// pass is made of.
#include <omp.h>

#include <array>
#include <vector>

#include "model/shapes.h"
#include "ops/attention.h"
#include "ops/linear.h"
#include "ops/peak.h"
#include "plan/machine.h"
#include "quant/int8.h"
#include "quant/weight.h"
#include "tensor/memory_plan.h"
#include "train/run_plan.h"

namespace attune {
namespace {

constexpr double kSecondsEach = 0.2, kAssumedDisk = 1e9;

// A frozen linear of llama-250m, forward and backward to its input, stored as it is multiplied: what expanding weights costs
// is measured apart.
double measure_products(DType act, bool int8) {
  constexpr std::int64_t kTokens = 512, kInputs = 1024, kOutputs = 2816;
  MemoryPlan plan;
  const auto matrix = [&](std::int64_t rows, std::int64_t columns) {
    return plan.add("", BufferKind::kScratch, act, {rows, columns});
  };
  const BufferId x = matrix(kTokens, kInputs), dx = matrix(kTokens, kInputs), y = matrix(kTokens, kOutputs);
  const BufferId weight = matrix(kOutputs, kInputs);
  const BufferId tile = plan.add("", BufferKind::kScratch, act, {kTileRows * kOutputs});
  plan.place();
  const Arena arena(plan);
  for (const BufferId id : {x, weight}) fill_uniform(arena.view(id));
  WeightMatrix stored{.format = act == DType::kF32 ? WeightFormat::kF32 : WeightFormat::kBF16,
                      .rows = kOutputs,
                      .columns = kInputs,
                      .data = arena.view(weight).data};
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  if (int8) {
    codes.resize(kOutputs * kInputs);
    scales.resize(kOutputs);
    encode_int8(codes, scales, arena.view(weight));
    stored.format = WeightFormat::kInt8;
    stored.data = codes.data();
    stored.row_scales = scales.data();
    stored.int8_products = true;
  }
  return mean_rate(4.0 * kTokens * kInputs * kOutputs, kSecondsEach, [&] {
    linear_forward(arena.view(y), arena.view(x), stored, {}, arena.view(tile));
    linear_backward_input(arena.view(dx), GradientMode::kOverwrite, arena.view(y), stored, arena.view(tile));
  });
}

// Forward and backward of one sequence, in the FLOP that are necessary (4 and 8 a pair and column).
double measure_attention(DType act) {
  constexpr std::int64_t kTokens = 512, kHeads = 8, kKeyHeads = 2, kSize = 64;
  MemoryPlan plan;
  const auto rows = [&](DType type, Shape shape) { return plan.add("", BufferKind::kScratch, type, shape); };
  const Shape queries{kTokens, kHeads, kSize}, keys{kTokens, kKeyHeads, kSize}, statistics{kHeads, kTokens};
  const BufferId q = rows(act, queries), out = rows(act, queries), dout = rows(act, queries), dq = rows(act, queries);
  const BufferId k = rows(act, keys), v = rows(act, keys), dk = rows(act, keys), dv = rows(act, keys);
  const BufferId log_sum_exp = rows(DType::kF32, statistics), delta = rows(DType::kF32, statistics);
  plan.place();
  const Arena arena(plan);
  const std::array<std::int32_t, 2> starts = {0, kTokens};
  const AttentionParams params{0.125f, 0};
  const auto view = [&](BufferId id) { return arena.view(id); };
  return mean_rate(12.0 * kTokens * (kTokens + 1) / 2 * kHeads * kSize, kSecondsEach, [&] {
    attention_forward(view(out), view(log_sum_exp), view(q), view(k), view(v), starts, params);
    attention_backward(view(dq), view(dk), view(dv), view(dout), view(q), view(k), view(v), view(out),
                       view(log_sum_exp), view(delta), starts, params);
  });
}

// Weights per second that decode_rows expands with all threads.
double measure_decode(DType act, Quantization quantization) {
  ModelConfig config = shape_config("llama-250m");
  config.layers = 1;
  config.vocab_size = 32;
  const Model model = make_random_model(config, quantization, 1);
  const WeightMatrix& weight = model.blocks[0][Slot::kGate].weight;
  MemoryPlan plan;
  const BufferId tile = plan.add("", BufferKind::kScratch, act, {weight.rows, weight.columns});
  plan.place();
  const Arena arena(plan);
  const TensorView decoded = arena.view(tile);
  constexpr std::int64_t kRows = 8;
  return mean_rate(static_cast<double>(weight.rows * weight.columns), kSecondsEach, [&] {
#pragma omp parallel for schedule(static)
    for (std::int64_t row = 0; row < weight.rows; row += kRows)
      decode_rows(decoded.slice_rows(row, kRows), weight, row);
  });
}

}  // namespace

MachineProfile measure_machine(Compute compute, Quantization quantization) {
  const DType act = activation_type(compute);
  MachineProfile machine;
  machine.name = "this machine";
  machine.cores = omp_get_max_threads();
  machine.speed.flops = measure_products(act, compute == Compute::kInt8);
  machine.speed.attention = measure_attention(act);
  machine.speed.decode = measure_decode(act, quantization);
  machine.speed.bandwidth = sustained_memory_bandwidth(kSecondsEach);
  machine.speed.disk = kAssumedDisk;
  return machine;
}

}  // namespace attune
