#include "tls/context.h"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "openssl/err.h"
#include "openssl/ssl.h"

namespace edge::tls {
namespace {

// Mozilla's "intermediate" list without DHE. Within brackets the client's order decides, because it
// knows whether it has AES in hardware; AES-256 comes last, it costs more and protects no better
// here. In TLS 1.3 the order is the client's, and all ciphers are good.
constexpr char kTls12Ciphers[] =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:"
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr char kGroups[] = "X25519:P-256";

// RFC 7301 section 3.1: a protocol's name is at most 255 bytes.
constexpr size_t kAlpnNameMax = 255;

// What handshakes look up. Attached to the default SSL_CTX and freed with it.
struct HandshakeTables {
  // ALPN names, each behind its length, in the server's order.
  std::string alpn_wire;
  // Contexts of the certificates after the default one. The default one is not in here: it would
  // keep itself alive.
  std::vector<bssl::UniquePtr<SSL_CTX>> others;
  // Lower case names without trailing dot, and suffixes of wildcards (".example.org"). Values are
  // not owned: the default context or one of `others`.
  std::map<std::string, SSL_CTX*, std::less<>> exact_names;
  std::map<std::string, SSL_CTX*, std::less<>> wildcard_suffixes;
};

void FreeTables(void* /*parent*/, void* tables, CRYPTO_EX_DATA* /*data*/, int /*index*/,
                long /*argl*/, void* /*argp*/) {
  delete static_cast<HandshakeTables*>(tables);
}

int TablesIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, &FreeTables);
  return index;
}

SSL_CTX* FindByName(const HandshakeTables& tables, std::string_view server_name) {
  // The library has checked the length; 255 is TLSEXT_MAXLEN_host_name.
  std::array<char, TLSEXT_MAXLEN_host_name> lower;
  if (server_name.size() > lower.size()) return nullptr;
  for (size_t i = 0; i < server_name.size(); ++i) lower[i] = absl::ascii_tolower(server_name[i]);
  std::string_view name(lower.data(), server_name.size());
  if (name.ends_with('.')) name.remove_suffix(1);
  if (auto found = tables.exact_names.find(name); found != tables.exact_names.end()) {
    return found->second;
  }
  // A wildcard stands for exactly one label (RFC 9525 section 6.3).
  const size_t dot = name.find('.');
  if (dot == name.npos || dot == 0) return nullptr;
  const auto found = tables.wildcard_suffixes.find(name.substr(dot));
  return found != tables.wildcard_suffixes.end() ? found->second : nullptr;
}

// Runs once per full or resumed handshake, before anything depends on the certificate.
ssl_select_cert_result_t SelectCertificate(const SSL_CLIENT_HELLO* hello) {
  SSL* ssl = hello->ssl;
  const auto* tables =
      static_cast<const HandshakeTables*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), TablesIndex()));
  const char* server_name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  // With a single certificate there is nothing to choose.
  if (server_name == nullptr || tables->others.empty()) return ssl_select_cert_success;
  SSL_CTX* context = FindByName(*tables, server_name);
  if (context != nullptr && SSL_set_SSL_CTX(ssl, context) == nullptr) return ssl_select_cert_error;
  return ssl_select_cert_success;
}

int SelectAlpn(SSL* /*ssl*/, const uint8_t** out, uint8_t* out_bytes, const uint8_t* offered,
               unsigned offered_bytes, void* tables) {
  const std::string& ours = static_cast<const HandshakeTables*>(tables)->alpn_wire;
  // The library has checked that `offered` is well formed.
  const int result = SSL_select_next_proto(
      const_cast<uint8_t**>(out), out_bytes, reinterpret_cast<const uint8_t*>(ours.data()),
      static_cast<unsigned>(ours.size()), offered, offered_bytes);
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

absl::Status LibraryError(std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  absl::Status status =
      absl::InternalError(absl::StrCat(what, ": ", reason != nullptr ? reason : "no reason given"));
  ERR_clear_error();
  return status;
}

// A context with the policy of context.h. `tables` outlives it.
absl::StatusOr<bssl::UniquePtr<SSL_CTX>> NewContext(const CertifiedKey& key,
                                                    HandshakeTables* tables) {
  // The variant without X.509 objects: connections are smaller, and the server verifies nobody.
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_with_buffers_method()));
  if (context == nullptr) return absl::ResourceExhaustedError("out of memory");
  SSL_CTX* raw = context.get();
  CHECK(SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION));
  CHECK(SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION));
  CHECK(SSL_CTX_set_strict_cipher_list(raw, kTls12Ciphers));
  SSL_CTX_set_options(raw, SSL_OP_CIPHER_SERVER_PREFERENCE);
  CHECK(SSL_CTX_set1_curves_list(raw, kGroups));
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_select_certificate_cb(raw, &SelectCertificate);
  if (!tables->alpn_wire.empty()) SSL_CTX_set_alpn_select_cb(raw, &SelectAlpn, tables);

  std::vector<CRYPTO_BUFFER*> chain;
  chain.reserve(key.chain.size());
  for (const bssl::UniquePtr<CRYPTO_BUFFER>& certificate : key.chain) {
    chain.push_back(certificate.get());
  }
  if (!SSL_CTX_set_chain_and_key(raw, chain.data(), chain.size(), key.private_key.get(), nullptr)) {
    return LibraryError(absl::StrCat("tls certificate ", key.info.source));
  }
  return context;
}

