#include "proxy/flags.h"

#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace edge::proxy {
namespace {

absl::StatusOr<CommandLine> Parse(std::vector<const char*> arguments,
                                  const std::string& base_directory = "") {
  return ParseCommandLine(arguments, base_directory);
}

std::string Mistake(std::vector<const char*> arguments) {
  const absl::StatusOr<CommandLine> parsed = Parse(std::move(arguments));
  return parsed.ok() ? "" : std::string(parsed.status().message());
}

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

TEST(FlagsTest, DefaultsAreThoseOfTheContract) {
  const absl::StatusOr<CommandLine> parsed = Parse({});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const Config& config = parsed->config;
  ASSERT_EQ(config.listen.size(), 1u);
  EXPECT_EQ(config.listen[0].ToString(), "https://:8443");
  EXPECT_TRUE(config.upstream.empty());
  EXPECT_EQ(config.cores, "auto");
  EXPECT_EQ(config.ring_entries, 1024u);
  EXPECT_EQ(config.cq_entries, 16384u);
  EXPECT_EQ(config.buffer_size, 4096u);
  EXPECT_EQ(config.buffers, 4096u);
  EXPECT_EQ(config.body_buffer_size, 65536u);
  EXPECT_EQ(config.body_buffers, 512u);
  EXPECT_EQ(config.max_connections, 65536u);
  EXPECT_EQ(config.waf, WafMode::kOff);
  EXPECT_EQ(config.admin, "127.0.0.1:9901");
  EXPECT_EQ(config.access_log, "");
  EXPECT_EQ(config.drain_delay, absl::ZeroDuration());
  EXPECT_EQ(config.drain_timeout, absl::Seconds(30));
  EXPECT_EQ(config.header_timeout, absl::Seconds(10));
  EXPECT_EQ(config.idle_timeout, absl::Seconds(60));
  EXPECT_EQ(config.connect_timeout, absl::Seconds(5));
  EXPECT_EQ(config.upstream_timeout, absl::Seconds(60));
}

TEST(FlagsTest, ValuesFollowAnEqualsSignOrComeNext) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{"--listen=http://127.0.0.1:80"},
        std::vector<const char*>{"--listen", "http://127.0.0.1:80"}}) {
    const absl::StatusOr<CommandLine> parsed = Parse(arguments);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->config.listen[0].ToString(), "http://127.0.0.1:80");
  }
}

