// Every library of the build links and answers: the first test to look at when a dependency or a
// tool chain changes.

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ares.h"
#include "benchmark/benchmark.h"
#include "expat.h"
#include "gtest/gtest.h"
#include "hs.h"
#include "libinjection.h"
#include "liburing.h"
#include "llhttp.h"
#include "nlohmann/json.hpp"
#include "openssl/ssl.h"
#include "pcre2.h"
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

TEST(SmokeTest, LibinjectionFindsInjection) {
  constexpr std::string_view kInjection = "1' or '1'='1";
  char fingerprint[8];
  EXPECT_EQ(libinjection_sqli(kInjection.data(), kInjection.size(), fingerprint), 1);
}

TEST(SmokeTest, ExpatParsesDocument) {
  XML_Parser parser = XML_ParserCreate(nullptr);
  EXPECT_EQ(XML_Parse(parser, "<a/>", 4, XML_TRUE), XML_STATUS_OK);
  XML_ParserFree(parser);
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

TEST(SmokeTest, NlohmannJsonReadsMember) {
  EXPECT_EQ(nlohmann::json::parse(R"({"a": 7})", nullptr, false)["a"], 7);
}

TEST(SmokeTest, Pcre2HasJustInTimeCompiler) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>("a+b"), PCRE2_ZERO_TERMINATED, 0,
                                   &error, &offset, nullptr);
  ASSERT_NE(code, nullptr);
  EXPECT_EQ(pcre2_jit_compile(code, PCRE2_JIT_COMPLETE), 0);
  pcre2_code_free(code);
}

TEST(SmokeTest, HyperscanFindsPattern) {
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  ASSERT_EQ(hs_compile("a+b", HS_FLAG_SINGLEMATCH, HS_MODE_BLOCK, nullptr, &database, &error),
            HS_SUCCESS);
  hs_scratch_t* scratch = nullptr;
  ASSERT_EQ(hs_alloc_scratch(database, &scratch), HS_SUCCESS);
  int found = 0;
  auto count = [](unsigned, unsigned long long, unsigned long long, unsigned, void* context) {
    return ++*static_cast<int*>(context), 0;
  };
  EXPECT_EQ(hs_scan(database, "xaab", 4, 0, scratch, count, &found), HS_SUCCESS);
  EXPECT_EQ(found, 1);
  hs_free_scratch(scratch);
  hs_free_database(database);
}

TEST(SmokeTest, YamlCppReadsScalar) {
  EXPECT_EQ(YAML::Load("{listen: ':443'}")["listen"].as<std::string>(), ":443");
}

}  // namespace
}  // namespace edge
