#pragma once

// Walks the members of a comma-separated field value (RFC 9110 5.6.1): empty members are skipped,
// white space around members is not part of them. Commas within quoted strings are not known here:
// the lists read this way are lists of tokens.
//
//   ListReader list(value);
//   for (std::string_view member; list.Next(&member);) ...

#include <string_view>

#include "http/chars.h"

namespace edge::http {

class ListReader {
 public:
  explicit ListReader(std::string_view value) : rest_(value) {}

  bool Next(std::string_view* member) {
    while (!rest_.empty()) {
      const size_t comma = rest_.find(',');
      *member = TrimSpace(rest_.substr(0, comma));
      rest_ = comma == std::string_view::npos ? std::string_view() : rest_.substr(comma + 1);
      if (!member->empty()) return true;
    }
    return false;
  }

 private:
  std::string_view rest_;
};

}  // namespace edge::http
