// Peers that are broken, impatient or hostile. Nothing they send may do more than fail their own
// session, with an error that says what happened.

#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/tls/test_client.h"
#include "tls/session.h"

namespace edge::tls {
namespace {

using State = Session::State;
using ReadStatus = Session::ReadStatus;

constexpr uint8_t kRecordAlert = 21;
constexpr uint8_t kRecordHandshake = 22;
constexpr uint8_t kRecordApplicationData = 23;

// A session that has been given `input` in steps, then nothing more.
std::unique_ptr<Session> SessionAfter(std::string_view input, size_t step = SIZE_MAX) {
  auto session = Session::NewServer(*TestContext());
  (void)ReadAll(*session, input, step);
  return session;
}

// The client's first flight.
std::string ClientHello(const TestClientOptions& options = {}) {
  TestClient client(options);
  client.Handshake();
  return client.TakeSent();
}

class HostileTest : public ::testing::Test {
 protected:
  // An established connection of the given version.
  void Connect(uint16_t version) {
    client_ = std::make_unique<TestClient>(
        TestClientOptions{.version_min = version,
                          .version_max = version,
                          .tls12_ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"});
    session_ = Session::NewServer(*TestContext());
    ASSERT_TRUE(RunHandshake(*client_, *session_));
  }

  std::unique_ptr<TestClient> client_;
  std::unique_ptr<Session> session_;
};

TEST_F(HostileTest, PlaintextHttpIsToldApartAndNothingIsSent) {
  for (std::string_view request :
       {"GET / HTTP/1.1\r\n\r\n", "DELETE /x HTTP/1.1\r\n\r\n", "CONNECT host:443 HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "G"}) {
    for (size_t step : {size_t{1}, SIZE_MAX}) {
      const auto session = SessionAfter(request, step);
      EXPECT_EQ(session->state(), State::kFailed);
      EXPECT_EQ(session->error().code, ErrorCode::kPlaintext);
      EXPECT_EQ(session->error().ToString(), "plaintext on a TLS port");
      // A plain answer can follow.
      EXPECT_EQ(session->outgoing_bytes(), 0u);
    }
  }
}

TEST_F(HostileTest, PlaintextIsLeftForTheCaller) {
  auto session = Session::NewServer(*TestContext());
  EXPECT_EQ(ReadAll(*session, "GET / HTTP/1.1\r\n\r\n").consumed, 0u);
}

TEST_F(HostileTest, OtherProtocolsAreNotTls) {
  for (std::string_view input :
       {std::string_view("\0\0\0\0\0\0\0\0", 8), std::string_view("hello"),
        std::string_view("\x05\x01\x00\x01\x02", 5), std::string_view("\x04\x01\x00\x50\x7f", 5)}) {
    const auto session = SessionAfter(input);
    EXPECT_EQ(session->state(), State::kFailed);
    EXPECT_EQ(session->error().code, ErrorCode::kNotTls) << session->error().ToString();
    EXPECT_EQ(session->error().ToString(),
              "not TLS (WRONG_VERSION_NUMBER; sent alert 70 protocol_version)");
  }
}

TEST_F(HostileTest, RandomBytesOnlyFailTheSession) {
  std::minstd_rand random(20261121);
  for (int round = 0; round < 3000; ++round) {
    std::string input(1 + random() % 600, '\0');
    for (char& c : input) c = static_cast<char>(random() >> 8);
    // Most rounds look like a record at first, to get past the header.
    if (round % 4 != 0) {
      input.replace(0, std::min<size_t>(input.size(), 3), "\x16\x03\x01", 0,
                    std::min<size_t>(input.size(), 3));
    }
    const auto session = SessionAfter(input, 1 + random() % 64);
    EXPECT_TRUE(session->state() == State::kFailed || session->state() == State::kHandshake);
    if (session->state() == State::kHandshake) {
      EXPECT_FALSE(session->OnTransportEof());
    }
    EXPECT_FALSE(session->error().ok());
    EXPECT_FALSE(session->handshake_done());
  }
}

TEST_F(HostileTest, EveryPrefixOfAHelloWaitsForMore) {
  const std::string hello = ClientHello();
  for (size_t bytes = 0; bytes < hello.size(); ++bytes) {
    const auto session = SessionAfter(std::string_view(hello).substr(0, bytes));
    ASSERT_EQ(session->state(), State::kHandshake) << bytes;
    EXPECT_EQ(session->outgoing_bytes(), 0u);
    EXPECT_FALSE(session->OnTransportEof());
    EXPECT_EQ(session->error().ToString(), "connection ended in the handshake");
  }
}

TEST_F(HostileTest, EveryDamagedByteOfAHelloIsSurvived) {
  const std::string hello = ClientHello();
  int failed = 0;
  for (size_t i = 0; i < hello.size(); ++i) {
    for (int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = hello;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      const auto session = SessionAfter(damaged);
      EXPECT_FALSE(session->handshake_done());
      if (session->state() == State::kFailed) ++failed;
    }
  }
  // Random values and unknown extensions may be anything, lengths and types may not.
  EXPECT_GT(failed, 100);
}

TEST_F(HostileTest, EveryPrefixOfTheSecondFlightWaitsForMore) {
  for (uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    // The server's answer depends on its random, so the handshake is begun anew for each cut.
    for (size_t bytes = 0; bytes < 60; ++bytes) {
      TestClient fresh({.version_min = version, .version_max = version});
      auto session = Session::NewServer(*TestContext());
      fresh.Handshake();
      (void)ReadAll(*session, fresh.TakeSent());
      fresh.Receive(TakeOutgoing(*session));
      fresh.Handshake();
      const std::string second = fresh.TakeSent();
      ASSERT_GT(second.size(), bytes);
      (void)ReadAll(*session, second.substr(0, bytes));
      EXPECT_EQ(session->state(), State::kHandshake);
      EXPECT_FALSE(session->OnTransportEof());
      EXPECT_EQ(session->error().code, ErrorCode::kEofInHandshake);
    }
  }
}

TEST_F(HostileTest, DamagedRecordFailsAndTheRecordsBeforeItCount) {
  for (uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Connect(version);
    client_->Write("good");
    std::string sent = client_->TakeSent();
    client_->Write("bad");
    std::string bad = client_->TakeSent();
    bad.back() = static_cast<char>(bad.back() ^ 1);
    const ReadAllResult read = ReadAll(*session_, sent + bad);
    EXPECT_EQ(read.status, ReadStatus::kFailed);
    EXPECT_EQ(read.plaintext, "good");
    EXPECT_EQ(session_->error().ToString(),
              "bad record (DECRYPTION_FAILED_OR_BAD_RECORD_MAC; sent alert 20 bad_record_mac)");
    // The peer is told.
    client_->Receive(TakeOutgoing(*session_));
    EXPECT_EQ(client_->Read(), "");
    EXPECT_EQ(client_->failure_reason(), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    // And nothing works any more.
    EXPECT_FALSE(session_->Write(Bytes("x")));
    EXPECT_EQ(ReadAll(*session_, sent).status, ReadStatus::kFailed);
    EXPECT_FALSE(session_->OnTransportEof());
    session_->Close();
    EXPECT_EQ(session_->outgoing_bytes(), 0u);
  }
}

TEST_F(HostileTest, ReplayedRecordFails) {
  Connect(TLS1_3_VERSION);
  client_->Write("once");
  const std::string sent = client_->TakeSent();
  const ReadAllResult read = ReadAll(*session_, sent + sent);
  EXPECT_EQ(read.plaintext, "once");
  EXPECT_EQ(session_->error().code, ErrorCode::kBadRecord);
}

TEST_F(HostileTest, TooLongRecordFailsByItsHeader) {
  for (uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Connect(version);
    const ReadAllResult read = ReadAll(*session_, "\x17\x03\x03\xff\xff");
    EXPECT_EQ(read.status, ReadStatus::kFailed);
    EXPECT_EQ(session_->error().ToString(),
              "bad record (ENCRYPTED_LENGTH_TOO_LONG; sent alert 22 record_overflow)");
  }
}

TEST_F(HostileTest, RenegotiationIsRefused) {
  Connect(TLS1_2_VERSION);
  // A ClientHello inside the established connection.
  const std::string hello = ClientHello({.version_max = TLS1_2_VERSION}).substr(5);
  const ReadAllResult read = ReadAll(*session_, client_->SealTls12Record(kRecordHandshake, hello));
  EXPECT_EQ(read.status, ReadStatus::kFailed);
  EXPECT_EQ(session_->error().ToString(),
            "renegotiation refused (NO_RENEGOTIATION; sent alert 100 no_renegotiation)");
}

TEST_F(HostileTest, HandshakeMessagesAfterTheHandshakeFail) {
  Connect(TLS1_3_VERSION);
  // Of a record type that TLS 1.3 does not show on the outside.
  const ReadAllResult read =
      ReadAll(*session_, std::string_view("\x16\x03\x03\x00\x04\x01\x00\x00\x00", 9));
  EXPECT_EQ(read.status, ReadStatus::kFailed);
  EXPECT_EQ(session_->state(), State::kFailed);
}

TEST_F(HostileTest, EmptyRecordsAreCounted) {
  Connect(TLS1_2_VERSION);
  std::string records;
  for (uint64_t i = 0; i < 100; ++i) {
    records += client_->SealTls12Record(kRecordApplicationData, "", i);
  }
  EXPECT_EQ(ReadAll(*session_, records).status, ReadStatus::kFailed);
  EXPECT_EQ(session_->error().ToString(),
            "TLS protocol violation (TOO_MANY_EMPTY_FRAGMENTS; sent alert 10 unexpected_message)");
}

TEST_F(HostileTest, WarningAlertsAreCounted) {
  Connect(TLS1_2_VERSION);
  std::string records;
  for (uint64_t i = 0; i < 10; ++i) {
    // user_canceled
    records += client_->SealTls12Record(kRecordAlert, "\x01\x5a", i);
  }
  EXPECT_EQ(ReadAll(*session_, records).status, ReadStatus::kFailed);
  EXPECT_EQ(session_->error().ToString(),
            "TLS protocol violation (TOO_MANY_WARNING_ALERTS; sent alert 10 unexpected_message)");
}

TEST_F(HostileTest, KeyUpdatesAreCounted) {
  Connect(TLS1_3_VERSION);
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(SSL_key_update(client_->ssl(), SSL_KEY_UPDATE_NOT_REQUESTED));
    // An update goes out with the next record; an alert-free way to flush it is to write nothing.
    EXPECT_EQ(SSL_write(client_->ssl(), "", 0), 0);
  }
  EXPECT_EQ(ReadAll(*session_, client_->TakeSent()).status, ReadStatus::kFailed);
  EXPECT_EQ(session_->error().ToString(),
            "TLS protocol violation (TOO_MANY_KEY_UPDATES; sent alert 10 unexpected_message)");
}

TEST_F(HostileTest, FatalAlertIsReportedAsThePeers) {
  Connect(TLS1_2_VERSION);
  const std::string alert = client_->SealTls12Record(kRecordAlert, "\x02\x50");
  EXPECT_EQ(ReadAll(*session_, alert).status, ReadStatus::kFailed);
  EXPECT_EQ(session_->error().code, ErrorCode::kPeerAlert);
  EXPECT_EQ(session_->error().alert_received, 80);
  EXPECT_EQ(session_->error().ToString(), "alert from the peer (received alert 80 internal_error)");
}

TEST_F(HostileTest, AlertInTheHandshakeIsReportedAsThePeers) {
  // What a client sends that does not like the certificate.
  auto session = Session::NewServer(*TestContext());
  (void)ReadAll(*session, ClientHello({.version_max = TLS1_2_VERSION}));
  (void)TakeOutgoing(*session);
  EXPECT_EQ(ReadAll(*session, std::string_view("\x15\x03\x03\x00\x02\x02\x2a", 7)).status,
            ReadStatus::kFailed);
  EXPECT_EQ(session->error().ToString(), "alert from the peer (received alert 42 bad_certificate)");
}

TEST_F(HostileTest, CloseNotifyInTheHandshakeEndsIt) {
  auto session = Session::NewServer(*TestContext());
  (void)ReadAll(*session, ClientHello({.version_max = TLS1_2_VERSION}));
  EXPECT_EQ(ReadAll(*session, std::string_view("\x15\x03\x03\x00\x02\x01\x00", 7)).status,
            ReadStatus::kFailed);
  EXPECT_EQ(session->error().code, ErrorCode::kEofInHandshake);
}

TEST_F(HostileTest, HandshakeMessageBeyondTheLimitIsNotBuffered) {
  // A ClientHello that claims 16 MiB.
  const std::string head("\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9);
  const auto session = SessionAfter(head + std::string(16384, 'x'));
  EXPECT_EQ(session->state(), State::kFailed);
  EXPECT_EQ(session->error().ToString(),
            "TLS protocol violation (EXCESSIVE_MESSAGE_SIZE; sent alert 47 illegal_parameter)");
}

TEST_F(HostileTest, ErrorsOfOneSessionDoNotReachAnother) {
  Connect(TLS1_3_VERSION);
  const auto broken = SessionAfter(std::string_view("\0\0\0\0\0", 5));
  EXPECT_EQ(broken->state(), State::kFailed);
  client_->Write("fine");
  EXPECT_EQ(ReadAll(*session_, client_->TakeSent()).plaintext, "fine");
}

TEST(ErrorTest, TextsAreSpecific) {
  EXPECT_EQ(Error{}.ToString(), "no error");
  EXPECT_TRUE(Error{}.ok());
  EXPECT_EQ((Error{.code = ErrorCode::kPeerAlert, .alert_received = 255}.ToString()),
            "alert from the peer (received alert 255 unknown alert)");
}

}  // namespace
}  // namespace edge::tls
