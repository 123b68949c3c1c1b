// What LoadCertifiedKey and MakeSelfSignedKey accept and refuse. The texts are part of the
// contract: one line, the file, what was found, what was expected.

#include "tls/certificate.h"

#include <cstring>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"
#include "test/tls/test_certificate.h"

namespace edge::tls {
namespace {

// The error of loading, with the folder of the test's files taken out.
std::string LoadError(const CertificateFiles& files) {
  const auto key = LoadCertifiedKey(files, TestNow());
  if (key.ok()) return "loaded";
  return absl::StrReplaceAll(key.status().message(), {{::testing::TempDir(), "DIR/"}});
}

CertificateFiles Files(std::string_view chain, std::string_view key) {
  return {.certificate_chain_path = WriteTestFile("x.crt", chain),
          .private_key_path = WriteTestFile("x.key", key)};
}

TEST(CertificateTest, DescribesWhatItLoads) {
  const CertificateFiles files = NewTestFiles(
      "described",
      {.common_name = "Example", .dns_names = {"example.org", "WWW.Example.ORG", "*.example.net"}});
  const auto key = LoadCertifiedKey(files, TestNow());
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->info.source, files.certificate_chain_path);
  EXPECT_EQ(key->info.subject, "CN=Example");
  EXPECT_EQ(key->info.dns_names,
            (std::vector<std::string>{"example.org", "www.example.org", "*.example.net"}));
  EXPECT_EQ(key->info.key_type, "P-256");
  EXPECT_EQ(key->info.not_before, TestNow() - absl::Hours(24));
  EXPECT_EQ(key->info.not_after, TestNow() + absl::Hours(24));
  EXPECT_EQ(key->info.sha256_fingerprint.size(), 64u);
  EXPECT_EQ(key->chain.size(), 1u);
}

TEST(CertificateTest, AcceptsTheUsualKeyTypes) {
  const struct {
    TestKeyType type;
    std::string_view name;
  } cases[] = {{TestKeyType::kP256, "P-256"},
               {TestKeyType::kP384, "P-384"},
               {TestKeyType::kEd25519, "Ed25519"},
               {TestKeyType::kRsa2048, "RSA-2048"}};
  for (const auto& c : cases) {
    const auto key = LoadCertifiedKey(NewTestFiles("type", {.key_type = c.type}), TestNow());
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(key->info.key_type, c.name);
  }
}

TEST(CertificateTest, AcceptsAKeyInTheSameFile) {
  const TestCertificate certificate = NewTestCertificate({});
  const std::string path =
      WriteTestFile("both.pem", absl::StrCat(certificate.key_pem(), certificate.pem()));
  EXPECT_EQ(LoadError({path, path}), "loaded");
}

TEST(CertificateTest, AcceptsTextAroundThePem) {
  const TestCertificate certificate = NewTestCertificate({});
  EXPECT_EQ(LoadError(Files(absl::StrCat("Subject: test\n\n", certificate.pem(), "trailing\n"),
                            certificate.key_pem())),
            "loaded");
}

TEST(CertificateTest, LoadsAChainInOrderAndTakesItsEarliestExpiry) {
  const TestCertificate root = NewTestCertificate({.common_name = "root"});
  const TestCertificate intermediate = NewTestCertificate(
      {.common_name = "intermediate", .not_after = TestNow() + absl::Hours(1), .issuer = &root});
  const TestCertificate leaf = NewTestCertificate({.common_name = "leaf", .issuer = &intermediate});
  const auto key = LoadCertifiedKey(
      Files(absl::StrCat(leaf.pem(), intermediate.pem(), root.pem()), leaf.key_pem()), TestNow());
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->chain.size(), 3u);
  EXPECT_EQ(key->info.not_after, TestNow() + absl::Hours(1));
}

TEST(CertificateTest, RefusesAChainOutOfOrder) {
  const TestCertificate root = NewTestCertificate({.common_name = "root"});
  const TestCertificate leaf = NewTestCertificate({.common_name = "leaf", .issuer = &root});
  const TestCertificate other = NewTestCertificate({.common_name = "other"});
  EXPECT_EQ(LoadError(Files(absl::StrCat(leaf.pem(), other.pem(), root.pem()), leaf.key_pem())),
            "tls certificate file DIR/x.crt: found certificate 1 (CN=leaf) issued by CN=root but "
            "followed by certificate 2 (CN=other), expected the server's certificate first and "
            "then each one's issuer");
}

