// The CPUs that edge may run on, and the NUMA nodes they belong to.
//
// Read once at start, from sysfs below a root that tests replace by a made-up tree. Immutable
// afterwards.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "uring/cgroup_limits.h"

namespace edge::uring {

class Topology {
 public:
  struct Node {
    int id = 0;             // the kernel's number; numbers may have gaps
    std::vector<int> cpus;  // those edge may run on; ascending, never empty
  };

  // `affinity`: the CPUs this process may run on, see AffinityOfThisThread(). Without NUMA
  // information all of them are on one node, number 0. InvalidArgument names a file that cannot be
  // understood.
  static absl::StatusOr<Topology> Read(std::string_view filesystem_root,
                                       const std::vector<int>& affinity);

  // The nodes on which edge may run, by ascending id. Never empty.
  const std::vector<Node>& nodes() const { return nodes_; }
  // Nodes that have memory but no CPU, or only CPUs that edge may not run on.
  const std::vector<int>& nodes_without_cpus() const { return nodes_without_cpus_; }
  // All CPUs edge may run on: online and in the affinity. Ascending, never empty.
  const std::vector<int>& cpus() const { return cpus_; }
  const CgroupLimits& limits() const { return limits_; }

  // The id of the node that `cpu` belongs to; -1 if edge may not run on that CPU.
  int NodeOfCpu(int cpu) const;

  // A line for the log, for instance "nodes: 0 (CPUs 0-3), 1 (CPUs 4-7); CPU quota 2.5".
  std::string Describe() const;

 private:
  std::vector<Node> nodes_;
  std::vector<int> nodes_without_cpus_;
  std::vector<int> cpus_;
  CgroupLimits limits_;
};

// The CPUs that the scheduler lets this thread use (sched_getaffinity(2)), on machines of any size.
absl::StatusOr<std::vector<int>> AffinityOfThisThread();

// The CPUs to run workers on, one each, ascending. `cores_flag` is the value of --cores:
//   auto      all CPUs, but no more than the cgroup's CPU quota feeds (rounded down, at least one)
//   a count   so many, whatever the quota
//   a list    exactly these, like 0-3,6; one CPU alone is written as a range, 6-6
// `rotation` chooses where to begin if not all CPUs are taken, so that several edges on one machine
// whose quotas are small do not all pin themselves to CPU 0; pass a random number. InvalidArgument
// names the flag, what was found and what was expected.
absl::StatusOr<std::vector<int>> ChooseCpus(const Topology& topology, std::string_view cores_flag,
                                            uint64_t rotation = 0);

}  // namespace edge::uring
