#pragma once

// What a proxy changes in a head: serialises it anew for the next hop. Received framing is never
// forwarded: the caller says which framing the outgoing message has, and every field about framing
// or the connection is written here.
//
// Pure functions over a complete head, one thread, no allocation.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/message_head.h"

namespace edge::http {

// What happens to a field of which clients may send their own.
enum class ClientFieldPolicy : uint8_t {
  kReplace,  // the client's is removed, ours is set
  kAppend,   // the client's is kept; ours is added behind it (X-Request-Id: set only if the client
             // sent none)
  kDrop,     // the client's is removed and none is set
};

struct RequestForwarding {
  std::string_view client_address;  // without port; IPv6 without brackets
  std::string_view scheme;          // of the client's connection: "http" or "https"
  std::string_view request_id;
  std::string_view via_pseudonym = "edge";
  // For HTTP/1.0 clients that sent no Host; HTTP/1.1 origins must get one (RFC 9112 3.2).
  std::string_view host_if_absent;

  // How the body goes to the origin. kLength is what a body of 0 bytes has; kNone writes no framing
  // field.
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;

  ClientFieldPolicy x_forwarded_for = ClientFieldPolicy::kReplace;
  ClientFieldPolicy x_forwarded_proto = ClientFieldPolicy::kReplace;
  ClientFieldPolicy x_forwarded_host = ClientFieldPolicy::kReplace;
  ClientFieldPolicy x_request_id = ClientFieldPolicy::kReplace;
  // The peer is a proxy whose values are believed: overrides the four above. Its X-Forwarded-For is
  // appended to, its other X-Forwarded-* , Forwarded and X-Request-Id are kept; what it did not
  // send is set. From any other client Forwarded and unknown X-Forwarded-* are removed.
  bool client_is_trusted_proxy = false;

  bool upgrade = false;          // `Connection: upgrade` and the client's Upgrade go to the origin
  bool expect_continue = false;  // forward `Expect: 100-continue`
  bool te_trailers = false;      // forward `TE: trailers` when the client sent it
};

// Who sent a request, as far as its origin is told.
struct RequestSource {
  std::string_view address;  // without port; IPv6 without brackets
  bool tls = false;
  bool trusted_proxy = false;
};

// How a request goes to an origin. Fills all but request_id and host_if_absent; `forwarded_fields`
// is what happens to X-Forwarded-* of a source that is no trusted proxy.
RequestForwarding PlanRequest(const RequestHead& head, const RequestSource& source,
                              ClientFieldPolicy forwarded_fields);

// Writes the whole head as HTTP/1.1 with a persistent connection. Returns the bytes written,
// nullopt when `out` is too small (it then holds rubbish). OPTIONS and TRACE get their Max-Forwards
// lowered by one.
[[nodiscard]] std::optional<size_t> SerializeRequest(const RequestHead& head,
                                                     const RequestForwarding& forwarding,
                                                     std::span<char> out);

struct ResponseForwarding {
  // How the body goes to the client. kNone: no body (HEAD, 1xx, 204, 304). kUntilClose needs
  // `close`.
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;   // with kLength, or with announce_length
  bool announce_length = false;  // with kNone: write Content-Length all the same (HEAD, 304)
  bool close = false;            // `Connection: close`
  bool upgrade = false;          // 101: `Connection: upgrade` and the origin's Upgrade
  Version client_version = Version::kHttp11;
  std::string_view date;          // an IMF-fixdate, added when the origin sent none
  std::string_view request_id;    // replaces the origin's; empty: the origin's stays
  std::string_view proxy_status;  // a member of RFC 9209, added behind the origin's
  std::string_view via_pseudonym = "edge";
};

// The framing towards the client for an origin's response: chunked where the length is not known
// and the client can read it, otherwise until close (RFC 9112 6.3, 9.3). Fills framing,
// content_length, announce_length, close, upgrade and client_version; `keep_alive` is whether the
// client's connection could go on.
ResponseForwarding PlanResponse(const ResponseHead& head, Version client_version, bool keep_alive);

// Also for interim (1xx) heads; those get neither Date nor framing.
[[nodiscard]] std::optional<size_t> SerializeResponse(const ResponseHead& head,
                                                      const ResponseForwarding& forwarding,
                                                      std::span<char> out);

}  // namespace edge::http
