#include "uring/cgroup_limits.h"

#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/uring/made_up_tree.h"

namespace edge::uring {
namespace {

using testing::HasSubstr;

constexpr char kUnified[] =
    "22 1 0:20 / / rw - ext4 /dev/sda1 rw\n"
    "31 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

CgroupLimits Read(const MadeUpTree& tree) {
  const absl::StatusOr<CgroupLimits> limits = ReadCgroupLimits(tree.root());
  EXPECT_TRUE(limits.ok()) << limits.status();
  return limits.value_or(CgroupLimits{});
}

TEST(CgroupLimitsTest, WithoutAnyFilesThereAreNoLimits) {
  const MadeUpTree tree;
  EXPECT_EQ(Read(tree).cpus, std::nullopt);
  EXPECT_EQ(Read(tree).memory_bytes, std::nullopt);
}

TEST(CgroupLimitsTest, ReadsTheGroupOfTheProcess) {
  MadeUpTree tree;
  tree.Write("proc/self/mountinfo", kUnified);
  tree.Write("proc/self/cgroup", "0::/edge.slice/edge.service");
  tree.Write("sys/fs/cgroup/edge.slice/edge.service/cpu.max", "150000 100000");
  tree.Write("sys/fs/cgroup/edge.slice/edge.service/memory.max", "1073741824");
  EXPECT_EQ(Read(tree).cpus, 1.5);
  EXPECT_EQ(Read(tree).memory_bytes, 1073741824u);
}

TEST(CgroupLimitsTest, TheLeastOfAllGroupsAboveCounts) {
  MadeUpTree tree;
  tree.Write("proc/self/mountinfo", kUnified);
  tree.Write("proc/self/cgroup", "0::/pods/pod1/edge");
  tree.Write("sys/fs/cgroup/pods/cpu.max", "800000 100000");
  tree.Write("sys/fs/cgroup/pods/pod1/cpu.max", "200000 100000");
  tree.Write("sys/fs/cgroup/pods/pod1/edge/cpu.max", "max 100000");
  tree.Write("sys/fs/cgroup/pods/memory.max", "4096000");
  tree.Write("sys/fs/cgroup/pods/pod1/memory.max", "max");
  tree.Write("sys/fs/cgroup/pods/pod1/edge/memory.max", "8192000");
  EXPECT_EQ(Read(tree).cpus, 2.0);
  EXPECT_EQ(Read(tree).memory_bytes, 4096000u);
}

TEST(CgroupLimitsTest, InAContainerTheMountedGroupIsTheOwnOne) {
  MadeUpTree tree;
  tree.Write("proc/self/mountinfo", kUnified);
  tree.Write("proc/self/cgroup", "0::/");
  tree.Write("sys/fs/cgroup/cpu.max", "50000 100000");
  EXPECT_EQ(Read(tree).cpus, 0.5);
}

TEST(CgroupLimitsTest, OfAPartThatIsMountedOnlyTheRestIsAFolder) {
  // Docker on cgroup v1, without a name space for groups.
  MadeUpTree tree;
  tree.Write("proc/self/mountinfo",
             "40 31 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
             "41 31 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory");
  tree.Write("proc/self/cgroup",
             "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc");
  tree.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000");
  tree.Write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  tree.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912");
  EXPECT_EQ(Read(tree).cpus, 3.0);
  EXPECT_EQ(Read(tree).memory_bytes, 536870912u);
}

TEST(CgroupLimitsTest, AGroupOutsideOfTheMountIsReplacedByTheMountedOne) {
  for (const char* group : {"0::/../other", "0::/pods-of-others/edge"}) {
    MadeUpTree tree;
    tree.Write("proc/self/mountinfo", "31 22 0:26 /pods /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    tree.Write("proc/self/cgroup", group);
    tree.Write("sys/fs/cgroup/cpu.max", "700000 100000");
    tree.Write("sys/fs/cgroup/-of-others/edge/cpu.max", "100000 100000");
    EXPECT_EQ(Read(tree).cpus, 7.0) << group;
  }
}

TEST(CgroupLimitsTest, BothVersionsCountWhereBothAreMounted) {
  MadeUpTree tree;
  tree.Write("proc/self/mountinfo",
             "40 31 0:30 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu\n"
             "41 31 0:31 / /sys/fs/cgroup/unified rw shared:10 master:2 - cgroup2 cgroup2 rw");
  tree.Write("proc/self/cgroup", "1:cpu:/a\n0::/b");
  tree.Write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "400000");
  tree.Write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
  tree.Write("sys/fs/cgroup/unified/b/memory.max", "1000000");
  EXPECT_EQ(Read(tree).cpus, 4.0);
  EXPECT_EQ(Read(tree).memory_bytes, 1000000u);
}

TEST(CgroupLimitsTest, VersionOneWritesNoLimitAsNumbers) {
  MadeUpTree tree;
  tree.Write("proc/self/mountinfo", "40 31 0:30 / /cg rw - cgroup cgroup rw,cpu,memory");
  tree.Write("proc/self/cgroup", "1:cpu,memory:/");
  tree.Write("cg/cpu.cfs_quota_us", "-1");
  tree.Write("cg/cpu.cfs_period_us", "100000");
  tree.Write("cg/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(Read(tree).cpus, std::nullopt);
  EXPECT_EQ(Read(tree).memory_bytes, std::nullopt);
}

TEST(CgroupLimitsTest, MountPointsMayHaveBlanksAndGroupsColons) {
  MadeUpTree tree;
  tree.Write("proc/self/mountinfo", "31 22 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw");
  tree.Write("proc/self/cgroup", "0::/a:b");
  tree.Write("my groups/a:b/cpu.max", "200000 100000");
  EXPECT_EQ(Read(tree).cpus, 2.0);
}

TEST(CgroupLimitsTest, NamesAFileThatCannotBeUnderstood) {
  for (const char* content : {"lots", "0 100000", "100000", "100000 0", "-5 100000", "1 2 3"}) {
    MadeUpTree tree;
    tree.Write("proc/self/mountinfo", kUnified);
    tree.Write("proc/self/cgroup", "0::/");
    tree.Write("sys/fs/cgroup/cpu.max", content);
    const absl::Status status = ReadCgroupLimits(tree.root()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << content;
    EXPECT_THAT(status.message(), HasSubstr("/sys/fs/cgroup/cpu.max"));
    EXPECT_THAT(status.message(), HasSubstr(content));
  }
}

TEST(CgroupLimitsTest, ReadsThisMachine) {
  const absl::StatusOr<CgroupLimits> limits = ReadCgroupLimits("/");
  EXPECT_TRUE(limits.ok()) << limits.status();
}

}  // namespace
}  // namespace edge::uring
