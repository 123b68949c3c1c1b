// One pass of Hyperscan over a value that tells which literals of many rules are in it, so that
// rules that need others are not tried.
//
// A candidate is a set of literals, without regard to case; its number is reported where one of
// them is found. Immutable once built; any thread, with a scratch of its own.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct hs_database;
struct hs_scratch;

namespace edge::waf {

class PrefilterScratch {
 public:
  PrefilterScratch() = default;
  ~PrefilterScratch();
  PrefilterScratch(const PrefilterScratch&) = delete;
  PrefilterScratch& operator=(const PrefilterScratch&) = delete;

 private:
  friend class Prefilter;
  hs_scratch* scratch_ = nullptr;
};

class Prefilter {
 public:
  Prefilter() = default;
  // `candidates[i]`: literals of the candidate with number i, none empty. No more than 65536.
  static absl::StatusOr<Prefilter> Build(const std::vector<std::vector<std::string>>& candidates);

  size_t candidates() const { return candidates_; }

  // Before Scan with a scratch that was not prepared for this prefilter; may allocate.
  absl::Status Prepare(PrefilterScratch& scratch) const;
  // Calls `found` with the number of each candidate that is in the value, once or more. False:
  // nothing is certain of this value.
  [[nodiscard]] bool Scan(std::string_view value, PrefilterScratch& scratch,
                          absl::FunctionRef<void(uint16_t)> found) const;

 private:
  struct Free {
    void operator()(hs_database* database) const;
  };
  std::unique_ptr<hs_database, Free> database_;
  size_t candidates_ = 0;
};

}  // namespace edge::waf
