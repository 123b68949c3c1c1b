#include "http/field.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace edge::http {
namespace {

struct Name {
  FieldId id;
  std::string_view text;   // as usually written
  std::string_view lower;  // as compared
};

constexpr Name kNames[] = {
    {FieldId::kAccept, "Accept", "accept"},
    {FieldId::kAcceptEncoding, "Accept-Encoding", "accept-encoding"},
    {FieldId::kAcceptLanguage, "Accept-Language", "accept-language"},
    {FieldId::kAge, "Age", "age"},
    {FieldId::kAltSvc, "Alt-Svc", "alt-svc"},
    {FieldId::kAuthorization, "Authorization", "authorization"},
    {FieldId::kCacheControl, "Cache-Control", "cache-control"},
    {FieldId::kConnection, "Connection", "connection"},
    {FieldId::kContentEncoding, "Content-Encoding", "content-encoding"},
    {FieldId::kContentLength, "Content-Length", "content-length"},
    {FieldId::kContentRange, "Content-Range", "content-range"},
    {FieldId::kContentType, "Content-Type", "content-type"},
    {FieldId::kCookie, "Cookie", "cookie"},
    {FieldId::kDate, "Date", "date"},
    {FieldId::kExpect, "Expect", "expect"},
    {FieldId::kExpires, "Expires", "expires"},
    {FieldId::kForwarded, "Forwarded", "forwarded"},
    {FieldId::kHost, "Host", "host"},
    {FieldId::kHttp2Settings, "HTTP2-Settings", "http2-settings"},
    {FieldId::kIfMatch, "If-Match", "if-match"},
    {FieldId::kIfModifiedSince, "If-Modified-Since", "if-modified-since"},
    {FieldId::kIfNoneMatch, "If-None-Match", "if-none-match"},
    {FieldId::kIfRange, "If-Range", "if-range"},
    {FieldId::kIfUnmodifiedSince, "If-Unmodified-Since", "if-unmodified-since"},
    {FieldId::kKeepAlive, "Keep-Alive", "keep-alive"},
    {FieldId::kLocation, "Location", "location"},
    {FieldId::kMaxForwards, "Max-Forwards", "max-forwards"},
    {FieldId::kPragma, "Pragma", "pragma"},
    {FieldId::kProxy, "Proxy", "proxy"},
    {FieldId::kProxyAuthenticate, "Proxy-Authenticate", "proxy-authenticate"},
    {FieldId::kProxyAuthenticationInfo, "Proxy-Authentication-Info", "proxy-authentication-info"},
    {FieldId::kProxyAuthorization, "Proxy-Authorization", "proxy-authorization"},
    {FieldId::kProxyConnection, "Proxy-Connection", "proxy-connection"},
    {FieldId::kProxyStatus, "Proxy-Status", "proxy-status"},
    {FieldId::kRange, "Range", "range"},
    {FieldId::kReferer, "Referer", "referer"},
    {FieldId::kRetryAfter, "Retry-After", "retry-after"},
    {FieldId::kServer, "Server", "server"},
    {FieldId::kSetCookie, "Set-Cookie", "set-cookie"},
    {FieldId::kTe, "TE", "te"},
    {FieldId::kTrailer, "Trailer", "trailer"},
    {FieldId::kTransferEncoding, "Transfer-Encoding", "transfer-encoding"},
    {FieldId::kUpgrade, "Upgrade", "upgrade"},
    {FieldId::kUserAgent, "User-Agent", "user-agent"},
    {FieldId::kVary, "Vary", "vary"},
    {FieldId::kVia, "Via", "via"},
    {FieldId::kWwwAuthenticate, "WWW-Authenticate", "www-authenticate"},
    {FieldId::kXForwardedFor, "X-Forwarded-For", "x-forwarded-for"},
    {FieldId::kXForwardedHost, "X-Forwarded-Host", "x-forwarded-host"},
    {FieldId::kXForwardedProto, "X-Forwarded-Proto", "x-forwarded-proto"},
    {FieldId::kXForwardedOther, "X-Real-IP", "x-real-ip"},
    {FieldId::kXRequestId, "X-Request-Id", "x-request-id"},
};
constexpr std::string_view kXForwardedPrefix = "x-forwarded-";

constexpr bool LowerMatchesText() {
  for (const Name& name : kNames) {
    if (name.text.size() != name.lower.size()) return false;
    for (size_t i = 0; i < name.text.size(); ++i) {
      const char c = name.text[i];
      if (name.lower[i] != (c >= 'A' && c <= 'Z' ? c + 0x20 : c)) return false;
    }
  }
  return true;
}
static_assert(LowerMatchesText());

// Setting bit 0x20 makes letters lower case and leaves digits and "-" alone. No two token
// characters that differ otherwise and occur in kNames become equal, which is all that is needed
// here.
constexpr char Lower(char c) { return static_cast<char>(c | 0x20); }

// A perfect hash of kNames: length, first, middle and last letter. The table is checked when it is
// compiled, so a new name that collides is a build error; then change the factors.
constexpr size_t kSlots = 128;
constexpr size_t Hash(std::string_view name) {
  const auto at = [name](size_t i) { return static_cast<uint8_t>(Lower(name[i])); };
  return (name.size() * 5 + at(0) + at(name.size() / 2) * 11u + at(name.size() - 1) * 18u) % kSlots;
}

constexpr bool HashIsPerfect() {
  std::array<bool, kSlots> taken{};
  for (const Name& name : kNames) {
    if (taken[Hash(name.lower)]) return false;
    taken[Hash(name.lower)] = true;
  }
  return true;
}
static_assert(HashIsPerfect());

// A name by its hash, in half a cache line: one look-up costs one load from here.
struct alignas(32) Slot {
  FieldId id;
  uint8_t size;  // 0: no name has this hash
  char lower[30];
};

constexpr std::array<Slot, kSlots> MakeSlots() {
  std::array<Slot, kSlots> slots{};
  for (const Name& name : kNames) {
    Slot& slot = slots[Hash(name.lower)];
    slot.id = name.id;
    slot.size = static_cast<uint8_t>(name.lower.size());
    for (size_t i = 0; i < name.lower.size(); ++i) slot.lower[i] = name.lower[i];
  }
  return slots;
}
constexpr std::array<Slot, kSlots> kNameSlots = MakeSlots();

constexpr std::array<std::string_view, kFieldIdCount> MakeTexts() {
  std::array<std::string_view, kFieldIdCount> texts{};
  for (const Name& name : kNames) {
    if (name.id != FieldId::kXForwardedOther) texts[static_cast<size_t>(name.id)] = name.text;
  }
  return texts;
}
constexpr std::array<std::string_view, kFieldIdCount> kTexts = MakeTexts();

template <typename Word>
bool WordEqualsLower(const char* name, const char* lower) {
  Word a, b;
  std::memcpy(&a, name, sizeof(a));
  std::memcpy(&b, lower, sizeof(b));
  return (a | static_cast<Word>(0x2020202020202020)) == b;
}

// Whether `name` in lower case starts with `lower`; it is at least as long. Whole words, the last
// one overlapping the one before: this runs once per field line.
bool StartsWithLower(std::string_view name, std::string_view lower) {
  const size_t size = lower.size();
  if (size >= 8) {
    for (size_t i = 0; i + 8 < size; i += 8) {
      if (!WordEqualsLower<uint64_t>(name.data() + i, lower.data() + i)) return false;
    }
    return WordEqualsLower<uint64_t>(name.data() + size - 8, lower.data() + size - 8);
  }
  if (size >= 4) {
    return WordEqualsLower<uint32_t>(name.data(), lower.data()) &&
           WordEqualsLower<uint32_t>(name.data() + size - 4, lower.data() + size - 4);
  }
  for (size_t i = 0; i < size; ++i) {
    if (Lower(name[i]) != lower[i]) return false;
  }
  return true;
}

}  // namespace

FieldId LookupField(std::string_view name) {
  if (name.empty()) return FieldId::kOther;
  const Slot& slot = kNameSlots[Hash(name)];
  if (slot.size == name.size() && StartsWithLower(name, {slot.lower, slot.size})) return slot.id;
  if (name.size() > kXForwardedPrefix.size() && StartsWithLower(name, kXForwardedPrefix)) {
    return FieldId::kXForwardedOther;
  }
  return FieldId::kOther;
}

std::string_view FieldName(FieldId id) { return kTexts[static_cast<size_t>(id)]; }

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 0x20) : c; };
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

}  // namespace edge::http
