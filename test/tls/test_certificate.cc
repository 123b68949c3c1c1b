#include "test/tls/test_certificate.h"

#include <fstream>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/cipher.h"
#include "openssl/ec_key.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/rsa.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace edge::tls {
namespace {

std::string Contents(BIO* bio) {
  const uint8_t* data = nullptr;
  size_t bytes = 0;
  CHECK(BIO_mem_contents(bio, &data, &bytes));
  return std::string(reinterpret_cast<const char*>(data), bytes);
}

bssl::UniquePtr<EVP_PKEY> NewEcKey(int curve) {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(curve));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  CHECK(EC_KEY_generate_key(ec.get()));
  CHECK(EVP_PKEY_set1_EC_KEY(key.get(), ec.get()));
  return key;
}

bssl::UniquePtr<EVP_PKEY> NewRsaKey(int bits) {
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> e(BN_new());
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  CHECK(BN_set_word(e.get(), RSA_F4));
  CHECK(RSA_generate_key_ex(rsa.get(), bits, e.get(), nullptr));
  CHECK(EVP_PKEY_set1_RSA(key.get(), rsa.get()));
  return key;
}

bssl::UniquePtr<EVP_PKEY> NewEd25519Key() {
  bssl::UniquePtr<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
  EVP_PKEY* key = nullptr;
  CHECK(EVP_PKEY_keygen_init(context.get()));
  CHECK(EVP_PKEY_keygen(context.get(), &key));
  return bssl::UniquePtr<EVP_PKEY>(key);
}

void SetTime(absl::Time time, X509* x509, int (*set)(X509*, const ASN1_TIME*)) {
  bssl::UniquePtr<ASN1_TIME> asn1(ASN1_TIME_set_posix(nullptr, absl::ToUnixSeconds(time)));
  CHECK(set(x509, asn1.get()));
}

}  // namespace

bssl::UniquePtr<EVP_PKEY> NewTestKey(TestKeyType type) {
  switch (type) {
    case TestKeyType::kP256:
      return NewEcKey(NID_X9_62_prime256v1);
    case TestKeyType::kP384:
      return NewEcKey(NID_secp384r1);
    case TestKeyType::kP521:
      return NewEcKey(NID_secp521r1);
    case TestKeyType::kEd25519:
      return NewEd25519Key();
    case TestKeyType::kRsa2048:
      return NewRsaKey(2048);
    case TestKeyType::kRsa1024:
      return NewRsaKey(1024);
  }
  return nullptr;
}

std::string TestCertificate::pem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(bio.get(), x509.get()));
  return Contents(bio.get());
}

std::string TestCertificate::key_pem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
  return Contents(bio.get());
}

std::string TestCertificate::encrypted_key_pem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  char passphrase[] = "secret";
  CHECK(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), EVP_aes_128_cbc(), passphrase,
                                      sizeof(passphrase) - 1, nullptr, nullptr));
  return Contents(bio.get());
}

TestCertificate NewTestCertificate(const TestCertificateOptions& options) {
  TestCertificate made{bssl::UniquePtr<X509>(X509_new()), NewTestKey(options.key_type)};
  X509* x509 = made.x509.get();
  CHECK(X509_set_version(x509, 2));
  CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x509), 1));
  SetTime(options.not_before, x509, &X509_set1_notBefore);
  SetTime(options.not_after, x509, &X509_set1_notAfter);
  CHECK(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const uint8_t*>(options.common_name.data()),
                                   static_cast<ossl_ssize_t>(options.common_name.size()), -1, 0));
  X509* issuer = options.issuer != nullptr ? options.issuer->x509.get() : x509;
  CHECK(X509_set_issuer_name(x509, X509_get_subject_name(issuer)));
  CHECK(X509_set_pubkey(x509, made.key.get()));
  if (!options.dns_names.empty()) {
    bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
    for (const std::string& dns_name : options.dns_names) {
      bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
      bssl::UniquePtr<ASN1_STRING> value(ASN1_STRING_type_new(V_ASN1_IA5STRING));
      CHECK(ASN1_STRING_set(value.get(), dns_name.data(),
                            static_cast<ossl_ssize_t>(dns_name.size())));
      GENERAL_NAME_set0_value(name.get(), GEN_DNS, value.release());
      CHECK(bssl::PushToStack(names.get(), std::move(name)));
    }
    CHECK(X509_add1_ext_i2d(x509, NID_subject_alt_name, names.get(), 0, 0));
  }
  const EVP_PKEY* signer = made.key.get();
  if (options.issuer != nullptr) signer = options.issuer->key.get();
  if (options.forged_with != nullptr) signer = options.forged_with;
  const bool ed25519 = EVP_PKEY_id(signer) == EVP_PKEY_ED25519;
  CHECK(X509_sign(x509, const_cast<EVP_PKEY*>(signer), ed25519 ? nullptr : EVP_sha256()));
  return made;
}

std::string WriteTestFile(std::string_view name, std::string_view contents) {
  const std::string path = absl::StrCat(::testing::TempDir(), name);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  file.close();
  CHECK(file.good()) << path;
  return path;
}

CertificateFiles NewTestFiles(std::string_view name, const TestCertificateOptions& options) {
  const TestCertificate certificate = NewTestCertificate(options);
  return {.certificate_chain_path = WriteTestFile(absl::StrCat(name, ".crt"), certificate.pem()),
          .private_key_path = WriteTestFile(absl::StrCat(name, ".key"), certificate.key_pem())};
}

}  // namespace edge::tls
