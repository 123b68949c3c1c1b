#include "proxy/metrics.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace edge::proxy {
namespace {

class Renderer {
 public:
  explicit Renderer(std::span<const WorkerView> workers) : workers_(workers) {}

  void Family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    absl::StrAppend(&out_, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
  }
  void Sample(size_t worker, std::string_view labels, uint64_t value) {
    absl::StrAppend(&out_, name_, "{worker=\"", worker, "\"", labels, "} ", value, "\n");
  }
  // One sample per worker of one counter.
  void PerWorker(std::string_view name, std::string_view type, std::string_view help,
                 Counter WorkerStats::*counter) {
    Family(name, type, help);
    for (size_t i = 0; i < workers_.size(); ++i)
      Sample(i, "", (workers_[i].stats->*counter).Read());
  }
  void Seconds(size_t worker, std::string_view labels, double value) {
    absl::StrAppendFormat(&out_, "%s{worker=\"%d\"%s} %.9f\n", name_, worker, labels, value);
  }
  void Single(std::string_view name, std::string_view type, std::string_view help, double value) {
    Family(name, type, help);
    absl::StrAppendFormat(&out_, "%s %.17g\n", name_, value);
  }
  std::string& out() { return out_; }
  std::span<const WorkerView> workers() const { return workers_; }

 private:
  const std::span<const WorkerView> workers_;
  std::string_view name_;
  std::string out_;
};

// Times with the bounds of the loop's; the last bucket: longer than all bounds.
using TimeBuckets = std::array<uint64_t, uring::LoopCounters::kBusyBoundsNs.size() + 1>;

void AppendHistogram(std::string& out, std::string_view name, std::string_view labels,
                     const TimeBuckets& buckets, uint64_t sum_ns) {
  uint64_t cumulative = 0;
  for (size_t b = 0; b < buckets.size(); ++b) {
    cumulative += buckets[b];
    const std::string bound =
        b < uring::LoopCounters::kBusyBoundsNs.size()
            ? absl::StrFormat("%.9g",
                              static_cast<double>(uring::LoopCounters::kBusyBoundsNs[b]) / 1e9)
            : "+Inf";
    absl::StrAppend(&out, name, "_bucket{", labels, ",le=\"", bound, "\"} ", cumulative, "\n");
  }
  absl::StrAppendFormat(&out, "%s_sum{%s} %.9f\n", name, labels, static_cast<double>(sum_ns) / 1e9);
  absl::StrAppend(&out, name, "_count{", labels, "} ", cumulative, "\n");
}

void RenderTraffic(Renderer& render) {
  using S = WorkerStats;
  render.PerWorker("edge_connections_active", "gauge", "Client connections open now.",
                   &S::connections_active);
  render.PerWorker("edge_connections_accepted_total", "counter", "Client connections accepted.",
                   &S::connections_accepted);
  render.PerWorker("edge_connections_evicted_total", "counter",
                   "Idle client connections closed because a limit was reached.",
                   &S::connections_evicted);
  render.PerWorker(
      "edge_connections_shed_total", "counter",
      "Client connections closed because they filled the buffers that others starved for.",
      &S::connections_shed);
  render.PerWorker("edge_accept_errors_total", "counter",
                   "Connections that could not be accepted or had no slot.", &S::accept_errors);
  render.PerWorker("edge_tls_handshakes_total", "counter", "TLS handshakes completed.",
                   &S::tls_handshakes);
  render.PerWorker("edge_tls_handshake_failures_total", "counter",
                   "TLS handshakes that failed or timed out.", &S::tls_handshake_failures);
  render.Family("edge_proxy_protocol_headers_total", "counter",
                "PROXY headers read at the beginning of clients' connections, by version.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    for (size_t version = 1; version < kProxyProtocolCount; ++version) {
      render.Sample(i, absl::StrCat(",version=\"", version, "\""),
                    render.workers()[i].stats->proxy_headers[version].Read());
    }
  }
  render.Family("edge_proxy_protocol_errors_total", "counter",
                "Connections closed for want of a valid PROXY header, by reason.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    for (size_t e = 0; e < kProxyProtocolErrorCount; ++e) {
      render.Sample(i,
                    absl::StrCat(",reason=\"",
                                 ProxyProtocolErrorName(static_cast<ProxyProtocolError>(e)), "\""),
                    render.workers()[i].stats->proxy_protocol_errors[e].Read());
    }
  }
  render.PerWorker("edge_exchanges_active", "gauge", "Requests being read or answered now.",
                   &S::exchanges_active);

  render.Family("edge_requests_total", "counter",
                "Requests by class of the status sent; none: the client got no response.");
  static constexpr const char* kClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (size_t i = 0; i < render.workers().size(); ++i) {
    for (size_t c = 0; c < 6; ++c) {
      render.Sample(i, absl::StrCat(",class=\"", kClasses[c], "\""),
                    render.workers()[i].stats->requests_by_class[c].Read());
    }
  }
  render.Family("edge_downstream_bytes_total", "counter",
                "Bytes on clients' connections, with TLS as on the wire.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    const WorkerStats& stats = *render.workers()[i].stats;
    render.Sample(i, ",direction=\"received\"", stats.bytes_received.Read());
    render.Sample(i, ",direction=\"sent\"", stats.bytes_sent.Read());
  }
  render.PerWorker("edge_client_timeouts_total", "counter",
                   "Clients that were too slow with a handshake, a request or a response.",
                   &S::client_timeouts);
  render.Family("edge_refusals_total", "counter", "Messages refused, by reason.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    for (size_t r = 1; r < http::kReasonCount; ++r) {
      render.Sample(
          i, absl::StrCat(",reason=\"", http::Describe(static_cast<http::Reason>(r)).id, "\""),
          render.workers()[i].stats->refusals[r].Read());
    }
  }
}