void AddNames(const CertificateInfo& info, SSL_CTX* context, HandshakeTables& tables) {
  for (std::string_view name : info.dns_names) {
    // emplace: the earlier certificate keeps the name.
    if (name.starts_with("*.")) {
      tables.wildcard_suffixes.emplace(name.substr(1), context);
    } else {
      tables.exact_names.emplace(name, context);
    }
  }
}

absl::StatusOr<std::string> AlpnWire(std::span<const std::string> protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > kAlpnNameMax) {
      return absl::InvalidArgumentError(absl::StrCat("tls application protocol: found ",
                                                     protocol.size(), " bytes, expected 1 to ",
                                                     kAlpnNameMax));
    }
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

absl::Time NowFor(const ServerOptions& options) {
  return options.now == absl::InfinitePast() ? absl::Now() : options.now;
}

}  // namespace

ServerContext::ServerContext(bssl::UniquePtr<SSL_CTX> ssl_context,
                             std::vector<CertificateInfo> certificates)
    : ssl_context_(std::move(ssl_context)), certificates_(std::move(certificates)) {}

absl::StatusOr<std::shared_ptr<const ServerContext>> ServerContext::FromFiles(
    std::span<const CertificateFiles> pairs, const ServerOptions& options) {
  if (pairs.empty()) {
    return absl::InvalidArgumentError("tls: found no certificate, expected at least one pair");
  }
  const absl::Time now = NowFor(options);
  std::vector<CertifiedKey> keys;
  for (const CertificateFiles& pair : pairs) {
    absl::StatusOr<CertifiedKey> key = LoadCertifiedKey(pair, now);
    if (!key.ok()) return key.status();
    keys.push_back(*std::move(key));
  }
  return FromKeys(std::move(keys), options);
}

absl::StatusOr<std::shared_ptr<const ServerContext>> ServerContext::SelfSigned(
    std::span<const std::string> dns_names, std::span<const std::string> ip_addresses,
    const ServerOptions& options) {
  absl::StatusOr<CertifiedKey> key = MakeSelfSignedKey(dns_names, ip_addresses, NowFor(options));
  if (!key.ok()) return key.status();
  std::vector<CertifiedKey> keys;
  keys.push_back(*std::move(key));
  return FromKeys(std::move(keys), options);
}

absl::StatusOr<std::shared_ptr<const ServerContext>> ServerContext::FromKeys(
    std::vector<CertifiedKey> keys, const ServerOptions& options) {
  auto tables = std::make_unique<HandshakeTables>();
  absl::StatusOr<std::string> alpn_wire = AlpnWire(options.alpn_protocols);
  if (!alpn_wire.ok()) return alpn_wire.status();
  tables->alpn_wire = *std::move(alpn_wire);

  bssl::UniquePtr<SSL_CTX> default_context;
  std::vector<CertificateInfo> certificates;
  for (CertifiedKey& key : keys) {
    absl::StatusOr<bssl::UniquePtr<SSL_CTX>> context = NewContext(key, tables.get());
    if (!context.ok()) return context.status();
    AddNames(key.info, context->get(), *tables);
    certificates.push_back(std::move(key.info));
    if (default_context == nullptr) {
      default_context = *std::move(context);
    } else {
      tables->others.push_back(*std::move(context));
    }
  }
  if (!SSL_CTX_set_ex_data(default_context.get(), TablesIndex(), tables.get())) {
    return LibraryError("tls");
  }
  (void)tables.release();  // now owned by default_context
  return std::shared_ptr<const ServerContext>(
      new ServerContext(std::move(default_context), std::move(certificates)));
}

std::string ServerContext::description() const {
  const CertificateInfo& info = certificates_[0];
  std::vector<std::string> names = info.dns_names;
  names.insert(names.end(), info.ip_addresses.begin(), info.ip_addresses.end());
  std::string text =
      absl::StrCat(info.source, ": ", info.subject, ", for ",
                   names.empty() ? "no names" : absl::StrJoin(names, " "), ", ", info.key_type,
                   ", expires ", absl::FormatTime("%Y-%m-%d", info.not_after, absl::UTCTimeZone()),
                   ", sha256 ", info.sha256_fingerprint);
  if (certificates_.size() > 1) {
    absl::StrAppend(&text, " (default of ", certificates_.size(), " certificates)");
  }
  return text;
}

}  // namespace edge::tls
