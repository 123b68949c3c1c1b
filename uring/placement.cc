#include "uring/placement.h"

#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "uring/cpu_list.h"

namespace edge::uring {
namespace {

// MAX_NUMNODES of the largest kernels (CONFIG_NODES_SHIFT of 10).
constexpr int kNodesMax = 1024;
constexpr int kBitsPerWord = sizeof(unsigned long) * CHAR_BIT;

}  // namespace

absl::Status PinThisThread(int cpu) {
  int error = EINVAL;
  if (cpu >= 0 && cpu <= kCpuMax) {
    const size_t bytes = CPU_ALLOC_SIZE(cpu + 1);
    cpu_set_t* set = CPU_ALLOC(cpu + 1);
    if (set == nullptr) return absl::ResourceExhaustedError("no memory for a set of CPUs");
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(cpu, bytes, set);
    error = sched_setaffinity(0, bytes, set) == 0 ? 0 : errno;
    CPU_FREE(set);
  }
  if (error == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot run on CPU ", cpu, ": ", std::strerror(error)));
}

absl::StatusOr<std::string> SetLocalMemoryPolicy(int node) {
  if (node < 0 || node >= kNodesMax) {
    return absl::InvalidArgumentError(absl::StrCat("there is no NUMA node ", node));
  }
  unsigned long nodes[kNodesMax / kBitsPerWord] = {};
  nodes[node / kBitsPerWord] = 1ul << (node % kBitsPerWord);
  // Preferred, not bound: an allocation that must leave the node is slow, one that fails ends the
  // process. The kernel reads one bit less than it is told.
  if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, nodes, kNodesMax + 1) == 0) {
    return absl::StrCat("memory from node ", node, " preferred");
  }
  switch (errno) {
    case ENOSYS:
    case EPERM:
      return absl::StrCat("memory policy left at its default: set_mempolicy: ",
                          std::strerror(errno));
    case EINVAL:
      // A node with CPUs but without memory of its own cannot be preferred.
      if (syscall(SYS_set_mempolicy, MPOL_LOCAL, nullptr, 0) == 0) {
        return absl::StrCat("node ", node, " has no memory, that of the nearest is used");
      }
      break;
  }
  return absl::InternalError(
      absl::StrCat("set_mempolicy of node ", node, ": ", std::strerror(errno)));
}

void NameThisThread(std::string_view name) {
  constexpr size_t kNameBytesMax = 15;
  const std::string kept(name.substr(0, kNameBytesMax));
  pthread_setname_np(pthread_self(), kept.c_str());
}

}  // namespace edge::uring
