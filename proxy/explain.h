// `edge --explain`: what edge makes of one request, without a connection, a worker or an origin.
//
// The request goes through the parser, the policy and the serialiser that an exchange uses, with
// the same configuration; what varies from one exchange to the next (addresses, the request's id)
// is fixed, so that the same bytes always give the same text. Control thread only; allocates
// freely.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "http/reason.h"
#include "proxy/config.h"

namespace edge::proxy {

// A request that is longer is not read: nobody explains an upload.
inline constexpr size_t kExplainBytesMax = size_t{16} << 20;

struct Explanation {
  enum class Verdict : uint8_t {
    kAccepted,    // complete; forwarded, or answered by edge itself where forwarded_head is empty
    kRefused,     // see reason
    kIncomplete,  // nothing is wrong so far
  };
  enum class Part : uint8_t { kHead, kBody };

  Verdict verdict = Verdict::kIncomplete;
  // kRefused: where; kIncomplete: what is not whole.
  Part part = Part::kHead;
  http::Reason reason = http::Reason::kNone;  // kRefused
  uint64_t offset = 0;  // kRefused: of the refused byte, from the first byte given

  size_t request_bytes = 0;  // kAccepted: head and body; what follows is another request
  std::string framing;       // of the body, as text
  uint64_t body_bytes = 0;   // decoded
  std::string trailers;      // those that are forwarded, as lines
  bool keep_alive = false;
  // What inspection says, as lines; empty: the request is not inspected.
  std::string inspection;
  bool denied = false;  // by a rule
  // As an origin would get it. Also there when the body is refused or incomplete.
  std::string forwarded_head;
};

// InvalidArgument: the configuration's, not the request's, fault.
absl::StatusOr<Explanation> ExplainRequest(std::string_view bytes, const Config& config);

// Lines "key: value"; then, if there is one, an empty line and the forwarded head, byte for byte.
std::string ExplanationText(const Explanation& explanation, std::string_view bytes);

// Reads one request from standard input and explains it on standard output. Returns the exit
// status: 0 accepted, 1 refused, denied or incomplete; an error is a mistake of the caller's.
absl::StatusOr<int> RunExplain(const Config& config);

}  // namespace edge::proxy
