// The configuration file: YAML, a mapping from setting names to values or lists of values.

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace edge::proxy {

struct ConfigEntry {
  std::string key;
  std::string value;  // a list is joined by commas, as on the command line
  int line = 0;       // of the key, from 1
};

// InvalidArgument: one line with path, line, what was found and what was expected. Files over 1 MiB
// are refused.
absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path);

}  // namespace edge::proxy
