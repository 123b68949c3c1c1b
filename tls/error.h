// What went wrong on a TLS connection, small enough to sit in every session.
//
// An Error is filled in by Session at the moment of failure from BoringSSL's error queue and from
// the alerts that crossed the wire. Filling it in never allocates; only ToString() does, for a log
// line. Plain data: any thread may copy it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace edge::tls {

// Causes that the proxy reacts to, counts, or that an operator has to tell apart. Everything else
// is kProtocol, and `library_code` says which rule of TLS was broken.
enum class ErrorCode : uint8_t {
  kNone,
  kPlaintext,              // The first byte is a letter: HTTP (or another text protocol) on a TLS
                           // port. Nothing was sent, so a plain 400 can still be answered.
  kNotTls,                 // The first bytes are neither TLS nor text.
  kUnsupportedVersion,     // The client speaks nothing newer than TLS 1.1 (or demands a fallback).
  kNoSharedCipher,         // No cipher, curve or signature algorithm in common.
  kNoApplicationProtocol,  // The client's ALPN list has none of ours.
  kBadRecord,              // A record failed authentication or exceeded its limits.
  kRenegotiation,          // TLS 1.2 renegotiation, which is always refused.
  kProtocol,               // Any other violation of TLS.
  kPeerAlert,              // The peer gave up and said why: `alert_received`.
  kEofInHandshake,         // The transport ended before the handshake was done.
  kTruncated,              // The transport ended without close_notify.
  kOutOfMemory,
  kInternal,  // BoringSSL refused for a reason of ours, not of the peer's.
};

// A short constant text for `code`, fit for a log line or a metric's label.
std::string_view ErrorCodeText(ErrorCode code);

// Text of a TLS alert number (RFC 8446 section 6), or "unknown alert".
std::string_view AlertText(uint8_t alert);

struct Error {
  ErrorCode code = ErrorCode::kNone;
  // Fatal alerts, 0 when there was none (0 is close_notify, which is never an error).
  uint8_t alert_sent = 0;
  uint8_t alert_received = 0;
  // BoringSSL's packed error, 0 when the library was not involved. Names one line of its source.
  uint32_t library_code = 0;

  bool ok() const { return code == ErrorCode::kNone; }
  // One line: "no shared cipher (NO_SHARED_CIPHER; sent alert 40 handshake_failure)". Allocates.
  std::string ToString() const;
};

// Turns the most telling entry of BoringSSL's error queue of this thread into an Error and empties
// the queue. An empty queue gives kInternal.
Error TakeLibraryError();

}  // namespace edge::tls
