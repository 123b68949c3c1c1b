// A real TLS client in memory: BoringSSL's own, with two byte strings for a network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "openssl/ssl.h"
#include "tls/session.h"

namespace edge::tls {

struct TestClientOptions {
  uint16_t version_min = TLS1_2_VERSION;
  uint16_t version_max = TLS1_3_VERSION;
  std::vector<std::string> alpn_protocols = {};
  std::string server_name = {};
  const char* tls12_ciphers = nullptr;
  const char* groups = nullptr;
  std::vector<uint16_t> signature_algorithms = {};
  SSL_SESSION* session = nullptr;  // to resume
};

class TestClient {
 public:
  explicit TestClient(const TestClientOptions& options = {});

  // Takes what a server sent; keeps it until the library asks for it.
  void Receive(std::string_view ciphertext);
  // Moves the handshake on. True when it is done.
  bool Handshake();
  void Write(std::string_view plaintext);
  // All plaintext that can be had of what was received.
  std::string Read();
  void Close();
  // What the client has sent and nobody has taken yet.
  std::string TakeSent();

  bool closed_by_peer() const { return closed_by_peer_; }
  // The reason of the last failed call, 0 if none failed.
  int failure_reason() const { return failure_reason_; }
  SSL* ssl() { return ssl_.get(); }
  SSL_SESSION* ticket() { return ticket_.get(); }
  std::string peer_common_name() const;

  // A TLS 1.2 AES-128-GCM record of any type under the connection's client key, for what no
  // well-behaved client sends. `skip` counts such records: they do not move the library's own
  // sequence number.
  std::string SealTls12Record(uint8_t type, std::string_view plaintext, uint64_t skip = 0);

 private:
  void NoteFailure(int result);

  bssl::UniquePtr<SSL_CTX> context_;
  bssl::UniquePtr<SSL> ssl_;
  bssl::UniquePtr<SSL_SESSION> ticket_;
  bool closed_by_peer_ = false;
  int failure_reason_ = 0;
};

// Reads all of `input` into a string, `step` bytes of input and `room` of output at a time.
struct ReadAllResult {
  Session::ReadStatus status;
  size_t consumed;
  std::string plaintext;
};
ReadAllResult ReadAll(Session& session, std::string_view input, size_t step = SIZE_MAX,
                      size_t room = 65536);

// Takes everything off the outgoing queue, as a transport that never blocks would.
std::string TakeOutgoing(Session& session);

// Runs both sides until the client is done or somebody has failed. True if both are done.
bool RunHandshake(TestClient& client, Session& session, size_t step = SIZE_MAX);

std::span<const std::byte> Bytes(std::string_view text);

// `bytes` bytes that differ from one another in a fixed pattern.
std::string Pattern(size_t bytes, uint32_t seed = 1);

// A context that all tests may share: self-signed for localhost.
std::shared_ptr<const ServerContext> TestContext();

}  // namespace edge::tls
