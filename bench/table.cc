#include "table.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>

#include "base/rng.h"
#include "ops/peak.h"

namespace attune {

Ceilings ceilings;

namespace {

struct Row {
  std::string name;
  double microseconds, bytes, flops, bf16_flops;  // per second, 0: not this kind
};

// Keeps the rows: the table is printed once the second measure of the ceilings is known.
class TableReporter : public benchmark::BenchmarkReporter {
 public:
  std::vector<Row> rows;

  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.error_occurred) continue;
      const auto rate = [&](const char* name) {
        const auto found = run.counters.find(name);
        return found == run.counters.end() ? 0.0 : found->second.value;
      };
      rows.push_back({run.run_name.function_name, run.GetAdjustedRealTime() / 1e3, rate("bytes"), rate("flops"),
                      rate("bf16_flops")});
    }
  }
};

void measure_ceilings() {
  ceilings.gemm_peak = std::max(ceilings.gemm_peak, measure_gemm_peak(DType::kF32));
  ceilings.bf16_gemm_peak = std::max(ceilings.bf16_gemm_peak, measure_gemm_peak(DType::kBF16));
  ceilings.bandwidth = std::max(ceilings.bandwidth, measure_memory_bandwidth());
}

void print_table(const std::vector<Row>& rows) {
  fmt::print("ceilings with {} threads: {:.1f} GFLOP/s (f32 product), {:.1f} (bf16 product), {:.1f} GB/s (reading)\n\n",
             omp_get_max_threads(), ceilings.gemm_peak * 1e-9, ceilings.bf16_gemm_peak * 1e-9,
             ceilings.bandwidth * 1e-9);
  fmt::print("{:<44} {:>12} {:>16} {:>9}\n", "op", "time", "rate", "of bound");
  for (const Row& row : rows) {
    const double flops = row.flops + row.bf16_flops;
    const double bound = row.flops > 0        ? ceilings.gemm_peak
                         : row.bf16_flops > 0 ? ceilings.bf16_gemm_peak
                                              : ceilings.bandwidth;
    fmt::print("{:<44} {:>9.1f} us {:>9.1f} {:<6} {:>8.1f}%\n", row.name, row.microseconds, (flops + row.bytes) * 1e-9,
               flops > 0 ? "GFLOPs" : "GB/s", 100 * (flops + row.bytes) / bound);
  }
}

void report(benchmark::State& state, const char* name, double per_call) {
  state.counters[name] =
      benchmark::Counter(per_call * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

}  // namespace

Buffer::Buffer(DType type, Shape shape) : type_(type), shape_(shape) {
  bytes_.resize(static_cast<std::size_t>(shape.elements()) * size_of(type));
  Rng rng{.seed = 1};
  std::array<float, 1000> values;  // repeated: only their sizes matter
  for (float& value : values) value = 2.0f * rng.uniform_float() - 1.0f;
  const TensorView all = view();
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    const float value = values[static_cast<std::size_t>(i) % values.size()];
    if (type == DType::kF32) all.as<float>()[i] = value;
    if (type == DType::kBF16) all.as<bf16>()[i] = to_bf16(value);
    if (type == DType::kI32) all.as<std::int32_t>()[i] = static_cast<std::int32_t>(i * 7 % 1000);
  }
}

void report_bytes(benchmark::State& state, double bytes_per_call) { report(state, "bytes", bytes_per_call); }
void report_flops(benchmark::State& state, double flops_per_call, DType type) {
  report(state, type == DType::kBF16 ? "bf16_flops" : "flops", flops_per_call);
}

int run_benchmarks(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  measure_ceilings();
  TableReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  measure_ceilings();
  print_table(reporter.rows);
  return 0;
}

}  // namespace attune
