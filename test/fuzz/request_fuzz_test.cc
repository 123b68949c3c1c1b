// Requests, head and body, as an exchange reads them.
//
//   - Where the bytes are cut changes nothing (request_reader.h says what "nothing" is).
//   - What follows a request changes nothing in it.
//   - A refusal's offset is in the input, and before that byte there is nothing to refuse.
//   - What is forwarded is one head with one framing, and a lax reader finds no second one in it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/log/check.h"
#include "absl/strings/match.h"
#include "http/chars.h"
#include "test/fuzz/fuzz_input.h"
#include "test/http/request_reader.h"

namespace edge::http {
namespace {

using Verdict = RequestOutcome::Verdict;

// Line by line, as a reader would that knows nothing of ours: every line ends in CRLF, has no other
// control character, and framing stands there once.
void CheckForwardedHead(const RequestOutcome& outcome) {
  std::string_view rest = outcome.forwarded;
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  for (bool first = true;; first = false) {
    const size_t end = rest.find("\r\n");
    CHECK_NE(end, rest.npos);
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    if (line.empty()) break;
    for (const char c : line) CHECK(!IsControl(c) || c == '\t') << line;
    if (first) {
      CHECK(line.ends_with(" HTTP/1.1")) << line;
      CHECK_EQ(std::count(line.begin(), line.end(), ' '), 2) << line;
      continue;
    }
    const size_t colon = line.find(':');
    CHECK(colon != line.npos && IsToken(line.substr(0, colon))) << line;
    const std::string_view name = line.substr(0, colon);
    if (absl::EqualsIgnoreCase(name, "Host")) ++hosts;
    if (absl::EqualsIgnoreCase(name, "Content-Length")) {
      ++lengths;
      CHECK_EQ(line.substr(colon), ": " + std::to_string(outcome.content_length));
    }
    if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
      ++encodings;
      CHECK_EQ(line.substr(colon), ": chunked");
    }
    CHECK(!absl::EqualsIgnoreCase(name, "Proxy") && !absl::EqualsIgnoreCase(name, "Keep-Alive"));
  }
  CHECK(rest.empty()) << "bytes behind the head";
  CHECK_EQ(hosts, 1);
  CHECK_EQ(lengths, outcome.framing == BodyFraming::kLength ? 1 : 0);
  CHECK_EQ(encodings, outcome.framing == BodyFraming::kChunked ? 1 : 0);
}

void Run(const FuzzInput& input) {
  ReadingOptions options;
  options.policy = FuzzPolicy(input.policy);
  options.trailer_block_bytes = (input.choice & 1) != 0 ? 16 : 2048;
  const RequestOutcome whole = ReadRequest(Whole(input.bytes), options);

  options.block_bytes = 1 + input.choice / 2;
  const RequestOutcome cut = ReadRequest(CutAt(input.bytes, input.position()), options);
  CHECK(whole == cut) << ToString(whole) << ToString(cut);
  if (input.bytes.size() <= 512) {
    const RequestOutcome by_byte = ReadRequest(ByteByByte(input.bytes), options);
    CHECK(whole == by_byte) << ToString(whole) << ToString(by_byte);
  }
  if (!whole.forwarded.empty()) CheckForwardedHead(whole);

  switch (whole.verdict) {
    case Verdict::kAccepted: {
      CHECK_LE(whole.consumed, input.bytes.size());
      if (whole.framing == BodyFraming::kLength) CHECK_EQ(whole.body.size(), whole.content_length);
      const std::string_view request = input.bytes.substr(0, whole.consumed);
      CHECK(ReadRequest(Whole(request), options) == whole) << "what follows counts";
      CHECK(ReadRequest(Whole(request.substr(0, request.size() - 1)), options).verdict ==
            Verdict::kIncomplete);
      break;
    }
    case Verdict::kRefused: {
      CHECK(whole.refusal.reason != Reason::kNone);
      CHECK_LE(whole.refusal.offset, input.bytes.size());
      // Of what only shows at the head's end the offset may be that end.
      const RequestOutcome before =
          ReadRequest(Whole(input.bytes.substr(0, whole.refusal.offset)), options);
      CHECK(before.verdict == Verdict::kIncomplete || before.refusal == whole.refusal)
          << ToString(whole) << ToString(before);
      break;
    }
    case Verdict::kIncomplete:
      break;
  }
}

}  // namespace
}  // namespace edge::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::http::Run(edge::http::FuzzInput(data, size));
  return 0;
}
