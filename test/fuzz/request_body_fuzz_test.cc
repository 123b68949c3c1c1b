// The parsers of request bodies in the rule engine.
//
//   - Every text they give can be read, and the limits hold.
//   - The same body gives the same, also in memory that another one was read in before.
//   - What a cut body gives is what the whole one begins with.
//   - Urlencoded pairs are those of a slow, plain reader. JSON that nlohmann's parser accepts is
//     accepted, with the same strings in the same order.
//
// Byte 2 of the input chooses low limits, byte 3 the format.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "proxy/waf/engine/request_body.h"
#include "proxy/waf/engine/request_parts.h"
#include "test/fuzz/fuzz_input.h"

namespace edge::waf {
namespace {

enum class Format : uint8_t { kUrlEncoded, kMultipart, kJson, kXml, kParts };

constexpr std::string_view kContentType = "multipart/form-data; boundary=B";

struct Reading {
  TextArena arena;
  ParsedBody parsed;
};

void Parse(Format format, std::string_view body, const BodyLimits& limits, Reading& reading) {
  reading.parsed.Clear();
  reading.arena.Clear();
  switch (format) {
    case Format::kUrlEncoded:
      return ParseUrlEncoded(body, '&', limits, reading.arena, reading.parsed);
    case Format::kMultipart: {
      // The first line may bring a Content-Type of its own.
      const size_t line = body.find('\n');
      if (body.starts_with("multipart/") && line != body.npos) {
        return ParseMultipart(body.substr(0, line), body.substr(line + 1), limits, reading.arena,
                              reading.parsed);
      }
      return ParseMultipart(kContentType, body, limits, reading.arena, reading.parsed);
    }
    case Format::kJson:
      return ParseJson(body, limits, reading.arena, reading.parsed);
    case Format::kXml:
      return ParseXml(body, limits, reading.arena, reading.parsed);
    case Format::kParts:
      return;
  }
}

// Reads every byte, for AddressSanitizer.
std::string Dump(const ParsedBody& parsed) {
  std::string text;
  for (const Argument& argument : parsed.arguments) {
    absl::StrAppend(&text, argument.name, "=", argument.value, "\n");
  }
  for (const FilePart& file : parsed.files) {
    absl::StrAppend(&text, file.name, "@", file.filename, "=", file.content, "\n");
  }
  for (const PartHeader& header : parsed.part_headers) {
    absl::StrAppend(&text, header.part, "|", header.line, "\n");
  }
  for (const std::string_view value : parsed.xml_text) absl::StrAppend(&text, value, "\n");
  for (const std::string_view value : parsed.xml_attributes) absl::StrAppend(&text, value, "\n");
  for (const XmlElement& element : parsed.xml_elements) {
    absl::StrAppend(&text, element.name, " ", element.text, " ", element.parent, " ", element.end);
  }
  const MultipartFlags& flags = parsed.multipart;
  absl::StrAppend(&text, parsed.multipart_name, parsed.multipart_filename, parsed.error_text,
                  flags.strict_error, flags.unmatched_boundary, flags.data_before, flags.data_after,
                  flags.lf_line, flags.crlf_lf_lines, flags.invalid_quoting, flags.invalid_part,
                  parsed.url_encoding_error, parsed.ends_early, parsed.files_bytes, " ",
                  parsed.no_files_bytes);
  return text;
}

void CheckResult(const ParsedBody& parsed, const BodyLimits& limits) {
  CHECK_LE(parsed.arguments.size(), limits.arguments_max);
  CHECK_LE(parsed.files.size(), limits.parts_max);
  CHECK_LE(parsed.xml_attributes.size(), limits.arguments_max);
  CHECK_EQ(parsed.error, !parsed.error_text.empty());
  CHECK(parsed.error || !parsed.ends_early);
  CHECK_EQ(parsed.xml_attribute_names.size(), parsed.xml_attributes.size());
  for (size_t i = 0; i < parsed.xml_elements.size(); ++i) {
    const XmlElement& element = parsed.xml_elements[i];
    CHECK_GT(element.end, i);
    CHECK_LE(element.end, parsed.xml_elements[element.parent].end);
    CHECK_LE(element.attributes_begin, element.attributes_end);
    CHECK_LE(element.attributes_end, parsed.xml_attributes.size());
  }
}

// --- Slow readers

std::string SlowDecode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) {
      return at < text.size() && absl::ascii_isxdigit(static_cast<unsigned char>(text[at]));
    };
    if (text[i] == '%' && digit(i + 1) && digit(i + 2)) {
      decoded += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

void CheckUrlEncoded(std::string_view body, const ParsedBody& parsed) {
  std::vector<std::string_view> pairs = absl::StrSplit(body, '&');
  if (!pairs.empty() && pairs.back().empty()) pairs.pop_back();
  if (parsed.arguments_limit_exceeded) {
    CHECK_GT(pairs.size(), parsed.arguments.size());
  } else {
    CHECK_EQ(pairs.size(), parsed.arguments.size());
  }
  for (size_t i = 0; i < parsed.arguments.size(); ++i) {
    const std::pair<std::string_view, std::string_view> pair =
        absl::StrSplit(pairs[i], absl::MaxSplits('=', 1));
    CHECK_EQ(parsed.arguments[i].name, SlowDecode(pair.first));
    CHECK_EQ(parsed.arguments[i].value, SlowDecode(pair.second));
  }
}

// Counts the values, and keeps those that are strings.
class JsonValues : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return Add(""); }
  bool boolean(bool value) override { return Add(value ? "true" : "false"); }
  bool number_integer(int64_t) override { return AddNumber(); }
  bool number_unsigned(uint64_t) override { return AddNumber(); }
  bool number_float(double, const std::string&) override { return AddNumber(); }
  bool string(std::string& value) override { return Add(value); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(size_t) override { return true; }
  bool key(std::string&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

  std::vector<std::pair<bool, std::string>> values;  // whether the text is known

 private:
  bool Add(std::string_view text) {
    values.emplace_back(true, text);
    return true;
  }
  bool AddNumber() {
    values.emplace_back(false, "");
    return true;
  }
};

void CheckJson(std::string_view body, const ParsedBody& parsed) {
  JsonValues expected;
  if (!nlohmann::json::sax_parse(body, &expected)) return;
  if (parsed.arguments_limit_exceeded ||
      parsed.error_text.find("depth") != std::string_view::npos) {
    return;
  }
  // It skips a byte order mark, which yajl does not, and takes a NUL for the end.
  if (body.starts_with("\xef\xbb\xbf") || body.find('\0') != body.npos) return;
  CHECK(!parsed.error) << body << ": " << parsed.error_text;
  CHECK_EQ(parsed.arguments.size(), expected.values.size()) << body;
  for (size_t i = 0; i < parsed.arguments.size(); ++i) {
    if (expected.values[i].first) CHECK_EQ(parsed.arguments[i].value, expected.values[i].second);
  }
}

// ---

// All but the last of what a part of the body gives; XML and multipart, where more can change with
// what follows, are left out.
void CheckCut(Format format, const ParsedBody& cut, const ParsedBody& whole) {
  if (format != Format::kUrlEncoded && format != Format::kJson) return;
  for (size_t i = 0; i + 1 < cut.arguments.size(); ++i) {
    CHECK_LT(i, whole.arguments.size());
    CHECK_EQ(cut.arguments[i].name, whole.arguments[i].name);
    CHECK_EQ(cut.arguments[i].value, whole.arguments[i].value);
  }
}

void CheckParts(std::string_view bytes) {
  TextArena arena;
  const TargetParts parts = SplitTarget(bytes, arena);
  CHECK_LE(parts.filename.size(), parts.uri.size());
  CHECK(parts.filename.ends_with(parts.basename));
  CHECK(bytes.find('#') != bytes.npos || bytes.ends_with(parts.query));
  std::vector<Argument> cookies;
  SplitCookies(bytes, 5, cookies);
  CHECK_LE(cookies.size(), 5u);
  for (const Argument& cookie : cookies) CHECK(!cookie.name.empty());
  CHECK_LE(BasicUser(bytes, arena).size(), bytes.size());
  CHECK_LE(HostName(bytes).size(), bytes.size());
  CHECK_LE(AuthType(bytes).size(), bytes.size());
}

void Run(const http::FuzzInput& input) {
  const auto format = static_cast<Format>(input.choice % 5);
  if (format == Format::kParts) return CheckParts(input.bytes);
  BodyLimits limits;
  if ((input.policy & 1) != 0) {
    limits = {.arguments_max = 5, .depth_max = 3, .parts_max = 4, .files_max = 1};
  }
  Reading reading;
  Parse(format, input.bytes, limits, reading);
  const std::string first = Dump(reading.parsed);
  CheckResult(reading.parsed, limits);
  if (format == Format::kUrlEncoded) CheckUrlEncoded(input.bytes, reading.parsed);
  if (format == Format::kJson) CheckJson(input.bytes, reading.parsed);

  Reading cut;
  Parse(format, input.bytes.substr(0, input.position()), limits, cut);
  Dump(cut.parsed);
  CheckResult(cut.parsed, limits);
  CheckCut(format, cut.parsed, reading.parsed);

  Parse(format, input.bytes, limits, cut);
  CHECK_EQ(Dump(cut.parsed), first);
}

}  // namespace
}  // namespace edge::waf

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::waf::Run(edge::http::FuzzInput(data, size));
  return 0;
}
