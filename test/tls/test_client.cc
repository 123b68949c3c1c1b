#include "test/tls/test_client.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/log/check.h"
#include "openssl/aead.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/x509.h"

namespace edge::tls {

TestClient::TestClient(const TestClientOptions& options) : context_(SSL_CTX_new(TLS_method())) {
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb(context_.get(), [](SSL* ssl, SSL_SESSION* session) {
    static_cast<TestClient*>(SSL_get_app_data(ssl))->ticket_.reset(session);
    return 1;
  });
  ssl_.reset(SSL_new(context_.get()));
  SSL* ssl = ssl_.get();
  SSL_set_app_data(ssl, this);
  CHECK(SSL_set_min_proto_version(ssl, options.version_min));
  CHECK(SSL_set_max_proto_version(ssl, options.version_max));
  if (!options.alpn_protocols.empty()) {
    std::string wire;
    for (const std::string& protocol : options.alpn_protocols) {
      wire += static_cast<char>(protocol.size());
      wire += protocol;
    }
    CHECK_EQ(SSL_set_alpn_protos(ssl, reinterpret_cast<const uint8_t*>(wire.data()),
                                 static_cast<unsigned>(wire.size())),
             0);
  }
  if (!options.server_name.empty()) {
    CHECK(SSL_set_tlsext_host_name(ssl, options.server_name.c_str()));
  }
  if (options.tls12_ciphers != nullptr) {
    CHECK(SSL_set_strict_cipher_list(ssl, options.tls12_ciphers));
  }
  if (options.groups != nullptr) CHECK(SSL_set1_curves_list(ssl, options.groups));
  if (!options.signature_algorithms.empty()) {
    CHECK(SSL_set_verify_algorithm_prefs(ssl, options.signature_algorithms.data(),
                                         options.signature_algorithms.size()));
  }
  if (options.session != nullptr) CHECK(SSL_set_session(ssl, options.session));
  SSL_set0_rbio(ssl, BIO_new(BIO_s_mem()));
  SSL_set0_wbio(ssl, BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl);
}

void TestClient::Receive(std::string_view ciphertext) {
  if (ciphertext.empty()) return;
  CHECK_EQ(BIO_write(SSL_get_rbio(ssl()), ciphertext.data(), static_cast<int>(ciphertext.size())),
           static_cast<int>(ciphertext.size()));
}

bool TestClient::Handshake() {
  const int result = SSL_do_handshake(ssl());
  if (result != 1) NoteFailure(result);
  return result == 1;
}

void TestClient::Write(std::string_view plaintext) {
  while (!plaintext.empty()) {
    const int written = SSL_write(ssl(), plaintext.data(), static_cast<int>(plaintext.size()));
    CHECK_GT(written, 0);
    plaintext.remove_prefix(static_cast<size_t>(written));
  }
}

std::string TestClient::Read() {
  std::string plaintext;
  std::array<char, 16384> buffer;
  while (true) {
    const int bytes = SSL_read(ssl(), buffer.data(), buffer.size());
    if (bytes <= 0) {
      NoteFailure(bytes);
      return plaintext;
    }
    plaintext.append(buffer.data(), static_cast<size_t>(bytes));
  }
}

void TestClient::Close() { CHECK_GE(SSL_shutdown(ssl()), 0); }

std::string TestClient::TakeSent() {
  const uint8_t* data = nullptr;
  size_t bytes = 0;
  BIO* bio = SSL_get_wbio(ssl());
  CHECK(BIO_mem_contents(bio, &data, &bytes));
  std::string sent(reinterpret_cast<const char*>(data), bytes);
  CHECK(BIO_reset(bio));
  return sent;
}

void TestClient::NoteFailure(int result) {
  const int error = SSL_get_error(ssl(), result);
  if (error == SSL_ERROR_ZERO_RETURN) closed_by_peer_ = true;
  if (error == SSL_ERROR_SSL) failure_reason_ = ERR_GET_REASON(ERR_peek_error());
  ERR_clear_error();
}

std::string TestClient::peer_common_name() const {
  bssl::UniquePtr<X509> peer(SSL_get_peer_certificate(ssl_.get()));
  if (peer == nullptr) return "";
  char name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(peer.get()), NID_commonName, name, sizeof(name));
  return name;
}

