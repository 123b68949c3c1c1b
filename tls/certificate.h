// Certificates with their private keys: loaded from files and checked, or made on the spot.
//
// Runs at start and on a reload, on the control thread; reads files, never sockets. What comes out
// is ready for an SSL_CTX and known to fit together, so that no handshake fails for a reason that
// could have been found here.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "openssl/base.h"

namespace edge::tls {

struct CertificateFiles {
  // PEM: the server's certificate, followed by the intermediate ones, each the issuer of the one
  // before it.
  std::string certificate_chain_path;
  // PEM: one unencrypted private key, PKCS #8, SEC 1 or PKCS #1. May be the same file.
  std::string private_key_path;
};

// What is known of one certificate, for logs and metrics.
struct CertificateInfo {
  std::string source;                  // path of its file, or "self-signed"
  std::string subject;                 // "CN=example.org,O=Example", control characters escaped
  std::vector<std::string> dns_names;  // of subjectAltName, lower case
  std::vector<std::string> ip_addresses;
  std::string key_type;  // "P-256", "RSA-2048", "Ed25519"
  absl::Time not_before;
  absl::Time not_after;            // of the member of the chain that expires first
  std::string sha256_fingerprint;  // of the certificate's DER, lower case hex
};

struct CertifiedKey {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> chain;  // DER, the server's own first
  bssl::UniquePtr<EVP_PKEY> private_key;
  CertificateInfo info;
};

// Limits of what is read: a file that is larger was named by mistake, and a longer chain would make
// every handshake send it.
inline constexpr size_t kPemFileBytesMax = size_t{1} << 20;
inline constexpr size_t kCertificateChainMax = 10;

// Errors are one line: the file, what was found in it, what was expected. Checked: readable, PEM,
// within the limits, every certificate valid at `now`, each issued and signed by the next, a key
// that TLS clients accept (RSA of at least 2048 bits, P-256, P-384, Ed25519), the private key that
// of the first certificate.
absl::StatusOr<CertifiedKey> LoadCertifiedKey(const CertificateFiles& files, absl::Time now);

// A new P-256 key and a certificate signed by it, valid for 365 days of which the first lies before
// `now`. Needs at least one name. `ip_addresses` in text form.
absl::StatusOr<CertifiedKey> MakeSelfSignedKey(std::span<const std::string> dns_names,
                                               std::span<const std::string> ip_addresses,
                                               absl::Time now);

// Fills everything but `source` from the chain. Part of this interface for self_signed.cc.
CertificateInfo DescribeCertificate(std::span<const bssl::UniquePtr<X509>> chain);

}  // namespace edge::tls
