// What a ServerContext agrees on with clients: versions, ciphers, certificates by name, protocols.

#include "tls/context.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/tls/test_certificate.h"
#include "test/tls/test_client.h"

namespace edge::tls {
namespace {

using ContextPtr = std::shared_ptr<const ServerContext>;

ContextPtr FromFiles(const std::vector<CertificateFiles>& pairs, ServerOptions options = {}) {
  options.now = TestNow();
  auto context = ServerContext::FromFiles(pairs, options);
  EXPECT_TRUE(context.ok()) << context.status();
  return context.ok() ? *context : nullptr;
}

// How a handshake ended, in words.
std::string Handshake(const ServerContext& context, const TestClientOptions& options) {
  auto session = Session::NewServer(context);
  TestClient client(options);
  if (RunHandshake(client, *session)) {
    return absl::StrCat(session->version_name(), " ", session->cipher_name());
  }
  return session->error().ToString();
}

TEST(ContextTest, DescribesItselfOnOneLine) {
  const std::string names[] = {"localhost"};
  const std::string addresses[] = {"127.0.0.1"};
  const auto context = ServerContext::SelfSigned(names, addresses, {.now = TestNow()});
  ASSERT_TRUE(context.ok());
  EXPECT_EQ((*context)->description(),
            absl::StrCat("self-signed: CN=localhost,O=edge self-signed, for localhost 127.0.0.1, "
                         "P-256, expires 2028-01-14, sha256 ",
                         (*context)->certificates()[0].sha256_fingerprint));
}

TEST(ContextTest, NeedsACertificate) {
  EXPECT_EQ(ServerContext::FromFiles({}).status().message(),
            "tls: found no certificate, expected at least one pair");
}

TEST(ContextTest, ReportsTheFirstBadPair) {
  const CertificateFiles pairs[] = {NewTestFiles("good"), {"/nowhere.crt", "/nowhere.key"}};
  EXPECT_EQ(ServerContext::FromFiles(pairs, {.now = TestNow()}).status().message(),
            "tls certificate file /nowhere.crt: cannot be read (No such file or directory), "
            "expected a PEM certificate chain");
}

TEST(ContextTest, RefusesEmptyProtocolNames) {
  const CertificateFiles pairs[] = {NewTestFiles("good")};
  EXPECT_EQ(ServerContext::FromFiles(pairs, {.alpn_protocols = {""}, .now = TestNow()})
                .status()
                .message(),
            "tls application protocol: found 0 bytes, expected 1 to 255");
}

TEST(ContextTest, ServesEveryKeyTypeInBothVersions) {
  const struct {
    TestKeyType type;
    const char* tls12;
    std::vector<uint16_t> client_algorithms;
  } cases[] = {
      {TestKeyType::kP256, "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", {}},
      {TestKeyType::kP384, "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", {}},
      {TestKeyType::kRsa2048, "TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", {}},
      // The client has to ask for Ed25519.
      {TestKeyType::kEd25519,
       "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
       {SSL_SIGN_ED25519}},
  };
  for (const auto& c : cases) {
    const ContextPtr context = FromFiles({NewTestFiles("types", {.key_type = c.type})});
    EXPECT_EQ(Handshake(*context, {.version_max = TLS1_2_VERSION,
                                   .signature_algorithms = c.client_algorithms}),
              c.tls12);
    EXPECT_EQ(Handshake(*context, {.version_min = TLS1_3_VERSION,
                                   .signature_algorithms = c.client_algorithms}),
              "TLSv1.3 TLS_AES_128_GCM_SHA256");
  }
}

TEST(ContextTest, RefusesOldVersions) {
  EXPECT_EQ(Handshake(*TestContext(), {.version_min = TLS1_VERSION, .version_max = TLS1_1_VERSION}),
            "unsupported TLS version (UNSUPPORTED_PROTOCOL; sent alert 70 protocol_version)");
}

TEST(ContextTest, RefusesCiphersWithoutForwardSecrecyOrAead) {
  for (const char* cipher : {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "AES128-SHA",
                             "AES128-GCM-SHA256", "DES-CBC3-SHA"}) {
    EXPECT_EQ(Handshake(*TestContext(), {.version_max = TLS1_2_VERSION, .tls12_ciphers = cipher}),
              "no shared cipher (NO_SHARED_CIPHER; sent alert 40 handshake_failure)")
        << cipher;
  }
}

TEST(ContextTest, ClientChoosesBetweenAes128AndChaCha) {
  EXPECT_EQ(Handshake(*TestContext(), {.version_max = TLS1_2_VERSION,
                                       .tls12_ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:"
                                                        "ECDHE-ECDSA-CHACHA20-POLY1305:"
                                                        "ECDHE-ECDSA-AES128-GCM-SHA256"}),
            "TLSv1.2 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
  EXPECT_EQ(Handshake(*TestContext(), {.version_max = TLS1_2_VERSION,
                                       .tls12_ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:"
                                                        "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                                        "ECDHE-ECDSA-CHACHA20-POLY1305"}),
            "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
}

TEST(ContextTest, ServesAes256ToThoseWhoWantNothingElse) {
  EXPECT_EQ(Handshake(*TestContext(), {.version_max = TLS1_2_VERSION,
                                       .tls12_ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"}),
            "TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
}

TEST(ContextTest, SharesX25519AndP256Only) {
  EXPECT_EQ(Handshake(*TestContext(), {.groups = "X25519"}), "TLSv1.3 TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(Handshake(*TestContext(), {.groups = "P-256"}), "TLSv1.3 TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(Handshake(*TestContext(), {.groups = "P-384"}),
            "no shared cipher (NO_SHARED_GROUP; sent alert 40 handshake_failure)");
  // The client's first guess is wrong: a HelloRetryRequest.
  EXPECT_EQ(Handshake(*TestContext(), {.groups = "P-384:P-256"}), "TLSv1.3 TLS_AES_128_GCM_SHA256");
}

class AlpnTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  std::string Negotiate(const ServerContext& context, std::vector<std::string> offered) {
    auto session = Session::NewServer(context);
    TestClient client({.version_min = GetParam(),
                       .version_max = GetParam(),
                       .alpn_protocols = std::move(offered)});
    if (RunHandshake(client, *session)) return std::string(session->alpn());
    EXPECT_EQ(client.failure_reason(), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    return session->error().ToString();
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, AlpnTest, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST_P(AlpnTest, AgreesOnHttp11) {
  EXPECT_EQ(Negotiate(*TestContext(), {"http/1.1"}), "http/1.1");
  EXPECT_EQ(Negotiate(*TestContext(), {"h2", "http/1.1"}), "http/1.1");
}

TEST_P(AlpnTest, ServesClientsWithoutIt) { EXPECT_EQ(Negotiate(*TestContext(), {}), ""); }

TEST_P(AlpnTest, RefusesClientsThatOfferOnlyOthers) {
  constexpr char kRefused[] =
      "no shared application protocol (NO_APPLICATION_PROTOCOL; sent alert 120 "
      "no_application_protocol)";
  EXPECT_EQ(Negotiate(*TestContext(), {"h2"}), kRefused);
  EXPECT_EQ(Negotiate(*TestContext(), {"http/1.0", "http/1", "HTTP/1.1"}), kRefused);
}

TEST_P(AlpnTest, FollowsTheServersOrder) {
  const ContextPtr context =
      FromFiles({NewTestFiles("alpn")}, {.alpn_protocols = {"h2", "http/1.1"}});
  EXPECT_EQ(Negotiate(*context, {"http/1.1", "h2"}), "h2");
}

class SniTest : public ::testing::Test {
 protected:
  SniTest()
      : context_(FromFiles({
            NewTestFiles("default", {.common_name = "default", .dns_names = {"default.example"}}),
            NewTestFiles("exact", {.common_name = "exact",
                                   .dns_names = {"a.example", "b.example", "x.wild.example"}}),
            NewTestFiles("wild", {.common_name = "wild",
                                  .dns_names = {"*.wild.example", "a.example", "*.example"}}),
            NewTestFiles("nameless", {.common_name = "nameless.example"}),
        })) {}

  std::string CertificateFor(const std::string& name, uint16_t version = TLS1_3_VERSION) {
    auto session = Session::NewServer(*context_);
    TestClient client({.version_min = version, .version_max = version, .server_name = name});
    EXPECT_TRUE(RunHandshake(client, *session)) << session->error().ToString();
    EXPECT_EQ(session->server_name(), name);
    return client.peer_common_name();
  }

  ContextPtr context_;
};

TEST_F(SniTest, ChoosesByExactName) {
  EXPECT_EQ(CertificateFor("b.example"), "exact");
  EXPECT_EQ(CertificateFor("b.example", TLS1_2_VERSION), "exact");
  EXPECT_EQ(CertificateFor("default.example"), "default");
}

TEST_F(SniTest, IgnoresCaseAndATrailingDot) {
  EXPECT_EQ(CertificateFor("B.Example"), "exact");
  EXPECT_EQ(CertificateFor("b.example."), "exact");
}

TEST_F(SniTest, ExactNamesComeBeforeWildcards) {
  EXPECT_EQ(CertificateFor("x.wild.example"), "exact");
  EXPECT_EQ(CertificateFor("y.wild.example"), "wild");
}

TEST_F(SniTest, WildcardsStandForOneLabel) {
  EXPECT_EQ(CertificateFor("other.example"), "wild");
  EXPECT_EQ(CertificateFor("x.y.wild.example"), "default");
  EXPECT_EQ(CertificateFor("example"), "default");
}

TEST_F(SniTest, EarlierPairKeepsTheName) { EXPECT_EQ(CertificateFor("a.example"), "exact"); }

TEST_F(SniTest, UnknownAndMissingNamesGetTheDefault) {
  EXPECT_EQ(CertificateFor("unknown.test"), "default");
  EXPECT_EQ(CertificateFor(""), "default");
  EXPECT_EQ(CertificateFor(std::string(255, 'a')), "default");
}

TEST_F(SniTest, CommonNamesAreNotLookedAt) {
  // "*.example" of the wildcard certificate matches, not the common name.
  EXPECT_EQ(CertificateFor("nameless.example"), "wild");
}

TEST_F(SniTest, DescriptionCountsTheOthers) {
  EXPECT_TRUE(context_->description().ends_with("(default of 4 certificates)"))
      << context_->description();
  EXPECT_EQ(context_->certificates().size(), 4u);
}

TEST_F(SniTest, TicketsWorkForEveryCertificate) {
  auto session = Session::NewServer(*context_);
  TestClient first({.server_name = "b.example"});
  ASSERT_TRUE(RunHandshake(first, *session));
  ASSERT_TRUE(session->Write(Bytes("x")));
  first.Receive(TakeOutgoing(*session));
  EXPECT_EQ(first.Read(), "x");
  ASSERT_NE(first.ticket(), nullptr);
  auto resumed = Session::NewServer(*context_);
  TestClient second({.server_name = "b.example", .session = first.ticket()});
  ASSERT_TRUE(RunHandshake(second, *resumed));
  EXPECT_TRUE(resumed->resumed());
}

TEST(ContextTest, SendsTheWholeChain) {
  const TestCertificate root = NewTestCertificate({.common_name = "root"});
  const TestCertificate leaf = NewTestCertificate({.common_name = "leaf", .issuer = &root});
  const ContextPtr context =
      FromFiles({{.certificate_chain_path = WriteTestFile("chain.crt", leaf.pem() + root.pem()),
                  .private_key_path = WriteTestFile("chain.key", leaf.key_pem())}});
  auto session = Session::NewServer(*context);
  TestClient client;
  ASSERT_TRUE(RunHandshake(client, *session));
  EXPECT_EQ(sk_CRYPTO_BUFFER_num(SSL_get0_peer_certificates(client.ssl())), 2u);
}

TEST(ContextTest, IsSharedByThreads) {
  // For ThreadSanitizer: handshakes on several threads use one context, tickets included.
  const ContextPtr context = FromFiles({NewTestFiles("one", {.dns_names = {"one.example"}}),
                                        NewTestFiles("two", {.dns_names = {"two.example"}})});
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&context] {
      for (int j = 0; j < 20; ++j) {
        auto session = Session::NewServer(*context);
        TestClient client({.server_name = j % 2 == 0 ? "one.example" : "two.example"});
        ASSERT_TRUE(RunHandshake(client, *session));
        ASSERT_TRUE(session->Write(Bytes("hello")));
        client.Receive(TakeOutgoing(*session));
        EXPECT_EQ(client.Read(), "hello");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace edge::tls