TEST(CertificateTest, RefusesAChainWhoseSignatureDoesNotHold) {
  const TestCertificate root = NewTestCertificate({.common_name = "root"});
  const bssl::UniquePtr<EVP_PKEY> forger = NewTestKey();
  const TestCertificate leaf =
      NewTestCertificate({.common_name = "leaf", .issuer = &root, .forged_with = forger.get()});
  EXPECT_EQ(LoadError(Files(absl::StrCat(leaf.pem(), root.pem()), leaf.key_pem())),
            "tls certificate file DIR/x.crt: found certificate 1 (CN=leaf) not signed by "
            "certificate 2 (CN=root), expected the server's certificate first and then each one's "
            "issuer");
}

TEST(CertificateTest, NamesAMissingFile) {
  EXPECT_EQ(LoadError({::testing::TempDir() + "nowhere.crt", ""}),
            "tls certificate file DIR/nowhere.crt: cannot be read (No such file or directory), "
            "expected a PEM certificate chain");
  CertificateFiles files = NewTestFiles("present");
  files.private_key_path = ::testing::TempDir() + "nowhere.key";
  EXPECT_EQ(LoadError(files),
            "tls key file DIR/nowhere.key: cannot be read (No such file or directory), expected a "
            "PEM private key without passphrase");
}

TEST(CertificateTest, NamesAFolder) {
  EXPECT_EQ(LoadError({"/", ""}),
            "tls certificate file /: cannot be read (Is a directory), expected a PEM certificate "
            "chain");
}

TEST(CertificateTest, RefusesWhatIsNotPem) {
  const TestCertificate certificate = NewTestCertificate({});
  EXPECT_EQ(
      LoadError(Files("", "")),
      "tls certificate file DIR/x.crt: found an empty file, expected a PEM certificate chain");
  EXPECT_EQ(LoadError(Files("hello\n", "")),
            "tls certificate file DIR/x.crt: found no PEM block, expected a PEM certificate chain");
  EXPECT_EQ(LoadError(Files("\x30\x82\x01", "")),
            "tls certificate file DIR/x.crt: found what looks like DER, no PEM block, expected a "
            "PEM certificate chain");
  EXPECT_EQ(LoadError(Files(certificate.key_pem(), certificate.key_pem())),
            "tls certificate file DIR/x.crt: found no CERTIFICATE but PRIVATE KEY, expected a PEM "
            "certificate chain");
  EXPECT_EQ(LoadError(Files(certificate.pem(), certificate.pem())),
            "tls key file DIR/x.key: found no PRIVATE KEY but CERTIFICATE, expected a PEM private "
            "key without passphrase");
}

