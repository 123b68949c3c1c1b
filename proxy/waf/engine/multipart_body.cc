// multipart/form-data, read line by line as libmodsecurity 3.0.14 does it: what a strict reader and
// a careless one would read differently becomes a MULTIPART_* flag or an error, and nothing stops
// the reading but what makes the parts themselves uncertain.
//
// Where it differs on purpose:
//   - line breaks inside of a field's value are kept; libmodsecurity loses them
//   - a second header of the same name is an error; libmodsecurity ignores the header without a
//   word
//   - a part that is wrong or not finished is still inspected as far as it goes, beside the error
//
// Nothing is copied but the boundary, values with escapes and headers that are folded.

#include <algorithm>
#include <cstring>
#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "proxy/waf/engine/multipart_header.h"
#include "proxy/waf/engine/request_body.h"

namespace edge::waf {
namespace {

// A header line of a part with its line end; libmodsecurity's buffer.
constexpr size_t kHeaderLineBytesMax = 4095;
// How far into a line a boundary is looked for that is not at its beginning.
constexpr size_t kLookedAtBytes = 4096;
// Browsers send three.
constexpr size_t kPartHeadersMax = 64;

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }

bool IsEmptyLine(std::string_view line) { return line == "\r\n" || line == "\n"; }

class Reader {
 public:
  Reader(std::string_view body, std::string_view boundary, const BodyLimits& limits,
         TextArena& arena, ParsedBody& parsed)
      : body_(body),
        rest_(body),
        delimiter_(Delimiter(boundary, arena)),
        boundary_(delimiter_.substr(2)),
        limits_(limits),
        arena_(arena),
        parsed_(parsed) {}

  // False: the parts are uncertain, MULTIPART_STRICT_ERROR.
  bool Read();

 private:
  enum class State : uint8_t {
    kPreamble,  // before the first boundary
    kHeaders,
    kData,
    kComplete,  // behind the last boundary
  };
  enum class Match : uint8_t { kNone, kBoundary, kUncertain };

  static std::string_view Delimiter(std::string_view boundary, TextArena& arena) {
    char* const bytes = arena.Allocate(boundary.size() + 2);
    std::copy(boundary.begin(), boundary.end(), std::fill_n(bytes, 2, '-'));
    return {bytes, boundary.size() + 2};
  }

  bool ReadLine(std::string_view line);
  Match MatchBoundary(std::string_view line);
  bool TakeHeaderLine(std::string_view line);
  void TakeNewHeader(std::string_view line);
  std::string_view Unfold(std::string_view first_line);
  void TakeEndOfHeaders();
  // The part's content ends at this offset.
  bool EndPart(size_t end);
  size_t RestOffset() const { return body_.size() - rest_.size(); }
  void TakeEndOfBody();

  void Error(std::string_view text) {
    parsed_.error = true;
    parsed_.error_text = text;
  }
  bool Uncertain(std::string_view text) {
    Error(text);
    return false;
  }

  const std::string_view body_;
  std::string_view rest_;             // behind the line that is read
  const std::string_view delimiter_;  // "--" and the boundary
  const std::string_view boundary_;
  const BodyLimits& limits_;
  TextArena& arena_;
  ParsedBody& parsed_;

  State state_ = State::kPreamble;
  size_t boundaries_ = 0;
  bool previous_line_lf_ = false;  // ended without CR
  bool crlf_line_ = false;

