// Limits of control groups from trees like those of real machines.
#include "base/control_group.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

namespace attune {
namespace {

using Files = std::map<std::string, std::string>;

struct Machine {
  fs::path root = fs::temp_directory_path() / fmt::format("attune_control_group_{}", ::getpid());
  explicit Machine(const Files& files) {
    fs::remove_all(root);
    for (const auto& [name, text] : files) {
      fs::create_directories((root / name).parent_path());
      write_file_atomic(root / name, text);
    }
  }
  ~Machine() { fs::remove_all(root); }
  std::optional<ControlGroupMemory> memory() const { return control_group_memory(root / "cgroup", root / "fs"); }
  std::uint64_t limit() const { return memory() ? memory()->limit : 0; }
};

TEST(ControlGroup, VersionTwoTakesTheTightestOnTheWay) {
  const Machine slice({{"cgroup", "0::/user.slice/session-1.scope\n"},
                       {"fs/user.slice/memory.max", "8000000000\n"},
                       {"fs/user.slice/memory.current", "3000000000\n"},
                       {"fs/user.slice/memory.stat", "anon 1000\ninactive_file 1000000000\n"},
                       {"fs/user.slice/session-1.scope/memory.max", "max\n"}});
  ASSERT_TRUE(slice.memory().has_value());
  EXPECT_EQ(slice.memory()->limit, 8'000'000'000u);
  EXPECT_EQ(slice.memory()->used, 2'000'000'000u);
  const Machine scope({{"cgroup", "0::/a/b\n"}, {"fs/a/memory.max", "9000\n"}, {"fs/a/b/memory.max", "7000\n"}});
  EXPECT_EQ(scope.limit(), 7000u);
}

TEST(ControlGroup, VersionOne) {
  const Machine docker({{"cgroup", "12:cpuset:/docker/x\n5:cpuacct,memory:/docker/x\n1:name=systemd:/docker/x\n"},
                        {"fs/memory/memory.limit_in_bytes", "9223372036854771712\n"},
                        {"fs/memory/docker/x/memory.limit_in_bytes", "536870912\n"},
                        {"fs/memory/docker/x/memory.usage_in_bytes", "100\n"},
                        {"fs/memory/docker/x/memory.stat", "total_inactive_file 400\n"}});
  EXPECT_EQ(docker.limit(), 536'870'912u);
  EXPECT_EQ(docker.memory()->used, 0u);
}

TEST(ControlGroup, InsideAContainerTheRootIsTheGroup) {
  const Machine two({{"cgroup", "0::/\n"}, {"fs/memory.max", "4294967296\n"}});
  EXPECT_EQ(two.limit(), 4'294'967'296u);
  const Machine host_path(
      {{"cgroup", "3:memory:/docker/only-the-host-sees-this\n"}, {"fs/memory/memory.limit_in_bytes", "1073741824\n"}});
  EXPECT_EQ(host_path.limit(), 1'073'741'824u);
  const Machine outside({{"cgroup", "0::/../../other\n"}, {"fs/memory.max", "5000\n"}});
  EXPECT_EQ(outside.limit(), 5000u);
}

TEST(ControlGroup, NoLimit) {
  EXPECT_FALSE(Machine(Files{}).memory().has_value());
  EXPECT_FALSE(Machine(Files{{"cgroup", "nonsense\n::\n0:"}}).memory().has_value());
  EXPECT_FALSE(Machine(Files{{"cgroup", "0::/\n"}, {"fs/memory.max", "max\n"}}).memory().has_value());
  EXPECT_FALSE(Machine(Files{{"cgroup", "1:memory:/\n"}, {"fs/memory/memory.limit_in_bytes", "9223372036854771712\n"}})
                   .memory()
                   .has_value());
}

}  // namespace
}  // namespace attune
