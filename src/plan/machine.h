// Machines by name, for plans of runs on a machine that is not at hand, and the speed of the one that is. The table is
// YAML: a built-in one, which `attune plan --list-machines` prints as the pattern for one's own (--machines FILE).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "train/run_cost.h"

namespace attune {

struct MachineProfile {
  std::string name;
  std::int64_t cores = 0;
  MachineSpeed speed;
  double price_per_hour = 0;  // in whatever currency the table's prices have; 0: not known
};

std::string builtin_machines();  // the YAML text

// A table: name -> cores, gemm_gflops, attention_gflops, memory_gb_per_second, decode_gweights_per_second,
// disk_gb_per_second, price_per_hour. All but price are required and above 0. Throws BadFile or UserError naming the line.
std::vector<MachineProfile> parse_machines(std::string_view text, const std::string& where);

// From `file` (empty: none), else from the built-in table. UserError with the nearest name for an unknown one.
MachineProfile find_machine(const std::string& name, const fs::path& file);

// This machine, measured for about a second with products, attention and weights of the types that a run uses. The disk
// is not measured: 1 GB/s is assumed.
MachineProfile measure_machine(Compute compute, Quantization quantization);

}  // namespace attune
