// Operators that match what is not well-formed: bytes out of ranges, URL encoding, UTF-8.

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proxy/waf/engine/operator_internal.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf::operators {
namespace {

class ValidateByteRange : public Operator {
 public:
  explicit ValidateByteRange(const std::array<bool, 256>& allowed) : allowed_(allowed) {
    // The ranges of most rules leave out NUL alone, which is found faster.
    only_nul_is_out_ = !allowed[0] && std::count(allowed.begin(), allowed.end(), false) == 1;
  }

  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    const size_t at = FindOutside(value);
    return at != value.npos && Matched(scratch, value.substr(at, 1));
  }

 private:
  size_t FindOutside(std::string_view value) const {
    if (only_nul_is_out_) return value.find('\0');
    for (size_t i = 0; i < value.size(); ++i) {
      if (!allowed_[static_cast<unsigned char>(value[i])]) return i;
    }
    return value.npos;
  }

  const std::array<bool, 256> allowed_;
  bool only_nul_is_out_;
};

// "32-126", "9": false if it is neither.
bool AllowRange(std::string_view text, std::array<bool, 256>& allowed) {
  std::pair<std::string_view, std::string_view> ends =
      absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (text.find('-') == text.npos) ends.second = ends.first;
  int first = 0;
  int last = 0;
  if (!absl::SimpleAtoi(ends.first, &first) || !absl::SimpleAtoi(ends.second, &last) || first < 0 ||
      first > last || last > 255) {
    return false;
  }
  std::fill(allowed.begin() + first, allowed.begin() + last + 1, true);
  return true;
}

bool IsHexAt(std::string_view text, size_t at) {
  return at < text.size() && absl::ascii_isxdigit(static_cast<unsigned char>(text[at]));
}

class ValidateUrlEncoding : public Operator {
 public:
  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    for (size_t at = value.find('%'); at != value.npos; at = value.find('%', at + 3)) {
      if (!IsHexAt(value, at + 1) || !IsHexAt(value, at + 2)) {
        return Matched(scratch, value.substr(at, 3));
      }
    }
    return false;
  }
};

// The bytes of the UTF-8 character at `at`; 0: there is none, or not in its shortest form, or it is
// a surrogate or beyond U+10FFFF (RFC 3629).
size_t Utf8Bytes(std::string_view text, size_t at) {
  const auto byte = [text, at](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const auto continues = [&byte](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4 || !continues(1)) return 0;
  if (lead < 0xe0) return 2;
  if (!continues(2)) return 0;
  // The second byte tells the shortest form, surrogates and the end of Unicode.
  if (lead < 0xf0) {
    return (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f) ? 0 : 3;
  }
  if (!continues(3)) return 0;
  return (lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f) ? 0 : 4;
}

class ValidateUtf8Encoding : public Operator {
 public:
  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    size_t at = 0;
    while (at < value.size()) {
      if (const size_t ascii = AsciiBytes(value, at); ascii > 0) {
        at += ascii;
        continue;
      }
      const size_t bytes = Utf8Bytes(value, at);
      if (bytes == 0) return Matched(scratch, value.substr(at));
      at += bytes;
    }
    return false;
  }

 private:
  // Eight bytes at once, where they are all ASCII.
  static size_t AsciiBytes(std::string_view text, size_t from) {
    size_t at = from;
    uint64_t eight = 0;
    for (; at + sizeof(eight) <= text.size(); at += sizeof(eight)) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & 0x8080808080808080) != 0) break;
    }
    while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
    return at - from;
  }
};

}  // namespace

Made MakeValidateOperator(std::string_view name, std::string_view argument,
                          const SourceLocation& where) {
  if (name == "validateurlencoding") return std::make_unique<ValidateUrlEncoding>();
  if (name == "validateutf8encoding") return std::make_unique<ValidateUtf8Encoding>();
  std::array<bool, 256> allowed{};
  for (const std::string_view range : absl::StrSplit(argument, ',')) {
    if (!AllowRange(range, allowed)) {
      return SourceError(
          where, absl::StrCat("found '", range, "' for @", name, "; expected bytes like 9,32-126"));
    }
  }
  return std::make_unique<ValidateByteRange>(allowed);
}

}  // namespace edge::waf::operators
