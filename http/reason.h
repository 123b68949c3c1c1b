#pragma once

// Why a message was refused. Every refusal of the http folder is one enumerator here, with a stable
// id for metrics, logs and `edge --explain`, the status a client gets for it and the section of the
// RFC that it rests on.
//
// Immutable, any thread. The ids are a contract: an id is never renamed or given a second meaning.
// Refusals found in an origin's message use the same reasons; the proxy answers those with 502
// whatever the table's status is. After any refusal the connection it was found on is closed: its
// framing can no longer be trusted.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace edge::http {

enum class Reason : uint8_t {
  kNone = 0,

  // Start lines.
  kLineEmptyLines,       // more empty lines before the request line than the policy allows
  kLineBareCr,           // a CR that no LF follows
  kLineBareLf,           // an LF that no CR precedes
  kLineControl,          // NUL or another control character
  kLineTooLong,          // request_line_bytes_max or status_line_bytes_max passed
  kLineSpaces,           // not exactly single spaces between the three parts
  kMethodInvalid,        // not a token
  kMethodUnknown,        // a token, but no method that edge implements
  kMethodConnect,        // CONNECT: edge is not a forward proxy
  kTargetEmpty,          // no request target
  kTargetForm,           // none of the four forms
  kTargetAuthorityForm,  // authority-form without CONNECT
  kTargetAsterisk,       // `*` without OPTIONS
  kTargetCharacter,      // a character that a URI must percent-encode
  kTargetBackslash,      // `\`, which some origins take for `/`
  kTargetFragment,       // `#`
  kTargetPercent,        // `%` without two hexadecimal digits
  kTargetNul,            // `%00`
  kTargetDoubleSlash,    // origin-form that starts with `//`
  kTargetScheme,         // absolute-form of a scheme other than http and https
  kTargetUserinfo,       // absolute-form with user information
  kTargetHost,           // absolute-form whose host is empty or invalid
  kTargetPort,           // absolute-form whose port is not 1 to 65535
  kVersionMissing,       // HTTP/0.9: a request line without a version
  kVersionMalformed,     // not "HTTP/" DIGIT "." DIGIT
  kVersionUnsupported,   // well-formed, but neither 1.0 nor 1.1
  kStatusLineMalformed,  // a status line that does not start with "HTTP/x.y NNN "
  kStatusInvalid,        // a status outside 100 to 599

  // Field lines of a head.
  kHeadTooLarge,           // head_bytes_max passed
  kFieldsTooMany,          // fields_max passed
  kHeadTooLargeToForward,  // with what edge adds it would pass what can be written
  kSpaceBeforeFirstField,  // white space between start line and first field
  kFieldFold,              // obs-fold: a field line that starts with white space
  kFieldNameEmpty,         // ":" without a name
  kFieldNameInvalid,       // a name that is not a token
  kFieldNameUnderscore,    // `_` in a name, where the policy refuses instead of dropping
  kFieldSpaceBeforeColon,  // white space between name and colon
  kFieldColonMissing,      // a line without a colon
  kFieldBareCr,            // a CR that no LF follows
  kFieldBareLf,            // an LF that no CR precedes
  kFieldNul,               // NUL in a value
  kFieldControl,           // another control character in a value
  kHeadRejected,           // the tokenizer refused what none of the checks above names

  // Host and the other fields with a meaning for edge.
  kHostMissing,
  kHostRepeated,
  kHostEmpty,
  kHostInvalid,
  kHostPort,
  kConnectionOptionsTooMany,  // connection_options_max passed
  kExpectUnsupported,         // an expectation other than 100-continue
  kMaxForwardsInvalid,        // OPTIONS or TRACE with a Max-Forwards that is no number
  kTraceBody,                 // TRACE with a body

  // Framing.
  kTransferEncodingWithLength,  // Transfer-Encoding and Content-Length
  kTransferEncodingRepeated,    // more than one field
  kTransferEncodingEmpty,
  kTransferEncodingHttp10,     // in an HTTP/1.0 message
  kTransferEncodingNotLast,    // chunked is missing, not last, or not alone in its place
  kTransferEncodingUnknown,    // a coding before chunked
  kContentLengthInvalid,       // empty, not digits, a list
  kContentLengthNotCanonical,  // leading zeros
  kContentLengthOverflow,      // above 2^63 - 1
  kContentLengthRepeated,      // several fields, equal or not
  kInterimWithLength,          // 1xx with Content-Length or Transfer-Encoding
  kSwitchingUnasked,           // 101 although no upgrade was asked for
  kSwitchingIncomplete,        // 101 without `Connection: upgrade` and `Upgrade`
  kInterimTooMany,             // interim_responses_max passed

  kBodyTooLarge,  // request_body_bytes_max passed

  // Chunked bodies.
  kChunkSizeInvalid,       // no digit, or a character that cannot follow one
  kChunkSizeNotCanonical,  // leading zeros
  kChunkSizeOverflow,      // above 2^63 - 1
  kChunkExtensionInvalid,  // not the grammar of 7.1.1
  kChunkExtensionTooLong,  // chunk_extension_bytes_max or chunk_extensions_bytes_max passed
  kChunkLineEnd,           // the size line does not end in CRLF
  kChunkDataEnd,           // chunk data is not followed by CRLF
  kTrailerTooLarge,        // trailer_bytes_max or the lent block passed
  kTrailersTooMany,        // trailer_fields_max passed
  kTrailerInvalid,         // a trailer line that no head might have either
  kTrailerForbidden,       // a framing, routing, authentication or hop-by-hop field as a trailer

  kCount,
};

// For arrays of counters indexed by reason.
inline constexpr size_t kReasonCount = static_cast<size_t>(Reason::kCount);

struct ReasonInfo {
  std::string_view id;    // "request.host.missing"; `kNone` has "none"
  uint16_t status;        // what a client gets for it; 0 where only an origin can cause it
  std::string_view rfc;   // "RFC 9112 3.2"
  std::string_view text;  // one line for people
};

const ReasonInfo& Describe(Reason reason);

// What was refused and where. `offset` counts from the first byte fed since Start(), empty lines
// included.
struct Refusal {
  Reason reason = Reason::kNone;
  uint64_t offset = 0;

  explicit operator bool() const { return reason != Reason::kNone; }
  friend bool operator==(const Refusal&, const Refusal&) = default;
};

}  // namespace edge::http
