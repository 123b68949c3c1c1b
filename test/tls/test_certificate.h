// Certificates for tests, made when they are needed: none is committed, none can expire.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "openssl/base.h"
#include "tls/certificate.h"

namespace edge::tls {

// The time that tests live in.
inline absl::Time TestNow() { return absl::FromUnixSeconds(1'800'000'000); }  // January 2027

enum class TestKeyType { kP256, kP384, kP521, kEd25519, kRsa2048, kRsa1024 };

bssl::UniquePtr<EVP_PKEY> NewTestKey(TestKeyType type = TestKeyType::kP256);

struct TestCertificate {
  bssl::UniquePtr<X509> x509;
  bssl::UniquePtr<EVP_PKEY> key;

  std::string pem() const;
  std::string key_pem() const;  // PKCS #8
  std::string encrypted_key_pem() const;
};

struct TestCertificateOptions {
  std::string common_name = "test";
  std::vector<std::string> dns_names = {};
  absl::Time not_before = TestNow() - absl::Hours(24);
  absl::Time not_after = TestNow() + absl::Hours(24);
  TestKeyType key_type = TestKeyType::kP256;
  const TestCertificate* issuer = nullptr;  // nullptr: self-signed
  // Signs with this key although the name says otherwise.
  const EVP_PKEY* forged_with = nullptr;
};

TestCertificate NewTestCertificate(const TestCertificateOptions& options);

// Writes a file into the test's temporary folder and returns its path.
std::string WriteTestFile(std::string_view name, std::string_view contents);

// A pair of files with a new certificate.
CertificateFiles NewTestFiles(std::string_view name, const TestCertificateOptions& options = {});

}  // namespace edge::tls
