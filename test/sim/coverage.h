// What runs exercised, by name: a mode that exercises nothing shows as a count of zero.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace edge::sim {

class Coverage {
 public:
  void Count(std::string_view what, uint64_t n = 1) {
    const auto found = counts_.find(what);
    if (found != counts_.end()) {
      found->second += n;
    } else {
      counts_.emplace(what, n);
    }
  }
  void Add(const Coverage& other) {
    for (const auto& [what, n] : other.counts_) Count(what, n);
  }
  uint64_t of(std::string_view what) const {
    const auto found = counts_.find(what);
    return found == counts_.end() ? 0 : found->second;
  }
  const std::map<std::string, uint64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::map<std::string, uint64_t, std::less<>> counts_;
};

}  // namespace edge::sim
