#include "http/head_rules.h"

#include "http/chars.h"
#include "http/list.h"

namespace edge::http {
namespace {

// Connection cannot remove these: without them the next hop would frame, route or authorise the
// message otherwise than edge did ("hop-by-hop header abuse").
constexpr uint64_t kNeverRemoved =
    FieldBit(FieldId::kAuthorization) | FieldBit(FieldId::kContentEncoding) |
    FieldBit(FieldId::kContentLength) | FieldBit(FieldId::kContentRange) |
    FieldBit(FieldId::kContentType) | FieldBit(FieldId::kCookie) | FieldBit(FieldId::kDate) |
    FieldBit(FieldId::kExpect) | FieldBit(FieldId::kForwarded) | FieldBit(FieldId::kHost) |
    FieldBit(FieldId::kMaxForwards) | FieldBit(FieldId::kRange) | FieldBit(FieldId::kSetCookie) |
    FieldBit(FieldId::kTransferEncoding) | FieldBit(FieldId::kVia) |
    FieldBit(FieldId::kXForwardedFor) | FieldBit(FieldId::kXForwardedHost) |
    FieldBit(FieldId::kXForwardedOther) | FieldBit(FieldId::kXForwardedProto) |
    FieldBit(FieldId::kXRequestId);

// Canonical decimal up to 2^63 - 1: that is what every recipient can hold, whatever its integers
// are.
Reason ParseContentLength(std::string_view value, uint64_t* out) {
  constexpr size_t kDigitsMax = 19;
  if (value.empty()) return Reason::kContentLengthInvalid;
  for (char c : value) {
    if (!IsChar(c, kCharDigit)) return Reason::kContentLengthInvalid;
  }
  if (value.size() > 1 && value[0] == '0') return Reason::kContentLengthNotCanonical;
  if (value.size() > kDigitsMax) return Reason::kContentLengthOverflow;
  uint64_t length = 0;
  for (char c : value) length = length * 10 + HexValue(c);
  if (length > uint64_t{INT64_MAX}) return Reason::kContentLengthOverflow;
  *out = length;
  return Reason::kNone;
}

// Only `chunked` is understood. A well-formed list of other codings that ends in chunked could be
// framed but not decoded; anything else leaves the end of the body open.
Reason CheckTransferEncoding(std::string_view value) {
  if (value.empty()) return Reason::kTransferEncodingEmpty;
  if (EqualsIgnoreCase(value, "chunked")) return Reason::kNone;
  // An empty member is not skipped here: `,chunked` is an attempt at something.
  std::string_view rest = value;
  for (;;) {
    const size_t comma = rest.find(',');
    const std::string_view member = TrimSpace(rest.substr(0, comma));
    if (comma == std::string_view::npos) {
      return EqualsIgnoreCase(member, "chunked") ? Reason::kTransferEncodingUnknown
                                                 : Reason::kTransferEncodingNotLast;
    }
    // A coding may have parameters; its name tells enough.
    const std::string_view name = TrimSpace(member.substr(0, member.find(';')));
    if (!IsToken(name) || EqualsIgnoreCase(name, "chunked") || EqualsIgnoreCase(name, "identity")) {
      return Reason::kTransferEncodingNotLast;
    }
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace

size_t HeadRules::LineOffset(const MessageHead& head, FieldId id, size_t n) {
  for (size_t i = 0; i < head.size_; ++i) {
    if (head.fields_[i].id == id && n-- == 0) return head.fields_[i].name_begin;
  }
  return head.used_;
}

Refusal HeadRules::ReadFraming(const MessageHead& head, Version version, FramingFields* out) {
  *out = FramingFields();
  if (head.Has(FieldId::kTransferEncoding)) {
    const auto refuse = [&head](Reason reason, size_t n = 0) {
      return Refusal{reason, LineOffset(head, FieldId::kTransferEncoding, n)};
    };
    if (head.Has(FieldId::kContentLength)) return refuse(Reason::kTransferEncodingWithLength);
    if (head.Repeats(FieldId::kTransferEncoding)) {
      return refuse(Reason::kTransferEncodingRepeated, 1);
    }
    if (version == Version::kHttp10) return refuse(Reason::kTransferEncodingHttp10);
    const Reason reason = CheckTransferEncoding(*head.Find(FieldId::kTransferEncoding));
    if (reason != Reason::kNone) return refuse(reason);
    out->chunked = true;
    return {};
  }
  if (head.Has(FieldId::kContentLength)) {
    if (head.Repeats(FieldId::kContentLength)) {
      return {Reason::kContentLengthRepeated, LineOffset(head, FieldId::kContentLength, 1)};
    }
    const Reason reason = ParseContentLength(*head.Find(FieldId::kContentLength), &out->length);
    if (reason != Reason::kNone) return {reason, LineOffset(head, FieldId::kContentLength)};
    out->has_length = true;
  }
  return {};
}

Refusal HeadRules::ReadConnection(MessageHead* head, uint32_t options_max, ConnectionOptions* out) {
  *out = ConnectionOptions();
  if (!head->Has(FieldId::kConnection)) return {};
  uint32_t options = 0;
  for (size_t i = 0; i < head->size_; ++i) {
    if (head->fields_[i].id != FieldId::kConnection) continue;
    ListReader list(head->value(i));
    for (std::string_view option; list.Next(&option);) {
      if (++options > options_max) {
        return {Reason::kConnectionOptionsTooMany, head->fields_[i].name_begin};
      }
      if (EqualsIgnoreCase(option, "close")) {
        out->close = true;
      } else if (EqualsIgnoreCase(option, "keep-alive")) {
        out->keep_alive = true;
      } else if (EqualsIgnoreCase(option, "upgrade")) {
        out->upgrade = true;
      } else {
        for (size_t j = 0; j < head->size_; ++j) {
          MessageHead::Field& field = head->fields_[j];
          if ((kNeverRemoved & FieldBit(field.id)) == 0 &&
              EqualsIgnoreCase(head->name(j), option)) {
            field.flags |= MessageHead::kFlagHopByHop;
          }
        }
      }
    }
  }
  return {};
}

bool HeadRules::KeepsAlive(Version version, const ConnectionOptions& options) {
  if (options.close) return false;
  return version == Version::kHttp11 || options.keep_alive;
}

}  // namespace edge::http
