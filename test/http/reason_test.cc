#include "http/reason.h"

#include <compare>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace edge::http {
namespace {

TEST(Reason, IdsAreUniqueAndOfOneForm) {
  std::set<std::string> ids;
  for (size_t i = 0; i < kReasonCount; ++i) {
    const std::string id(Describe(static_cast<Reason>(i)).id);
    EXPECT_TRUE(ids.insert(id).second) << id;
    EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._"), std::string::npos)
        << id;
  }
}

TEST(Reason, EveryRefusalNamesItsSectionAndIsExplained) {
  for (size_t i = 1; i < kReasonCount; ++i) {
    const ReasonInfo& info = Describe(static_cast<Reason>(i));
    EXPECT_TRUE(info.rfc.starts_with("RFC ")) << info.id;
    EXPECT_FALSE(info.text.empty()) << info.id;
  }
}

TEST(Reason, OnlyRefusalsThatClientsCanCauseHaveAStatus) {
  for (size_t i = 1; i < kReasonCount; ++i) {
    const ReasonInfo& info = Describe(static_cast<Reason>(i));
    if (info.id.starts_with("response.")) {
      EXPECT_EQ(info.status, 0) << info.id;
    } else {
      EXPECT_TRUE((info.status >= 400 && info.status < 500) || info.status == 501 ||
                  info.status == 505)
          << info.id;
    }
  }
}

// Dashboards, clients and the access log know refusals by their ids, so ids and statuses stay what
// they are. A new reason is a new line here.
struct Contract {
  std::string_view id;
  int status;
  std::string_view rfc;

