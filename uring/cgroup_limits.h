// What the control groups of this process let it use: CPU time and memory, the least of its own
// group and all groups above it that can be seen from here.
//
// Both hierarchies are read, v2 (cpu.max, memory.max) and v1 (cpu.cfs_quota_us,
// memory.limit_in_bytes), because mixed machines exist: where they are mounted is taken from
// /proc/self/mountinfo.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace edge::uring {

struct CgroupLimits {
  std::optional<double> cpus;            // CPU time a second; unset: no quota
  std::optional<uint64_t> memory_bytes;  // unset: no limit
};

// Reads below `filesystem_root` ("/", or a made-up tree). Files that do not exist set no limit; one
// that cannot be understood is an InvalidArgument that names it.
absl::StatusOr<CgroupLimits> ReadCgroupLimits(std::string_view filesystem_root);

}  // namespace edge::uring