TEST(FlagsTest, ListenersAndUpstreamsAreCommaLists) {
  const absl::StatusOr<CommandLine> parsed =
      Parse({"--listen=:443,http://[::1]:0", "--upstream=http://a:1,http://[::1]:2/"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.listen[0].ToString(), "https://:443");
  EXPECT_EQ(parsed->config.listen[1].ToString(), "http://[::1]:0");
  EXPECT_EQ(parsed->config.upstream[0].ToString(), "http://a:1");
  EXPECT_EQ(parsed->config.upstream[1].ToString(), "http://[::1]:2");
}

TEST(FlagsTest, MistakesNameTheFlagWhatWasFoundAndWhatWasExpected) {
  EXPECT_EQ(Mistake({"--listen=nonsense"}),
            "--listen: found 'nonsense', expected [https://|http://][host]:port");
  EXPECT_EQ(Mistake({"--listen=ftp://:21"}),
            "--listen: found 'ftp://:21', expected [https://|http://][host]:port");
  EXPECT_EQ(Mistake({"--listen=:65536"}),
            "--listen: found ':65536', expected [https://|http://][host]:port");
  EXPECT_EQ(Mistake({"--upstream=localhost:80"}),
            "--upstream: found 'localhost:80', expected http://host:port");
  EXPECT_EQ(Mistake({"--buffers=many"}),
            "--buffers: found 'many', expected a number from 16 to 16384");
  EXPECT_EQ(
      Mistake({"--idle_timeout=5"}),
      "--idle_timeout: found '5', expected a duration of at least 10ms, such as 500ms, 10s or 2m");
  EXPECT_EQ(Mistake({"--body_bytes_max=1M"}),
            "--body_bytes_max: found '1M', expected a number of bytes, 0 for no limit");
  EXPECT_EQ(Mistake({"--fields_max=129"}),
            "--fields_max: found '129', expected a number from 8 to 128");
  EXPECT_EQ(Mistake({"--waf=maybe"}), "--waf: found 'maybe', expected off, detect or block");
  EXPECT_EQ(
      Mistake({"--trusted_proxies=10.0.0.0/33"}),
      "--trusted_proxies: found '10.0.0.0/33', expected an address or a block such as 10.0.0.0/8");
  EXPECT_EQ(Mistake({"--listen"}), "--listen: found nothing after it, expected a value");
  EXPECT_EQ(Mistake({"listen"}), "found 'listen', expected a flag such as --listen=:8443");
}

TEST(FlagsTest, UnknownFlagsGetASuggestion) {
  EXPECT_EQ(Mistake({"--lisen=:1"}), "--lisen: unknown flag, did you mean --listen?");
  EXPECT_EQ(Mistake({"--xyzzy=1"}), "--xyzzy: unknown flag, see --help");
}

TEST(FlagsTest, HttpsUpstreamsAreRefusedForNow) {
  EXPECT_EQ(Mistake({"--upstream=https://a:443"}),
            "--upstream: found 'https://a:443', but TLS to origins is not there yet: expected "
            "http://host:port");
}

TEST(FlagsTest, CertificatesAndKeysComeInPairs) {
  EXPECT_EQ(Mistake({"--tls_cert=a.pem,b.pem", "--tls_key=a.key"}),
            "--tls_key: found 1 files for 2 of --tls_cert, expected one for each");
}

TEST(FlagsTest, AnAddressIsListenedOnOnce) {
  EXPECT_EQ(Mistake({"--listen=:80,http://:80"}),
            "--listen: found 'http://:80' twice, expected each address once");
}

TEST(FlagsTest, RelativePathsAreResolvedAgainstTheBaseDirectory) {
  const absl::StatusOr<CommandLine> parsed =
      Parse({"--tls_cert=c.pem,/d.pem", "--tls_key=c.key,/d.key", "--access_log=-"}, "/base");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.tls_cert, (std::vector<std::string>{"/base/c.pem", "/d.pem"}));
  EXPECT_EQ(parsed->config.tls_key, (std::vector<std::string>{"/base/c.key", "/d.key"}));
  EXPECT_EQ(parsed->config.access_log, "-");
}

TEST(ConfigFileTest, KeysAreFlagsAndAFlagGivenOverridesItsKey) {
  const std::string path = WriteFile("good.yaml",
                                     "listen: [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]\n"
                                     "buffers: 64\n"
                                     "idle_timeout: 7s\n");
  const std::string flag = "--config=" + path;
  const absl::StatusOr<CommandLine> parsed = Parse({flag.c_str(), "--buffers=128"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.listen.size(), 2u);
  EXPECT_EQ(parsed->config.buffers, 128u);
  EXPECT_EQ(parsed->config.idle_timeout, absl::Seconds(7));
}

TEST(ConfigFileTest, MistakesNameFileLineAndKey) {
  const struct {
    const char* text;
    const char* expected;
  } cases[] = {
      {"listen: :1\nbuffers: x\n", ":2: buffers: found 'x', expected a number from 16 to 16384"},
      {"\n\nlisten_on: :1\n", ":3: listen_on: unknown key, did you mean listen?"},
      {"bufers: 64\n", ":1: bufers: unknown key, did you mean buffers?"},
      {"buffers: 64\nbuffers: 65\n", ":2: buffers: found twice, expected once"},
      {"buffers: {a: 1}\n", ":1: buffers: found a mapping, expected a value or a list"},
      {"- a\n", ":1: expected a mapping of settings"},
      {"a: [\n", ":2: not YAML: "},
  };
  for (const auto& c : cases) {
    const std::string path = WriteFile("bad.yaml", c.text);
    const std::string flag = "--config=" + path;
    const std::string message = Mistake({flag.c_str()});
    EXPECT_EQ(message.substr(0, (path + c.expected).size()), path + c.expected);
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(ConfigFileTest, AMissingFileIsNamed) {
  EXPECT_EQ(Mistake({"--config=/nowhere/edge.yaml"}),
            "--config: cannot open '/nowhere/edge.yaml': No such file or directory");
}

}  // namespace
}  // namespace edge::proxy
