// Lists of CPUs as Linux writes them ("0-3,6"): in sysfs, and in --cores.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace edge::uring {

// The highest CPU number that is believed: the largest NR_CPUS that Linux can be built with is
// 8192.
inline constexpr int kCpuMax = 8191;

// The CPUs of `list` in ascending order. Strict: numbers and ascending ranges only, in ascending
// order, none twice, no blanks. An empty list is an empty vector (a memory-only node has one).
// InvalidArgument names the part that is wrong.
absl::StatusOr<std::vector<int>> ParseCpuList(std::string_view list);

// The inverse; `cpus` ascends. "none" if it is empty.
std::string FormatCpuList(const std::vector<int>& cpus);

}  // namespace edge::uring
