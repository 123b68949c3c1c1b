// The rule set for those who have none: SQL injection, XSS, paths, commands, templates and the
// like, each denied with 403 at once. Few rules that hardly ever hit a benign request; the OWASP
// Core Rule Set finds more.

#pragma once

#include <string_view>

namespace edge::waf {

extern const std::string_view kBuiltinRules;

}  // namespace edge::waf
