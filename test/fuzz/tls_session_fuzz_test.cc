// A TLS server session, against arbitrary bytes of a client.
//
// Byte 3 of the input, bit 0:
//
//   0  The rest are the connection's first bytes. Whole or cut in two, the session ends in the same
//      state with the same error, and has never had plaintext.
//   1  A real client is connected; the rest is a script, see RunScript(). What the server reads is
//      what the client wrote, up to where its bytes were tampered with.
//
// The other bits of byte 3 choose the client's version. Keys and nonces differ from run to run;
// nothing that is checked depends on them.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "test/tls/test_client.h"
#include "tls/session.h"

namespace edge::tls {
namespace {

using State = Session::State;
using ReadStatus = Session::ReadStatus;

bool Ended(const Session& session) {
  return session.state() == State::kFailed || session.state() == State::kPeerClosed ||
         session.state() == State::kClosed;
}

// The end of a session: in any state it can be closed and told of its transport's end.
void Finish(Session& session) {
  const bool failed = session.state() == State::kFailed;
  session.Close();
  (void)session.OnTransportEof();
  if (failed) CHECK(session.state() == State::kFailed);
  CHECK(!session.DebugString().empty());
  (void)TakeOutgoing(session);
}

// --- Mode 0

struct Outcome {
  State state;
  ErrorCode code;
  std::string error;
  std::string server_name;
  std::string alpn;
  bool answered;

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome Offer(std::string_view bytes, size_t cut) {
  const auto session = Session::NewServer(*TestContext());
  for (const std::string_view piece : {bytes.substr(0, cut), bytes.substr(cut)}) {
    if (Ended(*session)) break;
    const ReadAllResult read = ReadAll(*session, piece);
    CHECK(read.plaintext.empty()) << "plaintext without a handshake";
    CHECK_LE(read.consumed, piece.size());
    CHECK_EQ(read.status == ReadStatus::kFailed, session->state() == State::kFailed);
    CHECK_EQ(session->state() == State::kFailed, !session->error().ok());
  }
  CHECK(!session->handshake_done());
  const Outcome outcome{
      .state = session->state(),
      .code = session->error().code,
      .error = session->error().ToString(),
      .server_name = std::string(session->server_name()),
      .alpn = std::string(session->alpn()),
      .answered = session->outgoing_bytes() > 0,
  };
  Finish(*session);
  return outcome;
}

void RunRaw(std::string_view bytes, size_t cut) {
  const Outcome whole = Offer(bytes, bytes.size());
  const Outcome in_two = Offer(bytes, cut);
  CHECK(whole == in_two) << whole.error << " / " << in_two.error;
}

// --- Mode 1

class Script {
 public:
  explicit Script(uint16_t version)
      : client_({.version_min = version, .version_max = version}),
        session_(Session::NewServer(*TestContext())) {
    CHECK(RunHandshake(client_, *session_));
  }

  // Each step is a byte, some with a second one behind it.
  void Run(std::string_view script) {
    for (size_t i = 0; i < script.size() && i < kStepsMax; ++i) {
      const auto step = static_cast<uint8_t>(script[i]);
      const size_t amount = i + 1 < script.size() ? static_cast<uint8_t>(script[i + 1]) : 0;
      switch (step % 8) {
        case 0:
          ClientWrites(amount);
          ++i;
          break;
        case 1:
          ServerWrites(amount * 257);
          ++i;
          break;
        case 2:
          Deliver(amount, 1 + amount % 64);
          ++i;
          break;
        case 3:
          Deliver(pending_.size(), 65536);
          break;
        case 4:
          CloseClient();
          break;
        case 5:
          session_->Close();
          server_closed_ = true;
          break;
        case 6:
          if (!pending_.empty()) {
            pending_[amount % pending_.size()] ^= static_cast<char>(1 << step / 8 % 8);
            tampered_ = true;
          }
          ++i;
          break;
        case 7:
          pending_ += script.substr(i + 1, step / 8);
          tampered_ |= i + 1 < script.size() && step / 8 > 0;
          i += step / 8;
          break;
      }
    }
    Deliver(pending_.size(), 65536);
    CheckEnd();
  }

 private:
  static constexpr size_t kStepsMax = 64;

  void ClientWrites(size_t bytes) {
    if (client_closed_ || bytes == 0) return;
    const std::string plaintext = Pattern(bytes, static_cast<uint32_t>(written_.size() + 1));
    client_.Write(plaintext);
    written_ += plaintext;
    pending_ += client_.TakeSent();
  }

  void ServerWrites(size_t bytes) {
    if (session_->state() != State::kOpen && session_->state() != State::kPeerClosed) return;
    const std::string plaintext = Pattern(bytes, 7);
    CHECK(session_->Write(Bytes(plaintext)));
    CHECK_GE(session_->outgoing_bytes(), bytes);
    sent_ += plaintext;
  }

  void CloseClient() {
    if (client_closed_) return;
    client_.Close();
    client_closed_ = true;
    pending_ += client_.TakeSent();
  }

  // Hands `bytes` of what the client has sent to the server, which has `room` for plaintext.
  void Deliver(size_t bytes, size_t room) {
    const std::string piece = pending_.substr(0, bytes);
    pending_.erase(0, piece.size());
    const bool ended = Ended(*session_);
    const ReadAllResult result = ReadAll(*session_, piece, SIZE_MAX, room);
    if (ended) CHECK(result.plaintext.empty() && result.consumed == 0);
    read_ += result.plaintext;
    CHECK(written_.starts_with(read_)) << "the server reads what nobody wrote";
  }

  void CheckEnd() {
    if (!tampered_) {
      CHECK(session_->state() != State::kFailed) << session_->error().ToString();
      CHECK_EQ(read_.size(), written_.size());
      CHECK_EQ(Ended(*session_), client_closed_);
    }
    // What the server wrote before anything failed arrives, whatever was done to the other way.
    client_.Receive(TakeOutgoing(*session_));
    const std::string received = client_.Read();
    if (!client_closed_) CHECK_EQ(received, sent_);
    if (!client_closed_ && server_closed_ && !tampered_) CHECK(client_.closed_by_peer());
    Finish(*session_);
  }

  TestClient client_;
  std::unique_ptr<Session> session_;
  std::string pending_;  // from the client, not yet delivered
  std::string written_;  // by the client
  std::string read_;     // by the server
  std::string sent_;     // by the server
  bool client_closed_ = false;
  bool server_closed_ = false;
  bool tampered_ = false;
};

}  // namespace
}  // namespace edge::tls

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
  if ((data[3] & 1) == 0) {
    edge::tls::RunRaw(bytes, static_cast<size_t>(data[0] << 8 | data[1]) % (bytes.size() + 1));
  } else {
    edge::tls::Script((data[3] & 2) != 0 ? TLS1_2_VERSION : TLS1_3_VERSION).Run(bytes);
  }
  return 0;
}
