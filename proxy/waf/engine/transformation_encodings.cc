// Transformations into and out of base64, hexadecimal and URL encoding, and digests.

#include <array>
#include <charconv>

#include "absl/strings/escaping.h"
#include "openssl/md5.h"
#include "openssl/sha.h"
#include "proxy/waf/engine/transformation_internal.h"

namespace edge::waf::transformation {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

constexpr std::array<int8_t, 256> MakeBase64Values() {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = -1;
  for (int i = 0; i < 26; ++i) {
    values['A' + i] = static_cast<int8_t>(i);
    values['a' + i] = static_cast<int8_t>(26 + i);
  }
  for (int i = 0; i < 10; ++i) values['0' + i] = static_cast<int8_t>(52 + i);
  values['+'] = 62;
  values['/'] = 63;
  return values;
}

constexpr std::array<int8_t, 256> kBase64Values = MakeBase64Values();

int Base64Value(char c) { return kBase64Values[static_cast<unsigned char>(c)]; }

// Whether all of it is base64: digits, at most two '=' after them, line ends, and spaces at the
// ends of lines.
bool IsStrictBase64(std::string_view in) {
  int padding = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    bool after_space = false;
    for (; i < in.size() && in[i] == ' '; ++i) after_space = true;
    if (i == in.size()) break;
    if (in.substr(i).starts_with("\r\n") || in[i] == '\n') continue;
    if (after_space) return false;
    if (in[i] == '=') {
      if (++padding > 2) return false;
    } else if (padding > 0 || Base64Value(in[i]) < 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool Base64Decode(std::string_view in, std::string& out) {
  if (in.empty()) return false;
  // As in libmodsecurity: a NUL ends the text, of what is not base64 nothing is left, and nor is of
  // a last group that is not complete.
  in = in.substr(0, in.find('\0'));
  out.clear();
  if (!IsStrictBase64(in)) return true;
  Writer writer(out, in, 0, in.size());
  uint32_t group = 0;
  int digits = 0;
  int padding = 0;
  for (const char c : in) {
    if (c == '\r' || c == '\n' || c == ' ') continue;
    padding += c == '=';
    group = group << 6 | (c == '=' ? 0 : static_cast<uint32_t>(Base64Value(c)));
    if (++digits < 4) continue;
    digits = 0;
    writer.Put(static_cast<char>(group >> 16));
    if (padding <= 1) writer.Put(static_cast<char>(group >> 8));
    if (padding == 0) writer.Put(static_cast<char>(group));
  }
  writer.Finish();
  return true;
}

bool Base64DecodeExt(std::string_view in, std::string& out) {
  if (in.empty()) return false;
  Writer writer(out, in, 0, in.size());
  uint32_t bits = 0;
  size_t digits = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const int value = Base64Value(in[i]);
    if (value < 0) {
      // Padding after the first digit of a group: this is not base64, and nothing is left of it.
      // (libmodsecurity does the same at a 9 that ends the value, which it mistakes for padding.)
      const bool padding = in[i] == '=' && (i + 1 == in.size() || in[i + 1] != '=');
      if (padding && digits % 4 == 1) {
        out.clear();
        return true;
      }
      continue;
    }
    // Of an incomplete group the whole bytes are kept.
    bits = bits << 6 | static_cast<uint32_t>(value);
    switch (digits++ % 4) {
      case 1:
        writer.Put(static_cast<char>(bits >> 4));
        break;
      case 2:
        writer.Put(static_cast<char>(bits >> 2));
        break;
      case 3:
        writer.Put(static_cast<char>(bits));
        break;
      default:
        break;
    }
  }
  writer.Finish();
  return true;
}

bool Base64Encode(std::string_view in, std::string& out) {
  if (in.empty()) return false;
  absl::Base64Escape(in, &out);
  return true;
}

bool HexDecode(std::string_view in, std::string& out) {
  if (in.empty()) return false;
  Writer writer(out, in, 0, in.size() / 2);
  for (size_t i = 0; i + 1 < in.size(); i += 2) writer.Put(static_cast<char>(HexByte(&in[i])));
  writer.Finish();
  return true;
}

bool HexEncode(std::string_view in, std::string& out) {
  if (in.empty()) return false;
  Writer writer(out, in, 0, 2 * in.size());
  for (const unsigned char c : in) {
    writer.Put(kHexDigits[c >> 4]);
    writer.Put(kHexDigits[c & 0xf]);
  }
  writer.Finish();
  return true;
}

bool Length(std::string_view in, std::string& out) {
  char digits[20];
  out.assign(digits, std::to_chars(digits, std::end(digits), in.size()).ptr);
  return out != in;
}

bool Md5(std::string_view in, std::string& out) {
  out.resize(MD5_DIGEST_LENGTH);
  MD5(reinterpret_cast<const uint8_t*>(in.data()), in.size(),
      reinterpret_cast<uint8_t*>(out.data()));
  return true;
}

bool Sha1(std::string_view in, std::string& out) {
  out.resize(SHA_DIGEST_LENGTH);
  SHA1(reinterpret_cast<const uint8_t*>(in.data()), in.size(),
       reinterpret_cast<uint8_t*>(out.data()));
  return true;
}

bool SqlHexDecode(std::string_view in, std::string& out) {
  if (in.size() < 4) return false;
  const char* bytes = in.data();
  const size_t last = in.size() - 3;
  const size_t prefix = FindPosition(
      last, [bytes](size_t i) { return (bytes[i] == '0') & ((bytes[i + 1] | 0x20) == 'x'); });
  if (prefix == last) return false;

  Writer writer(out, in, prefix, in.size());
  const auto are_hex = [in](size_t i) {
    return i + 1 < in.size() && IsHex(in[i]) && IsHex(in[i + 1]);
  };
  for (size_t i = prefix; i < in.size();) {
    const bool begins =
        i + 3 < in.size() && in[i] == '0' && (in[i + 1] | 0x20) == 'x' && are_hex(i + 2);
    if (!begins) {
      writer.Put(in[i++]);
      continue;
    }
    for (i += 2; are_hex(i); i += 2) writer.Put(static_cast<char>(HexByte(&in[i])));
  }
  writer.Finish();
  return out.size() != in.size();
}

bool UrlEncode(std::string_view in, std::string& out) {
  const auto plain = [](unsigned char c) { return IsAlnum(c) || c == '*'; };
  const size_t prefix = FindByte(in, [plain](unsigned char c) { return !plain(c); });
  if (prefix == in.size()) return false;
  Writer writer(out, in, prefix, 3 * in.size());
  for (const unsigned char c : in.substr(prefix)) {
    if (plain(c)) {
      writer.Put(static_cast<char>(c));
    } else if (c == ' ') {
      writer.Put('+');
    } else {
      writer.Put('%');
      writer.Put(kHexDigits[c >> 4]);
      writer.Put(kHexDigits[c & 0xf]);
    }
  }
  writer.Finish();
  return true;
}

}  // namespace edge::waf::transformation
