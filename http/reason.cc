#include "http/reason.h"

#include <array>

namespace edge::http {
namespace {

struct Row {
  Reason reason;
  ReasonInfo info;
};

// In the order of the enumerators, which TableIsInOrder checks.
constexpr std::array<Row, kReasonCount> kTable = {{
    {Reason::kNone, {"none", 0, "", "not refused"}},

    {Reason::kLineEmptyLines,
     {"request.line.empty_lines", 400, "RFC 9112 2.2", "too many empty lines before the request"}},
    {Reason::kLineBareCr,
     {"head.line.bare_cr", 400, "RFC 9112 2.2", "CR without LF in a start line"}},
    {Reason::kLineBareLf,
     {"head.line.bare_lf", 400, "RFC 9112 2.2", "LF without CR in a start line"}},
    {Reason::kLineControl,
     {"head.line.control", 400, "RFC 9112 3", "control character in a start line"}},
    {Reason::kLineTooLong, {"head.line.too_long", 414, "RFC 9112 3", "start line over the limit"}},
    {Reason::kLineSpaces,
     {"request.line.spaces", 400, "RFC 9112 3",
      "parts of the request line are not separated by single spaces"}},
    {Reason::kMethodInvalid, {"request.method.invalid", 400, "RFC 9112 3.1", "method is no token"}},
    {Reason::kMethodUnknown, {"request.method.unknown", 501, "RFC 9110 9.1", "unknown method"}},
    {Reason::kMethodConnect,
     {"request.method.connect", 405, "RFC 9112 3.2.3", "CONNECT is not offered"}},
    {Reason::kTargetEmpty,
     {"request.target.empty", 400, "RFC 9112 3.2", "request target is empty"}},
    {Reason::kTargetForm,
     {"request.target.form", 400, "RFC 9112 3.2", "request target has none of the four forms"}},
    {Reason::kTargetAuthorityForm,
     {"request.target.authority_form", 400, "RFC 9112 3.2.3",
      "authority-form belongs to CONNECT only"}},
    {Reason::kTargetAsterisk,
     {"request.target.asterisk", 400, "RFC 9112 3.2.4", "asterisk-form belongs to OPTIONS only"}},
    {Reason::kTargetCharacter,
     {"request.target.character", 400, "RFC 3986 2",
      "character in the request target that must be percent-encoded"}},
    {Reason::kTargetBackslash,
     {"request.target.backslash", 400, "RFC 3986 2", "backslash in the request target"}},
    {Reason::kTargetFragment,
     {"request.target.fragment", 400, "RFC 9112 3.2", "fragment in the request target"}},
    {Reason::kTargetPercent,
     {"request.target.percent", 400, "RFC 3986 2.1", "% without two hexadecimal digits"}},
    {Reason::kTargetNul, {"request.target.nul", 400, "RFC 3986 7.3", "%00 in the request target"}},
    {Reason::kTargetDoubleSlash,
     {"request.target.double_slash", 400, "RFC 3986 4.2", "request target starts with //"}},
    {Reason::kTargetScheme,
     {"request.target.scheme", 400, "RFC 9110 4.2", "scheme is neither http nor https"}},
    {Reason::kTargetUserinfo,
     {"request.target.userinfo", 400, "RFC 9110 4.2.4", "user information in the request target"}},
    {Reason::kTargetHost,
     {"request.target.host", 400, "RFC 9110 4.2.1",
      "host of the request target is empty or invalid"}},
    {Reason::kTargetPort,
     {"request.target.port", 400, "RFC 3986 3.2.3", "port of the request target is invalid"}},
    {Reason::kVersionMissing,
     {"request.version.missing", 400, "RFC 9112 3", "request line without a version"}},
    {Reason::kVersionMalformed,
     {"head.version.malformed", 400, "RFC 9112 2.3", "protocol version is malformed"}},
    {Reason::kVersionUnsupported,
     {"head.version.unsupported", 505, "RFC 9110 15.6.6", "neither HTTP/1.0 nor HTTP/1.1"}},
    {Reason::kStatusLineMalformed,
     {"response.line.malformed", 0, "RFC 9112 4", "status line is malformed"}},
    {Reason::kStatusInvalid,
     {"response.status.invalid", 0, "RFC 9110 15", "status outside 100 to 599"}},

    {Reason::kHeadTooLarge, {"head.too_large", 431, "RFC 6585 5", "head over the limit"}},
    {Reason::kFieldsTooMany, {"head.fields_too_many", 431, "RFC 6585 5", "too many fields"}},
    {Reason::kSpaceBeforeFirstField,
     {"head.space_before_first_field", 400, "RFC 9112 2.2", "white space before the first field"}},
    {Reason::kFieldFold, {"head.field.fold", 400, "RFC 9112 5.2", "folded field line"}},
    {Reason::kFieldNameEmpty, {"head.field.name_empty", 400, "RFC 9112 5", "field without a name"}},
    {Reason::kFieldNameInvalid,
     {"head.field.name_invalid", 400, "RFC 9110 5.1", "field name is no token"}},
    {Reason::kFieldNameUnderscore,
     {"request.field.underscore", 400, "RFC 9110 5.1", "underscore in a field name"}},
    {Reason::kFieldSpaceBeforeColon,
     {"head.field.space_before_colon", 400, "RFC 9112 5.1",
      "white space in a field name or after it"}},
    {Reason::kFieldColonMissing,
     {"head.field.colon_missing", 400, "RFC 9112 5", "field line without a colon"}},
    {Reason::kFieldBareCr, {"head.field.bare_cr", 400, "RFC 9112 2.2", "CR without LF in a field"}},
    {Reason::kFieldBareLf, {"head.field.bare_lf", 400, "RFC 9112 2.2", "LF without CR in a field"}},
    {Reason::kFieldNul, {"head.field.nul", 400, "RFC 9110 5.5", "NUL in a field value"}},
    {Reason::kFieldControl,
     {"head.field.control", 400, "RFC 9110 5.5", "control character in a field value"}},
    {Reason::kHeadRejected, {"head.rejected", 400, "RFC 9112 2", "head rejected by the tokenizer"}},

    {Reason::kHostMissing, {"request.host.missing", 400, "RFC 9112 3.2", "no Host"}},
    {Reason::kHostRepeated, {"request.host.repeated", 400, "RFC 9112 3.2", "more than one Host"}},
    {Reason::kHostEmpty, {"request.host.empty", 400, "RFC 9112 3.2", "Host is empty"}},
    {Reason::kHostInvalid, {"request.host.invalid", 400, "RFC 9112 3.2", "Host is invalid"}},
    {Reason::kHostPort, {"request.host.port", 400, "RFC 3986 3.2.3", "port of Host is invalid"}},
    {Reason::kConnectionOptionsTooMany,
     {"head.connection.too_many", 400, "RFC 9110 7.6.1", "too many connection options"}},
    {Reason::kExpectUnsupported,
     {"request.expect.unsupported", 417, "RFC 9110 10.1.1", "expectation is not 100-continue"}},
    {Reason::kMaxForwardsInvalid,
     {"request.max_forwards.invalid", 400, "RFC 9110 7.6.2", "Max-Forwards is no number"}},
    {Reason::kTraceBody, {"request.trace.body", 400, "RFC 9110 9.3.8", "TRACE with a body"}},

    {Reason::kTransferEncodingWithLength,
     {"framing.transfer_encoding.with_length", 400, "RFC 9112 6.1",
      "Transfer-Encoding and Content-Length"}},
    {Reason::kTransferEncodingRepeated,
     {"framing.transfer_encoding.repeated", 400, "RFC 9112 6.1",
      "more than one Transfer-Encoding"}},
    {Reason::kTransferEncodingEmpty,
     {"framing.transfer_encoding.empty", 400, "RFC 9112 6.1", "Transfer-Encoding is empty"}},
    {Reason::kTransferEncodingHttp10,
     {"framing.transfer_encoding.http10", 400, "RFC 9112 6.1", "Transfer-Encoding in HTTP/1.0"}},
    {Reason::kTransferEncodingNotLast,
     {"framing.transfer_encoding.not_chunked", 400, "RFC 9112 6.3",
      "chunked is not the last transfer coding, or not once"}},
    {Reason::kTransferEncodingUnknown,
     {"framing.transfer_encoding.unknown", 501, "RFC 9112 6.1",
      "transfer coding other than chunked"}},
    {Reason::kContentLengthInvalid,
     {"framing.content_length.invalid", 400, "RFC 9112 6.3", "Content-Length is no number"}},
    {Reason::kContentLengthNotCanonical,
     {"framing.content_length.leading_zeros", 400, "RFC 9110 8.6",
      "Content-Length has leading zeros"}},
    {Reason::kContentLengthOverflow,
     {"framing.content_length.overflow", 400, "RFC 9110 8.6", "Content-Length above 2^63 - 1"}},
    {Reason::kContentLengthRepeated,
     {"framing.content_length.repeated", 400, "RFC 9112 6.3", "more than one Content-Length"}},
    {Reason::kInterimWithLength,
     {"response.interim.with_length", 0, "RFC 9110 8.6", "1xx response with framing fields"}},
    {Reason::kSwitchingUnasked,
     {"response.switching.unasked", 0, "RFC 9110 15.2.2", "101 to a request without Upgrade"}},
    {Reason::kSwitchingIncomplete,
     {"response.switching.incomplete", 0, "RFC 9110 7.8",
      "101 without Connection: upgrade and Upgrade"}},

    {Reason::kBodyTooLarge,
     {"request.body.too_large", 413, "RFC 9110 15.5.14", "request body over the limit"}},

    {Reason::kChunkSizeInvalid,
     {"chunk.size.invalid", 400, "RFC 9112 7.1", "chunk size is no hexadecimal number"}},
    {Reason::kChunkSizeNotCanonical,
     {"chunk.size.leading_zeros", 400, "RFC 9112 7.1", "chunk size has leading zeros"}},
    {Reason::kChunkSizeOverflow,
     {"chunk.size.overflow", 400, "RFC 9112 7.1", "chunk size above 2^63 - 1"}},
    {Reason::kChunkExtensionInvalid,
     {"chunk.extension.invalid", 400, "RFC 9112 7.1.1", "chunk extension is malformed"}},
    {Reason::kChunkExtensionTooLong,
     {"chunk.extension.too_long", 400, "RFC 9112 7.1.1", "chunk extensions over the limit"}},
    {Reason::kChunkLineEnd,
     {"chunk.size.line_end", 400, "RFC 9112 7.1", "chunk size line does not end in CRLF"}},
    {Reason::kChunkDataEnd,
     {"chunk.data.line_end", 400, "RFC 9112 7.1", "chunk data is not followed by CRLF"}},
    {Reason::kTrailerTooLarge, {"trailer.too_large", 431, "RFC 6585 5", "trailers over the limit"}},
    {Reason::kTrailersTooMany, {"trailer.too_many", 431, "RFC 6585 5", "too many trailers"}},
    {Reason::kTrailerInvalid,
     {"trailer.invalid", 400, "RFC 9112 7.1.2", "trailer line is malformed"}},
    {Reason::kTrailerForbidden,
     {"trailer.forbidden", 400, "RFC 9110 6.5.1", "field that must not be a trailer"}},
}};

constexpr bool TableIsInOrder() {
  for (size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<size_t>(kTable[i].reason) != i) return false;
  }
  return true;
}
static_assert(TableIsInOrder());

}  // namespace

const ReasonInfo& Describe(Reason reason) { return kTable[static_cast<size_t>(reason)].info; }

}  // namespace edge::http
