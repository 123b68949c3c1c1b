// MakeSelfSignedKey: the certificate that edge serves when it was given none. See certificate.h.

#include <arpa/inet.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "openssl/asn1.h"
#include "openssl/bn.h"
#include "openssl/ec_key.h"
#include "openssl/err.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/nid.h"
#include "openssl/pool.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"
#include "tls/certificate.h"

namespace edge::tls {
namespace {

constexpr absl::Duration kClockSkew = absl::Hours(24);
constexpr absl::Duration kLifetime = absl::Hours(24 * 365);
// RFC 5280 upper bound of a common name; longer names are only in subjectAltName.
constexpr size_t kCommonNameMax = 64;
constexpr int kX509Version3 = 2;
constexpr int kSerialBits = 127;  // RFC 5280 section 4.1.2.2: positive, at most 20 octets

bssl::UniquePtr<EVP_PKEY> NewP256Key() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (ec == nullptr || key == nullptr || !EC_KEY_generate_key(ec.get()) ||
      !EVP_PKEY_set1_EC_KEY(key.get(), ec.get())) {
    return nullptr;
  }
  return key;
}

bool AppendName(GENERAL_NAMES* names, int type, std::string_view bytes) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  bssl::UniquePtr<ASN1_STRING> value(
      ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING));
  if (name == nullptr || value == nullptr ||
      !ASN1_STRING_set(value.get(), bytes.data(), static_cast<ossl_ssize_t>(bytes.size()))) {
    return false;
  }
  GENERAL_NAME_set0_value(name.get(), type, value.release());
  return bssl::PushToStack(names, std::move(name));
}

bool SetTimes(X509* certificate, absl::Time not_before) {
  bssl::UniquePtr<ASN1_TIME> begin(ASN1_TIME_set_posix(nullptr, absl::ToUnixSeconds(not_before)));
  bssl::UniquePtr<ASN1_TIME> end(
      ASN1_TIME_set_posix(nullptr, absl::ToUnixSeconds(not_before + kLifetime)));
  return begin != nullptr && end != nullptr && X509_set1_notBefore(certificate, begin.get()) &&
         X509_set1_notAfter(certificate, end.get());
}

bool SetSerial(X509* certificate) {
  bssl::UniquePtr<BIGNUM> serial(BN_new());
  return serial != nullptr &&
         BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool AddNameEntry(X509_NAME* name, const char* field, std::string_view value) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const uint8_t*>(value.data()),
                                    static_cast<ossl_ssize_t>(value.size()), -1, 0) == 1;
}

bool AddExtensions(X509* certificate, GENERAL_NAMES* names) {
  bssl::UniquePtr<BASIC_CONSTRAINTS> not_a_ca(BASIC_CONSTRAINTS_new());
  bssl::UniquePtr<EXTENDED_KEY_USAGE> purposes(EXTENDED_KEY_USAGE_new());
  if (not_a_ca == nullptr || purposes == nullptr) return false;
  bssl::UniquePtr<ASN1_OBJECT> server_auth(OBJ_nid2obj(NID_server_auth));
  // No key usage: without keyCertSign, OpenSSL would not take the certificate as its own issuer,
  // and `curl --cacert` and the like would fail; with it, it would have to be a CA (RFC
  // 5280 4.2.1.3).
  return bssl::PushToStack(purposes.get(), std::move(server_auth)) &&
         X509_add1_ext_i2d(certificate, NID_basic_constraints, not_a_ca.get(), 1, 0) &&
         X509_add1_ext_i2d(certificate, NID_ext_key_usage, purposes.get(), 0, 0) &&
         X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0);
}

}  // namespace

absl::StatusOr<CertifiedKey> MakeSelfSignedKey(std::span<const std::string> dns_names,
                                               std::span<const std::string> ip_addresses,
                                               absl::Time now) {
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  if (names == nullptr) return absl::ResourceExhaustedError("out of memory");
  for (const std::string& name : dns_names) {
    const bool ascii =
        name.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*") == name.npos;
    if (name.empty() || !ascii || !AppendName(names.get(), GEN_DNS, name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "self-signed certificate: found \"", absl::CHexEscape(name), "\", expected a DNS name"));
    }
  }
  for (const std::string& text : ip_addresses) {
    char address[16];
    const bool v4 = inet_pton(AF_INET, text.c_str(), address) == 1;
    if ((!v4 && inet_pton(AF_INET6, text.c_str(), address) != 1) ||
        !AppendName(names.get(), GEN_IPADD, {address, v4 ? size_t{4} : size_t{16}})) {
      return absl::InvalidArgumentError(absl::StrCat("self-signed certificate: found \"",
                                                     absl::CHexEscape(text),
                                                     "\", expected an IP address"));
    }
  }
  if (dns_names.empty() && ip_addresses.empty()) {
    return absl::InvalidArgumentError("self-signed certificate: expected at least one name");
  }

  bssl::UniquePtr<EVP_PKEY> key = NewP256Key();
  std::vector<bssl::UniquePtr<X509>> chain;
  chain.emplace_back(X509_new());
  X509* certificate = chain[0].get();
  if (key == nullptr || certificate == nullptr) {
    return absl::ResourceExhaustedError("out of memory");
  }
  const std::string& first = dns_names.empty() ? ip_addresses[0] : dns_names[0];
  X509_NAME* subject = X509_get_subject_name(certificate);
  uint8_t* der = nullptr;
  int der_bytes = 0;
  if (!X509_set_version(certificate, kX509Version3) || !SetSerial(certificate) ||
      !SetTimes(certificate, now - kClockSkew) ||
      !AddNameEntry(subject, "CN", first.size() <= kCommonNameMax ? first : "edge") ||
      !AddNameEntry(subject, "O", "edge self-signed") ||
      !X509_set_issuer_name(certificate, subject) || !X509_set_pubkey(certificate, key.get()) ||
      !AddExtensions(certificate, names.get()) ||
      !X509_sign(certificate, key.get(), EVP_sha256()) ||
      (der_bytes = i2d_X509(certificate, &der)) <= 0) {
    const char* reason = ERR_reason_error_string(ERR_peek_error());
    const std::string text = reason != nullptr ? reason : "no reason given";
    ERR_clear_error();
    return absl::InternalError(absl::StrCat("self-signed certificate: ", text));
  }
  bssl::UniquePtr<uint8_t> owned(der);
  CertifiedKey result{
      .chain = {}, .private_key = std::move(key), .info = DescribeCertificate(chain)};
  result.info.source = "self-signed";
  result.chain.emplace_back(CRYPTO_BUFFER_new(der, static_cast<size_t>(der_bytes), nullptr));
  if (result.chain[0] == nullptr) return absl::ResourceExhaustedError("out of memory");
  return result;
}

}  // namespace edge::tls
