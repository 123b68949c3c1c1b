#pragma once

// Helpers of the http tests: parse a message in one piece, byte by byte, and cut in two at every
// position, each time with blocks that are too small at first, and insist that the outcome is the
// same.

#include <string>
#include <string_view>
#include <vector>

#include "http/framing.h"
#include "http/parser.h"
#include "http/validation_policy.h"

namespace edge::http {

// What a head came to, as plain values that outlive parser and block.
struct HeadOutcome {
  HeadStatus status = HeadStatus::kNeedMore;
  Refusal refusal;
  // Bytes of the input that belong to the head; of a refused one 0, because the caller closes
  // anyway.
  size_t consumed = 0;
  // Everything the head says, one thing a line; empty unless complete.
  std::string head;
  std::string serialized;

  friend bool operator==(const HeadOutcome&, const HeadOutcome&) = default;
};

HeadOutcome ParseRequest(std::string_view bytes, const ValidationPolicy& policy = {});

struct ResponseContext {
  Method request_method = Method::kGet;
  bool upgrade_asked = false;
  ValidationPolicy policy;
};
HeadOutcome ParseResponse(std::string_view bytes, const ResponseContext& context = {});

// What a body came to.
struct BodyOutcome {
  BodyEvent event = BodyEvent::kNeedMore;  // never kData
  Refusal refusal;
  size_t consumed = 0;  // as above
  std::string data;
  std::string trailers;
  bool complete_at_eof = false;

  friend bool operator==(const BodyOutcome&, const BodyOutcome&) = default;
};
BodyOutcome ReadBody(std::string_view bytes, BodyFraming framing, uint64_t length = 0,
                     const ValidationPolicy& policy = {}, size_t trailer_block_size = 1024);

// The reason's id, "ok" for a complete head or body, "more" for an incomplete one.
std::string Verdict(const HeadOutcome& outcome);
std::string Verdict(const BodyOutcome& outcome);
std::string RequestVerdict(std::string_view bytes, const ValidationPolicy& policy = {});
std::string ResponseVerdict(std::string_view bytes, const ResponseContext& context = {});

// "\r\n" between and after the lines, and an empty line at the end.
std::string Lines(const std::vector<std::string>& lines);
// A request with `Host: a` and these field lines.
std::string Get(const std::vector<std::string>& fields);
std::string Post(const std::vector<std::string>& fields);
// A 200 with these field lines.
std::string Ok(const std::vector<std::string>& fields);

}  // namespace edge::http
