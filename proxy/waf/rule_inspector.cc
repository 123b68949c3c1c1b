#include "proxy/waf/rule_inspector.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "proxy/access_log.h"

namespace edge::proxy::waf {
namespace {

// Of the response that a rule asks for. Those without a body, or before another, are none.
uint16_t StatusOf(const edge::waf::Decision& decision) {
  const uint16_t status = decision.status;
  return status < 200 || status > 599 || status == 204 || status == 304 ? 403 : status;
}

// For a field's value: rules may put decoded bytes of the request into it.
void AssignLocation(std::string& out, std::string_view url) {
  out.clear();
  for (const char c : url) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && byte != '"') {
      out.push_back(c);
    } else {
      absl::StrAppend(&out, "%", absl::Hex(byte, absl::kZeroPad2));
    }
  }
}

}  // namespace

edge::waf::RequestView ViewOf(const InspectedRequest& request,
                              std::vector<edge::waf::FieldView>& fields) {
  fields.clear();
  for (const InspectedRequest::Field& field : request.fields()) {
    fields.push_back({field.name, field.value});
  }
  return {.client_address = request.peers().client_address,
          .client_port = request.peers().client_port,
          .server_address = request.peers().server_address,
          .server_port = request.peers().server_port,
          .method = request.method(),
          .target = request.target(),
          .protocol = request.protocol(),
          .fields = fields,
          .body = request.body(),
          .body_cut = request.body_cut(),
          .id = request.id(),
          .time_unix_us = request.wall_ns() / 1000};
}

Verdict RuleInspector::Inspect(InspectionJob& job) {
  using edge::waf::Decision;
  const bool block = job.lane == Lane::kBlock;
  transaction_.Begin(job.rules,
                     block ? edge::waf::EngineMode::kOn : edge::waf::EngineMode::kDetectionOnly);
  // Counted from now: or under a load above capacity each job would begin late, and be given up.
  transaction_.SetDeadline(job.taken_ns + job.deadline_ns - job.queued_ns);
  transaction_.InspectRequest(ViewOf(job.request, fields_), scratch_);
  WriteReport(job);
  // In detect mode too it is said what would have become of the request.
  const Decision& decision = block ? transaction_.decision() : transaction_.would_be_decision();
  const Decision::Kind kind = decision.kind;
  job.status = kind == Decision::Kind::kDrop ? 0 : StatusOf(decision);
  AssignLocation(job.redirect, decision.redirect);
  const bool oversize = job.request.body_cut() || transaction_.limits_exceeded();
  const bool late = transaction_.out_of_time();
  transaction_.InspectEnd(scratch_);
  transaction_.End();
  if (kind != Decision::Kind::kPass) return Verdict::kBlock;
  if (late) return Verdict::kTimeout;
  return oversize ? Verdict::kOversize : Verdict::kAllow;
}

// {"rules":[{"id":942100,...},...],"more_rules":[942110,...],"score":5}, without the braces.
void RuleInspector::WriteReport(InspectionJob& job) const {
  std::string& out = job.report;
  out.clear();
  std::string more;  // ids of those that there is no room for
  for (const edge::waf::RuleMatch& match : transaction_.matches()) {
    if (!match.logged) continue;
    const size_t before = out.size();
    absl::StrAppend(&out, before == 0 ? "\"rules\":[" : ",", "{\"id\":", match.rule_id,
                    ",\"phase\":", match.phase, ",\"severity\":", match.severity);
    AppendJsonMember(out, "msg", match.message, 2 * kMatchedBytesMax);
    AppendJsonMember(out, "variable", match.variable, kMatchedBytesMax);
    AppendJsonMember(out, "matched", match.matched, kMatchedBytesMax);
    if (!match.data.empty()) AppendJsonMember(out, "data", match.data, 2 * kMatchedBytesMax);
    absl::StrAppend(&out, ",\"disruptive\":", match.disruptive ? "true" : "false", "}");
    if (out.size() <= kReportBytesMax || before == 0) continue;
    out.resize(before);
    if (more.size() < kMoreBytesMax) {
      absl::StrAppend(&more, more.empty() ? "" : ",", match.rule_id);
    }
  }
  if (out.empty()) return;
  absl::StrAppend(&out, "],\"more_rules\":[", more,
                  "],\"score\":", transaction_.TxNumber("anomaly_score"));
}

}  // namespace edge::proxy::waf