TEST(CertificateTest, RefusesDamagedPem) {
  const TestCertificate certificate = NewTestCertificate({});
  const std::string pem = certificate.pem();
  EXPECT_EQ(LoadError(Files(pem.substr(0, pem.size() - 40), "")),
            "tls certificate file DIR/x.crt: found a damaged PEM block (number 1), expected a PEM "
            "certificate chain");
  EXPECT_EQ(LoadError(Files(pem + pem.substr(0, pem.size() / 2), "")),
            "tls certificate file DIR/x.crt: found a damaged PEM block (number 2), expected a PEM "
            "certificate chain");
  EXPECT_EQ(LoadError(Files("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "")),
            "tls certificate file DIR/x.crt: found certificate 1 that is not X.509, expected a PEM "
            "certificate chain");
  EXPECT_EQ(LoadError(Files(pem, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
            "tls key file DIR/x.key: found a PRIVATE KEY that cannot be parsed, expected a PEM "
            "private key without passphrase");
  EXPECT_EQ(LoadError(Files(pem,
                            "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n"
                            "-----END DSA PRIVATE KEY-----\n")),
            "tls key file DIR/x.key: found DSA PRIVATE KEY, expected PRIVATE KEY, EC PRIVATE KEY "
            "or RSA PRIVATE KEY");
}

TEST(CertificateTest, EveryTruncatedFileIsRefusedInOneLine) {
  const TestCertificate certificate = NewTestCertificate({});
  const std::string pem = certificate.pem();
  const std::string key = certificate.key_pem();
  // Without the last line's end the block is still whole.
  for (size_t bytes = 0; bytes + 2 < pem.size(); bytes += 7) {
    const std::string error = LoadError(Files(pem.substr(0, bytes), key));
    EXPECT_TRUE(error.starts_with("tls certificate file DIR/x.crt: found ")) << error;
    EXPECT_EQ(error.find('\n'), error.npos) << error;
  }
  for (size_t bytes = 0; bytes + 2 < key.size(); bytes += 7) {
    const std::string error = LoadError(Files(pem, key.substr(0, bytes)));
    EXPECT_TRUE(error.starts_with("tls key file DIR/x.key: found ")) << error;
  }
}

TEST(CertificateTest, RefusesFilesAndChainsBeyondTheLimits) {
  const TestCertificate certificate = NewTestCertificate({});
  EXPECT_EQ(LoadError(Files(std::string(kPemFileBytesMax + 1, 'x'), "")),
            "tls certificate file DIR/x.crt: found more than 1048576 bytes, expected a PEM "
            "certificate chain");
  std::string chain;
  for (size_t i = 0; i <= kCertificateChainMax; ++i) chain += certificate.pem();
  EXPECT_EQ(LoadError(Files(chain, certificate.key_pem())),
            "tls certificate file DIR/x.crt: found more than 10 certificates, expected a PEM "
            "certificate chain");
}

TEST(CertificateTest, RefusesAKeyOfAnotherCertificate) {
  const TestCertificate certificate = NewTestCertificate({.common_name = "mine"});
  const TestCertificate same_type = NewTestCertificate({});
  const TestCertificate other_type = NewTestCertificate({.key_type = TestKeyType::kRsa2048});
  EXPECT_EQ(LoadError(Files(certificate.pem(), same_type.key_pem())),
            "tls key file DIR/x.key: found a P-256 key that does not match, expected the P-256 key "
            "of certificate 1 (CN=mine) in DIR/x.crt");
  EXPECT_EQ(LoadError(Files(certificate.pem(), other_type.key_pem())),
            "tls key file DIR/x.key: found a RSA-2048 key that does not match, expected the P-256 "
            "key of certificate 1 (CN=mine) in DIR/x.crt");
}

TEST(CertificateTest, RefusesMoreThanOneKey) {
  const TestCertificate certificate = NewTestCertificate({});
  EXPECT_EQ(LoadError(Files(certificate.pem(), certificate.key_pem() + certificate.key_pem())),
            "tls key file DIR/x.key: found more than one private key, expected a PEM private key "
            "without passphrase");
}

TEST(CertificateTest, RefusesAnEncryptedKey) {
  const TestCertificate certificate = NewTestCertificate({});
  EXPECT_EQ(LoadError(Files(certificate.pem(), certificate.encrypted_key_pem())),
            "tls key file DIR/x.key: found an encrypted private key, expected a PEM private key "
            "without passphrase");
  EXPECT_EQ(LoadError(Files(certificate.pem(),
                            "-----BEGIN RSA PRIVATE KEY-----\n"
                            "Proc-Type: 4,ENCRYPTED\n"
                            "DEK-Info: AES-128-CBC,00\n\n"
                            "AAAA\n-----END RSA PRIVATE KEY-----\n")),
            "tls key file DIR/x.key: found an encrypted private key, expected a PEM private key "
            "without passphrase");
}

TEST(CertificateTest, RefusesCertificatesOutsideTheirDates) {
  const TestCertificate expired =
      NewTestCertificate({.common_name = "old", .not_after = TestNow() - absl::Seconds(1)});
  EXPECT_EQ(LoadError(Files(expired.pem(), expired.key_pem())),
            "tls certificate file DIR/x.crt: found certificate 1 (CN=old) that expired at "
            "2027-01-15T07:59:59Z, expected one that is valid now, 2027-01-15T08:00:00Z");
  const TestCertificate early =
      NewTestCertificate({.common_name = "new", .not_before = TestNow() + absl::Seconds(1)});
  EXPECT_EQ(LoadError(Files(early.pem(), early.key_pem())),
            "tls certificate file DIR/x.crt: found certificate 1 (CN=new) that is not valid before "
            "2027-01-15T08:00:01Z, expected one that is valid now, 2027-01-15T08:00:00Z");
  const TestCertificate leaf = NewTestCertificate({.common_name = "leaf", .issuer = &expired});
  EXPECT_EQ(LoadError(Files(leaf.pem() + expired.pem(), leaf.key_pem())),
            "tls certificate file DIR/x.crt: found certificate 2 (CN=old) that expired at "
            "2027-01-15T07:59:59Z, expected one that is valid now, 2027-01-15T08:00:00Z");
}

TEST(CertificateTest, RefusesKeysThatClientsRefuse) {
  const TestCertificate weak =
      NewTestCertificate({.common_name = "weak", .key_type = TestKeyType::kRsa1024});
  EXPECT_EQ(LoadError(Files(weak.pem(), weak.key_pem())),
            "tls certificate file DIR/x.crt: found certificate 1 (CN=weak) with a key of type "
            "RSA-1024, expected RSA of at least 2048 bits, P-256, P-384 or Ed25519");
  const TestCertificate odd =
      NewTestCertificate({.common_name = "odd", .key_type = TestKeyType::kP521});
  EXPECT_EQ(LoadError(Files(odd.pem(), odd.key_pem())),
            "tls certificate file DIR/x.crt: found certificate 1 (CN=odd) with a key of type "
            "P-521, expected RSA of at least 2048 bits, P-256, P-384 or Ed25519");
}

TEST(CertificateTest, SubjectsCannotBreakTheLine) {
  const TestCertificate certificate = NewTestCertificate(
      {.common_name = "a\nb\x1b[31m", .not_after = TestNow() - absl::Seconds(1)});
  const std::string error = LoadError(Files(certificate.pem(), certificate.key_pem()));
  EXPECT_EQ(error.find_first_of("\n\x1b"), error.npos) << error;
}

TEST(SelfSignedTest, HasTheNamesAndDatesAskedFor) {
  const std::string names[] = {"localhost", "host.example"};
  const std::string addresses[] = {"127.0.0.1", "::1"};
  const auto key = MakeSelfSignedKey(names, addresses, TestNow());
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->info.source, "self-signed");
  EXPECT_EQ(key->info.subject, "CN=localhost,O=edge self-signed");
  EXPECT_EQ(key->info.key_type, "P-256");
  EXPECT_EQ(key->info.dns_names, (std::vector<std::string>{"localhost", "host.example"}));
  EXPECT_EQ(key->info.ip_addresses, (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_EQ(key->info.not_before, TestNow() - absl::Hours(24));
  EXPECT_EQ(key->info.not_after, TestNow() + absl::Hours(24 * 364));
}

TEST(SelfSignedTest, PassesVerificationAsItsOwnTrustAnchor) {
  const std::string names[] = {"localhost"};
  const std::string addresses[] = {"127.0.0.1"};
  const auto key = MakeSelfSignedKey(names, addresses, TestNow());
  ASSERT_TRUE(key.ok());
  bssl::UniquePtr<X509> x509(X509_parse_from_buffer(key->chain[0].get()));
  ASSERT_NE(x509, nullptr);
  bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  ASSERT_TRUE(X509_STORE_add_cert(store.get(), x509.get()));
  const auto verify = [&](const char* host, const char* address) {
    bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
    EXPECT_TRUE(X509_STORE_CTX_init(context.get(), store.get(), x509.get(), nullptr));
    X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
    X509_VERIFY_PARAM_set_time(parameters, absl::ToTimeT(TestNow()));
    EXPECT_TRUE(X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER));
    if (host != nullptr) {
      EXPECT_TRUE(X509_VERIFY_PARAM_set1_host(parameters, host, std::strlen(host)));
    }
    if (address != nullptr) {
      EXPECT_TRUE(X509_VERIFY_PARAM_set1_ip_asc(parameters, address));
    }
    X509_verify_cert(context.get());
    return X509_STORE_CTX_get_error(context.get());
  };
  EXPECT_EQ(verify("localhost", nullptr), X509_V_OK);
  EXPECT_EQ(verify(nullptr, "127.0.0.1"), X509_V_OK);
  EXPECT_EQ(verify("elsewhere", nullptr), X509_V_ERR_HOSTNAME_MISMATCH);
}

TEST(SelfSignedTest, TwoAreDifferent) {
  const std::string names[] = {"localhost"};
  const auto first = MakeSelfSignedKey(names, {}, TestNow());
  const auto second = MakeSelfSignedKey(names, {}, TestNow());
  EXPECT_NE(first->info.sha256_fingerprint, second->info.sha256_fingerprint);
}

TEST(SelfSignedTest, RefusesWhatIsNotAName) {
  const std::string bad_name[] = {"no\nname"};
  const std::string bad_address[] = {"300.0.0.1"};
  EXPECT_EQ(MakeSelfSignedKey(bad_name, {}, TestNow()).status().message(),
            "self-signed certificate: found \"no\\nname\", expected a DNS name");
  EXPECT_EQ(MakeSelfSignedKey({}, bad_address, TestNow()).status().message(),
            "self-signed certificate: found \"300.0.0.1\", expected an IP address");
  EXPECT_EQ(MakeSelfSignedKey({}, {}, TestNow()).status().message(),
            "self-signed certificate: expected at least one name");
}

TEST(SelfSignedTest, LongHostNamesDoNotFitTheCommonName) {
  const std::string names[] = {std::string(100, 'a') + ".example"};
  const auto key = MakeSelfSignedKey(names, {}, TestNow());
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->info.subject, "CN=edge,O=edge self-signed");
  EXPECT_EQ(key->info.dns_names[0], names[0]);
}

}  // namespace
}  // namespace edge::tls
