// The characters of SecLang: what is one line of it, what is a word, and how mistakes are told.
//
// A logical line is a directive with all its continuation lines; views into it know the line of the
// file that they stand on, so that an error names that one.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/waf/engine/rule_source.h"

namespace edge::waf {

// Where a character stands that a mistake begins with.
using Locate = absl::FunctionRef<SourceLocation(const char* at)>;

// "WHERE: found FOUND; expected EXPECTED".
absl::Status Mistake(const SourceLocation& where, std::string_view found,
                     std::string_view expected);
// Text of a file as an error shows it: in quotes, printable, and cut if it is long. "the end of the
// line" if there is none.
std::string Shown(std::string_view text);

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }
std::string_view TrimBlanks(std::string_view text);
// Where the `quote` that ends a quoted text stands, none that has a backslash before it; npos.
size_t FindClosingQuote(std::string_view text, char quote);
// Without the backslashes before `quote`. All others stay: they are the operators'.
std::string Unescape(std::string_view text, char quote);

class LogicalLine {
 public:
  std::string_view text() const { return text_; }
  // Of a character of text(), or of its end.
  int LineAt(const char* at) const;

 private:
  friend class LineReader;
  std::string text_;
  std::vector<std::pair<size_t, int>> begins_;  // offset in text_, line of the file
};

// Takes a text apart into logical lines, without comments and empty ones.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  // The next one, until the call after this; nullptr at the end.
  const LogicalLine* Next();

 private:
  std::string_view TakePhysicalLine();
  void SkipComment(std::string_view line);

  std::string_view rest_;
  int line_ = 0;  // of what was taken last
  LogicalLine current_;
};

// A word of a directive: up to a blank, or in quotes.
struct Word {
  std::string_view text;  // as it is written, without the quotes
  char quote = 0;

  std::string Value() const { return quote == 0 ? std::string(text) : Unescape(text, quote); }
};

// Takes the next word of a line; nullopt: there is none.
absl::StatusOr<std::optional<Word>> TakeWord(std::string_view& rest, Locate locate);
// The last word of a rule. The quote at the end of a line that it needs may be missing, as
// libmodsecurity takes it: some rules in use have none.
absl::StatusOr<std::optional<Word>> TakeActionsWord(std::string_view& rest, Locate locate);
// A list of variables, in which blanks may stand between '/ and /'.
absl::StatusOr<std::optional<Word>> TakeVariablesWord(std::string_view& rest, Locate locate);

}  // namespace edge::waf
