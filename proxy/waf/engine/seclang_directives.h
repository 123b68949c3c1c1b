// The directives of SecLang: those that libmodsecurity 3 knows, by name and number of arguments.

#pragma once

#include <cstddef>
#include <string_view>

namespace edge::waf {

struct DirectiveShape {
  std::string_view name;  // as the reference manual spells it
  size_t arguments_min = 1;
  size_t arguments_max = 1;
};

// Without regard to case; nullptr: there is none of this name.
const DirectiveShape* FindDirective(std::string_view name);
// The one whose name is most like this.
std::string_view NearestDirective(std::string_view name);

}  // namespace edge::waf
