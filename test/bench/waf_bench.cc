// What the rule engine costs for a benign request: the Core Rule Set at paranoia level 1. Prints
// time per request. libmodsecurity 3 needs 1.32 ms for a GET, 3.02 ms for a form of 2 KiB with 6
// fields and 5.66 ms for one with 40; the budget is a tenth of that.
//
//   bazel run //test/bench:waf_bench

#include <string>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/transaction.h"
#include "test/waf/engine_fixture.h"

namespace edge::waf {
namespace {

const std::shared_ptr<const RuleSet>& Rules() {
  static const std::shared_ptr<const RuleSet> rules = Compile(CrsText(1));
  return rules;
}

TestRequest Browser() {
  TestRequest request;
  request.target = "/api/v1/products/search?q=running+shoes&page=2&sort=price";
  request.fields = {
      {"Host", "shop.example.com"},
      {"Connection", "keep-alive"},
      {"Upgrade-Insecure-Requests", "1"},
      {"User-Agent",
       "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
       "Chrome/124.0.0.0 Safari/537.36"},
      {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*"},
      {"Referer", "https://shop.example.com/products/overview?page=1&sort=price"},
      {"Accept-Encoding", "gzip, deflate, br"},
      {"Accept-Language", "en-US,en;q=0.9,de;q=0.8"},
      {"Cookie",
       "session=7c9f3bb1a0d94e2f8c1f2a3b4c5d6e7f; theme=dark; lang=en-US; "
       "cart=abcdef0123456789abcdef0123456789"},
  };
  return request;
}

TestRequest FormOf(int fields, size_t bytes) {
  constexpr std::string_view kWords[] = {"the", "customer", "would", "like", "delivery", "to",
                                         "the", "second",   "floor", "next", "tuesday",  "morning"};
  std::string body;
  size_t word = 0;
  for (int i = 0; i < fields; ++i) {
    if (i > 0) body += '&';
    absl::StrAppend(&body, "field_", i, "=");
    const size_t end = bytes * static_cast<size_t>(i + 1) / static_cast<size_t>(fields);
    while (body.size() + 10 < end) {
      absl::StrAppend(&body, kWords[word % std::size(kWords)], "+");
      word += 1 + word / 7 % 3;
    }
    absl::StrAppend(&body, i * 37);
  }
  return Browser().SetBody("application/x-www-form-urlencoded", body);
}

TestRequest JsonOf(size_t bytes) {
  std::string body = "{\"items\":[";
  for (int i = 0; body.size() < bytes; ++i) {
    if (i > 0) body += ',';
    absl::StrAppend(&body, "{\"id\":", 1000 + i, ",\"name\":\"Running shoe model ", i,
                    "\",\"price\":", i % 90, ".95,\"description\":\"Light and well cushioned, for ",
                    "daily training on roads of all kinds, size ", 36 + i % 12, "\"}");
  }
  body += "]}";
  return Browser().SetBody("application/json", body);
}

void Inspect(benchmark::State& state, TestRequest request) {
  const RequestView view = request.View();
  Rules();  // their loading is measured apart
  Scratch scratch;
  Transaction transaction;
  for (auto _ : state) {
    transaction.Begin(Rules(), EngineMode::kOn);
    const Decision& decision = transaction.InspectRequest(view, scratch);
    CHECK(decision.kind == Decision::Kind::kPass);
    CHECK_EQ(transaction.TxNumber("anomaly_score"), 0);
    transaction.End();
  }
  state.counters["bytes"] = static_cast<double>(request.body.size());
}

void BenignGet(benchmark::State& state) { Inspect(state, Browser()); }
void Form6(benchmark::State& state) { Inspect(state, FormOf(6, 2048)); }
void Form40(benchmark::State& state) { Inspect(state, FormOf(40, 2048)); }
void Json100K(benchmark::State& state) { Inspect(state, JsonOf(100 << 10)); }

BENCHMARK(BenignGet)->Unit(benchmark::kMicrosecond);
BENCHMARK(Form6)->Unit(benchmark::kMicrosecond);
BENCHMARK(Form40)->Unit(benchmark::kMicrosecond);
BENCHMARK(Json100K)->Unit(benchmark::kMicrosecond);

void Load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Compile(CrsText(1)));
}
BENCHMARK(Load)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace edge::waf
