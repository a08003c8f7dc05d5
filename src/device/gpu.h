// The NVIDIA GPUs of this machine, by their driver's own words (CUDA driver API, libcuda.so.1). A build without CUDA
// (every preset but `cuda`) sees none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attune {

struct Gpu {
  std::string name;
  int compute_major = 0, compute_minor = 0;  // sm_90 is 9 and 0
  std::uint64_t memory_bytes = 0;

  bool new_enough() const { return compute_major >= 8; }  // bf16 products and asynchronous copies begin at sm_80
};

struct GpuSurvey {
  std::vector<Gpu> gpus;
  std::string driver_cuda;  // the newest CUDA that the driver speaks, as "13.0"; empty without a driver
  std::string problem;      // one line when there is nothing to use: what is missing, and what to do about it
};

// Never throws for what is or is not there: a survey with no GPU says why. Starts no work on a device.
GpuSurvey survey_gpus();

}  // namespace attune
