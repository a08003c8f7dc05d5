#include "plan/machine.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/nearest.h"
#include "train/key_table.h"

namespace attune {
namespace {

constexpr const char* kBuiltin = R"(# name: what a machine does in a second, as attune counts it.
#   gemm_gflops                 linear layers, in the type of the activations (bf16 where the processor has it)
#   attention_gflops            attention, forward and backward
#   memory_gb_per_second        reading memory with all cores
#   decode_gweights_per_second  4-bit weights made into numbers
#   disk_gb_per_second          for weights that do not fit in memory
#   price_per_hour              in your currency; leave it out where there is none
zen5-2-cores: {cores: 2, gemm_gflops: 990, attention_gflops: 150, memory_gb_per_second: 71,
               decode_gweights_per_second: 31, disk_gb_per_second: 2}
zen5-16-cores: {cores: 16, gemm_gflops: 7200, attention_gflops: 1150, memory_gb_per_second: 220,
                decode_gweights_per_second: 200, disk_gb_per_second: 2}
avx2-2-cores: {cores: 2, gemm_gflops: 100, attention_gflops: 40, memory_gb_per_second: 20,
               decode_gweights_per_second: 4, disk_gb_per_second: 1}
)";

struct Row {
  MachineProfile machine;
  double gemm = 0, attention = 0, memory = 0, decode = 0, disk = 0;
};

std::vector<Key> keys_of(Row& row) {
  constexpr NumberRange kPositive{0, 1e12, true};
  return {{"cores", &row.machine.cores, "", {1, 1e6}},
          {"gemm_gflops", &row.gemm, "", kPositive},
          {"attention_gflops", &row.attention, "", kPositive},
          {"memory_gb_per_second", &row.memory, "", kPositive},
          {"decode_gweights_per_second", &row.decode, "", kPositive},
          {"disk_gb_per_second", &row.disk, "", kPositive},
          {"price_per_hour", &row.machine.price_per_hour, "", {0, 1e9}}};
}

MachineProfile profile_of(const YamlNode& node, const std::string& where) {
  if (node.kind != YamlNode::Kind::kMap) {
    throw BadFile("[{}:{}] {}: expected a machine's numbers, got {}; see attune plan --list-machines", where, node.line,
                  node.key, found_text(node));
  }
  Row row;
  row.machine.name = node.key;
  const std::vector<Key> keys = keys_of(row);
  KeysRead read;
  read_keys(keys, {}, node, where, read);
  for (const Key& key : keys) {
    if (key.name != "price_per_hour" && !read.place_of.contains(key.name)) {
      read.problems.push_back({fmt::format("[{}:{}] {}: {} is missing", where, node.line, node.key, key.name)});
    }
  }
  raise_problems(read.problems);
  row.machine.speed = {row.gemm * 1e9, row.attention * 1e9, row.memory * 1e9, row.decode * 1e9, row.disk * 1e9};
  return row.machine;
}

}  // namespace

std::string builtin_machines() { return kBuiltin; }

std::vector<MachineProfile> parse_machines(std::string_view text, const std::string& where) {
  const YamlNode tree = parse_yaml(text, where);
  std::vector<MachineProfile> machines;
  if (tree.kind == YamlNode::Kind::kNull) return machines;
  if (tree.kind != YamlNode::Kind::kMap) {
    throw BadFile("[{}:{}] expected machines by name, got {}; see attune plan --list-machines", where, tree.line,
                  found_text(tree));
  }
  for (const YamlNode& node : tree.children) machines.push_back(profile_of(node, where));
  return machines;
}

MachineProfile find_machine(const std::string& name, const fs::path& file) {
  std::vector<MachineProfile> machines;
  if (!file.empty()) machines = parse_machines(read_file(file, std::uint64_t{1} << 18), file.string());
  for (MachineProfile& machine : parse_machines(kBuiltin, "built-in machines")) machines.push_back(std::move(machine));
  std::vector<std::string> names;
  for (const MachineProfile& machine : machines) {
    if (machine.name == name) return machine;
    names.push_back(machine.name);
  }
  throw UserError("[--machine] there is no machine \"{}\"{}; known: {}", name, did_you_mean(name, names),
                  fmt::join(names, ", "));
}

}  // namespace attune
