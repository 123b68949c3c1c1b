// A database of hyperscan and the memory that scanning with it needs.
//
// Databases are immutable and shared by all threads. Each thread has one scratch, which fits every
// database of the process that it has met: hyperscan tells how much a database needs only by
// allocating, so a prototype that fits all of them grows as they are made, and threads clone it.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "hs.h"

namespace edge::waf {

class HyperscanDatabase {
 public:
  // Takes a database in block mode.
  static absl::StatusOr<std::unique_ptr<const HyperscanDatabase>> Adopt(hs_database_t* database);
  // Of bytes, without regard to the case of ASCII letters; none is empty. The id of a literal is
  // its index.
  static absl::StatusOr<std::unique_ptr<const HyperscanDatabase>> OfLiterals(
      std::span<const std::string> literals);

  ~HyperscanDatabase();
  HyperscanDatabase(const HyperscanDatabase&) = delete;
  HyperscanDatabase& operator=(const HyperscanDatabase&) = delete;

  const hs_database_t* get() const { return database_; }

 private:
  friend class HyperscanScratch;
  HyperscanDatabase(hs_database_t* database, uint64_t generation)
      : database_(database), generation_(generation) {}

  hs_database_t* const database_;
  const uint64_t generation_;  // of the first prototype that fits
};

// Of one thread.
class HyperscanScratch {
 public:
  HyperscanScratch() = default;
  ~HyperscanScratch();
  HyperscanScratch(const HyperscanScratch&) = delete;
  HyperscanScratch& operator=(const HyperscanScratch&) = delete;

  // Allocates only when the thread meets a database made after those it knows.
  hs_scratch_t* For(const HyperscanDatabase& database);

 private:
  hs_scratch_t* scratch_ = nullptr;
  uint64_t generation_ = 0;
};

}  // namespace edge::waf
