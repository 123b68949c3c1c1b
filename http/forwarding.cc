#include "http/forwarding.h"

#include <charconv>
#include <cstring>

namespace edge::http {

// Appends to a span and remembers when something did not fit.
class ForwardWriter {
 public:
  explicit ForwardWriter(std::span<char> out)
      : begin_(out.data()), next_(out.data()), end_(out.data() + out.size()) {}

  void Text(std::string_view text) {
    if (text.size() > static_cast<size_t>(end_ - next_)) {
      fits_ = false;
      return;
    }
    if (text.empty()) return;
    std::memcpy(next_, text.data(), text.size());
    next_ += text.size();
  }

  void Number(uint64_t number) {
    char digits[20];
    const auto result = std::to_chars(digits, digits + sizeof(digits), number);
    Text({digits, static_cast<size_t>(result.ptr - digits)});
  }

  void Field(std::string_view name, std::string_view value) {
    Text(name);
    Text(value.empty() ? ":" : ": ");
    Text(value);
    Text("\r\n");
  }

  // All fields of the head but hop-by-hop ones and those in `dropped`. Lines that stand in the head
  // as we would write them, and that is nearly every line, are copied in runs.
  void Fields(const MessageHead& head, uint64_t dropped) {
    const char* run = nullptr;
    const char* run_end = nullptr;
    for (size_t i = 0; i < head.size(); ++i) {
      const MessageHead::Field& field = head.fields_[i];
      if ((dropped & FieldBit(field.id)) != 0 || head.IsHopByHop(i)) continue;
      const char* line = head.block_ + field.name_begin;
      const bool canonical = (field.flags & MessageHead::kFlagCanonical) != 0;
      if (!canonical || line != run_end) {
        Text({run, static_cast<size_t>(run_end - run)});
        run = line;
      }
      if (canonical) {
        run_end = head.block_ + field.value_begin + field.value_size + 2;
      } else {
        run = run_end = nullptr;
        Field(head.name(i), head.value(i));
      }
    }
    Text({run, static_cast<size_t>(run_end - run)});
  }

  // One field of all values that `head` has for `id`, and `own` behind them.
  void Joined(const MessageHead& head, FieldId id, std::string_view own) {
    Text(FieldName(id));
    Text(": ");
    for (size_t i = 0; i < head.size(); ++i) {
      if (head.id(i) != id || head.value(i).empty()) continue;
      Text(head.value(i));
      Text(", ");
    }
    Text(own);
    Text("\r\n");
  }

  std::optional<size_t> Finish() const {
    if (!fits_) return std::nullopt;
    return static_cast<size_t>(next_ - begin_);
  }

