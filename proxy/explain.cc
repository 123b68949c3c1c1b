#include "proxy/explain.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "http/forwarding.h"
#include "http/framing.h"
#include "http/message_head.h"
#include "http/parser.h"
#include "proxy/address.h"
#include "proxy/http_settings.h"
#include "proxy/waf/engine/rule_set.h"
#include "proxy/waf/engine/transaction.h"
#include "proxy/waf/inspected_request.h"
#include "proxy/waf/rule_inspector.h"

namespace edge::proxy {
namespace {

// RFC 5737: addresses for documentation.
constexpr std::string_view kClientAddress = "192.0.2.1";
constexpr std::string_view kOriginName = "192.0.2.2:80";
constexpr std::string_view kRequestId = "00000000000000000000000000000000";
// Bytes of the request that are shown on either side of a refusal's offset.
constexpr size_t kNearBytes = 16;

std::string FramingText(const http::RequestHead& head) {
  switch (head.framing) {
    case http::BodyFraming::kNone:
      return "none";
    case http::BodyFraming::kLength:
      return "length";
    case http::BodyFraming::kChunked:
      return "chunked";
    case http::BodyFraming::kUntilClose:
      break;
  }
  LOG(FATAL) << "a request's body does not end at close";
}

absl::StatusOr<bool> IsTrusted(const Config& config) {
  const absl::StatusOr<std::vector<AddressBlock>> blocks =
      ParseAddressBlocks(config.trusted_proxies);
  if (!blocks.ok()) return blocks.status();
  return ContainsAny(*blocks, *ParseAddress(kClientAddress, 0));
}

// What an HTTP/1.0 request without Host gets: the first origin as configured, since names are not
// resolved here.
std::string OriginName(const Config& config) {
  if (config.upstream.empty()) return std::string(kOriginName);
  const std::string url = config.upstream.front().ToString();
  return url.substr(url.find("://") + 3);
}

// nullopt: too large.
std::optional<std::string> ForwardedHead(const http::RequestHead& head, const Config& config,
                                         bool trusted) {
  const std::string origin = OriginName(config);
  http::RequestForwarding forwarding = http::PlanRequest(
      head, {.address = kClientAddress, .tls = config.listen.front().tls, .trusted_proxy = trusted},
      MakeForwardedFields(config));
  forwarding.request_id = kRequestId;
  forwarding.host_if_absent = origin;
  std::string out(config.body_buffer_size, '\0');
  const std::optional<size_t> size = http::SerializeRequest(head, forwarding, out);
  if (!size.has_value()) return std::nullopt;
  out.resize(*size);
  return out;
}

// Sets all that concerns the body. `bytes` start with it; `begin` is where they start in the
// request.
// Appends the decoded body to `decoded`.
void ExplainBody(std::string_view bytes, size_t begin, const http::RequestHead& head,
                 const http::ValidationPolicy& policy, Explanation* explanation,
                 std::string* decoded) {
  std::array<char, kTrailerBytesMax> trailers;
  http::BodyReader body;
  body.Start(head.framing, head.content_length, &policy, trailers, policy.request_body_bytes_max);
  size_t at = 0;
  while (!body.complete()) {
    const http::BodyStep step = body.Next(bytes.substr(at));
    at += step.consumed;
    explanation->body_bytes += step.data.size();
    decoded->append(step.data);
    if (step.event == http::BodyEvent::kNeedMore) {
      explanation->part = Explanation::Part::kBody;
      return;
    }
    if (step.event == http::BodyEvent::kRefused) {
      explanation->verdict = Explanation::Verdict::kRefused;
      explanation->part = Explanation::Part::kBody;
      explanation->reason = body.refusal().reason;
      explanation->offset = begin + body.refusal().offset;
      return;
    }
  }
  explanation->verdict = Explanation::Verdict::kAccepted;
  explanation->request_bytes = begin + at;
  explanation->trailers = std::string(body.trailers());
}

// nullptr: the request is not inspected. Rules that are named are tried whatever --waf says.
absl::StatusOr<std::shared_ptr<const edge::waf::RuleSet>> RulesOf(const Config& config) {
  if (config.waf_rules.empty() && config.waf == WafMode::kOff) return nullptr;
  return edge::waf::RuleSet::Load(config.waf_rules);
}

void AppendQuoted(std::string* out, std::string_view key, std::string_view text) {
  constexpr size_t kBytesMax = 200;
  if (text.empty()) return;
  absl::StrAppend(out, " ", key, " \"", absl::CHexEscape(text.substr(0, kBytesMax)), "\"");
}

// As an inspection thread would, in block mode.
void ExplainInspection(const http::RequestHead& head, std::string_view body, const Config& config,
                       std::shared_ptr<const edge::waf::RuleSet> rules, Explanation* explanation) {
  using edge::waf::Decision;
  waf::InspectedRequest request;
  request.Begin(head, {.client_address = kClientAddress, .server_address = kClientAddress},
                kRequestId, 0);
  request.AppendBody(body.substr(0, config.waf_body_bytes_max));
  if (body.size() > config.waf_body_bytes_max) request.CutBody();
  std::vector<edge::waf::FieldView> fields;
  edge::waf::Scratch scratch;
  edge::waf::Transaction transaction;
  transaction.Begin(std::move(rules), edge::waf::EngineMode::kOn);
  const Decision& decision = transaction.InspectRequest(waf::ViewOf(request, fields), scratch);
  std::string& out = explanation->inspection;
  switch (decision.kind) {
    case Decision::Kind::kPass:
      out = request.body_cut() ? "inspection: passes; the body is longer than what is inspected\n"
                               : "inspection: passes\n";
      break;
    case Decision::Kind::kDeny:
    case Decision::Kind::kRedirect:
      absl::StrAppend(&out, "inspection: denied by rule ", decision.rule_id, ", status ",
                      decision.status, "\n");
      break;
    case Decision::Kind::kDrop:
      absl::StrAppend(&out, "inspection: dropped by rule ", decision.rule_id, "\n");
      break;
  }
  explanation->denied = decision.kind != Decision::Kind::kPass;
  size_t silent = 0;
  for (const edge::waf::RuleMatch& match : transaction.matches()) {
    if (!match.logged) {
      ++silent;
      continue;
    }
    absl::StrAppend(&out, "rule: ", match.rule_id, " phase ", match.phase);
    if (match.severity >= 0) absl::StrAppend(&out, " severity ", match.severity);
    absl::StrAppend(&out, " ", absl::CHexEscape(match.variable));
    AppendQuoted(&out, "matched", match.matched);
    AppendQuoted(&out, "msg", match.message);
    AppendQuoted(&out, "data", match.data);
    if (match.where != nullptr)
      absl::StrAppend(&out, " at ", match.where->file, ":", match.where->line);
    out.push_back('\n');
  }
  absl::StrAppend(&out, "rules that match and are not logged: ", silent,
                  "\nscore: ", transaction.TxNumber("anomaly_score"), "\n");
  transaction.End();
}

std::string_view PartName(Explanation::Part part) {
  return part == Explanation::Part::kHead ? "head" : "body";
}

void AppendRefusal(const Explanation& explanation, std::string_view bytes, std::string* out) {
  const http::ReasonInfo& info = http::Describe(explanation.reason);
  const size_t offset = std::min(static_cast<size_t>(explanation.offset), bytes.size());
  const size_t near = offset - std::min(offset, kNearBytes);
  const std::string_view before = bytes.substr(near, offset - near);
  const std::string_view from = bytes.substr(offset, kNearBytes);
  absl::StrAppend(out, "part: ", PartName(explanation.part), "\nstatus: ", info.status,
                  "\nreason: ", info.id, "\nrfc: ", info.rfc, "\ntext: ", info.text,
                  "\noffset: ", explanation.offset);
  absl::StrAppend(out, "\nnear: ", absl::CHexEscape(before), " >>> ", absl::CHexEscape(from), "\n");
}

// nullopt: there was more than `bytes_max`, or reading failed.
std::optional<std::string> ReadStandardInput(size_t bytes_max) {
  std::string bytes;
  std::array<char, 65536> piece;
  while (const size_t size = std::fread(piece.data(), 1, piece.size(), stdin)) {
    if (bytes.size() + size > bytes_max) return std::nullopt;
    bytes.append(piece.data(), size);
  }
  if (std::ferror(stdin) != 0) return std::nullopt;
  return bytes;
}

}  // namespace

absl::StatusOr<Explanation> ExplainRequest(std::string_view bytes, const Config& config) {
  const absl::StatusOr<bool> trusted = IsTrusted(config);
  if (!trusted.ok()) return trusted.status();
  const http::ValidationPolicy policy = MakeValidationPolicy(config);
  std::vector<char> block(policy.head_bytes_max);
  http::RequestHead head;
  head.Bind(block);
  http::RequestParser parser(&policy);
  parser.Start(&head);

  Explanation explanation;
  const http::HeadProgress progress = parser.Feed(bytes);
  switch (progress.status) {
    case http::HeadStatus::kNeedMore:
      return explanation;
    case http::HeadStatus::kNeedSpace:
      LOG(FATAL) << "the block is as large as a head may be";
    case http::HeadStatus::kRefused:
      explanation.verdict = Explanation::Verdict::kRefused;
      explanation.reason = parser.refusal().reason;
      explanation.offset = parser.refusal().offset;
      return explanation;
    case http::HeadStatus::kComplete:
      break;
  }
  explanation.framing = FramingText(head);
  explanation.keep_alive = head.keep_alive;
  if (head.max_forwards != 0u) {
    std::optional<std::string> forwarded = ForwardedHead(head, config, *trusted);
    if (!forwarded.has_value()) {
      explanation.verdict = Explanation::Verdict::kRefused;
      explanation.reason = http::Reason::kHeadTooLargeToForward;
      explanation.offset = progress.consumed;
      return explanation;
    }
    explanation.forwarded_head = *std::move(forwarded);
  }
  std::string body;
  ExplainBody(bytes.substr(progress.consumed), progress.consumed, head, policy, &explanation,
              &body);
  if (explanation.verdict == Explanation::Verdict::kAccepted) {
    absl::StatusOr<std::shared_ptr<const edge::waf::RuleSet>> rules = RulesOf(config);
    if (!rules.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--waf_rules: ", rules.status().message()));
    }
    if (*rules != nullptr) {
      ExplainInspection(head, body, config, *std::move(rules), &explanation);
    }
  }
  return explanation;
}

std::string ExplanationText(const Explanation& explanation, std::string_view bytes) {
  std::string out;
  switch (explanation.verdict) {
    case Explanation::Verdict::kAccepted:
      absl::StrAppend(
          &out, "verdict: accepted\nrequest: ", explanation.request_bytes, " of ", bytes.size(),
          " bytes\nconnection: ", explanation.keep_alive ? "may be kept" : "closes", "\n");
      break;
    case Explanation::Verdict::kRefused:
      absl::StrAppend(&out, "verdict: refused\n");
      AppendRefusal(explanation, bytes, &out);
      break;
    case Explanation::Verdict::kIncomplete:
      absl::StrAppend(&out, "verdict: incomplete\npart: ", PartName(explanation.part),
                      "\nrequest: more than ", bytes.size(), " bytes\n");
      break;
  }
  if (!explanation.framing.empty()) {
    absl::StrAppend(&out, "body: ", explanation.framing, ", ", explanation.body_bytes, " bytes\n");
  }
  for (std::string_view rest = explanation.trailers; !rest.empty();) {
    const size_t end = rest.find("\r\n");
    absl::StrAppend(&out, "trailer: ", rest.substr(0, end), "\n");
    rest.remove_prefix(end + 2);
  }
  out += explanation.inspection;
  if (explanation.verdict == Explanation::Verdict::kAccepted &&
      explanation.forwarded_head.empty()) {
    absl::StrAppend(&out, "forwarded: no, at Max-Forwards 0 edge answers\n");
  }
  if (!explanation.forwarded_head.empty()) {
    absl::StrAppend(&out, "\n", explanation.forwarded_head);
  }
  return out;
}

absl::StatusOr<int> RunExplain(const Config& config) {
  const std::optional<std::string> bytes = ReadStandardInput(kExplainBytesMax);
  if (!bytes.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--explain: found standard input that cannot be read or is too long, expected "
                     "one request of at most ",
                     kExplainBytesMax >> 20, " MiB"));
  }
  const absl::StatusOr<Explanation> explanation = ExplainRequest(*bytes, config);
  if (!explanation.ok()) return explanation.status();
  const std::string text = ExplanationText(*explanation, *bytes);
  std::fwrite(text.data(), 1, text.size(), stdout);
  const bool accepted =
      explanation->verdict == Explanation::Verdict::kAccepted && !explanation->denied;
  return accepted ? 0 : 1;
}

}  // namespace edge::proxy
