// Makes a program of rule sources, or says what is wrong with them.
//
//   sources --ReadRuleActions, CompileTarget--> drafts, in the order of the files
//           --exclusions, SecDefaultAction----> drafts, final
//           --phases, markers, interning------> Program
//
// Control thread only.

#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/rule_source.h"

namespace edge::waf {

// Errors: one line by SourceError. `use_prefilter`: false in tests that compare.
absl::StatusOr<std::unique_ptr<const Program>> CompileRules(const std::vector<SourceItem>& items,
                                                            bool use_prefilter = true);

}  // namespace edge::waf
