// Texts of which every match of a regular expression contains at least one: to look for texts, of
// thousands of expressions at once, costs less than to try one expression.
//
// Reads pcre2's syntax as far as it needs to: of what it does not know nothing is said, and what it
// says is true without regard to case.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace edge::waf {

// In lower case, none is empty; none at all: nothing is certain, or what is would be found nearly
// everywhere.
std::vector<std::string> RequiredLiterals(std::string_view pattern);

}  // namespace edge::waf
