#include "proxy/waf/engine/multipart_header.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace edge::waf {
namespace {

// A Content-Type that is longer says nothing that is needed.
constexpr size_t kContentTypeBytesMax = 1024;

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }
bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
bool IsXdigit(char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }
bool IsOneOf(char c, std::string_view set) { return set.find(c) != set.npos; }

// RFC 2046 5.1.1. A space may not be the last.
bool IsBoundary(std::string_view text) {
  for (const char c : text) {
    if (!IsAlnum(c) && !IsOneOf(c, " '()+_,-./:=?")) return false;
  }
  return !text.ends_with(' ');
}

// How often "boundary" stands before some '='.
int CountBoundaryParameters(std::string_view text) {
  constexpr std::string_view kWord = "boundary";
  int count = 0;
  for (size_t i = 0; i + kWord.size() < text.size(); ++i) {
    if (!absl::EqualsIgnoreCase(text.substr(i, kWord.size()), kWord)) continue;
    if (text.find('=', i + kWord.size()) != text.npos) ++count;
  }
  return count;
}

bool IsTokenCharacter(char c) { return c > 32 && c < 127 && !IsOneOf(c, "()<>@,;:\\\"/[]?="); }

// Reads the parameters of a Content-Disposition. At the end `front` is NUL, which is in no header.
class ParameterReader {
 public:
  ParameterReader(std::string_view text, TextArena& arena) : rest_(text), arena_(arena) {}

  bool done() const { return rest_.empty(); }
  char front() const { return rest_.empty() ? '\0' : rest_.front(); }
  void Skip() { rest_.remove_prefix(1); }
  void SkipSpace() {
    while (front() == ' ' || front() == '\t') Skip();
  }
  std::string_view TakeName() {
    return TakeWhile([](char c) { return c != '=' && c != '\t' && c != ' '; });
  }
  std::string_view TakeToken() { return TakeWhile(IsTokenCharacter); }
  // Behind the opening quote, to the closing one or the end. False: it ends in a backslash.
  bool TakeQuoted(char quote, std::string_view& value);
  // RFC 5987: charset'language'escaped. False: it is not one.
  bool TakeExtended(std::string_view& value);

