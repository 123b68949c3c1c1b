#include "http/validation_policy.h"

#include <string>

#include "gtest/gtest.h"
#include "http/message_head.h"

namespace edge::http {
namespace {

TEST(ValidationPolicy, TheDefaultsAreUsableAndStrict) {
  const ValidationPolicy policy;
  EXPECT_EQ(FindProblem(policy), "");
  EXPECT_EQ(policy.underscore_names, UnderscoreNames::kDrop);
  EXPECT_FALSE(policy.double_slash_target);
  EXPECT_FALSE(policy.status_line_without_space);
  EXPECT_EQ(policy.chunk_size_leading_zeros_max, 0u);
}

TEST(ValidationPolicy, AProblemNamesTheMember) {
  const auto problem = [](auto change) {
    ValidationPolicy policy;
    change(&policy);
    return std::string(FindProblem(policy));
  };
  EXPECT_EQ(problem([](ValidationPolicy* p) { p->head_bytes_max = 65536; }),
            "head_bytes_max must be at most 65535");
  EXPECT_EQ(problem([](ValidationPolicy* p) { p->head_bytes_max = 8000; }),
            "head_bytes_max must be at least request_line_bytes_max + 4");
  EXPECT_EQ(problem([](ValidationPolicy* p) { p->request_line_bytes_max = 15; }),
            "request_line_bytes_max must be at least 16");
  EXPECT_EQ(problem([](ValidationPolicy* p) { p->status_line_bytes_max = 0; }),
            "status_line_bytes_max must be at least 16");
  EXPECT_EQ(problem([](ValidationPolicy* p) { p->fields_max = 0; }),
            "fields_max must be from 1 to 128");
  EXPECT_EQ(problem([](ValidationPolicy* p) { p->fields_max = 129; }),
            "fields_max must be from 1 to 128");
  EXPECT_EQ(problem([](ValidationPolicy* p) { p->connection_options_max = 0; }),
            "connection_options_max must be at least 1");
  EXPECT_EQ(MessageHead::kFieldsMax, 128u);
}

}  // namespace
}  // namespace edge::http