 private:
  char* const begin_;
  char* next_;
  char* const end_;
  bool fits_ = true;
};

namespace {

// What happens to one field of which clients may send their own.
struct ClientField {
  FieldId id;
  std::string_view own;
  ClientFieldPolicy policy;
  bool list;  // kAppend makes a list of the two, otherwise it keeps the client's alone
};

// Whether the head's own fields stay where they are.
bool KeepsClients(const RequestHead& head, const ClientField& field) {
  return field.policy == ClientFieldPolicy::kAppend && head.Has(field.id) &&
         (!field.list || field.own.empty());
}

void WriteClientField(ForwardWriter* out, const RequestHead& head, const ClientField& field) {
  if (field.policy == ClientFieldPolicy::kDrop || field.own.empty()) return;
  if (field.policy == ClientFieldPolicy::kReplace || !head.Has(field.id)) {
    out->Field(FieldName(field.id), field.own);
  } else if (field.list) {
    out->Joined(head, field.id, field.own);
  }
}

void WriteFraming(ForwardWriter* out, BodyFraming framing, uint64_t content_length) {
  if (framing == BodyFraming::kLength) {
    out->Text("Content-Length: ");
    out->Number(content_length);
    out->Text("\r\n");
  } else if (framing == BodyFraming::kChunked) {
    out->Text("Transfer-Encoding: chunked\r\n");
  }
}

// RFC 9110 7.6.3: the version is that of the message received.
void WriteVia(ForwardWriter* out, Version received, std::string_view pseudonym) {
  out->Text(received == Version::kHttp11 ? "Via: 1.1 " : "Via: 1.0 ");
  out->Text(pseudonym);
  out->Text("\r\n");
}

}  // namespace

RequestForwarding PlanRequest(const RequestHead& head, const RequestSource& source,
                              ClientFieldPolicy forwarded_fields) {
  return {.client_address = source.address,
          .scheme = source.tls ? "https" : "http",
          .framing = head.framing,
          .content_length = head.content_length,
          .x_forwarded_for = forwarded_fields,
          .x_forwarded_proto = forwarded_fields,
          .x_forwarded_host = forwarded_fields,
          .client_is_trusted_proxy = source.trusted_proxy,
          .upgrade = head.upgrade,
          .expect_continue = head.expect_continue,
          .te_trailers = true};
}

std::optional<size_t> SerializeRequest(const RequestHead& head, const RequestForwarding& forwarding,
                                       std::span<char> out) {
  const bool trusted = forwarding.client_is_trusted_proxy;
  const auto policy = [trusted](ClientFieldPolicy policy) {
    return trusted ? ClientFieldPolicy::kAppend : policy;
  };
  const ClientField client_fields[] = {
      {FieldId::kXForwardedFor, forwarding.client_address, policy(forwarding.x_forwarded_for),
       true},
      {FieldId::kXForwardedProto, forwarding.scheme, policy(forwarding.x_forwarded_proto),
       !trusted},
      {FieldId::kXForwardedHost, head.host(), policy(forwarding.x_forwarded_host), !trusted},
      {FieldId::kXRequestId, forwarding.request_id, policy(forwarding.x_request_id), false},
  };

  uint64_t dropped =
      FieldBit(FieldId::kHost) | FieldBit(FieldId::kContentLength) | FieldBit(FieldId::kExpect);
  for (const ClientField& field : client_fields) {
    if (!KeepsClients(head, field)) dropped |= FieldBit(field.id);
  }
  if (!trusted) dropped |= FieldBit(FieldId::kForwarded) | FieldBit(FieldId::kXForwardedOther);
  if (head.max_forwards) dropped |= FieldBit(FieldId::kMaxForwards);
  if (forwarding.framing != BodyFraming::kChunked) dropped |= FieldBit(FieldId::kTrailer);

  ForwardWriter writer(out);
  writer.Text(head.method_name());
  writer.Text(" ");
  writer.Text(head.target());
  writer.Text(" HTTP/1.1\r\n");
  writer.Field("Host", head.host().empty() ? forwarding.host_if_absent : head.host());
  writer.Fields(head, dropped);
  WriteVia(&writer, head.version, forwarding.via_pseudonym);
  for (const ClientField& field : client_fields) WriteClientField(&writer, head, field);
  if (head.max_forwards) {
    writer.Text("Max-Forwards: ");
    writer.Number(*head.max_forwards - (*head.max_forwards > 0 ? 1 : 0));
    writer.Text("\r\n");
  }
  if (forwarding.expect_continue) writer.Text("Expect: 100-continue\r\n");
  const bool te = forwarding.te_trailers && head.accepts_trailers;
  if (forwarding.upgrade) {
    writer.Field("Upgrade", head.upgrade_protocol());
    writer.Text(te ? "Connection: Upgrade, TE\r\n" : "Connection: Upgrade\r\n");
  } else if (te) {
    writer.Text("Connection: TE\r\n");
  }
  if (te) writer.Text("TE: trailers\r\n");
  WriteFraming(&writer, forwarding.framing, forwarding.content_length);
  writer.Text("\r\n");
  return writer.Finish();
}

ResponseForwarding PlanResponse(const ResponseHead& head, Version client_version, bool keep_alive) {
  ResponseForwarding plan;
  plan.client_version = client_version;
  plan.upgrade = head.upgrade;
  if (head.status < 200) return plan;
  plan.close = !keep_alive;
  plan.content_length = head.content_length;
  switch (head.framing) {
    case BodyFraming::kNone:
      // RFC 9110 8.6: HEAD and 304 may tell the length that a GET would have, 204 must not.
      plan.announce_length = head.has_content_length && head.status != 204;
      break;
    case BodyFraming::kLength:
      plan.framing = BodyFraming::kLength;
      break;
    case BodyFraming::kChunked:
    case BodyFraming::kUntilClose:
      if (client_version == Version::kHttp11) {
        plan.framing = BodyFraming::kChunked;
      } else {
        plan.framing = BodyFraming::kUntilClose;
        plan.close = true;
      }
      break;
  }
  return plan;
}

std::optional<size_t> SerializeResponse(const ResponseHead& head,
                                        const ResponseForwarding& forwarding, std::span<char> out) {
  uint64_t dropped = FieldBit(FieldId::kContentLength);
  if (!forwarding.request_id.empty()) dropped |= FieldBit(FieldId::kXRequestId);
  if (forwarding.framing != BodyFraming::kChunked) dropped |= FieldBit(FieldId::kTrailer);

  ForwardWriter writer(out);
  // Our own version whatever the client's is (RFC 9110 2.5); what a 1.0 client cannot read is not
  // sent to it.
  writer.Text("HTTP/1.1 ");
  writer.Number(head.status);
  writer.Text(" ");
  writer.Text(head.reason_phrase());
  writer.Text("\r\n");
  writer.Fields(head, dropped);
  WriteVia(&writer, head.version, forwarding.via_pseudonym);
  const bool final = head.status >= 200;
  // RFC 9110 6.6.1: a recipient with a clock adds what is missing.
  if (final && !head.Has(FieldId::kDate) && !forwarding.date.empty()) {
    writer.Field("Date", forwarding.date);
  }
  if (!forwarding.request_id.empty()) writer.Field("X-Request-Id", forwarding.request_id);
  if (!forwarding.proxy_status.empty()) writer.Field("Proxy-Status", forwarding.proxy_status);

  // RFC 9110 15.5.22: a 426 must say which protocol is wanted.
  const bool upgrade = forwarding.upgrade || (head.status == 426 && head.Has(FieldId::kUpgrade));
  if (upgrade) {
    for (size_t i = 0; i < head.size(); ++i) {
      if (head.id(i) == FieldId::kUpgrade) writer.Field("Upgrade", head.value(i));
    }
  }
  if (forwarding.close) {
    writer.Text(upgrade ? "Connection: close, Upgrade\r\n" : "Connection: close\r\n");
  } else if (upgrade) {
    writer.Text("Connection: Upgrade\r\n");
  } else if (final && forwarding.client_version == Version::kHttp10) {
    writer.Text("Connection: keep-alive\r\n");
  }
  WriteFraming(&writer, forwarding.announce_length ? BodyFraming::kLength : forwarding.framing,
               forwarding.content_length);
  writer.Text("\r\n");
  return writer.Finish();
}

}  // namespace edge::http