  auto operator<=>(const Contract&) const = default;
};
constexpr Contract kContract[] = {
    {"chunk.data.line_end", 400, "RFC 9112 7.1"},
    {"chunk.extension.invalid", 400, "RFC 9112 7.1.1"},
    {"chunk.extension.too_long", 400, "RFC 9112 7.1.1"},
    {"chunk.size.invalid", 400, "RFC 9112 7.1"},
    {"chunk.size.leading_zeros", 400, "RFC 9112 7.1"},
    {"chunk.size.line_end", 400, "RFC 9112 7.1"},
    {"chunk.size.overflow", 400, "RFC 9112 7.1"},
    {"framing.content_length.invalid", 400, "RFC 9112 6.3"},
    {"framing.content_length.leading_zeros", 400, "RFC 9110 8.6"},
    {"framing.content_length.overflow", 400, "RFC 9110 8.6"},
    {"framing.content_length.repeated", 400, "RFC 9112 6.3"},
    {"framing.transfer_encoding.empty", 400, "RFC 9112 6.1"},
    {"framing.transfer_encoding.http10", 400, "RFC 9112 6.1"},
    {"framing.transfer_encoding.not_chunked", 400, "RFC 9112 6.3"},
    {"framing.transfer_encoding.repeated", 400, "RFC 9112 6.1"},
    {"framing.transfer_encoding.unknown", 501, "RFC 9112 6.1"},
    {"framing.transfer_encoding.with_length", 400, "RFC 9112 6.1"},
    {"head.connection.too_many", 400, "RFC 9110 7.6.1"},
    {"head.field.bare_cr", 400, "RFC 9112 2.2"},
    {"head.field.bare_lf", 400, "RFC 9112 2.2"},
    {"head.field.colon_missing", 400, "RFC 9112 5"},
    {"head.field.control", 400, "RFC 9110 5.5"},
    {"head.field.fold", 400, "RFC 9112 5.2"},
    {"head.field.name_empty", 400, "RFC 9112 5"},
    {"head.field.name_invalid", 400, "RFC 9110 5.1"},
    {"head.field.nul", 400, "RFC 9110 5.5"},
    {"head.field.space_before_colon", 400, "RFC 9112 5.1"},
    {"head.fields_too_many", 431, "RFC 6585 5"},
    {"head.line.bare_cr", 400, "RFC 9112 2.2"},
    {"head.line.bare_lf", 400, "RFC 9112 2.2"},
    {"head.line.control", 400, "RFC 9112 3"},
    {"head.line.too_long", 414, "RFC 9112 3"},
    {"head.rejected", 400, "RFC 9112 2"},
    {"head.space_before_first_field", 400, "RFC 9112 2.2"},
    {"head.too_large", 431, "RFC 6585 5"},
    {"head.too_large_to_forward", 431, "RFC 6585 5"},
    {"head.version.malformed", 400, "RFC 9112 2.3"},
    {"head.version.unsupported", 505, "RFC 9110 15.6.6"},
    {"request.body.too_large", 413, "RFC 9110 15.5.14"},
    {"request.expect.unsupported", 417, "RFC 9110 10.1.1"},
    {"request.field.underscore", 400, "RFC 9110 5.1"},
    {"request.host.empty", 400, "RFC 9112 3.2"},
    {"request.host.invalid", 400, "RFC 9112 3.2"},
    {"request.host.missing", 400, "RFC 9112 3.2"},
    {"request.host.port", 400, "RFC 3986 3.2.3"},
    {"request.host.repeated", 400, "RFC 9112 3.2"},
    {"request.line.empty_lines", 400, "RFC 9112 2.2"},
    {"request.line.spaces", 400, "RFC 9112 3"},
    {"request.max_forwards.invalid", 400, "RFC 9110 7.6.2"},
    {"request.method.connect", 405, "RFC 9112 3.2.3"},
    {"request.method.invalid", 400, "RFC 9112 3.1"},
    {"request.method.unknown", 501, "RFC 9110 9.1"},
    {"request.target.asterisk", 400, "RFC 9112 3.2.4"},
    {"request.target.authority_form", 400, "RFC 9112 3.2.3"},
    {"request.target.backslash", 400, "RFC 3986 2"},
    {"request.target.character", 400, "RFC 3986 2"},
    {"request.target.double_slash", 400, "RFC 3986 4.2"},
    {"request.target.empty", 400, "RFC 9112 3.2"},
    {"request.target.form", 400, "RFC 9112 3.2"},
    {"request.target.fragment", 400, "RFC 9112 3.2"},
    {"request.target.host", 400, "RFC 9110 4.2.1"},
    {"request.target.nul", 400, "RFC 3986 7.3"},
    {"request.target.percent", 400, "RFC 3986 2.1"},
    {"request.target.port", 400, "RFC 3986 3.2.3"},
    {"request.target.scheme", 400, "RFC 9110 4.2"},
    {"request.target.userinfo", 400, "RFC 9110 4.2.4"},
    {"request.trace.body", 400, "RFC 9110 9.3.8"},
    {"request.version.missing", 400, "RFC 9112 3"},
    {"response.interim.too_many", 0, "RFC 9110 15.2"},
    {"response.interim.with_length", 0, "RFC 9110 8.6"},
    {"response.line.malformed", 0, "RFC 9112 4"},
    {"response.status.invalid", 0, "RFC 9110 15"},
    {"response.switching.incomplete", 0, "RFC 9110 7.8"},
    {"response.switching.unasked", 0, "RFC 9110 15.2.2"},
    {"trailer.forbidden", 400, "RFC 9110 6.5.1"},
    {"trailer.invalid", 400, "RFC 9112 7.1.2"},
    {"trailer.too_large", 431, "RFC 6585 5"},
    {"trailer.too_many", 431, "RFC 6585 5"},
};

std::ostream& operator<<(std::ostream& out, const Contract& row) {
  return out << row.id << ' ' << row.status << ' ' << row.rfc;
}

TEST(Reason, IdsStatusesAndSectionsStayWhatTheyAre) {
  std::vector<Contract> found;
  for (size_t i = 1; i < kReasonCount; ++i) {
    const ReasonInfo& info = Describe(static_cast<Reason>(i));
    found.push_back({info.id, info.status, info.rfc});
  }
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(kContract));
  EXPECT_EQ(Describe(Reason::kNone).id, "none");
}

TEST(Reason, ARefusalIsTrueWhenItHasAReason) {
  EXPECT_FALSE(Refusal());
  EXPECT_TRUE((Refusal{Reason::kHostMissing, 7}));
}

}  // namespace
}  // namespace edge::http
