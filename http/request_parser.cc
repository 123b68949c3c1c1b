// The semantics of a request head: what its fields mean once they are all there.

#include <cstring>

#include "http/chars.h"
#include "http/head_rules.h"
#include "http/list.h"
#include "http/parser.h"

namespace edge::http {
namespace {

// One protocol or several that edge can tunnel once the origin agreed. h2c and HTTP/2.0 would start
// a second request stream that nobody checks (h2c smuggling), TLS/1.x a handshake.
bool IsTunnelProtocol(std::string_view upgrade) {
  ListReader list(upgrade);
  bool any = false;
  for (std::string_view protocol; list.Next(&protocol);) {
    const std::string_view name = protocol.substr(0, protocol.find('/'));
    if (!IsToken(name) || EqualsIgnoreCase(name, "h2c") || EqualsIgnoreCase(name, "HTTP") ||
        EqualsIgnoreCase(name, "TLS")) {
      return false;
    }
    any = true;
  }
  return any;
}

bool HasMember(std::string_view value, std::string_view wanted) {
  ListReader list(value);
  for (std::string_view member; list.Next(&member);) {
    if (EqualsIgnoreCase(member, wanted)) return true;
  }
  return false;
}

// RFC 9110 7.6.2. At most nine digits: more hops there are not.
bool ParseMaxForwards(std::string_view value, uint32_t* out) {
  if (value.empty() || value.size() > 9) return false;
  uint32_t count = 0;
  for (char c : value) {
    if (!IsChar(c, kCharDigit)) return false;
    count = count * 10 + HexValue(c);
  }
  *out = count;
  return true;
}

}  // namespace

void RequestParser::Start(RequestHead* head) {
  head_ = head;
  reader_.Start(head);
}

HeadProgress RequestParser::Feed(std::string_view bytes) {
  const HeadProgress progress = reader_.Feed(bytes);
  if (progress.status != HeadStatus::kComplete) return progress;
  if (const Refusal refusal = Complete(); refusal) {
    reader_.Refuse(refusal);
    return {HeadStatus::kRefused, progress.consumed};
  }
  return progress;
}

// Offsets of the refusals are into the block.
Refusal RequestParser::Complete() {
  RequestHead& head = *head_;
  const RequestLine& line = reader_.request_line();
  head.method = line.method;
  head.version = line.version;
  head.absolute_form = line.form == TargetForm::kAbsolute;
  head.absolute_https = line.https;

  // Host, before anything that depends on who is meant (RFC 9112 3.2).
  if (!head.Has(FieldId::kHost)) {
    if (head.version == Version::kHttp11) return {Reason::kHostMissing, head.bytes()};
  } else {
    if (head.Repeats(FieldId::kHost)) {
      return {Reason::kHostRepeated, HeadRules::LineOffset(head, FieldId::kHost, 1)};
    }
    const std::string_view host = *head.Find(FieldId::kHost);
    if (const Refusal refusal = CheckHost(host); refusal) {
      const size_t begin = static_cast<size_t>(host.data() - head.block_);
      return {refusal.reason, begin + refusal.offset};
    }
  }
  SetTarget(line);

  FramingFields framing;
  if (const Refusal refusal = HeadRules::ReadFraming(head, head.version, &framing); refusal) {
    return refusal;
  }
  head.framing = framing.chunked      ? BodyFraming::kChunked
                 : framing.has_length ? BodyFraming::kLength
                                      : BodyFraming::kNone;
  head.content_length = framing.length;
  if (framing.has_length && framing.length > reader_.policy().request_body_bytes_max) {
    return {Reason::kBodyTooLarge, HeadRules::LineOffset(head, FieldId::kContentLength)};
  }
  const bool body = framing.chunked || framing.length > 0;
  if (head.method == Method::kTrace && body) return {Reason::kTraceBody, head.bytes()};

  ConnectionOptions options;
  if (const Refusal refusal =
          HeadRules::ReadConnection(&head, reader_.policy().connection_options_max, &options);
      refusal) {
    return refusal;
  }
  head.keep_alive = HeadRules::KeepsAlive(head.version, options);

  // RFC 9110 7.8: not from HTTP/1.0. A body in front of the other protocol is more than is worth
  // the risk.
  head.upgrade = options.upgrade && head.version == Version::kHttp11 && !body &&
                 !head.Repeats(FieldId::kUpgrade) && IsTunnelProtocol(head.upgrade_protocol());

  // RFC 9110 10.1.1: ignored from HTTP/1.0, and there is nothing to wait for without a body.
  head.expect_continue = false;
  if (head.Has(FieldId::kExpect) && head.version == Version::kHttp11) {
    if (head.Repeats(FieldId::kExpect) ||
        !EqualsIgnoreCase(*head.Find(FieldId::kExpect), "100-continue")) {
      return {Reason::kExpectUnsupported, HeadRules::LineOffset(head, FieldId::kExpect)};
    }
    head.expect_continue = body;
  }

  head.accepts_trailers = head.Has(FieldId::kTe) && HasMember(*head.Find(FieldId::kTe), "trailers");

  head.max_forwards.reset();
  if (head.Has(FieldId::kMaxForwards) &&
      (head.method == Method::kOptions || head.method == Method::kTrace)) {
    uint32_t count = 0;
    if (head.Repeats(FieldId::kMaxForwards) ||
        !ParseMaxForwards(*head.Find(FieldId::kMaxForwards), &count)) {
      return {Reason::kMaxForwardsInvalid, HeadRules::LineOffset(head, FieldId::kMaxForwards)};
    }
    head.max_forwards = count;
  }
  return {};
}

// Cuts an absolute-form down to what origins get, and takes the authority from it (RFC 9112 3.2.2).
void RequestParser::SetTarget(const RequestLine& line) {
  RequestHead& head = *head_;
  head.target_ = {line.path_begin, line.path_and_query_size};
  head.path_size_ = line.path_size;
  head.host_ = {};
  if (!head.absolute_form) {
    if (head.Has(FieldId::kHost)) {
      const std::string_view host = *head.Find(FieldId::kHost);
      head.host_ = {static_cast<uint16_t>(host.data() - head.block_),
                    static_cast<uint16_t>(host.size())};
    }
    return;
  }
  head.host_ = {line.authority_begin, line.authority_size};
  if (line.path_size > 0) return;
  // An empty path is "/", and with OPTIONS and no query "*" (RFC 9112 3.2.4). The byte comes from
  // the "//" before the authority, which moves down by one.
  char* authority = head.block_ + line.authority_begin;
  std::memmove(authority - 1, authority, line.authority_size);
  --head.host_.begin;
  --head.target_.begin;
  ++head.target_.size;
  head.path_size_ = 1;
  const bool asterisk = line.method == Method::kOptions && line.path_and_query_size == 0;
  head.block_[head.target_.begin] = asterisk ? '*' : '/';
}

}  // namespace edge::http