std::string TestClient::SealTls12Record(uint8_t type, std::string_view plaintext, uint64_t skip) {
  CHECK_EQ(SSL_version(ssl()), TLS1_2_VERSION);
  constexpr size_t kKeyBytes = 16;
  constexpr size_t kFixedIvBytes = 4;
  constexpr size_t kExplicitNonceBytes = 8;
  constexpr size_t kTagBytes = 16;
  // RFC 5246 section 6.3: both keys, then both IVs, the client's first.
  std::array<uint8_t, 2 * (kKeyBytes + kFixedIvBytes)> block;
  CHECK_EQ(SSL_get_key_block_len(ssl()), block.size());
  CHECK(SSL_generate_key_block(ssl(), block.data(), block.size()));
  const uint64_t sequence = SSL_get_write_sequence(ssl()) + skip;
  std::array<uint8_t, kFixedIvBytes + kExplicitNonceBytes> nonce;
  std::memcpy(nonce.data(), block.data() + 2 * kKeyBytes, kFixedIvBytes);
  for (size_t i = 0; i < 8; ++i) {
    nonce[kFixedIvBytes + i] = static_cast<uint8_t>(sequence >> (56 - 8 * i));
  }
  std::array<uint8_t, 13> additional;
  std::memcpy(additional.data(), nonce.data() + kFixedIvBytes, 8);
  additional[8] = type;
  additional[9] = 3;
  additional[10] = 3;
  additional[11] = static_cast<uint8_t>(plaintext.size() >> 8);
  additional[12] = static_cast<uint8_t>(plaintext.size());
  bssl::ScopedEVP_AEAD_CTX aead;
  CHECK(EVP_AEAD_CTX_init(aead.get(), EVP_aead_aes_128_gcm(), block.data(), kKeyBytes, kTagBytes,
                          nullptr));
  std::vector<uint8_t> sealed(plaintext.size() + kTagBytes);
  size_t sealed_bytes = 0;
  CHECK(EVP_AEAD_CTX_seal(aead.get(), sealed.data(), &sealed_bytes, sealed.size(), nonce.data(),
                          nonce.size(), reinterpret_cast<const uint8_t*>(plaintext.data()),
                          plaintext.size(), additional.data(), additional.size()));
  const size_t body_bytes = kExplicitNonceBytes + sealed_bytes;
  std::string record;
  record += static_cast<char>(type);
  record += "\x03\x03";
  record += static_cast<char>(body_bytes >> 8);
  record += static_cast<char>(body_bytes);
  record.append(reinterpret_cast<const char*>(nonce.data() + kFixedIvBytes), kExplicitNonceBytes);
  record.append(reinterpret_cast<const char*>(sealed.data()), sealed_bytes);
  return record;
}

ReadAllResult ReadAll(Session& session, std::string_view input, size_t step, size_t room) {
  ReadAllResult all{Session::ReadStatus::kNeedInput, 0, {}};
  std::vector<std::byte> output(room);
  while (true) {
    const std::string_view piece = input.substr(all.consumed, step);
    const Session::ReadResult result = session.Read(Bytes(piece), output);
    CHECK_LE(result.consumed, piece.size());
    CHECK_LE(result.produced, output.size());
    all.status = result.status;
    all.consumed += result.consumed;
    all.plaintext.append(reinterpret_cast<const char*>(output.data()), result.produced);
    switch (result.status) {
      case Session::ReadStatus::kNeedInput:
        CHECK_EQ(result.consumed, piece.size());
        if (all.consumed == input.size()) return all;
        break;
      case Session::ReadStatus::kOutputFull:
        CHECK_EQ(result.produced, output.size());
        break;
      case Session::ReadStatus::kClosed:
      case Session::ReadStatus::kFailed:
        return all;
    }
  }
}

std::string TakeOutgoing(Session& session) {
  std::string bytes;
  while (session.outgoing_count() > 0) {
    std::array<iovec, 8> pieces;
    const size_t count = session.FillIovec(pieces);
    size_t taken = 0;
    for (size_t i = 0; i < count; ++i) {
      bytes.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
      taken += pieces[i].iov_len;
    }
    session.ConsumeOutgoing(taken);
  }
  return bytes;
}

bool RunHandshake(TestClient& client, Session& session, size_t step) {
  // Three flights each way are the most that any handshake here takes.
  for (int flight = 0; flight < 4; ++flight) {
    const bool client_done = client.Handshake();
    (void)ReadAll(session, client.TakeSent(), step);
    client.Receive(TakeOutgoing(session));
    if (client_done && session.handshake_done()) return true;
    if (session.state() == Session::State::kFailed) {
      (void)client.Handshake();
      return false;
    }
  }
  return false;
}

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

std::string Pattern(size_t bytes, uint32_t seed) {
  std::string text(bytes, '\0');
  uint32_t state = seed;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

std::shared_ptr<const ServerContext> TestContext() {
  static const std::shared_ptr<const ServerContext> context = [] {
    const std::string names[] = {"localhost"};
    auto made = ServerContext::SelfSigned(names, {});
    CHECK(made.ok()) << made.status();
    return *made;
  }();
  return context;
}

}  // namespace edge::tls