  // --- Of the part that is read
  size_t headers_begin_ = 0;  // in parsed_.part_headers
  std::string_view disposition_;
  bool has_disposition_ = false;
  Disposition part_;
  size_t data_begin_ = 0;
  bool data_read_ = false;
};

bool Reader::Read() {
  bool certain = true;
  while (!rest_.empty() && state_ != State::kComplete) {
    const size_t line_end = rest_.find('\n');
    if (line_end == rest_.npos) break;
    const std::string_view line = rest_.substr(0, line_end + 1);
    rest_.remove_prefix(line.size());
    if (!ReadLine(line)) {
      certain = false;
      if (state_ == State::kData) EndPart(RestOffset() - line.size());
      break;
    }
    previous_line_lf_ = !line.ends_with("\r\n");
  }
  if (certain) {
    if (state_ == State::kComplete) {
      parsed_.multipart.data_after = !rest_.empty();
    } else {
      TakeEndOfBody();
    }
  }
  parsed_.multipart.crlf_lf_lines = crlf_line_ && parsed_.multipart.lf_line;
  return certain;
}

bool Reader::ReadLine(std::string_view line) {
  switch (MatchBoundary(line)) {
    case Match::kUncertain:
      return false;
    case Match::kNone:
      break;
    case Match::kBoundary: {
      if (previous_line_lf_) parsed_.multipart.lf_line = true;
      if (boundaries_ > 0 && !data_read_) {
        // Where headers or data should begin, it is read as one of these.
        parsed_.multipart.invalid_part = true;
        break;
      }
      if (boundaries_ > 0) parsed_.multipart.unmatched_boundary = 2;
      std::string_view behind = line.substr(2 + boundary_.size());
      const bool last = behind.starts_with("--");
      if (last) behind.remove_prefix(2);
      if (!IsEmptyLine(behind)) return Uncertain("Multipart: Invalid boundary");
      if (behind == "\n") {
        parsed_.multipart.lf_line = true;
      } else {
        crlf_line_ = true;
      }
      if (state_ == State::kData && !EndPart(RestOffset() - line.size())) return false;
      ++boundaries_;
      state_ = last ? State::kComplete : State::kHeaders;
      headers_begin_ = parsed_.part_headers.size();
      disposition_ = {};
      has_disposition_ = false;
      part_ = {};
      data_read_ = false;
      return true;
    }
  }

  switch (state_) {
    case State::kPreamble:
      parsed_.multipart.data_before = true;
      return true;
    case State::kHeaders:
      return TakeHeaderLine(line);
    case State::kData:
      data_read_ = true;
      return true;
    case State::kComplete:
      break;
  }
  return true;
}

Reader::Match Reader::MatchBoundary(std::string_view line) {
  if (!line.starts_with("--") || line.size() <= 3) {
    // A reader that looks for the boundary in the middle of lines would find one.
    // Found by memmem, whose time does not depend on how often a line begins the boundary anew.
    const std::string_view seen = line.substr(0, kLookedAtBytes);
    if (memmem(seen.data(), seen.size(), delimiter_.data(), delimiter_.size()) != nullptr) {
      parsed_.multipart.unmatched_boundary = 1;
    }
    return Match::kNone;
  }
  std::string_view behind = line.substr(2);
  if (behind.starts_with(boundary_)) return Match::kBoundary;
  if (parsed_.multipart.boundary_quoted && behind.starts_with('"') &&
      behind.substr(1).starts_with(boundary_)) {
    Error("Multipart: Invalid boundary (quotes)");
    return Match::kUncertain;
  }
  if (IsSpace(behind.front())) {
    while (!behind.empty() && IsSpace(behind.front())) behind.remove_prefix(1);
    if (behind.starts_with(boundary_)) {
      Error("Multipart: Invalid boundary (whitespace)");
      return Match::kUncertain;
    }
  }
  parsed_.multipart.unmatched_boundary = 1;
  return Match::kNone;
}

bool Reader::TakeHeaderLine(std::string_view line) {
  if (line.size() > kHeaderLineBytesMax) {
    return Uncertain("Multipart: Part header line is too long");
  }
  parsed_.no_files_bytes += line.size();
  if (line.find('\0') != line.npos) {
    Error("Multipart: Nul byte in part headers");
    return true;
  }
  if (line.ends_with("\r\n")) {
    crlf_line_ = true;
  } else {
    parsed_.multipart.lf_line = true;
  }

  if (IsEmptyLine(line)) {
    TakeEndOfHeaders();
    return true;
  }
  if (IsSpace(line.front())) {
    // What it continues was refused, or is not there.
    parsed_.multipart.header_folding = true;
    if (line.front() != ' ' && line.front() != '\t') {
      parsed_.multipart.invalid_header_folding = true;
    }
    Error("Multipart: Invalid part header (folding error)");
    return true;
  }
  if (parsed_.part_headers.size() - headers_begin_ >= kPartHeadersMax) {
    return Uncertain("Multipart: too many part headers");
  }
  TakeNewHeader(line);
  return true;
}

void Reader::TakeNewHeader(std::string_view first_line) {
  const size_t colon = first_line.find(':');
  if (colon == first_line.npos) {
    return Error("Multipart: Invalid part header (colon missing)");
  }
  const std::string_view name = first_line.substr(0, colon);
  if (name.empty()) {
    return Error("Multipart: Invalid part header (header name missing)");
  }
  for (const char c : name) {
    if (c < 33 || c > 126) {
      return Error("Multipart: Invalid part header (contains invalid character)");
    }
  }
  const std::string_view line = Unfold(first_line);
  if (line.size() > kHeaderLineBytesMax) {
    return Error("Multipart: Part header too long");
  }
  const std::span<const PartHeader> earlier(parsed_.part_headers);
  for (const PartHeader& header : earlier.subspan(headers_begin_)) {
    if (absl::EqualsIgnoreCase(header.line.substr(0, header.line.find(':')), name)) {
      return Error("Multipart: Duplicate part header");
    }
  }
  parsed_.part_headers.push_back({{}, line});
  if (absl::EqualsIgnoreCase(name, "Content-Disposition")) {
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    disposition_ = value;
    has_disposition_ = true;
  }
}

// The header without its line end, and with the lines that continue it behind a space each. Takes
// these from `rest_`.
std::string_view Reader::Unfold(std::string_view first_line) {
  std::string_view first = first_line;
  while (first.ends_with('\n') || first.ends_with('\r')) first.remove_suffix(1);

  const auto next_line = [](std::string_view text) {
    const size_t end = text.find('\n');
    const std::string_view line = end == text.npos ? std::string_view() : text.substr(0, end + 1);
    return !line.empty() && IsSpace(line.front()) && !IsEmptyLine(line) &&
                   line.find('\0') == line.npos
               ? line
               : std::string_view();
  };
  size_t folded_bytes = 0;
  for (std::string_view line = next_line(rest_); !line.empty();
       line = next_line(rest_.substr(folded_bytes))) {
    folded_bytes += line.size();
  }
  if (folded_bytes == 0) return first;

  // No continuation becomes longer: its space stands for at least its line end.
  const size_t bytes_max = first.size() + folded_bytes;
  char* const unfolded = arena_.Allocate(bytes_max);
  char* out = std::copy(first.begin(), first.end(), unfolded);
  parsed_.multipart.header_folding = true;
  parsed_.no_files_bytes += folded_bytes;
  const std::string_view folded = rest_.substr(0, folded_bytes);
  rest_.remove_prefix(folded_bytes);
  for (std::string_view left = folded; !left.empty();) {
    std::string_view line = left.substr(0, left.find('\n') + 1);
    left.remove_prefix(line.size());
    if (line.ends_with("\r\n")) {
      crlf_line_ = true;
    } else {
      parsed_.multipart.lf_line = true;
    }
    while (!line.empty() && IsSpace(line.front())) {
      if (line.front() != ' ' && line.front() != '\t') {
        parsed_.multipart.invalid_header_folding = true;
      }
      line.remove_prefix(1);
    }
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    *out++ = ' ';
    out = std::copy(line.begin(), line.end(), out);
  }
  const auto size = static_cast<size_t>(out - unfolded);
  arena_.Shrink(bytes_max, size);
  return {unfolded, size};
}

void Reader::TakeEndOfHeaders() {
  state_ = State::kData;
  data_begin_ = RestOffset();
  if (!has_disposition_) {
    return Error("Multipart: Part missing Content-Disposition header");
  }
  const bool valid = ParseDisposition(disposition_, arena_, part_);
  if (part_.invalid_quoting) parsed_.multipart.invalid_quoting = true;
  if (part_.has_name) parsed_.multipart_name = part_.latest_name;
  if (part_.has_filename) parsed_.multipart_filename = part_.latest_filename;
  if (!valid) {
    Error("Multipart: Invalid Content-Disposition header");
  } else if (part_.name.empty()) {
    Error("Multipart: Content-Disposition header missing name field");
  } else if (!part_.filename.empty() && disposition_.find("filename=") == disposition_.npos) {
    // A careless reader would not see that this is a file.
    Error("Multipart: Invalid Content-Disposition header (filename)");
  }
}

bool Reader::EndPart(size_t end) {
  std::string_view content = body_.substr(data_begin_, end - data_begin_);
  if (content.ends_with("\r\n")) {
    content.remove_suffix(2);
  } else if (content.ends_with('\n')) {
    content.remove_suffix(1);
  }
  if (part_.name.empty()) parsed_.multipart.invalid_part = true;
  const std::span<PartHeader> headers(parsed_.part_headers);
  for (PartHeader& header : headers.subspan(headers_begin_)) header.part = part_.name;

  if (parsed_.arguments.size() + parsed_.files.size() >= limits_.parts_max) {
    return Uncertain("Multipart: too many parts");
  }
  if (!part_.filename.empty()) {
    parsed_.files.push_back({part_.name, part_.filename, content});
    parsed_.files_bytes += content.size();
    if (parsed_.files.size() > limits_.files_max) {
      parsed_.multipart.file_limit_exceeded = true;
      Error("Multipart: Upload file limit exceeded");
    }
    return true;
  }
  parsed_.no_files_bytes += content.size();
  if (parsed_.arguments.size() >= limits_.arguments_max) {
    parsed_.arguments_limit_exceeded = true;
    return Uncertain("Multipart: too many arguments");
  }
  parsed_.arguments.push_back({part_.name, content});
  return true;
}

// `rest_` is a line without its end, perhaps the last boundary.
void Reader::TakeEndOfBody() {
  const bool last_boundary = rest_.size() == boundary_.size() + 4 && rest_.starts_with("--") &&
                             rest_.substr(2).starts_with(boundary_) && rest_.ends_with("--");
  if (boundaries_ > 0 && last_boundary) {
    if (previous_line_lf_) parsed_.multipart.lf_line = true;
    if (!data_read_) parsed_.multipart.invalid_part = true;
    if (state_ == State::kData) EndPart(RestOffset());
    state_ = State::kComplete;
    return;
  }
  parsed_.ends_early = !parsed_.error;
  Error(boundaries_ > 0 ? "Multipart: Final boundary missing."
                        : "Multipart: No boundaries found in payload.");
  if (state_ == State::kData) EndPart(body_.size());
}

bool IsStrictError(const MultipartFlags& flags) {
  return flags.boundary_quoted || flags.boundary_whitespace || flags.data_before ||
         flags.data_after || flags.header_folding || flags.lf_line || flags.missing_semicolon ||
         flags.invalid_quoting || flags.invalid_part || flags.invalid_header_folding ||
         flags.file_limit_exceeded;
}

}  // namespace

void ParseMultipart(std::string_view content_type, std::string_view body, const BodyLimits& limits,
                    TextArena& arena, ParsedBody& parsed) {
  std::string_view boundary;
  const std::string_view mistake = FindBoundary(content_type, boundary, parsed.multipart);
  bool certain = mistake.empty();
  if (!certain) {
    parsed.error = true;
    parsed.error_text = mistake;
  } else if (!body.empty()) {
    certain = Reader(body, boundary, limits, arena, parsed).Read();
  }
  parsed.multipart.strict_error = !certain || IsStrictError(parsed.multipart);
}

}  // namespace edge::waf
