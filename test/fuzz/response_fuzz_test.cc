// Responses of an origin, interim heads before them included, as an exchange reads them.
//
//   - Where the bytes are cut changes nothing.
//   - What follows a response changes nothing in it, unless it ends at the connection's end.
//   - What is forwarded is accepted by a strict client, which finds the planned framing.
//
// Byte 3 of the input: bit 0 HEAD, bit 1 upgrade asked for, bit 2 a client of HTTP/1.0, bit 3 the
// connection may be kept, the others the size of the head's first block.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/log/check.h"
#include "http/forwarding.h"
#include "http/framing.h"
#include "http/parser.h"
#include "test/fuzz/fuzz_input.h"
#include "test/http/pieces.h"

namespace edge::http {
namespace {

constexpr int kInterimResponsesMax = 4;

struct Outcome {
  enum class Verdict : uint8_t { kAccepted, kRefused, kIncomplete, kUntilClose };
  Verdict verdict = Verdict::kIncomplete;
  Refusal refusal;  // within the message that is refused
  size_t consumed = 0;
  std::string forwarded;  // all heads
  std::string body;
  std::string trailers;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

struct Options {
  ValidationPolicy policy;
  Method method = Method::kGet;
  bool upgrade_asked = false;
  Version client_version = Version::kHttp11;
  bool keep_alive = true;
  size_t block_bytes = MessageHead::kBlockBytesMax;
};

// Via, Date, Connection, framing and X-Request-Id.
constexpr size_t kFieldsAddedMax = 5;

// What the client makes of it: it must come to what was planned.
void CheckForwardedHead(const ResponseHead& head, const ResponseForwarding& plan,
                        const Options& options, std::string_view forwarded) {
  const ValidationPolicy strict;
  ResponseParser parser(&strict);
  ResponseHead seen;
  std::string block(forwarded.size(), '\0');
  seen.Bind(block);
  parser.Start(&seen, options.method, options.upgrade_asked);
  const HeadProgress progress = parser.Feed(forwarded);
  // With what edge adds it may be more than this client allows.
  if (parser.refusal().reason == Reason::kFieldsTooMany) {
    CHECK_GE(head.size() + kFieldsAddedMax, strict.fields_max);
    return;
  }
  CHECK(progress.status == HeadStatus::kComplete)
      << Describe(parser.refusal().reason).id << " in " << forwarded;
  CHECK_EQ(progress.consumed, forwarded.size()) << "bytes behind the head: " << forwarded;
  CHECK_EQ(seen.status, head.status);
  CHECK_EQ(seen.reason_phrase(), head.reason_phrase());
  CHECK_EQ(seen.upgrade, head.upgrade);
  CHECK(seen.framing == plan.framing) << forwarded;
  if (plan.framing == BodyFraming::kLength) CHECK_EQ(seen.content_length, head.content_length);
  if (!seen.interim() && !seen.upgrade) CHECK_EQ(seen.keep_alive, !plan.close) << forwarded;
  for (const FieldId id : {FieldId::kKeepAlive, FieldId::kProxyConnection,
                           FieldId::kProxyAuthenticate, FieldId::kTe, FieldId::kHttp2Settings}) {
    CHECK(!seen.Has(id)) << forwarded;
  }
}

void Forward(const ResponseHead& head, const Options& options, Outcome* outcome) {
  const ResponseForwarding plan = PlanResponse(head, options.client_version, options.keep_alive);
  std::string out(head.bytes() + 512, '\0');
  const std::optional<size_t> size = SerializeResponse(head, plan, out);
  CHECK(size.has_value());
  out.resize(*size);
  CheckForwardedHead(head, plan, options, out);
  outcome->forwarded += out;
}

void ReadBody(PieceReader* input, const ResponseHead& head, const Options& options,
              Outcome* outcome) {
  char trailers[2048];
  BodyReader body;
  body.Start(head.framing, head.content_length, &options.policy, trailers);
  while (!body.complete()) {
    std::string_view bytes;
    if (!input->Next(&bytes)) {
      CHECK_EQ(body.CompleteAtEof(), head.framing == BodyFraming::kUntilClose);
      if (body.CompleteAtEof()) outcome->verdict = Outcome::Verdict::kUntilClose;
      return;
    }
    const BodyStep step = body.Next(bytes);
    outcome->body += step.data;
    input->Consume(step.consumed);
    if (step.event == BodyEvent::kRefused) {
      outcome->verdict = Outcome::Verdict::kRefused;
      outcome->refusal = body.refusal();
      return;
    }
  }
  CHECK(body.CompleteAtEof());
  outcome->verdict = Outcome::Verdict::kAccepted;
  outcome->consumed = input->consumed();
  outcome->trailers = std::string(body.trailers());
}

Outcome Read(const Pieces& pieces, const Options& options) {
  Outcome outcome;
  PieceReader input(pieces);
  ResponseParser parser(&options.policy);
  for (int interim = 0; interim <= kInterimResponsesMax; ++interim) {
    size_t block_bytes = options.block_bytes;
    std::unique_ptr<char[]> block(new char[block_bytes]);
    ResponseHead head;
    head.Bind({block.get(), block_bytes});
    parser.Start(&head, options.method, options.upgrade_asked);
    HeadStatus status = HeadStatus::kNeedMore;
    for (std::string_view bytes; status != HeadStatus::kComplete;) {
      if (!input.Next(&bytes)) return outcome;
      const HeadProgress progress = parser.Feed(bytes);
      status = progress.status;
      input.Consume(progress.consumed);
      if (status == HeadStatus::kRefused) {
        CHECK(parser.refusal());
        outcome.verdict = Outcome::Verdict::kRefused;
        outcome.refusal = parser.refusal();
        return outcome;
      }
      if (status == HeadStatus::kNeedSpace) {
        block_bytes = std::min(2 * block_bytes + 1, MessageHead::kBlockBytesMax);
        std::unique_ptr<char[]> larger(new char[block_bytes]);
        head.Rebind({larger.get(), block_bytes});
        block = std::move(larger);
      }
    }
    Forward(head, options, &outcome);
    if (head.interim()) continue;
    if (head.upgrade) {
      outcome.verdict = Outcome::Verdict::kAccepted;  // the rest is another protocol's
      outcome.consumed = input.consumed();
      return outcome;
    }
    ReadBody(&input, head, options, &outcome);
    return outcome;
  }
  return outcome;
}

void Run(const FuzzInput& input) {
  Options options;
  options.policy = FuzzPolicy(input.policy);
  options.method = (input.choice & 1) != 0 ? Method::kHead : Method::kGet;
  options.upgrade_asked = (input.choice & 2) != 0;
  options.client_version = (input.choice & 4) != 0 ? Version::kHttp10 : Version::kHttp11;
  options.keep_alive = (input.choice & 8) != 0;
  const Outcome whole = Read(Whole(input.bytes), options);

  options.block_bytes = 1 + (input.choice >> 4);
  CHECK(whole == Read(CutAt(input.bytes, input.position()), options)) << "cut in two";
  if (input.bytes.size() <= 512) {
    CHECK(whole == Read(ByteByByte(input.bytes), options)) << "byte by byte";
  }
  if (whole.verdict == Outcome::Verdict::kAccepted) {
    CHECK_LE(whole.consumed, input.bytes.size());
    CHECK(Read(Whole(input.bytes.substr(0, whole.consumed)), options) == whole)
        << "what follows counts";
  }
  if (whole.verdict == Outcome::Verdict::kRefused) {
    CHECK_LE(whole.refusal.offset, input.bytes.size());
  }
}

}  // namespace
}  // namespace edge::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::http::Run(edge::http::FuzzInput(data, size));
  return 0;
}
