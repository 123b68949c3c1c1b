// Every library of the build links and answers: the first test to look at when a dependency or a
// tool chain changes.

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ares.h"
#include "benchmark/benchmark.h"
#include "gtest/gtest.h"
#include "liburing.h"
#include "llhttp.h"
#include "openssl/ssl.h"
#include "yaml-cpp/yaml.h"

namespace edge {
namespace {

TEST(SmokeTest, AbseilFormats) {
  absl::StatusOr<int> answer = 42;
  EXPECT_EQ(absl::StrCat("answer ", *answer), "answer 42");
}

TEST(SmokeTest, BenchmarkNamesItsVersion) {
  EXPECT_FALSE(benchmark::GetBenchmarkVersion().empty());
}

TEST(SmokeTest, BoringSslMakesContext) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  EXPECT_NE(context, nullptr);
}

TEST(SmokeTest, CAresMakesChannel) {
  ASSERT_EQ(ares_library_init(ARES_LIB_INIT_ALL), ARES_SUCCESS);
  ares_channel_t* channel = nullptr;
  EXPECT_EQ(ares_init_options(&channel, nullptr, 0), ARES_SUCCESS);
  ares_destroy(channel);
  ares_library_cleanup();
}

TEST(SmokeTest, LiburingMakesRing) {
  io_uring ring;
  ASSERT_EQ(io_uring_queue_init(8, &ring, 0), 0);
  io_uring_queue_exit(&ring);
}

TEST(SmokeTest, LlhttpParsesRequest) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  constexpr char kRequest[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(llhttp_execute(&parser, kRequest, sizeof(kRequest) - 1), HPE_OK);
  EXPECT_EQ(parser.method, HTTP_GET);
}

TEST(SmokeTest, YamlCppReadsScalar) {
  EXPECT_EQ(YAML::Load("{listen: ':443'}")["listen"].as<std::string>(), ":443");
}

}  // namespace
}  // namespace edge