void RenderUpstream(Renderer& render) {
  using S = WorkerStats;
  render.PerWorker("edge_upstream_connects_total", "counter", "Connections to origins begun.",
                   &S::upstream_connects);
  render.PerWorker("edge_upstream_reuses_total", "counter", "Requests sent on a pooled connection.",
                   &S::upstream_reuses);
  render.PerWorker("edge_upstream_retries_total", "counter",
                   "Requests sent again after a connection to an origin failed.",
                   &S::upstream_retries);
  render.PerWorker("edge_upstream_active", "gauge",
                   "Connections to origins with a request on them.", &S::upstream_active);
  render.PerWorker("edge_upstream_idle", "gauge", "Connections to origins pooled.",
                   &S::upstream_idle);
  render.Family("edge_upstream_errors_total", "counter",
                "Requests that failed on an origin, by kind.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    for (size_t k = 0; k < kUpstreamErrorCount; ++k) {
      render.Sample(
          i, absl::StrCat(",kind=\"", UpstreamErrorName(static_cast<UpstreamError>(k)), "\""),
          render.workers()[i].stats->upstream_errors[k].Read());
    }
  }
}

void RenderRing(Renderer& render) {
  using S = WorkerStats;
  render.PerWorker("edge_ring_enters_total", "counter", "io_uring_enter calls.", &S::ring_enters);
  render.PerWorker("edge_ring_early_submits_total", "counter",
                   "Of these, ones made before the end of a turn because much was queued.",
                   &S::ring_early_submits);
  render.PerWorker("edge_ring_completions_total", "counter", "Completions handled.",
                   &S::ring_completions);
  render.PerWorker("edge_ring_enobufs_total", "counter", "Receives that found no provided buffer.",
                   &S::ring_enobufs);
  render.PerWorker("edge_ring_cq_overflows_total", "counter",
                   "Turns that began with completions in the kernel's backlog.",
                   &S::ring_cq_overflows);
  render.PerWorker("edge_ring_stale_completions_total", "counter",
                   "Completions for an operation that had ended; not 0 is a bug.",
                   &S::ring_stale_completions);
  for (const bool total : {false, true}) {
    render.Family(total ? "edge_buffers_total" : "edge_buffers_free", "gauge",
                  total ? "Provided buffers." : "Provided buffers that hold nothing.");
    for (size_t i = 0; i < render.workers().size(); ++i) {
      const WorkerStats& stats = *render.workers()[i].stats;
      const auto& counters = total ? stats.buffers_total : stats.buffers_free;
      render.Sample(i, ",pool=\"head\"", counters[0].Read());
      render.Sample(i, ",pool=\"body\"", counters[1].Read());
      render.Sample(i, ",pool=\"origin\"", counters[2].Read());
    }
  }
  render.PerWorker("edge_slab_bytes", "gauge",
                   "Memory of connections and exchanges touched so far.", &S::slab_bytes);
  render.PerWorker("edge_access_log_dropped_total", "counter",
                   "Log lines dropped because the log could not be written fast enough.",
                   &S::access_log_dropped);
  render.Family("edge_worker_cpu_seconds_total", "counter",
                "CPU time of the worker's thread, user and system.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    render.Seconds(i, absl::StrCat(",cpu=\"", render.workers()[i].cpu, "\""),
                   render.workers()[i].cpu_seconds);
  }
  render.Family("edge_loop_phase_seconds_total", "counter",
                "What turns of the loop were busy with.");
  static constexpr const char* kPhases[] = {"completions", "timers", "verdicts", "deferred"};
  for (size_t i = 0; i < render.workers().size(); ++i) {
    for (size_t phase = 0; phase < uring::kTurnPhaseCount; ++phase) {
      const uint64_t ns = render.workers()[i].stats->loop_phase_ns[phase].Read();
      render.Seconds(i, absl::StrCat(",phase=\"", kPhases[phase], "\""),
                     static_cast<double>(ns) / 1e9);
    }
  }
  render.Family("edge_loop_busy_longest_seconds", "gauge",
                "The longest that one turn has kept the loop busy since the start.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    render.Seconds(i, "",
                   static_cast<double>(render.workers()[i].stats->loop_busy_max_ns.Read()) / 1e9);
  }
  render.Family("edge_loop_busy_seconds", "histogram",
                "For how long one turn kept the loop from its next completions.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    const WorkerStats& stats = *render.workers()[i].stats;
    TimeBuckets buckets{};
    for (size_t b = 0; b < buckets.size(); ++b) buckets[b] = stats.loop_busy_histogram[b].Read();
    AppendHistogram(render.out(), "edge_loop_busy_seconds", absl::StrCat("worker=\"", i, "\""),
                    buckets, stats.loop_busy_ns.Read());
  }
}

