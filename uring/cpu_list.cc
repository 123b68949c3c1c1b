#include "uring/cpu_list.h"

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace edge::uring {
namespace {

// Digits only: absl::SimpleAtoi would take blanks and signs.
bool ParseCpu(std::string_view text, int* cpu) {
  if (text.empty()) return false;
  *cpu = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    *cpu = *cpu * 10 + (c - '0');
    if (*cpu > kCpuMax) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::vector<int>> ParseCpuList(std::string_view list) {
  std::vector<int> cpus;
  if (list.empty()) return cpus;
  for (const std::string_view part : absl::StrSplit(list, ',')) {
    const size_t dash = part.find('-');
    int first = 0;
    int last = 0;
    bool valid = ParseCpu(part.substr(0, dash), &first);
    if (dash == std::string_view::npos) {
      last = first;
    } else {
      valid = valid && ParseCpu(part.substr(dash + 1), &last) && first <= last;
    }
    if (!valid) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", part, "' is neither a CPU number (at most ", kCpuMax, ") nor an ascending range"));
    }
    if (!cpus.empty() && first <= cpus.back()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", part, "' does not come after CPU ", cpus.back()));
    }
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

std::string FormatCpuList(const std::vector<int>& cpus) {
  if (cpus.empty()) return "none";
  std::string text;
  for (size_t i = 0; i < cpus.size();) {
    size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    absl::StrAppend(&text, text.empty() ? "" : ",", cpus[i]);
    if (last > i) absl::StrAppend(&text, "-", cpus[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace edge::uring
