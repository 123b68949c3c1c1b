// The files that hold rules: which ones a path or a glob names, and what stands in them.
//
// Control thread only.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace edge::waf {

// The largest rule file of CRS has 70 kB, its largest data file 40 kB. Generated lists may be
// larger.
inline constexpr size_t kRuleFileBytesMax = 16 << 20;

// A relative path as it is seen from `file`.
std::string BesideFile(std::string_view path, std::string_view file);

// The files that `pattern` names, sorted: a path, or a glob (glob(7)) that matches at least one.
// The error's message says what was found, without a place.
absl::StatusOr<std::vector<std::string>> FindRuleFiles(const std::string& pattern);

// A regular file of at most that size. Errors as above.
absl::StatusOr<std::string> ReadRuleFile(const std::string& path);

}  // namespace edge::waf