 private:
  template <typename Predicate>
  std::string_view TakeWhile(Predicate predicate) {
    size_t size = 0;
    while (size < rest_.size() && predicate(rest_[size])) ++size;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  TextArena& arena_;
};

bool ParameterReader::TakeQuoted(char quote, std::string_view& value) {
  const std::string_view start = rest_;
  size_t size = 0;
  size_t escapes = 0;
  while (size < start.size() && start[size] != quote) {
    if (start[size] == '\\') {
      if (size + 1 == start.size()) return false;
      // Another character than these two keeps its backslash: old browsers sent paths like that.
      if (start[size + 1] == quote || start[size + 1] == '\\') {
        ++size;
        ++escapes;
      }
    }
    ++size;
  }
  rest_.remove_prefix(size);
  if (!done()) Skip();
  value = start.substr(0, size);
  if (escapes == 0) return true;

  char* const plain = arena_.Allocate(size - escapes);
  char* out = plain;
  for (size_t i = 0; i < size; ++i) {
    if (value[i] == '\\' && (value[i + 1] == quote || value[i + 1] == '\\')) ++i;
    *out++ = value[i];
  }
  value = {plain, size - escapes};
  return true;
}

bool ParameterReader::TakeExtended(std::string_view& value) {
  const std::string_view charset =
      TakeWhile([](char c) { return IsAlnum(c) || IsOneOf(c, "!#$%&+-^_`{}~"); });
  if (charset.empty() || front() != '\'') return false;
  Skip();
  TakeWhile([](char c) { return c != '\''; });
  if (front() != '\'') return false;
  Skip();
  value = TakeWhile([](char c) { return c != ';'; });
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '%') {
      if (value.size() - i < 3 || !IsXdigit(value[i + 1]) || !IsXdigit(value[i + 2])) return false;
      i += 2;
    } else if (!IsAlnum(value[i]) && !IsOneOf(value[i], "!#$&+-.^_`~")) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string_view FindBoundary(std::string_view content_type, std::string_view& boundary,
                              MultipartFlags& flags) {
  constexpr std::string_view kType = "multipart/form-data";
  constexpr std::string_view kWord = "boundary";
  if (content_type.empty()) return "Multipart: Content-Type header not available";
  if (content_type.size() > kContentTypeBytesMax) {
    return "Multipart: Invalid boundary in C-T (length)";
  }
  if (!absl::StartsWithIgnoreCase(content_type, kType)) {
    return "Multipart: Invalid MIME type";
  }
  const int count = CountBoundaryParameters(content_type);
  if (count > 1) return "Multipart: Multiple boundary parameters in C-T";
  const size_t word = content_type.find(kWord);
  if (word == content_type.npos) {
    return count > 0 ? "Multipart: Invalid boundary in C-T (case sensitivity)"
                     : "Multipart: Boundary not found in C-T";
  }

  bool semicolon = false;
  for (const char c : content_type.substr(0, word).substr(kType.size())) {
    if (IsSpace(c)) continue;
    if (semicolon || c != ';') return "Multipart: Invalid boundary in C-T (malformed)";
    semicolon = true;
  }
  flags.missing_semicolon = !semicolon;

  std::string_view rest = content_type.substr(word + kWord.size());
  const size_t equals = rest.find('=');
  if (equals == rest.npos) return "Multipart: Invalid boundary in C-T (malformed)";
  for (const char c : rest.substr(0, equals)) {
    if (!IsSpace(c)) return "Multipart: Invalid boundary in C-T (parameter name)";
    flags.boundary_whitespace = true;
  }
  rest.remove_prefix(equals + 1);
  if (!rest.empty() && IsSpace(rest.front())) flags.boundary_whitespace = true;
  if (rest.size() >= 2 && rest.starts_with('"') && rest.ends_with('"')) {
    flags.boundary_quoted = true;
    rest = rest.substr(1, rest.size() - 2);
  } else if (rest.starts_with('"') || rest.ends_with('"')) {
    return "Multipart: Invalid boundary in C-T (quote)";
  }

  if (CountBoundaryParameters(rest) != 0) {
    return "Multipart: Invalid boundary in C-T (content)";
  }
  // Some frameworks put a charset behind the boundary.
  if (!IsBoundary(rest)) rest = rest.substr(0, rest.find(';'));
  if (!IsBoundary(rest)) return "Multipart: Invalid boundary in C-T (characters)";
  if (rest.empty()) return "Multipart: Invalid boundary in C-T (empty)";
  boundary = rest;
  return {};
}

bool ParseDisposition(std::string_view value, TextArena& arena, Disposition& disposition) {
  constexpr std::string_view kType = "form-data";
  if (!value.starts_with(kType)) return false;
  ParameterReader reader(value.substr(kType.size()), arena);
  reader.SkipSpace();
  if (reader.done()) return true;
  if (reader.front() != ';') return false;
  reader.Skip();

  bool extended_filename = false;
  while (!reader.done()) {
    reader.SkipSpace();
    const std::string_view name = reader.TakeName();
    reader.SkipSpace();
    if (reader.front() != '=') return false;
    reader.Skip();
    reader.SkipSpace();
    if (reader.done()) return false;

    std::string_view text;
    char quote = '\0';
    if (name == "filename*") {
      if (!reader.TakeExtended(text)) return false;
    } else if (reader.front() == '"' || reader.front() == '\'') {
      quote = reader.front();
      // Some backends know it, though it is none of RFC 2616.
      if (quote == '\'') disposition.invalid_quoting = true;
      reader.Skip();
      if (reader.done() || !reader.TakeQuoted(quote, text)) return false;
    } else {
      text = reader.TakeToken();
    }
    if (quote != '"' && name != "filename*" && text.find('\'') != text.npos) {
      disposition.invalid_quoting = true;
    }

    if (name == "name") {
      disposition.has_name = true;
      disposition.latest_name = text;
      if (!disposition.name.empty()) return false;
      disposition.name = text;
    } else if (name == "filename") {
      disposition.has_filename = true;
      disposition.latest_filename = text;
      if (!disposition.filename.empty()) return false;
      disposition.filename = text;
    } else if (name == "filename*") {
      if (extended_filename) return false;
      extended_filename = !text.empty();
    } else {
      return false;
    }

    const bool directly = !reader.done() && reader.front() != ' ' && reader.front() != '\t';
    reader.SkipSpace();
    if (reader.done()) break;
    if (reader.front() != ';') {
      if (quote != '\0' && directly) disposition.invalid_quoting = true;
      return false;
    }
    reader.Skip();
  }
  // The extended name is for those who know it; others see no file at all.
  return !extended_filename || !disposition.filename.empty();
}

}  // namespace edge::waf
