#pragma once

// How strict edge reads HTTP/1.1: every limit and every tolerance of the http folder in one struct.
//
// Filled from configuration, then immutable and shared by all parsers of a worker; it outlives
// them. The defaults are strict. A member that lets through what an RFC forbids, or forbids what it
// allows, cites the section. Nothing here can relax framing: there is no member that accepts
// Transfer-Encoding beside Content-Length, a bare LF, a folded line or two lengths.

#include <cstdint>
#include <string_view>

namespace edge::http {

// RFC 9110 5.1 allows `_` in names. CGI-like origins cannot tell `Content_Length` from
// `Content-Length`.
enum class UnderscoreNames : uint8_t { kDrop, kRefuse, kPass };

struct ValidationPolicy {
  // Empty lines before a request line are ignored (RFC 9112 2.2: at least one SHOULD be).
  uint32_t leading_empty_lines_max = 2;
  // Request line without its CRLF (RFC 9112 3 recommends 8000 as the least); beyond it 414.
  uint32_t request_line_bytes_max = 8192;
  uint32_t status_line_bytes_max = 4096;
  // Start line, fields and the empty line at the end; beyond it 431. At most
  // MessageHead::kBlockBytesMax.
  uint32_t head_bytes_max = 32768;
  // At most MessageHead::kFieldsMax; beyond it 431.
  uint32_t fields_max = 128;
  // Members of all Connection fields of one head: each costs a pass over the fields.
  uint32_t connection_options_max = 32;

  // Of requests only: no known client of origins reads response fields through CGI names.
  UnderscoreNames underscore_names = UnderscoreNames::kDrop;

  // RFC 3986 2 wants these encoded, the WHATWG URL standard lets browsers send them as they are: |
  // [ ] { } ^ `
  bool browser_target_characters = true;
  // RFC 3986 3.3 allows empty segments, but an origin that resolves "//host/path" as a reference
  // sees a host.
  bool double_slash_target = false;

  // RFC 9112 4 wants a space after the status even when no reason phrase follows.
  bool status_line_without_space = false;
  // Interim (1xx) responses to one request. The parser does not count them, the proxy does.
  uint32_t interim_responses_max = 16;

  // RFC 9112 7.1 sets no limit on leading zeros of a chunk size.
  uint32_t chunk_size_leading_zeros_max = 0;
  // Extension bytes of one chunk and of all chunks of a body (RFC 9112 7.1.1: ought to be limited).
  uint32_t chunk_extension_bytes_max = 256;
  uint32_t chunk_extensions_bytes_max = 16384;
  // The trailer section as received, and its fields.
  uint32_t trailer_bytes_max = 8192;
  uint32_t trailer_fields_max = 32;

  // The decoded body of a request; beyond it 413 (RFC 9110 15.5.14). It passes through and is not
  // kept, so that edge itself needs no limit.
  uint64_t request_body_bytes_max = UINT64_MAX;
};

// The first member out of its range, as a line for people; empty when the policy can be used.
std::string_view FindProblem(const ValidationPolicy& policy);

}  // namespace edge::http