void RenderVerdicts(Renderer& render) {
  render.Family("edge_waf_verdicts_total", "counter",
                "Requests by what inspection said of them, and whether they waited for it.");
  for (size_t i = 0; i < render.workers().size(); ++i) {
    for (size_t lane = 0; lane < waf::kLaneCount; ++lane) {
      for (size_t verdict = 0; verdict < waf::kVerdictCount; ++verdict) {
        render.Sample(i,
                      absl::StrCat(",mode=\"", lane == 0 ? "block" : "detect", "\",verdict=\"",
                                   waf::VerdictName(static_cast<waf::Verdict>(verdict)), "\""),
                      render.workers()[i].stats->inspection_verdicts[lane][verdict].Read());
      }
    }
  }
}

// Of each NUMA node's threads.
void RenderInspection(Renderer& render, const waf::InspectionPool& pool) {
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help,
                          auto value) {
    render.Family(name, type, help);
    for (size_t i = 0; i < pool.nodes(); ++i) value(name, i);
  };
  const auto by_lane = [&](auto read) {
    return [&render, &pool, read](std::string_view name, size_t i) {
      for (const waf::Lane lane : {waf::Lane::kBlock, waf::Lane::kDetect}) {
        absl::StrAppend(&render.out(), name, "{node=\"", pool.node_id(i), "\",mode=\"",
                        lane == waf::Lane::kBlock ? "block" : "detect", "\"} ",
                        read(pool.node(i), lane), "\n");
      }
    };
  };
  family(
      "edge_waf_queue_depth", "gauge", "Requests that wait for an inspection thread.",
      by_lane([](const waf::InspectionNode& node, waf::Lane lane) { return node.queued(lane); }));
  family(
      "edge_waf_credits", "gauge", "How many more requests the node would take.",
      by_lane([](const waf::InspectionNode& node, waf::Lane lane) { return node.credits(lane); }));
  const auto single = [&](auto read) {
    return [&render, &pool, read](std::string_view name, size_t i) {
      waf::InspectionTotals totals;
      pool.AddCounters(i, totals);
      absl::StrAppend(&render.out(), name, "{node=\"", pool.node_id(i), "\"} ",
                      read(pool.node(i), totals), "\n");
    };
  };
  family("edge_waf_jobs_total", "counter", "Requests that inspection threads have dealt with.",
         single([](const waf::InspectionNode&, const waf::InspectionTotals& totals) {
           return totals.jobs;
         }));
  family("edge_waf_wakeups_total", "counter", "Times that an inspection thread was woken.",
         single([](const waf::InspectionNode& node, const waf::InspectionTotals&) {
           return node.wakeups();
         }));
  family("edge_waf_sleeps_total", "counter", "Times that an inspection thread went to sleep.",
         single([](const waf::InspectionNode&, const waf::InspectionTotals& totals) {
           return totals.sleeps;
         }));
  const auto histogram = [&](auto member) {
    return [&render, &pool, member](std::string_view name, size_t i) {
      waf::InspectionTotals totals;
      pool.AddCounters(i, totals);
      AppendHistogram(render.out(), name, absl::StrCat("node=\"", pool.node_id(i), "\""),
                      (totals.*member).buckets, (totals.*member).sum_ns);
    };
  };
  family("edge_waf_queue_seconds", "histogram", "How long requests waited in the queue.",
         histogram(&waf::InspectionTotals::waited));
  family("edge_waf_service_seconds", "histogram", "How long it took to inspect a request.",
         histogram(&waf::InspectionTotals::service));
}

}  // namespace

std::string RenderMetrics(std::span<const WorkerView> workers, const ProcessView& process) {
  Renderer render(workers);
  RenderTraffic(render);
  RenderUpstream(render);
  RenderRing(render);
  RenderVerdicts(render);
  if (process.inspection != nullptr) RenderInspection(render, *process.inspection);
  render.Single("edge_waf_rules", "gauge", "Rules that requests are inspected by.",
                static_cast<double>(process.rules));
  render.Single("edge_uptime_seconds", "gauge", "Since the workers were started.",
                process.uptime_seconds);
  render.Single("edge_ready", "gauge", "1 while /readyz says so.", process.ready ? 1 : 0);
  render.Single("edge_memory_ceiling_bytes", "gauge",
                "What edge's own memory can come to; printed at start.",
                static_cast<double>(process.memory_ceiling_bytes));
  render.Single("edge_reloads_failed_total", "counter",
                "Reloads that were refused and left everything as it was.",
                static_cast<double>(process.reloads_failed));
  render.Single("edge_access_log_write_errors_total", "counter",
                "Batches of the access log that could not be written whole.",
                static_cast<double>(process.access_log_write_errors));
  return std::move(render.out());
}

}  // namespace edge::proxy
