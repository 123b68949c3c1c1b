// Certificates, keys and policy of a TLS server: everything that connections share.
//
// Immutable after construction, so all workers use one ServerContext of a configuration snapshot
// without locks. Sessions keep what they need of it alive by BoringSSL's own reference count: a
// snapshot may be dropped while its connections go on with the certificate they began with.
//
// Policy: TLS 1.2 and 1.3; ECDHE with AEAD ciphers only; X25519 and P-256; session tickets with
// keys of the context, which BoringSSL makes and rotates every two days; no session cache (it is a
// lock); no early data; no renegotiation. The post-quantum group of this BoringSSL is the Kyber
// draft that browsers have dropped, so it is off.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "openssl/base.h"
#include "tls/certificate.h"

namespace edge::tls {

struct ServerOptions {
  // Application protocols in the server's order of preference. A client that offers ALPN but none
  // of these is refused with no_application_protocol; one without ALPN is served.
  std::vector<std::string> alpn_protocols = {"http/1.1"};
  // Certificates have to be valid at this time. InfinitePast stands for the time of the call.
  absl::Time now = absl::InfinitePast();
};

class ServerContext {
 public:
  // Loads and checks every pair, see LoadCertifiedKey; the first error is returned. The first pair
  // is the default. The others are chosen by SNI, exact names before wildcards; of two certificates
  // with the same name the earlier one is used.
  static absl::StatusOr<std::shared_ptr<const ServerContext>> FromFiles(
      std::span<const CertificateFiles> pairs, const ServerOptions& options = {});

  // With a certificate of its own making, see MakeSelfSignedKey.
  static absl::StatusOr<std::shared_ptr<const ServerContext>> SelfSigned(
      std::span<const std::string> dns_names, std::span<const std::string> ip_addresses,
      const ServerOptions& options = {});

  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  // One line for the start log: the default certificate's source, subject, names, key, expiry and
  // fingerprint, and how many more there are.
  std::string description() const;

  // In the order of the pairs; never empty.
  std::span<const CertificateInfo> certificates() const { return certificates_; }

  // For Session.
  SSL_CTX* ssl_context() const { return ssl_context_.get(); }

 private:
  ServerContext(bssl::UniquePtr<SSL_CTX> ssl_context, std::vector<CertificateInfo> certificates);
  static absl::StatusOr<std::shared_ptr<const ServerContext>> FromKeys(
      std::vector<CertifiedKey> keys, const ServerOptions& options);

  // Of the default certificate. It owns the contexts of the others and the table of names, which
  // the handshake needs: a session that holds this one holds all.
  bssl::UniquePtr<SSL_CTX> ssl_context_;
  std::vector<CertificateInfo> certificates_;
};

}  // namespace edge::tls
