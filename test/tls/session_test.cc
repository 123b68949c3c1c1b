// Sessions that go well: handshakes, data, closing. What hostile peers do is in
// session_hostile_test.cc.

#include "tls/session.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "test/tls/test_certificate.h"
#include "test/tls/test_client.h"

namespace edge::tls {
namespace {

using State = Session::State;
using ReadStatus = Session::ReadStatus;

struct Pair {
  explicit Pair(const TestClientOptions& options = {}, size_t step = SIZE_MAX)
      : client(options), session(Session::NewServer(*TestContext())) {
    ok = RunHandshake(client, *session, step);
  }
  // What the client reads of what the session has queued.
  std::string Deliver() {
    client.Receive(TakeOutgoing(*session));
    return client.Read();
  }

  TestClient client;
  std::unique_ptr<Session> session;
  bool ok;
};

class SessionVersionTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  TestClientOptions Options() const {
    return {.version_min = GetParam(), .version_max = GetParam()};
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, SessionVersionTest,
                         ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION), [](const auto& info) {
                           return info.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

TEST_P(SessionVersionTest, ShakesHands) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  EXPECT_TRUE(pair.session->handshake_done());
  EXPECT_EQ(pair.session->state(), State::kOpen);
  EXPECT_STREQ(pair.session->version_name(), GetParam() == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
  EXPECT_STREQ(pair.session->cipher_name(), GetParam() == TLS1_2_VERSION
                                                ? "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
                                                : "TLS_AES_128_GCM_SHA256");
  EXPECT_EQ(pair.session->alpn(), "");
  EXPECT_EQ(pair.session->server_name(), "");
  EXPECT_TRUE(pair.session->error().ok());
  EXPECT_FALSE(pair.session->resumed());
}

TEST_P(SessionVersionTest, ShakesHandsByteByByte) {
  Pair pair(Options(), 1);
  EXPECT_TRUE(pair.ok);
}

TEST_P(SessionVersionTest, CarriesDataBothWays) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  pair.client.Write("GET / HTTP/1.1\r\n\r\n");
  const ReadAllResult read = ReadAll(*pair.session, pair.client.TakeSent());
  EXPECT_EQ(read.status, ReadStatus::kNeedInput);
  EXPECT_EQ(read.plaintext, "GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(pair.session->Write(Bytes("HTTP/1.1 200 OK\r\n\r\n")));
  EXPECT_EQ(pair.Deliver(), "HTTP/1.1 200 OK\r\n\r\n");
}

TEST_P(SessionVersionTest, ReadsRecordsCutAnywhere) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  std::string sent;
  for (size_t bytes : {1, 2, 100, 5000}) {
    const std::string text = Pattern(bytes);
    pair.client.Write(text);
    sent += text;
  }
  EXPECT_EQ(ReadAll(*pair.session, pair.client.TakeSent(), 1).plaintext, sent);
}

TEST_P(SessionVersionTest, FillsSmallOutputsWithoutLoss) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  const std::string text = Pattern(40000);
  pair.client.Write(text);
  EXPECT_EQ(ReadAll(*pair.session, pair.client.TakeSent(), SIZE_MAX, 1000).plaintext, text);
}

TEST_P(SessionVersionTest, CarriesEverySizeAroundTheRecordLimit) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  for (size_t bytes : {1, 16383, 16384, 16385, 32768, 32769, 100000}) {
    const std::string text = Pattern(bytes);
    ASSERT_TRUE(pair.session->Write(Bytes(text)));
    EXPECT_EQ(pair.session->outgoing_count(), (bytes + 16383) / 16384) << bytes;
    EXPECT_EQ(pair.Deliver(), text) << bytes;
    pair.client.Write(text);
    EXPECT_EQ(ReadAll(*pair.session, pair.client.TakeSent()).plaintext, text) << bytes;
  }
}

