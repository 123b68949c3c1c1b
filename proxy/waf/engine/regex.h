// A regular expression of pcre2 with the options of libmodsecurity, compiled just in time.
//
// Immutable and shared by all threads; what a match needs is in the RegexScratch of the thread. A
// match allocates nothing, unless it needs more stack than the scratch has.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "pcre2.h"
#include "proxy/waf/engine/deadline.h"

namespace edge::waf {

class RegexScratch {
 public:
  // Groups of a match that are told; the expression may have more.
  static constexpr uint32_t kGroupsMax = 10;

  explicit RegexScratch(Deadline deadline = Deadline());
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

  // A group of the last match, 0 the whole of it; without bytes (data() is nullptr) if it took no
  // part in it.
  std::string_view Group(size_t index, std::string_view subject) const;

  // Of searches, which look at it between the steps that a long subject is searched in.
  Deadline deadline;

 private:
  friend class Regex;
  // How far the expression may be tried from one start in the subject: pcre2 begins to count anew
  // at each. A fiftieth of pcre2's own limit: (a+)+$ on text of its kind is given up after half a
  // millisecond. No expression of the Core Rule Set comes near it on 16 KiB of English text.
  static constexpr uint32_t kMatchLimit = 200'000;
  // Of compiled code. The first part is what most matches need; the most is for repeated groups,
  // which take some 30 bytes a round.
  static constexpr size_t kStackBytes = 32 << 10;
  static constexpr size_t kStackBytesMax = 1 << 20;
  // Of a match that needed more than that and is tried once more without compiled code.
  static constexpr uint32_t kHeapKibMax = 16 << 10;

  pcre2_match_data* data_;
  pcre2_match_context* context_;
  pcre2_jit_stack* stack_;
};

class Regex {
 public:
  enum class Result : uint8_t {
    kMatch,
    kNoMatch,
    kLimit,  // given up
    kLate,   // the deadline passed; only if the subject is longer than Deadline::kLongBytes
  };

  // InvalidArgument: what pcre2 says, and where in the pattern.
  static absl::StatusOr<std::unique_ptr<const Regex>> Compile(std::string_view pattern);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // The first match at or behind `from`. `groups`: how many the scratch knows of it.
  Result Find(std::string_view subject, size_t from, RegexScratch& scratch, size_t& groups) const;
  // One that begins at `from` and is not empty.
  Result FindNonEmptyAt(std::string_view subject, size_t from, RegexScratch& scratch,
                        size_t& groups) const;

 private:
  Regex(pcre2_code* code, bool compiled, bool divisible)
      : code_(code), compiled_(compiled), divisible_(divisible) {}

  int FindInSteps(std::string_view subject, size_t from, RegexScratch& scratch) const;
  int InterpretStarts(std::string_view subject, size_t from, size_t last,
                      RegexScratch& scratch) const;
  int Match(std::string_view subject, size_t from, RegexScratch& scratch) const;

  pcre2_code* const code_;
  const bool compiled_;
  // A search may be divided by where the match begins.
  const bool divisible_;
};

}  // namespace edge::waf
