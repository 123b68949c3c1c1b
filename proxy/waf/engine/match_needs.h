// What every text has that a regular expression matches: bytes and literals that are looked for in
// all values at once, so that the expression itself is tried on few.
//
// Reads the syntax of pcre2, with any of the options i, m and s; of what it does not know it says
// nothing.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/waf/engine/byte_marks.h"

namespace edge::waf {

struct MatchNeeds {
  // One of these bytes is in it. 0: nothing is known.
  ByteMarks bytes = 0;
  // One of `literals`, which are in lower case, without regard to case; or one of `or_bytes`. Both
  // empty: nothing is known.
  std::vector<std::string> literals;
  ByteMarks or_bytes = 0;

  bool known() const { return bytes != 0 || !literals.empty() || or_bytes != 0; }
};

MatchNeeds NeedsOfRegex(std::string_view expression);
// Of an operator that looks for one of these, without regard to case.
MatchNeeds NeedsOfLiterals(std::vector<std::string> literals);

}  // namespace edge::waf