TEST_P(SessionVersionTest, CarriesManyRecordsInOneRead) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  std::string sent;
  for (int i = 0; i < 2000; ++i) {
    pair.client.Write("record");
    sent += "record";
  }
  EXPECT_EQ(ReadAll(*pair.session, pair.client.TakeSent()).plaintext, sent);
}

TEST_P(SessionVersionTest, WritingNothingSendsNothing) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  const iovec empty[] = {{nullptr, 0}, {nullptr, 0}};
  EXPECT_TRUE(pair.session->Write({}));
  EXPECT_TRUE(pair.session->Writev({}));
  EXPECT_TRUE(pair.session->Writev(empty));
  EXPECT_EQ(pair.session->outgoing_bytes(), 0u);
}

TEST_P(SessionVersionTest, PeerMayCloseAndStillBeWrittenTo) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  pair.client.Write("last words");
  pair.client.Close();
  const ReadAllResult read = ReadAll(*pair.session, pair.client.TakeSent());
  EXPECT_EQ(read.status, ReadStatus::kClosed);
  EXPECT_EQ(read.plaintext, "last words");
  EXPECT_EQ(pair.session->state(), State::kPeerClosed);
  EXPECT_TRUE(pair.session->OnTransportEof());
  ASSERT_TRUE(pair.session->Write(Bytes("answer")));
  pair.session->Close();
  EXPECT_EQ(pair.session->state(), State::kClosed);
  EXPECT_EQ(pair.Deliver(), "answer");
  EXPECT_TRUE(pair.client.closed_by_peer());
}

TEST_P(SessionVersionTest, ClosingLeavesTheOtherDirectionReadable) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  pair.session->Close();
  EXPECT_EQ(pair.session->state(), State::kWriteClosed);
  EXPECT_EQ(pair.Deliver(), "");
  EXPECT_TRUE(pair.client.closed_by_peer());
  pair.client.Write("still here");
  EXPECT_EQ(ReadAll(*pair.session, pair.client.TakeSent()).plaintext, "still here");
  pair.client.Close();
  EXPECT_EQ(ReadAll(*pair.session, pair.client.TakeSent()).status, ReadStatus::kClosed);
  EXPECT_EQ(pair.session->state(), State::kClosed);
  EXPECT_TRUE(pair.session->OnTransportEof());
  // Repeated, it has no effect.
  pair.session->Close();
  EXPECT_EQ(pair.session->outgoing_bytes(), 0u);
}

TEST_P(SessionVersionTest, InputBehindCloseNotifyIsNotTaken) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  pair.client.Close();
  const std::string closing = pair.client.TakeSent();
  const ReadAllResult read = ReadAll(*pair.session, closing + "junk");
  EXPECT_EQ(read.status, ReadStatus::kClosed);
  EXPECT_EQ(read.consumed, closing.size());
  EXPECT_EQ(ReadAll(*pair.session, "junk").consumed, 0u);
  EXPECT_EQ(pair.session->state(), State::kPeerClosed);
}

TEST_P(SessionVersionTest, EofWithoutCloseNotifyIsTruncationAndLeavesWriting) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  EXPECT_FALSE(pair.session->OnTransportEof());
  EXPECT_EQ(pair.session->error().code, ErrorCode::kTruncated);
  EXPECT_EQ(pair.session->error().ToString(), "connection ended without close_notify");
  EXPECT_EQ(pair.session->state(), State::kPeerClosed);
  EXPECT_FALSE(pair.session->OnTransportEof());
  ASSERT_TRUE(pair.session->Write(Bytes("answer")));
  EXPECT_EQ(pair.Deliver(), "answer");
}

TEST_P(SessionVersionTest, ResumesFromATicket) {
  Pair first(Options());
  ASSERT_TRUE(first.ok);
  // TLS 1.3 sends its tickets with the first record.
  ASSERT_TRUE(first.session->Write(Bytes("x")));
  EXPECT_EQ(first.Deliver(), "x");
  ASSERT_NE(first.client.ticket(), nullptr);
  TestClientOptions options = Options();
  options.session = first.client.ticket();
  Pair second(options);
  ASSERT_TRUE(second.ok);
  EXPECT_TRUE(second.session->resumed());
  EXPECT_TRUE(SSL_session_reused(second.client.ssl()));
}

