// What a proxy changes in a head, section by section of RFC 9110 and 9112.

#include "http/forwarding.h"

#include <array>
#include <string>

#include "gtest/gtest.h"
#include "http/parser.h"
#include "test/http/parse_util.h"

namespace edge::http {
namespace {

RequestForwarding DefaultForwarding() {
  RequestForwarding forwarding;
  forwarding.client_address = "192.0.2.7";
  forwarding.scheme = "https";
  forwarding.request_id = "new-id";
  return forwarding;
}

// A complete request head, and what it becomes.
class Forwarder {
 public:
  explicit Forwarder(std::string_view bytes) {
    head_.Bind(block_);
    parser_.Start(&head_);
    EXPECT_EQ(parser_.Feed(bytes).status, HeadStatus::kComplete) << bytes;
  }

  std::string Serialize(const RequestForwarding& forwarding) const {
    std::string out(8192, '\0');
    const std::optional<size_t> size = SerializeRequest(head_, forwarding, out);
    EXPECT_TRUE(size.has_value());
    return out.substr(0, size.value_or(0));
  }
  const RequestHead& head() const { return head_; }

 private:
  const ValidationPolicy policy_;
  RequestParser parser_{&policy_};
  RequestHead head_;
  std::array<char, 4096> block_;
};

std::string Forward(std::string_view bytes,
                    const RequestForwarding& forwarding = DefaultForwarding()) {
  return Forwarder(bytes).Serialize(forwarding);
}

// Without the fields that every request gets.
std::string ForwardBare(std::string_view bytes, RequestForwarding forwarding = {}) {
  forwarding.x_forwarded_for = ClientFieldPolicy::kDrop;
  forwarding.x_forwarded_proto = ClientFieldPolicy::kDrop;
  forwarding.x_forwarded_host = ClientFieldPolicy::kDrop;
  forwarding.x_request_id = ClientFieldPolicy::kDrop;
  const std::string out = Forward(bytes, forwarding);
  const std::string via = "Via: 1.1 edge\r\n";
  const size_t at = out.rfind(via);
  EXPECT_NE(at, std::string::npos);
  return out.substr(0, at) + out.substr(at + via.size());
}

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// ---- requests ----

TEST(SerializeRequest, WritesTheHeadAnewWithWhatAProxyAdds) {
  EXPECT_EQ(Forward("GET /x?y HTTP/1.1\r\nAccept: */*\r\nhost: a:8080\r\nX-One:  1 \r\n\r\n"),
            "GET /x?y HTTP/1.1\r\n"
            "Host: a:8080\r\n"
            "Accept: */*\r\n"
            "X-One: 1\r\n"
            "Via: 1.1 edge\r\n"
            "X-Forwarded-For: 192.0.2.7\r\n"
            "X-Forwarded-Proto: https\r\n"
            "X-Forwarded-Host: a:8080\r\n"
            "X-Request-Id: new-id\r\n"
            "\r\n");
}

TEST(SerializeRequest, FieldsKeepTheirOrderWhetherTheyAreCanonicalOrNot) {
  EXPECT_EQ(ForwardBare(Get({"A: 1", "B:2", "C:  3", "D: 4 ", "E:", "F: ", "G: 7", "H: 8"})),
            "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE:\r\nF:\r\nG: 7\r\nH: "
            "8\r\n\r\n");
}

TEST(SerializeRequest, FieldsThatAreLeftOutDoNotTakeTheirNeighboursAlong) {
  EXPECT_EQ(ForwardBare(Get({"A: 1", "Keep-Alive: x", "B: 2", "X_Y: z", "C: 3", "TE: gzip"})),
            "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n");
}

TEST(Rfc9112Section2_3, RequestsGoToOriginsAsHttp11) {
  EXPECT_EQ(Forward("GET / HTTP/1.0\r\nHost: a\r\n\r\n").substr(0, 16), "GET / HTTP/1.1\r\n");
}

TEST(Rfc9112Section3_2_2, AbsoluteFormGoesOnInOriginFormWithItsOwnHost) {
  const std::string out = Forward("GET http://b:81/x HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(out.starts_with("GET /x HTTP/1.1\r\nHost: b:81\r\n")) << out;
  EXPECT_TRUE(Contains(out, "X-Forwarded-Host: b:81\r\n"));
  EXPECT_FALSE(Contains(out, "Host: a\r\n"));
}

TEST(Rfc9112Section3_2_2, AbsoluteFormWithoutPathGoesOnWithASlash) {
  EXPECT_TRUE(Forward("GET http://b HTTP/1.1\r\nHost: a\r\n\r\n")
                  .starts_with("GET / HTTP/1.1\r\nHost: b\r\n"));
  EXPECT_TRUE(Forward("GET http://b?x HTTP/1.1\r\nHost: a\r\n\r\n")
                  .starts_with("GET /?x HTTP/1.1\r\nHost: b\r\n"));
  EXPECT_TRUE(Forward("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n")
                  .starts_with("OPTIONS * HTTP/1.1\r\nHost: b\r\n"));
}

TEST(Rfc9112Section3_2, AnHttp10RequestWithoutHostGetsTheOrigins) {
  RequestForwarding forwarding = DefaultForwarding();
  forwarding.host_if_absent = "origin:8080";
  const std::string out = Forward("GET / HTTP/1.0\r\n\r\n", forwarding);
  EXPECT_TRUE(Contains(out, "Host: origin:8080\r\n"));
  EXPECT_FALSE(Contains(out, "X-Forwarded-Host"));
  EXPECT_TRUE(Contains(Forward("GET / HTTP/1.0\r\n\r\n"), "Host:\r\n"));
}

TEST(Rfc9112Section6, ReceivedFramingIsNeverForwarded) {
  const std::string chunked = Post({"Transfer-Encoding: chunked"});
  const std::string length = Post({"Content-Length: 5"});
  RequestForwarding forwarding;
  for (const std::string& bytes : {chunked, length}) {
    forwarding.framing = BodyFraming::kNone;
    EXPECT_EQ(ForwardBare(bytes, forwarding), "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    forwarding.framing = BodyFraming::kChunked;
    EXPECT_EQ(ForwardBare(bytes, forwarding),
              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    forwarding.framing = BodyFraming::kLength;
    forwarding.content_length = 1234567890123456789;
    EXPECT_EQ(ForwardBare(bytes, forwarding),
              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1234567890123456789\r\n\r\n");
    forwarding.content_length = 0;
    EXPECT_EQ(ForwardBare(bytes, forwarding),
              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  }
}

TEST(Rfc9110Section6_6_2, TrailerIsForwardedOnlyWithAChunkedBody) {
  const std::string bytes = Post({"Transfer-Encoding: chunked", "Trailer: X-Sum"});
  RequestForwarding forwarding;
  forwarding.framing = BodyFraming::kChunked;
  EXPECT_TRUE(Contains(ForwardBare(bytes, forwarding), "Trailer: X-Sum\r\n"));
  forwarding.framing = BodyFraming::kLength;
  EXPECT_FALSE(Contains(ForwardBare(bytes, forwarding), "Trailer"));
}

TEST(Rfc9110Section7_6_1, HopByHopFieldsAreRemoved) {
  EXPECT_EQ(ForwardBare(Get({"Connection: close", "Keep-Alive: timeout=5", "TE: gzip",
                             "Proxy-Connection: keep-alive", "Proxy-Authorization: x",
                             "Proxy-Authenticate: y", "Upgrade: z", "HTTP2-Settings: w"})),
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST(Rfc9110Section7_6_1, FieldsNamedByConnectionAreRemoved) {
  EXPECT_EQ(ForwardBare(Get({"X-A: 1", "Connection: x-a, X-B", "X-B: 2", "X-C: 3", "X-a: 4"})),
            "GET / HTTP/1.1\r\nHost: a\r\nX-C: 3\r\n\r\n");
}

TEST(Rfc9110Section7_6_1, FieldsThatConnectionMustNotRemoveAreForwarded) {
  const std::string out = ForwardBare(Get({"Connection: Host, Authorization, Cookie, X-Keep",
                                           "Authorization: b", "Cookie: c", "X-Keep: d"}));
  EXPECT_EQ(out, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: b\r\nCookie: c\r\n\r\n");
}

TEST(Rfc9110Section7_6_1, ConnectionCannotRemoveTheForwardedFieldsOfATrustedProxy) {
  RequestForwarding forwarding = DefaultForwarding();
  forwarding.client_is_trusted_proxy = true;
  const std::string out = Forward(Get({"Connection: X-Forwarded-For, X-Forwarded-Proto",
                                       "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: http"}),
                                  forwarding);
  EXPECT_TRUE(Contains(out, "X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n"));
  EXPECT_TRUE(Contains(out, "X-Forwarded-Proto: http\r\n"));
}

TEST(Httpoxy, AProxyFieldDoesNotReachTheOrigin) {
  // CVE-2016-5385: a CGI would see it as HTTP_PROXY.
  EXPECT_EQ(ForwardBare(Get({"Proxy: http://evil"})), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST(Rfc9110Section7_6_2, MaxForwardsOfOptionsAndTraceIsLowered) {
  EXPECT_EQ(ForwardBare("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n"),
            "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 9\r\n\r\n");
  EXPECT_EQ(ForwardBare("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"),
            "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
  EXPECT_EQ(ForwardBare(Get({"Max-Forwards: 10"})),
            "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n");
}

TEST(Rfc9110Section7_6_3, ViaIsAppendedWithTheReceivedVersion) {
  EXPECT_TRUE(Contains(Forward(Get({"Via: 1.0 first, 1.1 second"})),
                       "Via: 1.0 first, 1.1 second\r\nVia: 1.1 edge\r\n"));
  EXPECT_TRUE(Contains(Forward("GET / HTTP/1.0\r\n\r\n"), "Via: 1.0 edge\r\n"));
  RequestForwarding forwarding = DefaultForwarding();
  forwarding.via_pseudonym = "edge-7";
  EXPECT_TRUE(Contains(Forward(Get({}), forwarding), "Via: 1.1 edge-7\r\n"));
}

TEST(Rfc9110Section7_8, UpgradeIsForwardedOnlyWhenTheProxyTakesPart) {
  const std::string bytes =
      Get({"Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"});
  EXPECT_EQ(ForwardBare(bytes), "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\n\r\n");
  RequestForwarding forwarding;
  forwarding.upgrade = true;
  EXPECT_EQ(ForwardBare(bytes, forwarding),
            "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(Rfc9110Section10_1_1, ExpectIsForwardedOnlyWhenTheProxyWaitsForTheOrigin) {
  const std::string bytes = Post({"Expect: 100-continue", "Content-Length: 5"});
  RequestForwarding forwarding;
  forwarding.framing = BodyFraming::kLength;
  forwarding.content_length = 5;
  EXPECT_FALSE(Contains(ForwardBare(bytes, forwarding), "Expect"));
  forwarding.expect_continue = true;
  EXPECT_TRUE(Contains(ForwardBare(bytes, forwarding), "Expect: 100-continue\r\n"));
}

TEST(Rfc9110Section10_1_4, OnlyTrailersOfTeSurvivesAndOnlyWhenTrailersAreForwarded) {
  RequestForwarding forwarding;
  const std::string bytes = Get({"TE: gzip, trailers", "Connection: TE"});
  EXPECT_EQ(ForwardBare(bytes, forwarding), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  forwarding.te_trailers = true;
  EXPECT_EQ(ForwardBare(bytes, forwarding),
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
  EXPECT_EQ(ForwardBare(Get({"TE: gzip"}), forwarding), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  forwarding.upgrade = true;
  EXPECT_TRUE(Contains(
      ForwardBare(Get({"TE: trailers", "Connection: TE, upgrade", "Upgrade: x"}), forwarding),
      "Upgrade: x\r\nConnection: Upgrade, TE\r\nTE: trailers\r\n"));
}

// ---- fields that clients may send themselves ----

const std::vector<std::string> kClientFields = {
    "X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 198.51.100.2", "X-Forwarded-Proto: http",
    "X-Forwarded-Host: client",      "X-Request-Id: client-id",       "Forwarded: for=x",
    "X-Forwarded-Port: 1",           "X-Real-IP: 198.51.100.3"};

TEST(ClientFields, AreReplacedByDefault) {
  EXPECT_EQ(Forward(Get(kClientFields)), Forward(Get({})));
}

TEST(ClientFields, AreAppendedToByPolicy) {
  RequestForwarding forwarding = DefaultForwarding();
  forwarding.x_forwarded_for = ClientFieldPolicy::kAppend;
  forwarding.x_forwarded_proto = ClientFieldPolicy::kAppend;
  forwarding.x_forwarded_host = ClientFieldPolicy::kAppend;
  forwarding.x_request_id = ClientFieldPolicy::kAppend;
  const std::string out = Forward(Get(kClientFields), forwarding);
  EXPECT_TRUE(Contains(out, "X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.7\r\n")) << out;
  EXPECT_TRUE(Contains(out, "X-Forwarded-Proto: http, https\r\n"));
  EXPECT_TRUE(Contains(out, "X-Forwarded-Host: client, a\r\n"));
  EXPECT_TRUE(Contains(out, "X-Request-Id: client-id\r\n"));
  EXPECT_FALSE(Contains(out, "new-id"));
  EXPECT_EQ(Forward(Get({}), forwarding), Forward(Get({})));
}

TEST(ClientFields, AreDroppedByPolicy) {
  RequestForwarding forwarding = DefaultForwarding();
  forwarding.x_forwarded_for = ClientFieldPolicy::kDrop;
  forwarding.x_forwarded_proto = ClientFieldPolicy::kDrop;
  forwarding.x_forwarded_host = ClientFieldPolicy::kDrop;
  forwarding.x_request_id = ClientFieldPolicy::kDrop;
  EXPECT_EQ(Forward(Get(kClientFields), forwarding),
            "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 edge\r\n\r\n");
}

TEST(ClientFields, OfATrustedProxyAreKept) {
  RequestForwarding forwarding = DefaultForwarding();
  forwarding.client_is_trusted_proxy = true;
  const std::string out = Forward(Get(kClientFields), forwarding);
  EXPECT_TRUE(Contains(out, "X-Forwarded-For: 198.51.100.1, 198.51.100.2, 192.0.2.7\r\n")) << out;
  EXPECT_TRUE(Contains(out, "X-Forwarded-Proto: http\r\n"));
  EXPECT_TRUE(Contains(out, "X-Forwarded-Host: client\r\n"));
  EXPECT_TRUE(Contains(out, "X-Request-Id: client-id\r\n"));
  EXPECT_TRUE(Contains(out, "Forwarded: for=x\r\n"));
  EXPECT_TRUE(Contains(out, "X-Forwarded-Port: 1\r\n"));
  EXPECT_TRUE(Contains(out, "X-Real-IP: 198.51.100.3\r\n"));
  // What it did not send is set.
  EXPECT_EQ(Forward(Get({}), forwarding), Forward(Get({})));
}

TEST(ClientFields, OursAreNotWrittenWhenThereIsNothingToSay) {
  EXPECT_EQ(Forward(Get({"X-Forwarded-For: x", "X-Request-Id: y"}), RequestForwarding()),
            "GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 edge\r\nX-Forwarded-Host: a\r\n\r\n");
  RequestForwarding append;
  append.x_forwarded_for = ClientFieldPolicy::kAppend;
  EXPECT_TRUE(Contains(Forward(Get({"X-Forwarded-For: x"}), append), "X-Forwarded-For: x\r\n"));
}

// ---- responses ----

std::string ForwardResponse(std::string_view bytes, ResponseForwarding forwarding,
                            Method method = Method::kGet, bool upgrade_asked = false) {
  const ValidationPolicy policy;
  ResponseParser parser(&policy);
  ResponseHead head;
  std::array<char, 4096> block;
  head.Bind(block);
  parser.Start(&head, method, upgrade_asked);
  EXPECT_EQ(parser.Feed(bytes).status, HeadStatus::kComplete) << bytes;
  std::string out(8192, '\0');
  const std::optional<size_t> size = SerializeResponse(head, forwarding, out);
  EXPECT_TRUE(size.has_value());
  return out.substr(0, size.value_or(0));
}

// As the proxy does it: planned first.
std::string Planned(std::string_view bytes, Version client = Version::kHttp11,
                    bool keep_alive = true, Method method = Method::kGet,
                    bool upgrade_asked = false) {
  const ValidationPolicy policy;
  ResponseParser parser(&policy);
  ResponseHead head;
  std::array<char, 4096> block;
  head.Bind(block);
  parser.Start(&head, method, upgrade_asked);
  EXPECT_EQ(parser.Feed(bytes).status, HeadStatus::kComplete) << bytes;
  std::string out(8192, '\0');
  const std::optional<size_t> size =
      SerializeResponse(head, PlanResponse(head, client, keep_alive), out);
  return out.substr(0, size.value_or(0));
}

TEST(SerializeResponse, WritesTheHeadAnewWithWhatAProxyAdds) {
  ResponseForwarding forwarding;
  forwarding.framing = BodyFraming::kLength;
  forwarding.content_length = 7;
  forwarding.date = "Sat, 21 Nov 2026 11:22:33 GMT";
  forwarding.request_id = "id";
  forwarding.proxy_status = "edge; error=x";
  EXPECT_EQ(
      ForwardResponse("HTTP/1.1 404 Not There\r\nServer: o\r\nTransfer-Encoding: chunked\r\n"
                      "X-Request-Id: theirs\r\nProxy-Status: cdn\r\nConnection: keep-alive\r\n\r\n",
                      forwarding),
      "HTTP/1.1 404 Not There\r\n"
      "Server: o\r\n"
      "Proxy-Status: cdn\r\n"
      "Via: 1.1 edge\r\n"
      "Date: Sat, 21 Nov 2026 11:22:33 GMT\r\n"
      "X-Request-Id: id\r\n"
      "Proxy-Status: edge; error=x\r\n"
      "Content-Length: 7\r\n"
      "\r\n");
}

TEST(Rfc9110Section6_6_1, DateIsAddedOnlyWhenTheOriginSentNone) {
  ResponseForwarding forwarding;
  forwarding.date = "now";
  const std::string out = ForwardResponse(Ok({"Date: then"}), forwarding);
  EXPECT_TRUE(Contains(out, "Date: then\r\n"));
  EXPECT_FALSE(Contains(out, "now"));
}

TEST(SerializeResponse, TheOriginsRequestIdStaysWhenThereIsNoOther) {
  EXPECT_TRUE(Contains(ForwardResponse(Ok({"X-Request-Id: theirs"}), {}), "X-Request-Id: theirs"));
}

TEST(Rfc9110Section7_6_1, HopByHopFieldsOfResponsesAreRemoved) {
  const std::string out = ForwardResponse(
      Ok({"Connection: X-Secret, close", "Keep-Alive: timeout=5", "X-Secret: 1",
          "Proxy-Authenticate: Basic", "Upgrade: h2c", "Proxy-Connection: close", "X-Kept: 2"}),
      {});
  EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nX-Kept: 2\r\nVia: 1.1 edge\r\n\r\n");
}

TEST(Rfc9112Section6, FramingOfResponsesIsDecidedByThePlan) {
  EXPECT_TRUE(Contains(Planned(Ok({"Content-Length: 5"})), "\r\nContent-Length: 5\r\n"));
  EXPECT_TRUE(
      Contains(Planned(Ok({"Transfer-Encoding: chunked"})), "\r\nTransfer-Encoding: chunked\r\n"));
  // Until close at the origin, chunked for the client: its connection goes on.
  const std::string until_close = Planned(Ok({}));
  EXPECT_TRUE(Contains(until_close, "\r\nTransfer-Encoding: chunked\r\n"));
  EXPECT_FALSE(Contains(until_close, "Connection"));
}

TEST(Rfc9112Section6_1, ChunkedIsNeverSentToAnHttp10Client) {
  for (const std::string& bytes : {Ok({"Transfer-Encoding: chunked"}), Ok({})}) {
    const std::string out = Planned(bytes, Version::kHttp10, true);
    EXPECT_FALSE(Contains(out, "Transfer-Encoding"));
    EXPECT_TRUE(Contains(out, "Connection: close\r\n"));
  }
}

TEST(Rfc9112Section9_3, AnHttp10ClientIsToldThatItsConnectionGoesOn) {
  EXPECT_TRUE(Contains(Planned(Ok({"Content-Length: 0"}), Version::kHttp10, true),
                       "Connection: keep-alive\r\n"));
  EXPECT_TRUE(Contains(Planned(Ok({"Content-Length: 0"}), Version::kHttp10, false),
                       "Connection: close\r\n"));
  EXPECT_FALSE(Contains(Planned(Ok({"Content-Length: 0"})), "Connection"));
}

TEST(Rfc9110Section8_6, LengthsWithoutBodyAreToldForHeadAnd304OnlyIfTheOriginDid) {
  EXPECT_TRUE(Contains(Planned(Ok({"Content-Length: 5"}), Version::kHttp11, true, Method::kHead),
                       "Content-Length: 5\r\n"));
  EXPECT_FALSE(Contains(Planned(Ok({}), Version::kHttp11, true, Method::kHead), "Content-Length"));
  EXPECT_TRUE(Contains(Planned("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
                       "Content-Length: 5\r\n"));
  EXPECT_EQ(Planned("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
            "HTTP/1.1 204 No Content\r\nVia: 1.1 edge\r\n\r\n");
}

TEST(Rfc9112Section6_1, A204And304HaveNoTransferEncoding) {
  EXPECT_FALSE(
      Contains(Planned("HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n"), "Transfer"));
  EXPECT_FALSE(
      Contains(Planned("HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n"), "Transfer"));
}

TEST(Rfc9110Section15_2, InterimResponsesAreForwardedWithoutFramingDateAndConnection) {
  ResponseForwarding forwarding;
  forwarding.date = "now";
  EXPECT_EQ(ForwardResponse("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", forwarding),
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nVia: 1.1 edge\r\n\r\n");
  EXPECT_EQ(Planned("HTTP/1.1 100 Continue\r\n\r\n", Version::kHttp11, false),
            "HTTP/1.1 100 Continue\r\nVia: 1.1 edge\r\n\r\n");
}

TEST(Rfc9110Section7_8, A101IsForwardedWithItsUpgrade) {
  EXPECT_EQ(Planned("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                    Version::kHttp11, true, Method::kGet, true),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nVia: 1.1 edge\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

TEST(Rfc9110Section15_5_22, A426KeepsItsUpgrade) {
  const std::string bytes =
      "HTTP/1.1 426 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n";
  EXPECT_TRUE(Contains(Planned(bytes), "Upgrade: websocket\r\nConnection: Upgrade\r\n"));
  EXPECT_TRUE(Contains(Planned(bytes, Version::kHttp11, false),
                       "Upgrade: websocket\r\nConnection: close, Upgrade\r\n"));
}

TEST(Rfc9110Section2_5, ResponsesGoToClientsAsHttp11WhateverTheOriginSpoke) {
  EXPECT_TRUE(
      Planned("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(
      Contains(Planned("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), "Via: 1.0 edge\r\n"));
}

TEST(Rfc9110Section7_6_3, ViaOfAResponseIsAppended) {
  EXPECT_TRUE(Contains(Planned(Ok({"Via: 1.1 cdn"})), "Via: 1.1 cdn\r\nVia: 1.1 edge\r\n"));
}

TEST(Rfc9110Section6_6_2, TrailerOfAResponseIsForwardedOnlyWithAChunkedBody) {
  const std::string bytes = Ok({"Transfer-Encoding: chunked", "Trailer: X-Sum"});
  EXPECT_TRUE(Contains(Planned(bytes), "Trailer: X-Sum\r\n"));
  EXPECT_FALSE(Contains(Planned(bytes, Version::kHttp10), "Trailer"));
}

// ---- space ----

TEST(Serialize, EverySizeThatIsTooSmallIsSaidAndTheExactSizeIsEnough) {
  const Forwarder request(Get({"A: 1", "B:2", "X-Forwarded-For: x", "TE: trailers"}));
  RequestForwarding forwarding = DefaultForwarding();
  forwarding.x_forwarded_for = ClientFieldPolicy::kAppend;
  forwarding.te_trailers = true;
  forwarding.framing = BodyFraming::kLength;
  forwarding.content_length = 12345;
  const std::string whole = request.Serialize(forwarding);
  for (size_t size = 0; size <= whole.size(); ++size) {
    const std::unique_ptr<char[]> out(new char[size]);
    const std::optional<size_t> written =
        SerializeRequest(request.head(), forwarding, {out.get(), size});
    if (size < whole.size()) {
      EXPECT_EQ(written, std::nullopt) << size;
    } else {
      ASSERT_EQ(written, whole.size());
      EXPECT_EQ(std::string_view(out.get(), size), whole);
    }
  }
}

TEST(Serialize, AResponseThatDoesNotFitIsSaid) {
  const ValidationPolicy policy;
  ResponseParser parser(&policy);
  ResponseHead head;
  std::array<char, 4096> block;
  head.Bind(block);
  parser.Start(&head, Method::kGet);
  ASSERT_EQ(parser.Feed(Ok({"A: 1", "Content-Length: 0"})).status, HeadStatus::kComplete);
  std::array<char, 4096> out;
  const ResponseForwarding plan = PlanResponse(head, Version::kHttp11, true);
  const std::optional<size_t> whole = SerializeResponse(head, plan, out);
  ASSERT_TRUE(whole.has_value());
  for (size_t size = 0; size < *whole; ++size) {
    EXPECT_EQ(SerializeResponse(head, plan, {out.data(), size}), std::nullopt) << size;
  }
  EXPECT_EQ(SerializeResponse(head, plan, {out.data(), *whole}), whole);
}

}  // namespace
}  // namespace edge::http
