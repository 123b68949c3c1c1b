#include "uring/topology.h"

#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/uring/made_up_tree.h"

namespace edge::uring {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<int> CpusBelow(int count) {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < count; ++cpu) cpus.push_back(cpu);
  return cpus;
}

// Machines that were made up: root and the CPUs that a process may use there.
class TopologyTest : public testing::Test {
 protected:
  Topology Read(const std::vector<int>& affinity) {
    absl::StatusOr<Topology> topology = Topology::Read(tree_.root(), affinity);
    EXPECT_TRUE(topology.ok()) << topology.status();
    return topology.ok() ? *std::move(topology) : Topology();
  }

  void WriteOneNode() {
    tree_.Write("sys/devices/system/cpu/online", "0-3");
    tree_.Write("sys/devices/system/node/online", "0");
    tree_.WriteNode(0, "0-3");
  }
  void WriteTwoNodes() {
    tree_.Write("sys/devices/system/cpu/online", "0-7");
    tree_.Write("sys/devices/system/node/online", "0-1");
    tree_.WriteNode(0, "0-3");
    tree_.WriteNode(1, "4-7");
  }
  // As hyper-threads are often numbered.
  void WriteFourNodes() {
    tree_.Write("sys/devices/system/cpu/online", "0-15");
    tree_.Write("sys/devices/system/node/online", "0-3");
    tree_.WriteNode(0, "0-1,8-9");
    tree_.WriteNode(1, "2-3,10-11");
    tree_.WriteNode(2, "4-5,12-13");
    tree_.WriteNode(3, "6-7,14-15");
  }
  void WriteQuota(std::string_view cpu_max) {
    tree_.Write("proc/self/mountinfo", "31 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    tree_.Write("proc/self/cgroup", "0::/");
    tree_.Write("sys/fs/cgroup/cpu.max", cpu_max);
  }

  MadeUpTree tree_;
};

TEST_F(TopologyTest, ReadsOneNode) {
  WriteOneNode();
  const Topology topology = Read(CpusBelow(4));
  ASSERT_EQ(topology.nodes().size(), 1u);
  EXPECT_EQ(topology.nodes()[0].id, 0);
  EXPECT_THAT(topology.nodes()[0].cpus, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(topology.NodeOfCpu(3), 0);
  EXPECT_EQ(topology.NodeOfCpu(4), -1);
  EXPECT_EQ(topology.NodeOfCpu(-1), -1);
}

TEST_F(TopologyTest, ReadsTwoNodes) {
  WriteTwoNodes();
  const Topology topology = Read(CpusBelow(8));
  ASSERT_EQ(topology.nodes().size(), 2u);
  EXPECT_THAT(topology.nodes()[1].cpus, ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(topology.NodeOfCpu(3), 0);
  EXPECT_EQ(topology.NodeOfCpu(4), 1);
}

TEST_F(TopologyTest, ReadsFourNodesWithInterleavedNumbers) {
  WriteFourNodes();
  const Topology topology = Read(CpusBelow(16));
  ASSERT_EQ(topology.nodes().size(), 4u);
  EXPECT_THAT(topology.nodes()[2].cpus, ElementsAre(4, 5, 12, 13));
  EXPECT_EQ(topology.NodeOfCpu(15), 3);
  EXPECT_EQ(topology.Describe(),
            "nodes: 0 (CPUs 0-1,8-9), 1 (CPUs 2-3,10-11), 2 (CPUs 4-5,12-13), 3 (CPUs 6-7,14-15)");
}

TEST_F(TopologyTest, NodeNumbersMayHaveGaps) {
  tree_.Write("sys/devices/system/node/online", "0,8");
  tree_.WriteNode(0, "0-1");
  tree_.WriteNode(8, "2-3");
  const Topology topology = Read(CpusBelow(4));
  ASSERT_EQ(topology.nodes().size(), 2u);
  EXPECT_EQ(topology.nodes()[1].id, 8);
  EXPECT_EQ(topology.NodeOfCpu(2), 8);
}

TEST_F(TopologyTest, NodesWithMemoryOnlyAreSetApart) {
  tree_.Write("sys/devices/system/node/online", "0-2");
  tree_.WriteNode(0, "0-3");
  tree_.WriteNode(1, "");
  tree_.WriteNode(2, "4-5");
  const Topology topology = Read(CpusBelow(6));
  ASSERT_EQ(topology.nodes().size(), 2u);
  EXPECT_EQ(topology.nodes()[1].id, 2);
  EXPECT_THAT(topology.nodes_without_cpus(), ElementsAre(1));
  EXPECT_EQ(topology.Describe(), "nodes: 0 (CPUs 0-3), 2 (CPUs 4-5); without CPUs for edge: 1");
}

TEST_F(TopologyTest, CpusThatAreOfflineAreNotUsed) {
  WriteTwoNodes();
  tree_.Write("sys/devices/system/cpu/online", "0-1,4,6-7");
  const Topology topology = Read(CpusBelow(8));
  EXPECT_THAT(topology.cpus(), ElementsAre(0, 1, 4, 6, 7));
  EXPECT_THAT(topology.nodes()[0].cpus, ElementsAre(0, 1));
  EXPECT_THAT(topology.nodes()[1].cpus, ElementsAre(4, 6, 7));
  EXPECT_EQ(topology.NodeOfCpu(5), -1);
}

TEST_F(TopologyTest, OnlyCpusInTheAffinityAreUsed) {
  WriteTwoNodes();
  const Topology topology = Read({5, 7});
  ASSERT_EQ(topology.nodes().size(), 1u);
  EXPECT_EQ(topology.nodes()[0].id, 1);
  EXPECT_THAT(topology.nodes()[0].cpus, ElementsAre(5, 7));
  EXPECT_THAT(topology.nodes_without_cpus(), ElementsAre(0));
}

TEST_F(TopologyTest, WithoutFilesThereIsOneNode) {
  const Topology topology = Read({2, 3, 700});
  ASSERT_EQ(topology.nodes().size(), 1u);
  EXPECT_EQ(topology.nodes()[0].id, 0);
  EXPECT_THAT(topology.nodes()[0].cpus, ElementsAre(2, 3, 700));
  EXPECT_THAT(topology.nodes_without_cpus(), IsEmpty());
}

TEST_F(TopologyTest, CpusOfNoNodeGoToTheFirst) {
  tree_.Write("sys/devices/system/node/online", "1-2");
  tree_.WriteNode(1, "2");
  tree_.WriteNode(2, "3");
  const Topology topology = Read(CpusBelow(4));
  EXPECT_THAT(topology.nodes()[0].cpus, ElementsAre(0, 1, 2));
  EXPECT_EQ(topology.NodeOfCpu(0), 1);
}

TEST_F(TopologyTest, NamesAFileThatCannotBeUnderstood) {
  WriteTwoNodes();
  tree_.WriteNode(1, "4-x");
  const absl::Status status = Topology::Read(tree_.root(), CpusBelow(8)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("sys/devices/system/node/node1/cpulist"), HasSubstr("'4-x'")));
}

TEST_F(TopologyTest, NoCpuAtAllIsAnError) {
  WriteOneNode();
  EXPECT_FALSE(Topology::Read(tree_.root(), {}).ok());
  EXPECT_FALSE(Topology::Read(tree_.root(), {17}).ok());
}

TEST_F(TopologyTest, DescribesLimits) {
  WriteOneNode();
  WriteQuota("250000 100000");
  tree_.Write("sys/fs/cgroup/memory.max", "536870912");
  EXPECT_EQ(Read(CpusBelow(4)).Describe(),
            "node: 0 (CPUs 0-3); CPU quota 2.5; memory limit 512 MiB");
}

TEST(TopologyOfThisMachineTest, CanBeReadAndChosenFrom) {
  const auto affinity = AffinityOfThisThread();
  ASSERT_TRUE(affinity.ok()) << affinity.status();
  const auto topology = Topology::Read("/", *affinity);
  ASSERT_TRUE(topology.ok()) << topology.status();
  EXPECT_EQ(topology->cpus(), *affinity);
  const auto cpus = ChooseCpus(*topology, "auto");
  ASSERT_TRUE(cpus.ok()) << cpus.status();
  EXPECT_FALSE(cpus->empty());
}

// --- --cores
// -----------------------------------------------------------------------------------------------

using ChooseCpusTest = TopologyTest;

TEST_F(ChooseCpusTest, AutoTakesAll) {
  WriteFourNodes();
  EXPECT_EQ(*ChooseCpus(Read(CpusBelow(16)), "auto"), CpusBelow(16));
  EXPECT_THAT(*ChooseCpus(Read({3, 9}), "auto"), ElementsAre(3, 9));
}

TEST_F(ChooseCpusTest, AutoIsCappedByTheQuotaButNotBelowOne) {
  WriteTwoNodes();
  const struct {
    const char* cpu_max;
    size_t cpus;
  } kCases[] = {{"max 100000", 8},    {"10000000 100000", 8}, {"800000 100000", 8},
                {"799999 100000", 7}, {"250000 100000", 2},   {"100000 100000", 1},
                {"10000 100000", 1}};
  for (const auto& test : kCases) {
    WriteQuota(test.cpu_max);
    EXPECT_EQ(ChooseCpus(Read(CpusBelow(8)), "auto")->size(), test.cpus) << test.cpu_max;
  }
}

TEST_F(ChooseCpusTest, FewWorkersShareANode) {
  WriteFourNodes();
  EXPECT_THAT(*ChooseCpus(Read(CpusBelow(16)), "4"), ElementsAre(0, 1, 8, 9));
  EXPECT_THAT(*ChooseCpus(Read(CpusBelow(16)), "5"), ElementsAre(0, 1, 2, 8, 9));
}

TEST_F(ChooseCpusTest, ACountIsNotCappedByTheQuota) {
  WriteTwoNodes();
  WriteQuota("100000 100000");
  EXPECT_THAT(*ChooseCpus(Read(CpusBelow(8)), "3"), ElementsAre(0, 1, 2));
}

TEST_F(ChooseCpusTest, RotationBeginsElsewhere) {
  WriteTwoNodes();
  const Topology topology = Read(CpusBelow(8));
  EXPECT_THAT(*ChooseCpus(topology, "2", 3), ElementsAre(3, 4));
  EXPECT_THAT(*ChooseCpus(topology, "2", 8 * 1000 + 7), ElementsAre(0, 7));
  EXPECT_EQ(*ChooseCpus(topology, "auto", 5), CpusBelow(8));
  EXPECT_THAT(*ChooseCpus(topology, "1-2", 5), ElementsAre(1, 2));
}

TEST_F(ChooseCpusTest, AListIsTakenAsItIs) {
  WriteTwoNodes();
  WriteQuota("100000 100000");
  const Topology topology = Read(CpusBelow(8));
  EXPECT_THAT(*ChooseCpus(topology, "0-3,6"), ElementsAre(0, 1, 2, 3, 6));
  EXPECT_THAT(*ChooseCpus(topology, "6-6"), ElementsAre(6));
}

TEST_F(ChooseCpusTest, AMistakeNamesTheFlagWhatWasFoundAndWhatWasExpected) {
  WriteTwoNodes();
  const Topology topology = Read({0, 1, 2, 5});
  const std::string expected =
      "expected 'auto', a count from 1 to 4, or a list of CPUs out of 0-2,5";
  for (const char* flag : {"", "0", "5", "all", "Auto", " 1", "+1", "1.5", "0x2", "0,1,5,6", "3-4",
                           "1,,2", "-1", "2-1", "0,0", "99999999999999999999", "1,0"}) {
    const absl::Status status = ChooseCpus(topology, flag).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << flag;
    EXPECT_THAT(status.message(), AllOf(HasSubstr("--cores: found "), HasSubstr(expected))) << flag;
  }
  EXPECT_THAT(ChooseCpus(topology, "0-3").status().message(),
              HasSubstr("'0-3' with CPU 3, which edge may not run on"));
  EXPECT_THAT(ChooseCpus(topology, "5").status().message(), HasSubstr("found '5'"));
}

}  // namespace
}  // namespace edge::uring
