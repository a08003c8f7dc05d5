// attune doctor: what this machine is and how fast it is at what attune does with it.
#include <fmt/format.h>
#include <omp.h>

#include "base/json.h"
#include "base/memory_use.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "device/gpu.h"
#include "ops/peak.h"
#include "ops/simd_limit.h"
#include "train/run_plan.h"

namespace attune {
namespace {

struct Diagnosis {
  int cores = omp_get_num_procs(), threads = omp_get_max_threads();
  std::string simd = simd_in_use();
  std::uint64_t memory = machine_memory_bytes(), available = available_memory_bytes();
  DType product_type = activation_type(Compute::kAuto);
  double peak = measure_gemm_peak(product_type), bandwidth = measure_memory_bandwidth();
  GpuSurvey survey = survey_gpus();
};

Json to_json(const Diagnosis& machine) {
  Json gpus = Json::array();
  for (const Gpu& gpu : machine.survey.gpus) {
    gpus.push_back({{"name", gpu.name},
                    {"compute_capability", fmt::format("{}.{}", gpu.compute_major, gpu.compute_minor)},
                    {"memory_bytes", gpu.memory_bytes}});
  }
  return {{"version", ATTUNE_VERSION},
          {"cores", machine.cores},
          {"threads", machine.threads},
          {"simd", machine.simd},
          {"memory_bytes", machine.memory},
          {"available_memory_bytes", machine.available},
          {"gemm_type", name_of(machine.product_type)},
          {"gemm_peak_gflops", machine.peak / 1e9},
          {"memory_bandwidth_gb_per_second", machine.bandwidth / 1e9},
          {"gpus", gpus},
          {"cuda_of_driver", machine.survey.driver_cuda},
          {"gpu_problem", machine.survey.problem}};
}

void print_gpus(const GpuSurvey& survey) {
  for (const Gpu& gpu : survey.gpus) {
    fmt::print("GPU                {}, {}, sm_{}{}, a driver for CUDA {}\n", gpu.name,
               format_bytes(static_cast<double>(gpu.memory_bytes)), gpu.compute_major, gpu.compute_minor,
               survey.driver_cuda);
    fmt::print("                   {}\n", gpu.new_enough() ? "not used yet: this version computes on the processor"
                                                           : "too old to be used: sm_80 (2020) is the least");
  }
  if (!survey.problem.empty()) fmt::print("GPU                {}\n", survey.problem);
}

void run_doctor(bool json) {
  const Diagnosis machine;
  if (json) {
    fmt::print("{}\n", to_json(machine).dump(2, ' ', false, Json::error_handler_t::replace));
    return;
  }
  fmt::print("attune             {}\n", ATTUNE_VERSION);
  fmt::print("cores              {}, of which {} {} used (OMP_NUM_THREADS)\n", machine.cores, machine.threads,
             machine.threads == 1 ? "is" : "are");
  fmt::print("instruction set    {}\n", machine.simd);
  fmt::print("memory             {}, of which {} can be had now\n", format_bytes(static_cast<double>(machine.memory)),
             format_bytes(static_cast<double>(machine.available)));
  fmt::print("products           {:.0f} GFLOP/s in {}, measured\n", machine.peak / 1e9, name_of(machine.product_type));
  fmt::print("memory's speed     {:.1f} GB/s, measured\n", machine.bandwidth / 1e9);
  print_gpus(machine.survey);
}

}  // namespace

void add_doctor_command(CLI::App& app) {
  const auto json = std::make_shared<bool>(false);
  CLI::App* const command =
      app.add_subcommand("doctor", "Describe this machine: cores, instruction set, memory, measured speed, GPU");
  command->add_flag("--json", *json, "Print JSON");
  command->footer("Example: attune doctor\nHow long a run takes here: attune plan RECIPE");
  command->callback([json] { run_doctor(*json); });
}

}  // namespace attune
