// Directives that set something for the whole engine: limits, what is inspected, modes.

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/rule_source.h"

namespace edge::waf {

// False: the directive is about rules, and the compiler's. `notes` gets a line for what has no
// effect here. Errors: SourceError.
absl::StatusOr<bool> ReadSetting(const DirectiveSource& directive, EngineSettings& settings,
                                 std::vector<std::string>& notes);

}  // namespace edge::waf