TEST_P(SessionVersionTest, GathersSmallPiecesIntoOneRecord) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  std::string head = Pattern(300, 1);
  std::string body = Pattern(1024, 2);
  std::string large = Pattern(40000, 3);
  const auto piece = [](std::string& text) { return iovec{text.data(), text.size()}; };
  const struct {
    std::vector<iovec> pieces;
    size_t records;
  } cases[] = {
      {{piece(head)}, 1},
      {{piece(head), piece(body)}, 1},
      {{piece(head), {nullptr, 0}, piece(body), piece(head)}, 1},
      {{piece(head), piece(large)}, 4},
      {{piece(large), piece(head)}, 4},
      {{piece(head), piece(body), piece(large), piece(body), piece(head)}, 5},
      {std::vector<iovec>(8, piece(body)), 1},
      {std::vector<iovec>(9, piece(body)), 2},
  };
  for (const auto& c : cases) {
    std::string all;
    for (const iovec& p : c.pieces) all.append(static_cast<const char*>(p.iov_base), p.iov_len);
    ASSERT_TRUE(pair.session->Writev(c.pieces));
    EXPECT_EQ(pair.session->outgoing_count(), c.records);
    EXPECT_EQ(pair.Deliver(), all);
  }
}

TEST_P(SessionVersionTest, BlocksOutliveTheSessionWhenTaken) {
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  const std::string text = Pattern(50000);
  ASSERT_TRUE(pair.session->Write(Bytes(text)));
  std::vector<iovec> pieces(16);
  pieces.resize(pair.session->FillIovec(pieces));
  CiphertextQueue in_flight = pair.session->TakeOutgoing();
  EXPECT_EQ(pair.session->outgoing_bytes(), 0u);
  pair.session = nullptr;
  // Other records must not be sealed into these blocks.
  Pair other(Options());
  ASSERT_TRUE(other.session->Write(Bytes(Pattern(50000, 7))));
  std::string ciphertext;
  for (const iovec& piece : pieces) {
    ciphertext.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  in_flight.Consume(ciphertext.size());
  EXPECT_TRUE(in_flight.empty());
  pair.client.Receive(ciphertext);
  EXPECT_EQ(pair.client.Read(), text);
}

TEST_P(SessionVersionTest, IdleSessionHoldsNoRecordBuffer) {
  const int64_t before = RecordPool::Stats().blocks_in_use;
  Pair pair(Options());
  ASSERT_TRUE(pair.ok);
  pair.client.Write(Pattern(20000));
  (void)ReadAll(*pair.session, pair.client.TakeSent());
  ASSERT_TRUE(pair.session->Write(Bytes(Pattern(20000))));
  (void)pair.Deliver();
  EXPECT_EQ(RecordPool::Stats().blocks_in_use, before);
}

TEST(SessionTest, UpdatesKeysWhenAskedTo) {
  Pair pair({.version_min = TLS1_3_VERSION});
  ASSERT_TRUE(pair.ok);
  ASSERT_TRUE(SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_REQUESTED));
  pair.client.Write("under new keys");
  EXPECT_EQ(ReadAll(*pair.session, pair.client.TakeSent()).plaintext, "under new keys");
  ASSERT_TRUE(pair.session->Write(Bytes("mine too")));
  EXPECT_EQ(pair.Deliver(), "mine too");
}

