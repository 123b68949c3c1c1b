// @pm and @pmFromFile: whether one of many phrases is in a value, without regard to the case of
// ASCII letters. hyperscan looks for all of them at once.

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proxy/waf/engine/operator_internal.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf::operators {
namespace {

class Phrases : public Operator {
 public:
  Phrases(std::vector<std::string> phrases, std::unique_ptr<const HyperscanDatabase> database)
      : phrases_(std::move(phrases)), database_(std::move(database)) {}

  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    // hyperscan counts bytes in 32 bits; no value is that long, but it must not be taken for
    // short.
    if (database_ == nullptr || value.empty() || value.size() > UINT32_MAX) return false;
    Found found;
    hs_scan(database_->get(), value.data(), static_cast<unsigned>(value.size()), 0,
            scratch.memory().hyperscan.For(*database_), OnMatch, &found);
    if (found.end == 0) return false;
    const std::string& phrase = phrases_[found.phrase];
    return MatchedCapture(scratch, value.substr(found.end - phrase.size(), phrase.size()), phrase);
  }

  std::vector<PrefilterPattern> Prefilter() const override {
    std::vector<PrefilterPattern> patterns;
    for (const std::string& phrase : phrases_) {
      patterns.push_back(
          {.expression = phrase, .flags = HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH, .literal = true});
    }
    return patterns;
  }

 private:
  struct Found {
    unsigned phrase = 0;
    size_t end = 0;  // 0: none
  };

  // The first that ends is the match, so the scan ends with it.
  static int OnMatch(unsigned id, unsigned long long, unsigned long long end, unsigned,
                     void* context) {
    *static_cast<Found*>(context) = {.phrase = id, .end = static_cast<size_t>(end)};
    return 1;
  }

  const std::vector<std::string> phrases_;
  const std::unique_ptr<const HyperscanDatabase> database_;  // nullptr: no phrases
};

// "a|62 63|d" with bytes in hexadecimal, and \ before : ; \ and ". nullopt: it is not of this form,
// and means what it says.
std::optional<std::string> DecodePhrases(std::string_view text) {
  std::string decoded;
  bool binary = false;
  bool escaped = false;
  int high = -1;
  for (const char c : text) {
    if (c == '|') {
      binary = !binary;
    } else if (!escaped && c == '\\') {
      escaped = true;
    } else if (binary) {
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
      const int digit =
          absl::ascii_isdigit(static_cast<unsigned char>(c)) ? c - '0' : (c | 0x20) - 'a' + 10;
      if (high >= 0) decoded.push_back(static_cast<char>(high * 16 + digit));
      high = high >= 0 ? -1 : digit;
    } else if (escaped) {
      if (std::string_view(":;\\\"").find(c) == std::string_view::npos) return std::nullopt;
      decoded.push_back(c);
      escaped = false;
    } else {
      decoded.push_back(c);
    }
  }
  return decoded;
}

std::vector<std::string> PhrasesOfArgument(std::string_view argument) {
  std::string_view text = argument;
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  const std::optional<std::string> decoded = DecodePhrases(text);
  return absl::StrSplit(decoded.has_value() ? std::string_view(*decoded) : argument,
                        absl::ByAnyChar(" \t\n\v\f\r"), absl::SkipEmpty());
}

// A phrase a line; blanks are part of it. Not lines that are empty or begin with a #, which blanks
// may precede.
std::vector<std::string> PhrasesOfFile(std::string_view text) {
  std::vector<std::string> phrases;
  for (const std::string_view line : absl::StrSplit(text, '\n')) {
    const std::string_view begin = absl::StripLeadingAsciiWhitespace(line);
    if (!line.empty() && !begin.starts_with('#')) phrases.emplace_back(line);
  }
  return phrases;
}

}  // namespace

Made MakePhraseOperator(std::string_view name, std::string_view argument,
                        const SourceLocation& where) {
  std::vector<std::string> phrases;
  if (name == "pm") {
    phrases = PhrasesOfArgument(argument);
  } else {
    absl::StatusOr<std::string> text = ReadArgumentFile(argument, where);
    if (!text.ok()) return text.status();
    phrases = PhrasesOfFile(*text);
  }
  std::unique_ptr<const HyperscanDatabase> database;
  if (!phrases.empty()) {
    absl::StatusOr<std::unique_ptr<const HyperscanDatabase>> made =
        HyperscanDatabase::OfLiterals(phrases);
    if (!made.ok()) {
      return SourceError(where, absl::StrCat("found '", made.status().message(), "' for @", name,
                                             "; expected phrases to look for"));
    }
    database = *std::move(made);
  }
  return std::make_unique<Phrases>(std::move(phrases), std::move(database));
}

}  // namespace edge::waf::operators
