// Reads SecLang files (ModSecurity reference manual v3) into rule sources: lines, continuations,
// quotes, Include with globs. Knows the shape of directives, not what rules mean.
//
//   rule_files       which files, their bytes
//   seclang_text     lines and words
//   seclang_lists    variables, operators, actions
//   seclang_parser   directives, Include        --> SourceItem
//
// Control thread only; reads files.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/waf/engine/rule_source.h"

namespace edge::waf {

// A mistake: one line "FILE:LINE: what was found; what was expected".
absl::Status SourceError(const SourceLocation& where, std::string_view what);

// All items of the files and of what they include, in order. `patterns`: paths or globs; one that
// matches nothing is an error.
absl::StatusOr<std::vector<SourceItem>> ParseRuleFiles(const std::vector<std::string>& patterns);
// The same of a text; `name` stands in errors, Include is relative to its folder.
absl::StatusOr<std::vector<SourceItem>> ParseRuleText(std::string_view text, std::string_view name);

// The arguments of SecDefaultAction and SecRuleUpdateActionById, of SecRuleUpdateTargetById and the
// like. `where`: of the directive.
absl::StatusOr<std::vector<ActionSource>> ParseActions(std::string_view text,
                                                       const SourceLocation& where);
absl::StatusOr<std::vector<VariableSource>> ParseVariables(std::string_view text,
                                                           const SourceLocation& where);

}  // namespace edge::waf
