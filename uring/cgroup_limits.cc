#include "uring/cgroup_limits.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "uring/system_file.h"

namespace edge::uring {
namespace {

// No machine has as much memory: cgroup v1 says "no limit" with the highest multiple of a page.
constexpr uint64_t kNoMemoryLimit = uint64_t{1} << 62;

// A mounted hierarchy of control groups.
struct Mount {
  std::string group;  // the group that is visible at `path`; "/" unless only a part is mounted
  std::string path;
};

// Hierarchies by controller ("cpu", "memory"); v2 is the empty name.
using Mounts = std::map<std::string, Mount, std::less<>>;

// mountinfo writes blanks, tabs, newlines and backslashes as \ooo (proc_pid_mountinfo(5)).
std::string Unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto octal = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// Hierarchies by controller ("cpu", "memory"); v2 is the empty name. Of several mounts of one
// hierarchy the first counts.
Mounts ReadMounts(std::string_view root) {
  Mounts mounts;
  const std::string mountinfo = ReadSystemFile(root, "proc/self/mountinfo").value_or("");
  for (const std::string_view line : absl::StrSplit(mountinfo, '\n')) {
    // id parent device group path options [optional ...] - type source super-options
    const std::pair<std::string_view, std::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<std::string_view> left = absl::StrSplit(halves.first, ' ');
    const std::vector<std::string_view> right = absl::StrSplit(halves.second, ' ');
    if (left.size() < 6 || right.size() < 3) continue;
    const Mount mount{Unescape(left[3]), Unescape(left[4])};
    if (right[0] == "cgroup2") {
      mounts.try_emplace("", mount);
    } else if (right[0] == "cgroup") {
      for (const std::string_view option : absl::StrSplit(right[2], ',')) {
        if (option == "cpu" || option == "memory") mounts.try_emplace(std::string(option), mount);
      }
    }
  }
  return mounts;
}

// The folders that stand for `group` and the groups above it, as far as they are mounted.
std::vector<std::string> FoldersOf(const Mount& mount, std::string_view group) {
  std::string_view below = group;
  // Mounted from another group than the one we are in or above (a container without a cgroup name
  // space, or one that was moved): what can be seen is the mounted group itself.
  const std::string_view mounted = absl::StripSuffix(mount.group, "/");
  if (!absl::ConsumePrefix(&below, mounted) || (!below.empty() && below[0] != '/') ||
      absl::StrContains(below, "/..")) {
    below = "";
  }
  below = absl::StripSuffix(below, "/");
  std::vector<std::string> folders;
  while (true) {
    folders.push_back(absl::StrCat(mount.path, below));
    if (below.empty()) return folders;
    below = below.substr(0, below.rfind('/'));
  }
}

absl::Status Malformed(std::string_view root, std::string_view path, std::string_view content,
                       std::string_view expected) {
  return absl::InvalidArgumentError(
      absl::StrCat(SystemFilePath(root, path), ": found '", content, "', expected ", expected));
}

template <typename Number>
void LowerTo(std::optional<Number>* limit, Number value) {
  *limit = limit->has_value() ? std::min(**limit, value) : value;
}

// v2: "max 100000" or "150000 100000", microseconds of CPU time in a period.
absl::Status ReadCpuMax(std::string_view root, std::string_view path, CgroupLimits* limits) {
  const std::optional<std::string> content = ReadSystemFile(root, path);
  if (!content.has_value()) return absl::OkStatus();
  const std::vector<std::string_view> words = absl::StrSplit(*content, ' ');
  uint64_t quota = 0;
  uint64_t period = 0;
  if (words.size() == 2 && absl::SimpleAtoi(words[1], &period) && period > 0) {
    if (words[0] == "max") return absl::OkStatus();
    if (absl::SimpleAtoi(words[0], &quota) && quota > 0) {
      LowerTo(&limits->cpus, static_cast<double>(quota) / static_cast<double>(period));
      return absl::OkStatus();
    }
  }
  return Malformed(root, path, *content, "'max PERIOD' or 'QUOTA PERIOD'");
}

// v1: two files; a quota of -1 is none.
absl::Status ReadCfsQuota(std::string_view root, std::string_view folder, CgroupLimits* limits) {
  const std::string quota_path = absl::StrCat(folder, "/cpu.cfs_quota_us");
  const std::string period_path = absl::StrCat(folder, "/cpu.cfs_period_us");
  const std::optional<std::string> quota_text = ReadSystemFile(root, quota_path);
  const std::optional<std::string> period_text = ReadSystemFile(root, period_path);
  if (!quota_text.has_value() || !period_text.has_value()) return absl::OkStatus();
  int64_t quota = 0;
  uint64_t period = 0;
  if (!absl::SimpleAtoi(*quota_text, &quota) || quota == 0 || quota < -1) {
    return Malformed(root, quota_path, *quota_text, "-1 or microseconds");
  }
  if (!absl::SimpleAtoi(*period_text, &period) || period == 0) {
    return Malformed(root, period_path, *period_text, "microseconds");
  }
  if (quota > 0) LowerTo(&limits->cpus, static_cast<double>(quota) / static_cast<double>(period));
  return absl::OkStatus();
}

// memory.max of v2, memory.limit_in_bytes of v1.
absl::Status ReadMemoryLimit(std::string_view root, std::string_view path, CgroupLimits* limits) {
  const std::optional<std::string> content = ReadSystemFile(root, path);
  if (!content.has_value() || *content == "max") return absl::OkStatus();
  uint64_t bytes = 0;
  if (!absl::SimpleAtoi(*content, &bytes)) {
    return Malformed(root, path, *content, "'max' or a number of bytes");
  }
  if (bytes < kNoMemoryLimit) LowerTo(&limits->memory_bytes, bytes);
  return absl::OkStatus();
}

absl::Status ReadFolder(std::string_view root, std::string_view controller, std::string_view folder,
                        CgroupLimits* limits) {
  if (controller == "cpu") return ReadCfsQuota(root, folder, limits);
  if (controller == "memory") {
    return ReadMemoryLimit(root, absl::StrCat(folder, "/memory.limit_in_bytes"), limits);
  }
  if (absl::Status status = ReadCpuMax(root, absl::StrCat(folder, "/cpu.max"), limits);
      !status.ok()) {
    return status;
  }
  return ReadMemoryLimit(root, absl::StrCat(folder, "/memory.max"), limits);
}

}  // namespace

absl::StatusOr<CgroupLimits> ReadCgroupLimits(std::string_view filesystem_root) {
  CgroupLimits limits;
  const Mounts mounts = ReadMounts(filesystem_root);
  const std::string groups = ReadSystemFile(filesystem_root, "proc/self/cgroup").value_or("");
  for (const std::string_view line : absl::StrSplit(groups, '\n')) {
    // hierarchy:controllers:group, where the group may contain colons; v2 has no controllers.
    const std::vector<std::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    for (const std::string_view controller : absl::StrSplit(parts[1], ',')) {
      const auto mount = mounts.find(controller);
      if (mount == mounts.end()) continue;
      for (const std::string& folder : FoldersOf(mount->second, parts[2])) {
        if (absl::Status status = ReadFolder(filesystem_root, controller, folder, &limits);
            !status.ok()) {
          return status;
        }
      }
    }
  }
  return limits;
}

}  // namespace edge::uring
