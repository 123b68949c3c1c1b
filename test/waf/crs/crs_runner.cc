// Runs requests through edge's parser and rule engine, without a proxy.
//
//   crs_runner RULES < requests > answers
//
// On standard input each request stands behind its length, four bytes, the highest first. For each
// one line of JSON: {"status":200,"refused":"","rules":[{"id":942100,"data":"logdata"}]}. `status`
// is what a client gets: the parser's for a request that it refuses (`refused` names the reason,
// and no rule has seen it), 408 for one that is not whole, the rules' if they decide, else the
// origin's: 200, or 404 for a path that CRS's own backend does not have. `rules` are those that
// matched and log.

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "http/framing.h"
#include "http/message_head.h"
#include "http/parser.h"
#include "http/reason.h"
#include "http/validation_policy.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/transaction.h"

namespace edge::waf {
namespace {

constexpr int kIncompleteStatus = 408;
constexpr size_t kTrailerBytesMax = 2048;
constexpr size_t kRequestBytesMax = 64 << 20;

struct Answer {
  int status = 200;
  std::string_view refused;
  std::string rules;  // JSON
};

// Bytes as the characters of the same numbers.
std::string JsonText(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      text.push_back(c);
    } else {
      absl::StrAppendFormat(&text, "\\u%04x", static_cast<unsigned char>(c));
    }
  }
  return text;
}

std::string ToJson(const Answer& answer) {
  return absl::StrCat("{\"status\":", answer.status, ",\"refused\":\"", answer.refused,
                      "\",\"rules\":[", answer.rules, "]}\n");
}

Answer Refused(http::Reason reason) {
  const http::ReasonInfo& info = http::Describe(reason);
  return {.status = info.status, .refused = info.id};
}

// CRS tests itself before httpbin, and some cases expect its 404.
uint16_t OriginStatus(std::string_view path) { return path == "/" || path == "/post" ? 200 : 404; }

// What stands between the first line's spaces: the head has an absolute-form cut down.
std::string_view ReceivedTarget(std::string_view request, const http::RequestHead& head) {
  const size_t method = request.find(head.method_name());
  std::string_view line = request.substr(method, request.find("\r\n", method) - method);
  line.remove_prefix(line.find(' ') + 1);
  return line.substr(0, line.rfind(' '));
}

class Runner {
 public:
  explicit Runner(std::shared_ptr<const RuleSet> rules)
      : rules_(std::move(rules)), block_(policy_.head_bytes_max) {}

  Answer Run(std::string_view request);

 private:
  Answer Inspect(std::string_view request, const http::RequestHead& head, std::string_view body);

  const std::shared_ptr<const RuleSet> rules_;
  const http::ValidationPolicy policy_;  // edge's, unless its settings say otherwise
  std::vector<char> block_;
  Transaction transaction_;
  Scratch scratch_;
};

Answer Runner::Run(std::string_view request) {
  http::RequestHead head;
  head.Bind(block_);
  http::RequestParser parser(&policy_);
  parser.Start(&head);
  const http::HeadProgress progress = parser.Feed(request);
  if (progress.status == http::HeadStatus::kRefused) return Refused(parser.refusal().reason);
  if (progress.status != http::HeadStatus::kComplete) return {.status = kIncompleteStatus};

  std::array<char, kTrailerBytesMax> trailers;
  http::BodyReader reader;
  reader.Start(head.framing, head.content_length, &policy_, trailers,
               policy_.request_body_bytes_max);
  std::string body;
  size_t at = progress.consumed;
  while (!reader.complete()) {
    const http::BodyStep step = reader.Next(request.substr(at));
    at += step.consumed;
    body.append(step.data);
    if (step.event == http::BodyEvent::kRefused) return Refused(reader.refusal().reason);
    if (step.event == http::BodyEvent::kNeedMore) return {.status = kIncompleteStatus};
  }
  return Inspect(request, head, body);
}

Answer Runner::Inspect(std::string_view request, const http::RequestHead& head,
                       std::string_view body) {
  std::vector<FieldView> fields;
  fields.reserve(head.size());
  for (size_t i = 0; i < head.size(); ++i) fields.push_back({head.name(i), head.value(i)});
  const RequestView view{
      .client_address = "192.0.2.1",
      .client_port = 49152,
      .server_address = "192.0.2.2",
      .server_port = 80,
      .method = head.method_name(),
      .target = ReceivedTarget(request, head),
      .protocol = head.version == http::Version::kHttp11 ? "HTTP/1.1" : "HTTP/1.0",
      .fields = fields,
      .body = body,
      .id = "0",
  };
  const std::array<FieldView, 2> response_fields = {
      FieldView{"Content-Type", "text/plain"},
      FieldView{"Content-Length", "2"},
  };
  const ResponseView response{.status = OriginStatus(head.path()),
                              .protocol = "HTTP/1.1",
                              .fields = response_fields,
                              .body = "ok"};

  Answer answer{.status = response.status};
  transaction_.Begin(rules_, rules_->mode());
  if (transaction_.InspectRequest(view, scratch_).kind == Decision::Kind::kPass) {
    transaction_.InspectResponse(response, scratch_);
  }
  transaction_.InspectEnd(scratch_);
  const Decision& decision = transaction_.decision();
  if (decision.kind != Decision::Kind::kPass) answer.status = decision.status;
  for (const RuleMatch& match : transaction_.matches()) {
    if (!match.logged) continue;
    absl::StrAppend(&answer.rules, answer.rules.empty() ? "" : ",", "{\"id\":", match.rule_id,
                    ",\"data\":\"", JsonText(match.data), "\"}");
  }
  transaction_.End();
  return answer;
}

// false: the input has ended.
bool ReadRequest(std::string& request) {
  std::array<unsigned char, 4> length;
  if (std::fread(length.data(), 1, length.size(), stdin) != length.size()) return false;
  size_t bytes = 0;
  for (const unsigned char byte : length) bytes = bytes << 8 | byte;
  if (bytes > kRequestBytesMax) return false;
  request.resize(bytes);
  return std::fread(request.data(), 1, bytes, stdin) == bytes;
}

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: crs_runner RULES < requests > answers\n");
    return 2;
  }
  const auto rules = RuleSet::Load({argv[1]});
  if (!rules.ok()) {
    std::fprintf(stderr, "%s\n", std::string(rules.status().message()).c_str());
    return 1;
  }
  Runner runner(*rules);
  for (std::string request; ReadRequest(request);) {
    std::fputs(ToJson(runner.Run(request)).c_str(), stdout);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace edge::waf

int main(int argc, char** argv) { return edge::waf::Main(argc, argv); }
