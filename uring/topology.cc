#include "uring/topology.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "uring/cpu_list.h"
#include "uring/system_file.h"

namespace edge::uring {
namespace {

constexpr std::string_view kNodesFolder = "sys/devices/system/node";

// A file that holds a list of numbers; nullopt if there is no such file.
absl::StatusOr<std::optional<std::vector<int>>> ReadList(std::string_view root,
                                                         std::string_view path) {
  const std::optional<std::string> content = ReadSystemFile(root, path);
  if (!content.has_value()) return std::nullopt;
  absl::StatusOr<std::vector<int>> list = ParseCpuList(*content);
  if (!list.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(SystemFilePath(root, path), ": ", list.status().message()));
  }
  return *std::move(list);
}

std::vector<int> Intersection(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

}  // namespace

absl::StatusOr<Topology> Topology::Read(std::string_view filesystem_root,
                                        const std::vector<int>& affinity) {
  Topology topology;
  topology.cpus_ = affinity;
  std::sort(topology.cpus_.begin(), topology.cpus_.end());

  const auto online = ReadList(filesystem_root, "sys/devices/system/cpu/online");
  if (!online.ok()) return online.status();
  if (online->has_value()) topology.cpus_ = Intersection(topology.cpus_, **online);
  if (topology.cpus_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("none of the CPUs in the affinity (", FormatCpuList(affinity), ") is online"));
  }

  const auto node_ids = ReadList(filesystem_root, absl::StrCat(kNodesFolder, "/online"));
  if (!node_ids.ok()) return node_ids.status();
  for (const int id : node_ids->value_or(std::vector<int>{})) {
    const auto listed =
        ReadList(filesystem_root, absl::StrCat(kNodesFolder, "/node", id, "/cpulist"));
    if (!listed.ok()) return listed.status();
    Node node{id, Intersection(listed->value_or(std::vector<int>{}), topology.cpus_)};
    if (node.cpus.empty()) {
      topology.nodes_without_cpus_.push_back(id);
    } else {
      topology.nodes_.push_back(std::move(node));
    }
  }

  // CPUs that no node lists go where Linux puts them as well: to the first node.
  std::vector<int> homeless;
  for (const int cpu : topology.cpus_) {
    if (topology.NodeOfCpu(cpu) < 0) homeless.push_back(cpu);
  }
  if (!homeless.empty()) {
    if (topology.nodes_.empty()) topology.nodes_.push_back(Node{});
    std::vector<int>& cpus = topology.nodes_.front().cpus;
    cpus.insert(cpus.end(), homeless.begin(), homeless.end());
    std::sort(cpus.begin(), cpus.end());
  }

  absl::StatusOr<CgroupLimits> limits = ReadCgroupLimits(filesystem_root);
  if (!limits.ok()) return limits.status();
  topology.limits_ = *limits;
  return topology;
}

int Topology::NodeOfCpu(int cpu) const {
  for (const Node& node : nodes_) {
    if (std::binary_search(node.cpus.begin(), node.cpus.end(), cpu)) return node.id;
  }
  return -1;
}

std::string Topology::Describe() const {
  std::string text = nodes_.size() == 1 ? "node: " : "nodes: ";
  for (const Node& node : nodes_) {
    absl::StrAppend(&text, &node == &nodes_.front() ? "" : ", ", node.id, " (CPUs ",
                    FormatCpuList(node.cpus), ")");
  }
  if (!nodes_without_cpus_.empty()) {
    absl::StrAppend(&text, "; without CPUs for edge: ", FormatCpuList(nodes_without_cpus_));
  }
  if (limits_.cpus.has_value()) absl::StrAppend(&text, "; CPU quota ", *limits_.cpus);
  if (limits_.memory_bytes.has_value()) {
    absl::StrAppend(&text, "; memory limit ", *limits_.memory_bytes >> 20, " MiB");
  }
  return text;
}

absl::StatusOr<std::vector<int>> AffinityOfThisThread() {
  // The kernel answers EINVAL while the set is smaller than its own; cpu_set_t has room for 1024
  // CPUs.
  for (int room = CPU_SETSIZE; room <= 2 * (kCpuMax + 1); room *= 2) {
    const size_t bytes = CPU_ALLOC_SIZE(room);
    cpu_set_t* set = CPU_ALLOC(room);
    if (set == nullptr) return absl::ResourceExhaustedError("no memory for a set of CPUs");
    const int error = sched_getaffinity(0, bytes, set) == 0 ? 0 : errno;
    std::vector<int> cpus;
    for (int cpu = 0; error == 0 && cpu < room; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (error == 0) return cpus;
    if (error != EINVAL) {
      return absl::InternalError(absl::StrCat("sched_getaffinity: ", std::strerror(error)));
    }
  }
  return absl::InternalError("sched_getaffinity: the kernel knows more CPUs than edge believes");
}

absl::StatusOr<std::vector<int>> ChooseCpus(const Topology& topology, std::string_view cores_flag,
                                            uint64_t rotation) {
  const auto mistake = [&](std::string_view found) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--cores: found ", found, ", expected 'auto', a count from 1 to ", topology.cpus().size(),
        ", or a list of CPUs out of ", FormatCpuList(topology.cpus())));
  };

  size_t count = topology.cpus().size();
  if (cores_flag == "auto") {
    if (const std::optional<double> quota = topology.limits().cpus;
        quota.has_value() && *quota < static_cast<double>(count)) {
      // Down, not up: workers that share less than their number of CPUs would all be stopped at the
      // end of each period.
      count = std::max<size_t>(1, static_cast<size_t>(std::floor(*quota)));
    }
  } else if (absl::StrContains(cores_flag, ',') || absl::StrContains(cores_flag, '-')) {
    absl::StatusOr<std::vector<int>> list = ParseCpuList(cores_flag);
    if (!list.ok()) return mistake(list.status().message());
    for (const int cpu : *list) {
      if (topology.NodeOfCpu(cpu) < 0) {
        return mistake(
            absl::StrCat("'", cores_flag, "' with CPU ", cpu, ", which edge may not run on"));
      }
    }
    return list;
  } else {
    const bool digits = std::all_of(cores_flag.begin(), cores_flag.end(),
                                    [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || !absl::SimpleAtoi(cores_flag, &count) || count < 1 ||
        count > topology.cpus().size()) {
      return mistake(absl::StrCat("'", cores_flag, "'"));
    }
  }

  // Node after node, so that few workers share as few nodes as possible.
  std::vector<int> order;
  for (const Topology::Node& node : topology.nodes()) {
    order.insert(order.end(), node.cpus.begin(), node.cpus.end());
  }
  std::vector<int> chosen;
  for (size_t i = 0; i < count; ++i) {
    chosen.push_back(order[(rotation % order.size() + i) % order.size()]);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace edge::uring
