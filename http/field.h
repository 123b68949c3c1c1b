#pragma once

// Field names that edge knows, as one-byte ids, so that checks and forwarding switch on an integer.
//
// Immutable tables, any thread. Names compare without regard to case (RFC 9110 5.1).

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace edge::http {

// Fewer than 64 on purpose: MessageHead keeps the ids that occur as bits of one word.
enum class FieldId : uint8_t {
  kOther = 0,
  kAccept,
  kAcceptEncoding,
  kAcceptLanguage,
  kAge,
  kAltSvc,
  kAuthorization,
  kCacheControl,
  kConnection,
  kContentEncoding,
  kContentLength,
  kContentRange,
  kContentType,
  kCookie,
  kDate,
  kExpect,
  kExpires,
  kForwarded,
  kHost,
  kHttp2Settings,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kKeepAlive,
  kLocation,
  kMaxForwards,
  kPragma,
  kProxy,  // no HTTP field; CGI makes HTTP_PROXY of it
  kProxyAuthenticate,
  kProxyAuthenticationInfo,
  kProxyAuthorization,
  kProxyConnection,
  kProxyStatus,
  kRange,
  kReferer,
  kRetryAfter,
  kServer,
  kSetCookie,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kUserAgent,
  kVary,
  kVia,
  kWwwAuthenticate,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedOther,  // any other X-Forwarded-*, and X-Real-IP
  kXForwardedProto,
  kXRequestId,
  kCount,
};
inline constexpr size_t kFieldIdCount = static_cast<size_t>(FieldId::kCount);
static_assert(kFieldIdCount <= 64);

// Sets of fields are such bits in one word.
constexpr uint64_t FieldBit(FieldId id) { return uint64_t{1} << static_cast<unsigned>(id); }

// `name` is a token (RFC 9110 5.1).
FieldId LookupField(std::string_view name);

// The name as it is usually written ("Content-Length"); empty for kOther and kXForwardedOther.
std::string_view FieldName(FieldId id);

// Whether two names are the same field.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

}  // namespace edge::http
