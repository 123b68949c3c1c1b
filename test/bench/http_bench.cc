// What a message head costs: parse, checks and serialising for the next hop. Prints nanoseconds per
// head for the requests of wrk, curl and a browser (1 KiB, 12 fields) and for a usual response.
// Budget at -O2, one core: 700 ns for a browser's request, 400 ns for a response.
//
//   bazel run //test/bench:http_bench

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "benchmark/benchmark.h"
#include "http/forwarding.h"
#include "http/framing.h"
#include "http/parser.h"

namespace edge::http {
namespace {

constexpr std::string_view kWrk = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

constexpr std::string_view kCurl =
    "GET /index.html HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: curl/8.9.1\r\n"
    "Accept: */*\r\n"
    "\r\n";

constexpr std::string_view kBrowser =
    "GET /api/v1/products/search?q=running+shoes&page=2&sort=price HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "Connection: keep-alive\r\n"
    "sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8\r\n"
    "Referer: https://shop.example.com/products/overview?page=1&sort=price\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=7c9f3bb1a0d94e2f8c1f2a3b4c5d6e7f; theme=dark; "
    "_ga=GA1.2.123456789.1700000000; _gid=GA1.2.987654321.1700000000; "
    "cart=abcdef0123456789abcdef0123456789; lang=en-US; consent=analytics%3D1%26ads%3D0; "
    "experiments=checkout-b.search-a.header-c.footer-a.banner-b; "
    "last_seen=2026-11-21T11:22:33Z; returning=1\r\n"
    "Priority: u=0, i\r\n"
    "\r\n";

constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.30.0\r\n"
    "Date: Sat, 21 Nov 2026 11:22:33 GMT\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Length: 1024\r\n"
    "Last-Modified: Fri, 20 Nov 2026 08:00:00 GMT\r\n"
    "Connection: keep-alive\r\n"
    "ETag: \"673d9a80-400\"\r\n"
    "Accept-Ranges: bytes\r\n"
    "\r\n";

// As the proxy has it: the next bytes of the connection stand behind the head.
void SetBytes(benchmark::State& state, size_t per_iteration) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * per_iteration));
}

void ParseRequest(benchmark::State& state, std::string_view bytes) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 4096> block;
  for (auto _ : state) {
    head.Bind(block);
    parser.Start(&head);
    if (parser.Feed(bytes).status != HeadStatus::kComplete) state.SkipWithError("refused");
    benchmark::DoNotOptimize(head);
  }
  SetBytes(state, bytes.size());
}

void ForwardRequest(benchmark::State& state, std::string_view bytes) {
  const ValidationPolicy policy;
  RequestParser parser(&policy);
  RequestHead head;
  std::array<char, 4096> block;
  std::array<char, 8192> out;
  RequestForwarding forwarding;
  forwarding.client_address = "192.0.2.33";
  forwarding.scheme = "https";
  forwarding.request_id = "0192f0c1-7d2e-7c3a-9a51-2f4b6c8d0e1f";
  for (auto _ : state) {
    head.Bind(block);
    parser.Start(&head);
    if (parser.Feed(bytes).status != HeadStatus::kComplete) state.SkipWithError("refused");
    forwarding.framing = head.framing;
    std::optional<size_t> written = SerializeRequest(head, forwarding, out);
    benchmark::DoNotOptimize(written);
    benchmark::ClobberMemory();
  }
  SetBytes(state, bytes.size());
}

void ForwardResponse(benchmark::State& state, std::string_view bytes) {
  const ValidationPolicy policy;
  ResponseParser parser(&policy);
  ResponseHead head;
  std::array<char, 4096> block;
  std::array<char, 8192> out;
  // 1 KiB of body arrives with the head.
  const std::string received = std::string(bytes) + std::string(1024, 'b');
  for (auto _ : state) {
    head.Bind(block);
    parser.Start(&head, Method::kGet);
    if (parser.Feed(received).status != HeadStatus::kComplete) state.SkipWithError("refused");
    ResponseForwarding forwarding = PlanResponse(head, Version::kHttp11, true);
    forwarding.request_id = "0192f0c1-7d2e-7c3a-9a51-2f4b6c8d0e1f";
    std::optional<size_t> written = SerializeResponse(head, forwarding, out);
    benchmark::DoNotOptimize(written);
    benchmark::ClobberMemory();
  }
  SetBytes(state, bytes.size());
}

void ReadChunks(benchmark::State& state) {
  const ValidationPolicy policy;
  std::string body;
  for (int i = 0; i < 16; ++i) body += "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
  body += "0\r\n\r\n";
  for (auto _ : state) {
    ChunkReader reader;
    reader.Start(&policy);
    std::string_view rest = body;
    while (!reader.complete()) {
      BodyStep step = reader.Next(rest);
      benchmark::DoNotOptimize(step.data);
      rest.remove_prefix(step.consumed);
    }
  }
  SetBytes(state, body.size());
}

BENCHMARK_CAPTURE(ParseRequest, wrk, kWrk);
BENCHMARK_CAPTURE(ParseRequest, curl, kCurl);
BENCHMARK_CAPTURE(ParseRequest, browser, kBrowser);
BENCHMARK_CAPTURE(ForwardRequest, wrk, kWrk);
BENCHMARK_CAPTURE(ForwardRequest, curl, kCurl);
BENCHMARK_CAPTURE(ForwardRequest, browser, kBrowser);
BENCHMARK_CAPTURE(ForwardResponse, nginx, kResponse);
BENCHMARK(ReadChunks);

}  // namespace
}  // namespace edge::http
