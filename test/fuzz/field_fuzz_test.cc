// Fields: names to ids, and the fields of a head.
//
//   - A name has the id of the one known name that it equals, found here by comparing with all.
//   - The fields of an accepted head are those that a plain reader finds, in order; looking up,
//     counting and hop-by-hop marks agree with it.
//   - Moving the head to a larger block in the middle changes nothing.
//
// The input is a section of field lines, without a start line, Host and the empty line at the end.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "http/chars.h"
#include "http/field.h"
#include "http/parser.h"
#include "test/fuzz/fuzz_input.h"

namespace edge::http {
namespace {

FieldId SlowLookup(std::string_view name) {
  for (size_t i = 1; i < kFieldIdCount; ++i) {
    const auto id = static_cast<FieldId>(i);
    if (!FieldName(id).empty() && absl::EqualsIgnoreCase(FieldName(id), name)) return id;
  }
  if (absl::EqualsIgnoreCase(name, "X-Real-IP")) return FieldId::kXForwardedOther;
  constexpr std::string_view kPrefix = "X-Forwarded-";
  return name.size() > kPrefix.size() && absl::StartsWithIgnoreCase(name, kPrefix)
             ? FieldId::kXForwardedOther
             : FieldId::kOther;
}

void CheckNames(std::string_view text) {
  const std::string_view name = text.substr(0, text.find_first_of(":\r\n"));
  if (!IsToken(name)) return;
  CHECK(LookupField(name) == SlowLookup(name)) << name;
  for (size_t i = 0; i < kFieldIdCount; ++i) {
    const std::string_view known = FieldName(static_cast<FieldId>(i));
    CHECK_EQ(EqualsIgnoreCase(known, name), absl::EqualsIgnoreCase(known, name)) << name;
  }
}

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// Of a head that was accepted, so every line has a colon.
Fields ReadPlainly(std::string_view section, bool drop_underscores) {
  Fields fields;
  for (const std::string_view line : absl::StrSplit(section, "\r\n")) {
    if (line.empty()) break;
    const size_t colon = line.find(':');
    CHECK_NE(colon, line.npos) << line;
    const std::string_view name = line.substr(0, colon);
    if (drop_underscores && absl::StrContains(name, '_')) continue;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    fields.emplace_back(name, value);
  }
  return fields;
}

void CheckHead(const RequestHead& head, const Fields& expected) {
  CHECK_EQ(head.size(), expected.size());
  for (size_t i = 0; i < head.size(); ++i) {
    CHECK_EQ(head.name(i), expected[i].first);
    CHECK_EQ(head.value(i), expected[i].second);
    CHECK(head.id(i) == SlowLookup(head.name(i)));
    const auto first = std::find_if(expected.begin(), expected.end(), [&](const auto& field) {
      return absl::EqualsIgnoreCase(field.first, head.name(i));
    });
    CHECK_EQ(*head.Find(head.name(i)), first->second);
  }
  for (size_t n = 1; n < kFieldIdCount; ++n) {
    const auto id = static_cast<FieldId>(n);
    const auto matches = [id](const auto& field) { return SlowLookup(field.first) == id; };
    const auto count = std::count_if(expected.begin(), expected.end(), matches);
    CHECK_EQ(head.Has(id), count > 0);
    CHECK_EQ(head.Repeats(id), count > 1);
    CHECK_EQ(head.Count(id), static_cast<size_t>(count));
    if (count > 0) {
      CHECK_EQ(*head.Find(id), std::find_if(expected.begin(), expected.end(), matches)->second);
    }
  }
}

// What Connection names is hop-by-hop, unless losing it would be dangerous; those are not all
// listed here.
void CheckHopByHop(const RequestHead& head) {
  for (size_t i = 0; i < head.size(); ++i) {
    const FieldId id = head.id(i);
    bool named = false;
    for (size_t c = 0; c < head.size(); ++c) {
      if (head.id(c) != FieldId::kConnection) continue;
      for (const std::string_view option : absl::StrSplit(head.value(c), ',')) {
        named |= absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(option), head.name(i));
      }
    }
    if (id == FieldId::kConnection || id == FieldId::kTransferEncoding || id == FieldId::kTe ||
        id == FieldId::kUpgrade || id == FieldId::kKeepAlive) {
      CHECK(head.IsHopByHop(i));
    } else if (id == FieldId::kHost || id == FieldId::kContentLength || id == FieldId::kCookie ||
               id == FieldId::kAuthorization || id == FieldId::kXForwardedFor) {
      CHECK(!head.IsHopByHop(i));
    } else if (id == FieldId::kOther && !absl::EqualsIgnoreCase(head.name(i), "close")) {
      CHECK_EQ(head.IsHopByHop(i), named) << head.name(i);
    }
  }
}

void Run(const FuzzInput& input) {
  CheckNames(input.bytes);
  const ValidationPolicy policy = FuzzPolicy(input.policy);
  const std::string prefix = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::string bytes = prefix + std::string(input.bytes) + "\r\n\r\n";
  const size_t cut = prefix.size() + input.position();

  RequestParser parser(&policy);
  RequestHead head;
  auto block = std::make_unique<char[]>(MessageHead::kBlockBytesMax);
  head.Bind({block.get(), MessageHead::kBlockBytesMax});
  parser.Start(&head);
  HeadProgress progress = parser.Feed(std::string_view(bytes).substr(0, cut));
  size_t consumed = progress.consumed;
  if (progress.status == HeadStatus::kNeedMore) {
    auto other = std::make_unique<char[]>(MessageHead::kBlockBytesMax);
    head.Rebind({other.get(), MessageHead::kBlockBytesMax});
    block = std::move(other);
    progress = parser.Feed(std::string_view(bytes).substr(cut));
    consumed += progress.consumed;
  }
  if (progress.status != HeadStatus::kComplete) return;
  const size_t line = std::string_view("GET / HTTP/1.1\r\n").size();
  const std::string_view section = std::string_view(bytes).substr(line, consumed - line);
  CheckHead(head, ReadPlainly(section, policy.underscore_names == UnderscoreNames::kDrop));
  CheckHopByHop(head);
}

}  // namespace
}  // namespace edge::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  edge::http::Run(edge::http::FuzzInput(data, size));
  return 0;
}
