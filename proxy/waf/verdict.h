// What inspection says of a request, and which queue it was in.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace edge::proxy::waf {

enum class Verdict : uint8_t {
  kAllow,
  kBlock,
  kShed,      // not inspected: no credit or memory was left, or nobody needs the answer any more
  kTimeout,   // not inspected in time
  kOversize,  // what was inspected may pass, but there was more of it
};
inline constexpr int kVerdictCount = 5;
// As in metrics and in the log. Static.
constexpr std::string_view VerdictName(Verdict verdict) {
  constexpr std::string_view kNames[kVerdictCount] = {"allow", "block", "shed", "timeout",
                                                      "oversize"};
  return kNames[static_cast<size_t>(verdict)];
}

// Which queue a job waits in. Each has credits of its own, so that detect can never take capacity
// from block.
enum class Lane : uint8_t {
  kBlock,   // the request waits for the verdict
  kDetect,  // a copy, while the request goes on
};
inline constexpr int kLaneCount = 2;

}  // namespace edge::proxy::waf
