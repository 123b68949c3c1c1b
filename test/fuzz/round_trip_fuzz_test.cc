// Serialisers: what is forwarded means what was received.
//
//   - A request head that is parsed, written and parsed again has the same method, target, host,
//     framing and end-to-end fields, whatever the policy for clients' fields is.
//   - Writing it once more, for a second edge that trusts the first, changes nothing but Via.
//   - The room that a head needs is exactly its size: with one byte less nothing is written.
//
// Byte 3 of the input: bits 0 and 1 the policy for clients' fields, bit 2 a trusted client, bit 3
// the body goes on chunked although it came with a length.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "http/forwarding.h"
#include "http/parser.h"
#include "test/fuzz/fuzz_input.h"

namespace edge::http {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// Fields that the proxy has no opinion about, in order.
Fields EndToEnd(const RequestHead& head) {
  Fields fields;
  for (size_t i = 0; i < head.size(); ++i) {
    if (head.IsHopByHop(i)) continue;
    switch (head.id(i)) {
      case FieldId::kHost:
      case FieldId::kContentLength:
      case FieldId::kExpect:
      case FieldId::kForwarded:
      case FieldId::kMaxForwards:
      case FieldId::kTrailer:
      case FieldId::kVia:
      case FieldId::kXForwardedFor:
      case FieldId::kXForwardedHost:
      case FieldId::kXForwardedOther:
      case FieldId::kXForwardedProto:
      case FieldId::kXRequestId:
        continue;
      default:
        fields.emplace_back(head.name(i), head.value(i));
    }
  }
  return fields;
}

// And those about the client, which a second hop keeps, joined where they are lists.
Fields AboutClient(const RequestHead& head) {
  Fields fields;
  for (const FieldId id : {FieldId::kForwarded, FieldId::kXForwardedHost, FieldId::kXForwardedProto,
                           FieldId::kXRequestId}) {
    for (size_t i = 0; i < head.size(); ++i) {
      if (head.id(i) == id) fields.emplace_back(FieldName(id), head.value(i));
    }
  }
  return fields;
}

std::string Serialize(const RequestHead& head, const RequestForwarding& forwarding) {
  std::string out(3 * head.bytes() + 1024, '\0');
  const std::optional<size_t> size = SerializeRequest(head, forwarding, out);
  CHECK(size.has_value());
  out.resize(*size);
  std::string exact(out.size(), '\0');
  CHECK(SerializeRequest(head, forwarding, exact) == out.size());
  CHECK_EQ(exact, out);
  exact.resize(out.size() - 1);
  CHECK(!SerializeRequest(head, forwarding, exact).has_value());
  return out;
}

// A head with the block that it lives in.
struct Parsed {
  explicit Parsed(std::string_view bytes, const ValidationPolicy& policy)
      : parser(&policy), block(std::min(bytes.size() + 1, MessageHead::kBlockBytesMax), '\0') {
    head.Bind(block);
    parser.Start(&head);
    progress = parser.Feed(bytes);
  }
  RequestParser parser;
  std::string block;
  RequestHead head;
  HeadProgress progress;
};

void CheckSame(const RequestHead& received, const RequestForwarding& forwarding,
               const RequestHead& forwarded) {
  CHECK(forwarded.method == received.method);
  CHECK_EQ(forwarded.target(), received.target());
  CHECK_EQ(forwarded.path(), received.path());
  CHECK_EQ(forwarded.query(), received.query());
  CHECK_EQ(forwarded.host(), received.host().empty() ? "origin" : received.host());
  CHECK(forwarded.version == Version::kHttp11);
  CHECK(forwarded.keep_alive);
  CHECK(!forwarded.absolute_form);
  CHECK(forwarded.framing == forwarding.framing);
  if (forwarding.framing == BodyFraming::kLength) {
    CHECK_EQ(forwarded.content_length, received.content_length);
  }
  CHECK_EQ(forwarded.upgrade, forwarding.upgrade);
  CHECK_EQ(forwarded.accepts_trailers, received.accepts_trailers);
  if (forwarding.upgrade) CHECK_EQ(forwarded.upgrade_protocol(), received.upgrade_protocol());
  if (received.max_forwards.has_value()) {
    const uint32_t left = *received.max_forwards;
    CHECK(forwarded.max_forwards == (left > 0 ? left - 1 : 0));
  }
  CHECK(EndToEnd(forwarded) == EndToEnd(received));
}

void Run(const FuzzInput& input) {
  const ValidationPolicy policy = FuzzPolicy(input.policy);
  const Parsed received(input.bytes, policy);
  if (received.progress.status != HeadStatus::kComplete) return;
  const RequestHead& head = received.head;

  const ClientFieldPolicy policies[] = {ClientFieldPolicy::kReplace, ClientFieldPolicy::kAppend,
                                        ClientFieldPolicy::kDrop, ClientFieldPolicy::kReplace};
  const ClientFieldPolicy fields = policies[input.choice & 3];
  RequestForwarding forwarding{
      .client_address = "192.0.2.1",
      .scheme = "https",
      .request_id = "id",
      .host_if_absent = "origin",
      .framing = head.framing,
      .content_length = head.content_length,
      .x_forwarded_for = fields,
      .x_forwarded_proto = fields,
      .x_forwarded_host = fields,
      .client_is_trusted_proxy = (input.choice & 4) != 0,
      .upgrade = head.upgrade,
      .expect_continue = head.expect_continue,
      .te_trailers = true,
  };
  if ((input.choice & 8) != 0 && head.framing == BodyFraming::kLength && head.content_length > 0) {
    forwarding.framing = BodyFraming::kChunked;
  }
  const std::string once = Serialize(head, forwarding);
  // The next hop's policy is as strict as can be, but for what this one let through on purpose, and
  // for sizes: fields were added.
  ValidationPolicy next = policy;
  next.request_line_bytes_max = ValidationPolicy().request_line_bytes_max;
  next.head_bytes_max = MessageHead::kBlockBytesMax;
  next.fields_max = MessageHead::kFieldsMax;
  next.connection_options_max = ValidationPolicy().connection_options_max;
  if (head.size() + 10 > next.fields_max || once.size() > next.head_bytes_max) return;
  const Parsed second(once, next);
  CHECK(second.progress.status == HeadStatus::kComplete)
      << Describe(second.parser.refusal().reason).id << " in " << once;
  CHECK_EQ(second.progress.consumed, once.size()) << once;
  CheckSame(head, forwarding, second.head);
  if (!forwarding.client_is_trusted_proxy) {
    CHECK(!second.head.Has(FieldId::kForwarded));
    CHECK(!second.head.Has(FieldId::kXForwardedOther));
    CHECK_LE(second.head.Count(FieldId::kXForwardedFor), 1u);
  }

  forwarding.client_is_trusted_proxy = true;
  const std::string twice = Serialize(second.head, forwarding);
  if (twice.size() > next.head_bytes_max) return;
  const Parsed third(twice, next);
  CHECK(third.progress.status == HeadStatus::kComplete) << twice;
  CheckSame(second.head, forwarding, third.head);
  // Without a Host of the client's the first hop had no X-Forwarded-Host to set, the second has.
  if (fields != ClientFieldPolicy::kDrop && !head.host().empty()) {
    CHECK(AboutClient(third.head) == AboutClient(second.head)) << once << twice;
  }
  CHECK_EQ(third.head.Count(FieldId::kVia), second.head.Count(FieldId::kVia) + 1);
}

}  // namespace
}  // namespace edge::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::http::Run(edge::http::FuzzInput(data, size));
  return 0;
}
