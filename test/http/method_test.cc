#include "http/method.h"

#include <string>

#include "gtest/gtest.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

TEST(Method, NamesAndMethodsMatch) {
  for (size_t i = 0; i < static_cast<size_t>(Method::kCount); ++i) {
    const Method method = static_cast<Method>(i);
    EXPECT_EQ(LookupMethod(MethodName(method)), method);
  }
}

TEST(Method, OnlyExactNamesAreKnown) {
  EXPECT_EQ(LookupMethod("get"), std::nullopt);
  EXPECT_EQ(LookupMethod("GETT"), std::nullopt);
  EXPECT_EQ(LookupMethod("GE"), std::nullopt);
  EXPECT_EQ(LookupMethod(""), std::nullopt);
  EXPECT_EQ(LookupMethod("PRI"), std::nullopt);
}

TEST(Rfc9110Section9_1, EveryKnownMethodButConnectIsAccepted) {
  for (size_t i = 0; i < static_cast<size_t>(Method::kCount); ++i) {
    const Method method = static_cast<Method>(i);
    const std::string request = std::string(MethodName(method)) + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    EXPECT_EQ(RequestVerdict(request), method == Method::kConnect ? "request.method.connect" : "ok")
        << request;
  }
}

TEST(Rfc9112Section9_3_1, OnlyIdempotentMethodsMayBeRetried) {
  for (Method method : {Method::kGet, Method::kHead, Method::kPut, Method::kDelete,
                        Method::kOptions, Method::kTrace}) {
    EXPECT_TRUE(IsIdempotent(method)) << MethodName(method);
  }
  for (Method method : {Method::kPost, Method::kPatch, Method::kConnect, Method::kLock}) {
    EXPECT_FALSE(IsIdempotent(method)) << MethodName(method);
  }
}

TEST(Rfc9110Section9_2_1, SafeMethodsAreIdempotent) {
  for (size_t i = 0; i < static_cast<size_t>(Method::kCount); ++i) {
    const Method method = static_cast<Method>(i);
    EXPECT_TRUE(!IsSafe(method) || IsIdempotent(method)) << MethodName(method);
  }
  EXPECT_TRUE(IsSafe(Method::kGet));
  EXPECT_FALSE(IsSafe(Method::kPut));
  EXPECT_FALSE(IsSafe(Method::kPost));
}

}  // namespace
}  // namespace edge::http
