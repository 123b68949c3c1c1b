// What this kernel (or sandbox) can do for edge, found by trying it and not by its version: trial
// set-up, feature bits, the probe of opcodes, and a small run of the operations that edge stands
// on.
//
// Call once at start, on any thread; rings made for it are gone when it returns.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace edge::uring {

struct KernelFeatures {
  std::string release;  // uname -r; for people, nothing is decided by it

  // Wanted, not needed. What is needed has no field: without it there are no KernelFeatures.
  bool no_iowait = false;  // IORING_ENTER_NO_IOWAIT (6.15): idle loops are not shown as I/O wait
  bool send_zero_copy = false;   // IORING_OP_SEND_ZC and SENDMSG_ZC (6.0, 6.1)
  bool recv_bundles = false;     // IORING_FEAT_RECVSEND_BUNDLE (6.10)
  bool registered_ring = false;  // IORING_REGISTER_RING_FDS (5.18)
  bool restrictions = false;     // IORING_REGISTER_RESTRICTIONS (5.10)

  // Limits that decide how large a ring and how many connections are possible; nullopt: unlimited.
  std::optional<uint64_t> memlock_bytes;  // RLIMIT_MEMLOCK, soft
  std::optional<uint64_t> open_files;     // RLIMIT_NOFILE, soft
  std::optional<uint64_t> open_files_hard;
  std::optional<int>
      io_uring_disabled;        // the sysctl kernel.io_uring_disabled; nullopt: there is none
  bool seccomp_filter = false;  // this process runs under a seccomp filter

  // Several lines for --check, each ending with a newline.
  std::string Describe() const;
};

// FailedPrecondition if edge cannot run here: one line that names the cause and the remedy.
// `filesystem_root` is where /proc is read from: "/", or a made-up tree.
absl::StatusOr<KernelFeatures> DetectKernelFeatures(std::string_view filesystem_root = "/");

}  // namespace edge::uring