TEST(SessionTest, ReadWithoutRoomDrivesTheHandshakeOnly) {
  TestClient client;
  auto session = Session::NewServer(*TestContext());
  client.Handshake();
  const std::string hello = client.TakeSent();
  Session::ReadResult result = session->Read(Bytes(hello), {});
  EXPECT_EQ(result.status, ReadStatus::kNeedInput);
  EXPECT_EQ(result.consumed, hello.size());
  client.Receive(TakeOutgoing(*session));
  ASSERT_TRUE(client.Handshake());
  client.Write("data");
  const std::string rest = client.TakeSent();
  result = session->Read(Bytes(rest), {});
  EXPECT_TRUE(session->handshake_done());
  EXPECT_EQ(result.status, ReadStatus::kOutputFull);
  EXPECT_LT(result.consumed, rest.size());
  EXPECT_EQ(ReadAll(*session, rest.substr(result.consumed)).plaintext, "data");
}

TEST(SessionTest, OutputOfExactlyTheRightSizeIsNotCalledFull) {
  Pair pair;
  ASSERT_TRUE(pair.ok);
  pair.client.Write("12345678");
  const std::string sent = pair.client.TakeSent();
  std::byte output[8];
  EXPECT_EQ(pair.session->Read(Bytes(sent), output).status, ReadStatus::kNeedInput);
}

TEST(SessionTest, FullOutputNeedsNoFurtherInput) {
  Pair pair;
  ASSERT_TRUE(pair.ok);
  pair.client.Write("12345678");
  const std::string sent = pair.client.TakeSent();
  std::byte output[5];
  Session::ReadResult result = pair.session->Read(Bytes(sent), output);
  EXPECT_EQ(result.status, ReadStatus::kOutputFull);
  EXPECT_EQ(result.consumed, sent.size());
  result = pair.session->Read({}, output);
  EXPECT_EQ(result.status, ReadStatus::kNeedInput);
  EXPECT_EQ(result.produced, 3u);
}

TEST(SessionTest, SessionsOutliveTheirContext) {
  const std::string names[] = {"gone.example"};
  auto context = ServerContext::SelfSigned(names, {});
  ASSERT_TRUE(context.ok());
  auto session = Session::NewServer(**context);
  context->reset();
  TestClient client({.alpn_protocols = {"http/1.1"}, .server_name = "gone.example"});
  EXPECT_TRUE(RunHandshake(client, *session));
  EXPECT_EQ(client.peer_common_name(), "gone.example");
}

TEST(SessionTest, ClosingDuringTheHandshakeSendsNothing) {
  auto session = Session::NewServer(*TestContext());
  session->Close();
  EXPECT_EQ(session->state(), State::kClosed);
  EXPECT_EQ(session->outgoing_bytes(), 0u);
}

TEST(SessionTest, PrintsItselfOnOneLine) {
  Pair pair({.version_min = TLS1_3_VERSION});
  EXPECT_EQ(pair.session->DebugString(),
            "tls=open version=TLSv1.3 cipher=TLS_AES_128_GCM_SHA256 outgoing=0");
  EXPECT_FALSE(pair.session->OnTransportEof());
  EXPECT_EQ(pair.session->DebugString(),
            "tls=peer-closed version=TLSv1.3 cipher=TLS_AES_128_GCM_SHA256 outgoing=0 "
            "error=\"connection ended without close_notify\"");
}

TEST(SessionDeathTest, WritingBeforeTheHandshakeIsABug) {
  EXPECT_DEATH({ (void)Session::NewServer(*TestContext())->Write(Bytes("early")); },
               "handshake_done_");
}

TEST(SessionDeathTest, WritingAfterCloseIsABug) {
  EXPECT_DEATH(
      {
        Pair pair;
        pair.session->Close();
        (void)pair.session->Write(Bytes("late"));
      },
      "written after Close");
}

TEST(SessionDeathTest, DestructionWithASendInFlightIsABug) {
  EXPECT_DEATH(
      {
        Pair pair;
        (void)pair.session->Write(Bytes("data"));
        iovec pieces[1];
        pair.session->FillIovec(pieces);
        pair.session = nullptr;
      },
      "a send is in flight");
}

}  // namespace
}  // namespace edge::tls
