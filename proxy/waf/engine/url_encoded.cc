#include "proxy/waf/engine/url_encoded.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "proxy/waf/engine/request_body.h"

namespace edge::waf {
namespace {

constexpr std::array<int8_t, 256> kHexDigits = [] {
  std::array<int8_t, 256> digits{};
  digits.fill(-1);
  for (int i = 0; i < 10; ++i) digits['0' + i] = static_cast<int8_t>(i);
  for (int i = 0; i < 6; ++i) {
    digits['a' + i] = static_cast<int8_t>(10 + i);
    digits['A' + i] = static_cast<int8_t>(10 + i);
  }
  return digits;
}();

int HexDigit(char c) { return kHexDigits[static_cast<uint8_t>(c)]; }

// The first character that decoding changes, or npos.
size_t FindEscape(std::string_view text, bool plus_is_space) {
  const size_t percent = text.find('%');
  if (!plus_is_space) return percent;
  const size_t plus = text.substr(0, percent).find('+');
  return plus != text.npos ? plus : percent;
}

}  // namespace

std::string_view DecodePercent(std::string_view text, bool plus_is_space, TextArena& arena,
                               bool& error) {
  const size_t plain = FindEscape(text, plus_is_space);
  if (plain == text.npos) return text;

  char* const decoded = arena.Allocate(text.size());
  char* out = std::copy_n(text.begin(), plain, decoded);
  const char* p = text.begin() + plain;
  const char* const end = text.end();
  while (p != end) {
    const char c = *p++;
    if (c == '+' && plus_is_space) {
      *out++ = ' ';
    } else if (c != '%') {
      *out++ = c;
    } else if (end - p >= 2 && HexDigit(p[0]) >= 0 && HexDigit(p[1]) >= 0) {
      *out++ = static_cast<char>(HexDigit(p[0]) << 4 | HexDigit(p[1]));
      p += 2;
    } else {
      error = true;
      *out++ = '%';
    }
  }
  const auto size = static_cast<size_t>(out - decoded);
  arena.Shrink(text.size(), size);
  return {decoded, size};
}

UrlEncodedResult SplitUrlEncoded(std::string_view text, char separator, size_t arguments_max,
                                 TextArena& arena, std::vector<Argument>& arguments) {
  UrlEncodedResult result;
  size_t count = 0;
  while (!text.empty()) {
    if (count++ == arguments_max) {
      result.arguments_limit_exceeded = true;
      break;
    }
    const size_t end = text.find(separator);
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);

    const size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const std::string_view value =
        equals == pair.npos ? std::string_view() : pair.substr(equals + 1);
    // libmodsecurity notices only mistakes of values; its manual says either.
    arguments.push_back({DecodePercent(name, true, arena, result.encoding_error),
                         DecodePercent(value, true, arena, result.encoding_error)});
  }
  return result;
}

void ParseUrlEncoded(std::string_view body, char separator, const BodyLimits& limits,
                     TextArena& arena, ParsedBody& parsed) {
  const UrlEncodedResult result =
      SplitUrlEncoded(body, separator, limits.arguments_max, arena, parsed.arguments);
  parsed.url_encoding_error = result.encoding_error;
  parsed.arguments_limit_exceeded = result.arguments_limit_exceeded;
}

}  // namespace edge::waf
