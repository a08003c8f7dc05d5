// The table of machines: what is read, what is refused and how it is said.
#include "plan/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace attune {
namespace {

constexpr const char* kMine =
    "mine: {cores: 8, gemm_gflops: 500, attention_gflops: 80.5, memory_gb_per_second: 40, decode_gweights_per_second: "
    "10,\n"
    "       disk_gb_per_second: 3, price_per_hour: 0.4}\n";

std::string refusal(const std::string& text) {
  try {
    parse_machines(text, "m.yaml");
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(Machines, AreReadInUnitsPerSecond) {
  const auto machines = parse_machines(kMine, "m.yaml");
  ASSERT_EQ(machines.size(), 1u);
  EXPECT_EQ(machines[0].name, "mine");
  EXPECT_EQ(machines[0].cores, 8);
  EXPECT_EQ(machines[0].speed.flops, 500e9);
  EXPECT_EQ(machines[0].speed.attention, 80.5e9);
  EXPECT_EQ(machines[0].speed.bandwidth, 40e9);
  EXPECT_EQ(machines[0].speed.decode, 10e9);
  EXPECT_EQ(machines[0].speed.disk, 3e9);
  EXPECT_EQ(machines[0].price_per_hour, 0.4);
  EXPECT_TRUE(parse_machines("", "m.yaml").empty());
}

TEST(Machines, TheBuiltInTableIsReadAsOnesOwn) {
  EXPECT_FALSE(parse_machines(builtin_machines(), "built-in").empty());
  EXPECT_EQ(find_machine("zen5-2-cores", "").speed.flops, 990e9);
}

TEST(Machines, MistakesAreNamed) {
  EXPECT_EQ(refusal("mine: {cores: 8}\n").substr(0, 55), "[m.yaml:1] mine: gemm_gflops is missing\n[m.yaml:1] mine");
  EXPECT_EQ(refusal("mine: 8\n"),
            "[m.yaml:1] mine: expected a machine's numbers, got 8; see attune plan --list-machines");
  EXPECT_EQ(refusal("- mine\n"), "[m.yaml:1] expected machines by name, got a list; see attune plan --list-machines");
  EXPECT_NE(refusal("mine: {core: 8}\n").find("core"), std::string::npos);
  try {
    find_machine("zen5-2-core", "");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_TRUE(std::string(error.what())
                    .starts_with("[--machine] there is no machine \"zen5-2-core\"; did you mean zen5-2-cores?"))
        << error.what();
  }
}

TEST(Machines, ThisOneIsMeasured) {
  for (const Compute compute : {Compute::kF32, Compute::kInt8}) {
    const MachineProfile machine = measure_machine(compute, Quantization::kNF4);
    EXPECT_GE(machine.cores, 1);
    EXPECT_GT(machine.speed.flops, 1e8);
    EXPECT_GT(machine.speed.attention, 1e7);
    EXPECT_GT(machine.speed.bandwidth, 1e8);
    EXPECT_GT(machine.speed.decode, 1e6);
  }
}

}  // namespace
}  // namespace attune
