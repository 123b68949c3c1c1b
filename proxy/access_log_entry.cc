#include "proxy/access_log_entry.h"

#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proxy/access_log.h"
#include "proxy/downstream_connection.h"

namespace edge::proxy {
namespace {

void AppendTime(std::string& out, int64_t wall_ns) {
  const time_t seconds = wall_ns / 1'000'000'000;
  tm parts;
  gmtime_r(&seconds, &parts);
  absl::StrAppendFormat(&out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                        parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                        static_cast<int>(wall_ns / 1'000'000 % 1000));
}

}  // namespace

AccessLogEntry::AccessLogEntry(const Exchange& exchange, int64_t now_ns)
    : exchange_(exchange), now_ns_(now_ns) {}

uint16_t AccessLogEntry::status() const { return exchange_.status_; }

void AccessLogEntry::AppendJson(std::string& out, int64_t wall_ns) const {
  const Exchange& e = exchange_;
  const int64_t duration_ns = now_ns_ - e.started_ns_;
  absl::StrAppend(&out, "{\"time\":\"");
  AppendTime(out, wall_ns - duration_ns);
  absl::StrAppend(&out, "\",\"request_id\":\"", e.request_id(), "\",\"client\":\"",
                  e.client_->address(), "\"");
  // A head that was refused is not quoted: what it means is what could not be found out.
  const bool known = e.head_complete_;
  AppendJsonMember(out, "method", e.log_method_, Exchange::kLogMethodBytesMax);
  AppendJsonMember(out, "host", e.log_host_, Exchange::kLogHostBytesMax);
  AppendJsonMember(out, "path", e.log_target_, Exchange::kLogTargetBytesMax);
  absl::StrAppend(&out, ",\"protocol\":\"",
                  !known                                         ? ""
                  : e.request_.version == http::Version::kHttp11 ? "HTTP/1.1"
                                                                 : "HTTP/1.0",
                  "\"");
  absl::StrAppend(&out, ",\"status\":", e.status_, ",\"bytes_received\":", e.request_body_bytes_,
                  ",\"bytes_sent\":", e.response_body_bytes_,
                  ",\"duration_us\":", duration_ns / 1000);
  if (e.first_byte_ns_ != 0) {
    absl::StrAppend(&out, ",\"first_byte_us\":", (e.first_byte_ns_ - e.started_ns_) / 1000);
  }
  const tls::Session* session = e.client_->transport().tls();
  absl::StrAppend(&out, ",\"upstream\":\"", e.upstream_name_,
                  "\",\"retries\":", e.attempts_ > 0 ? e.attempts_ - 1 : 0, ",\"reason\":\"",
                  e.reason_id_, "\",\"tls_version\":\"",
                  session == nullptr ? "" : session->version_name(), "\"");
  if (e.verdict_.has_value()) {
    absl::StrAppend(&out, ",\"inspection\":\"", waf::VerdictName(*e.verdict_), "\"");
  }
  absl::StrAppend(&out, "}\n");
}

void AppendInspectionJson(std::string& out, const waf::InspectionJob& job, waf::Verdict verdict,
                          int64_t wall_ns) {
  absl::StrAppend(&out, "{\"time\":\"");
  AppendTime(out, wall_ns);
  absl::StrAppend(
      &out, "\",\"request_id\":\"", job.request.id(), "\",\"client\":\"",
      job.request.peers().client_address, "\",\"waf\":{\"mode\":\"",
      job.lane == waf::Lane::kBlock ? "block" : "detect", "\",\"verdict\":\"",
      waf::VerdictName(verdict), "\",\"queued_us\":", (job.taken_ns - job.queued_ns) / 1000,
      ",\"inspected_us\":", (job.done_ns - job.taken_ns) / 1000, ",", job.report, "}}\n");
}

}  // namespace edge::proxy
