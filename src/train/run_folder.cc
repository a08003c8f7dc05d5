#include "train/run_folder.h"

#include <omp.h>
#include <sys/utsname.h>

#include <fstream>
#include <oneapi/dnnl/dnnl.hpp>

#include "base/error.h"
#include "base/memory_use.h"
#include "base/progress.h"

namespace attune {
namespace {

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

// "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-28-amd64"
std::string system_name() {
  utsname kernel{};
  ::uname(&kernel);
  const std::string running = fmt::format("{} {}", kernel.sysname, kernel.release);
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);) {
    constexpr std::string_view kName = "PRETTY_NAME=\"";
    if (line.starts_with(kName) && line.ends_with('"'))
      return line.substr(kName.size(), line.size() - kName.size() - 1) + ", " + running;
  }
  return running;
}

}  // namespace

fs::path run_folder_of(const Recipe& recipe) { return recipe.output; }

fs::path result_of(const Recipe& recipe) {
  return run_folder_of(recipe) / (recipe.finetune == Finetune::kFull ? "model" : "adapter");
}

void create_run_folder(const fs::path& folder, const Recipe& recipe) {
  if (fs::exists(folder)) {
    throw UserError("[{}] the run exists already; go on with: attune train --resume {}, or choose another `output`",
                    folder.string(), folder.string());
  }
  AtomicFolder made(folder);
  write_file_atomic(made.temporary() / "recipe.yaml", to_yaml(recipe));
  made.commit();
}

Recipe open_run_folder(const fs::path& folder) {
  const fs::path recipe = folder / "recipe.yaml";
  if (!fs::exists(recipe)) {
    throw UserError("[{}] is not a run: it has no recipe.yaml; runs are folders such as runs/NAME", folder.string());
  }
  return load_recipe(recipe, {});
}

bool run_exists(const Recipe& recipe) {
  const fs::path folder = run_folder_of(recipe);
  if (!fs::exists(folder)) return false;
  Recipe there = open_run_folder(folder);
  there.output = recipe.output;  // the folder may have been moved
  if (there == recipe) return true;
  throw UserError(
      "[{}] the run there has another recipe; go on with: attune train --resume {}, or choose another `output`",
      folder.string(), folder.string());
}

void write_run_info(const fs::path& folder, const Json& info) {
  write_file_atomic(folder / "run.json", info.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Json software_versions() {
  const dnnl_version_t* const dnnl = dnnl_version();
  return {{"attune", ATTUNE_VERSION},
          {"compiler", __VERSION__},
          {"onednn", fmt::format("{}.{}.{}", dnnl->major, dnnl->minor, dnnl->patch)},
          {"system", system_name()},
          {"processor", processor_name()},
          {"threads", omp_get_max_threads()},
          {"memory", format_bytes(static_cast<double>(machine_memory_bytes()))}};
}

}  // namespace attune
