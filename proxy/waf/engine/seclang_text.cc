#include "proxy/waf/engine/seclang_text.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

// Enough to recognise a place, and short enough for one line of a terminal.
constexpr size_t kShownBytesMax = 60;

constexpr char kBackslash = '\\';

bool EndsWithContinuation(std::string_view line) { return absl::EndsWith(line, "\\"); }

// A directive that was commented out takes its continuation lines along, as in libmodsecurity. Any
// other comment ends with its line: a rule behind "# C:\" counts.
bool IsDirectiveInComment(std::string_view comment) {
  return absl::StartsWithIgnoreCase(TrimBlanks(comment.substr(1)), "Sec");
}

absl::Status CheckBehindQuote(std::string_view rest, Locate locate) {
  if (rest.empty() || IsBlank(rest.front())) return absl::OkStatus();
  return Mistake(locate(rest.data()), absl::StrCat(Shown(rest), " behind a closing quote"),
                 "a blank or the end of the line");
}

}  // namespace

absl::Status SourceError(const SourceLocation& where, std::string_view what) {
  std::string line = absl::StrCat(where.file, ":", where.line, ": ", what);
  // A name of a file may have any byte but NUL.
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return absl::InvalidArgumentError(line);
}

absl::Status Mistake(const SourceLocation& where, std::string_view found,
                     std::string_view expected) {
  return SourceError(where, absl::StrCat("found ", found, "; expected ", expected));
}

std::string Shown(std::string_view text) {
  if (text.empty()) return "the end of the line";
  const bool cut = text.size() > kShownBytesMax;
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, kShownBytesMax)), cut ? "..." : "", "'");
}

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

size_t FindClosingQuote(std::string_view text, char quote) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == quote) return i;
    if (text[i] == kBackslash) ++i;
  }
  return std::string_view::npos;
}

std::string Unescape(std::string_view text, char quote) {
  std::string value;
  value.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == kBackslash && i + 1 < text.size()) {
      if (text[i + 1] != quote) value.push_back(kBackslash);
      ++i;
    }
    value.push_back(text[i]);
  }
  return value;
}

int LogicalLine::LineAt(const char* at) const {
  const size_t offset = static_cast<size_t>(at - text_.data());
  int line = begins_.front().second;
  for (const auto& [begin, of_file] : begins_) {
    if (begin <= offset) line = of_file;
  }
  return line;
}

std::string_view LineReader::TakePhysicalLine() {
  const size_t end = rest_.find('\n');
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
  if (absl::EndsWith(line, "\r")) line.remove_suffix(1);
  ++line_;
  return line;
}

void LineReader::SkipComment(std::string_view line) {
  if (!IsDirectiveInComment(TrimBlanks(line))) return;
  while (EndsWithContinuation(line) && !rest_.empty()) line = TakePhysicalLine();
}

const LogicalLine* LineReader::Next() {
  while (!rest_.empty()) {
    std::string_view line = TakePhysicalLine();
    const std::string_view trimmed = TrimBlanks(line);
    if (trimmed.empty()) continue;
    if (trimmed.front() == '#') {
      SkipComment(line);
      continue;
    }
    current_.text_.clear();
    current_.begins_ = {{0, line_}};
    while (EndsWithContinuation(line)) {
      current_.text_.append(line.substr(0, line.size() - 1));
      line = TakePhysicalLine();
      current_.begins_.emplace_back(current_.text_.size(), line_);
    }
    current_.text_.append(line);
    if (!TrimBlanks(current_.text_).empty()) return &current_;
  }
  return nullptr;
}

absl::StatusOr<std::optional<Word>> TakeWord(std::string_view& rest, Locate locate) {
  while (!rest.empty() && IsBlank(rest.front())) rest.remove_prefix(1);
  if (rest.empty()) return std::nullopt;
  const char first = rest.front();
  if (first != '"' && first != '\'') {
    const std::string_view text = rest.substr(0, rest.find_first_of(" \t"));
    rest.remove_prefix(text.size());
    return Word{.text = text};
  }
  const size_t end = FindClosingQuote(rest.substr(1), first);
  if (end == rest.npos) {
    return Mistake(locate(rest.data()), absl::StrCat(Shown(rest), " without a closing quote"),
                   absl::StrCat(std::string_view(&first, 1), " at its end"));
  }
  const Word word{.text = rest.substr(1, end), .quote = first};
  rest.remove_prefix(end + 2);
  if (auto status = CheckBehindQuote(rest, locate); !status.ok()) return status;
  return word;
}

absl::StatusOr<std::optional<Word>> TakeActionsWord(std::string_view& rest, Locate locate) {
  const std::string_view text = TrimBlanks(rest);
  if (!absl::StartsWith(text, "\"") || FindClosingQuote(text.substr(1), '"') != text.npos) {
    return TakeWord(rest, locate);
  }
  rest.remove_prefix(rest.size());
  return Word{.text = text.substr(1), .quote = '"'};
}

absl::StatusOr<std::optional<Word>> TakeVariablesWord(std::string_view& rest, Locate locate) {
  while (!rest.empty() && IsBlank(rest.front())) rest.remove_prefix(1);
  if (rest.empty() || rest.front() == '"') return TakeWord(rest, locate);
  size_t end = 0;
  while (end < rest.size() && !IsBlank(rest[end])) {
    if (absl::StartsWith(rest.substr(end), "'/")) {
      const size_t close = rest.find("/'", end + 2);
      if (close != rest.npos) end = close + 1;
    }
    ++end;
  }
  const Word word{.text = rest.substr(0, end)};
  rest.remove_prefix(end);
  return word;
}

}  // namespace edge::waf
