#include "http/reason.h"

#include <set>
#include <string>

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

TEST(Reason, StatusesThatDifferFrom400) {
  EXPECT_EQ(Describe(Reason::kLineTooLong).status, 414);
  EXPECT_EQ(Describe(Reason::kHeadTooLarge).status, 431);
  EXPECT_EQ(Describe(Reason::kFieldsTooMany).status, 431);
  EXPECT_EQ(Describe(Reason::kMethodUnknown).status, 501);
  EXPECT_EQ(Describe(Reason::kMethodConnect).status, 405);
  EXPECT_EQ(Describe(Reason::kVersionUnsupported).status, 505);
  EXPECT_EQ(Describe(Reason::kTransferEncodingUnknown).status, 501);
  EXPECT_EQ(Describe(Reason::kExpectUnsupported).status, 417);
  EXPECT_EQ(Describe(Reason::kTrailerTooLarge).status, 431);
}

TEST(Reason, IdsStayWhatTheyAre) {
  EXPECT_EQ(Describe(Reason::kNone).id, "none");
  EXPECT_EQ(Describe(Reason::kHostMissing).id, "request.host.missing");
  EXPECT_EQ(Describe(Reason::kFieldFold).id, "head.field.fold");
  EXPECT_EQ(Describe(Reason::kTransferEncodingWithLength).id,
            "framing.transfer_encoding.with_length");
  EXPECT_EQ(Describe(Reason::kSwitchingUnasked).id, "response.switching.unasked");
  EXPECT_EQ(Describe(Reason::kChunkSizeOverflow).id, "chunk.size.overflow");
  EXPECT_EQ(Describe(Reason::kTrailerForbidden).id, "trailer.forbidden");
}

TEST(Reason, ARefusalIsTrueWhenItHasAReason) {
  EXPECT_FALSE(Refusal());
  EXPECT_TRUE((Refusal{Reason::kHostMissing, 7}));
}

}  // namespace
}  // namespace edge::http
