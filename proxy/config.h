// What edge was told to do: the result of flags and configuration file, checked. Immutable once the
// server has it; workers see it through the snapshot of the current epoch.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proxy/proxy_protocol.h"

namespace edge::proxy {

enum class WafMode : uint8_t { kOff, kDetect, kBlock };

struct ListenSpec {
  bool tls = true;
  bool proxy_protocol = false;  // connections begin with a PROXY header
  std::string host;             // empty: every address, IPv6 and IPv4
  uint16_t port = 0;            // 0: the kernel chooses one, the same for all workers

  std::string Scheme() const;  // "proxy+https://"
  std::string ToString() const;
};

struct UpstreamSpec {
  bool tls = false;
  ProxyProtocol proxy_protocol = ProxyProtocol::kNone;  // of the header that it expects
  std::string host;  // a name, an IPv4 address, or an IPv6 address without brackets
  uint16_t port = 0;

  std::string Scheme() const;  // "proxy2+http://"
  std::string ToString() const;
};

struct Config {
  std::vector<ListenSpec> listen;
  std::vector<UpstreamSpec> upstream;  // empty: the built-in welcome origin
  std::vector<std::string> tls_cert;   // paths, paired with tls_key; empty: self-signed
  std::vector<std::string> tls_key;
  std::string cores = "auto";  // see uring::ChooseCpus
  uint32_t ring_entries = 0;
  uint32_t cq_entries = 0;
  uint32_t buffer_size = 0;
  uint32_t buffers = 0;
  uint32_t body_buffer_size = 0;
  uint32_t body_buffers = 0;
  uint32_t max_connections = 0;  // per worker
  WafMode waf = WafMode::kOff;
  std::vector<std::string> waf_rules;  // SecLang files or globs; empty: the built-in set
  uint32_t waf_threads = 0;            // per NUMA node
  uint32_t waf_queue = 0;              // requests in block mode, per NUMA node
  std::string waf_overload;            // reject or pass
  absl::Duration waf_deadline;
  std::string waf_placement;          // pool or inline
  uint32_t waf_body_bytes_max = 0;    // of a request's body that is inspected
  std::string waf_oversize;           // pass or reject
  uint64_t waf_memory_bytes_max = 0;  // of requests under inspection, per worker
  std::string admin;                  // host:port, or empty for none
  std::string access_log;             // path, "-" for standard output, or empty for none
  absl::Duration drain_delay;
  absl::Duration drain_timeout;
  absl::Duration header_timeout;
  absl::Duration idle_timeout;
  absl::Duration connect_timeout;
  absl::Duration upstream_timeout;
  // 0: as header_timeout, idle_timeout, idle_timeout and upstream_timeout.
  absl::Duration tls_handshake_timeout;
  absl::Duration request_body_timeout;
  absl::Duration response_write_timeout;
  absl::Duration upstream_first_byte_timeout;
  std::vector<std::string> proxy_protocol_from;  // CIDR blocks that may send PROXY headers
  std::vector<std::string> trusted_proxies;      // CIDR blocks whose X-Forwarded-* are kept
  std::string forwarded_fields = "replace";      // of other clients: replace, append or drop
  uint32_t upstream_idle_max = 0;                // pooled connections, per worker and origin
  absl::Duration upstream_idle_timeout;          // for how long one is pooled unused
  absl::Duration upstream_age_max;               // after which one is no longer pooled
  // Limits of messages; 0: none, where it says so.
  uint32_t request_line_bytes_max = 0;
  uint32_t head_bytes_max = 0;  // lowered to half of body_buffer_size
  uint32_t fields_max = 0;
  uint64_t body_bytes_max = 0;  // of requests; 0: none
  uint32_t chunk_extensions_bytes_max = 0;
  uint32_t trailer_bytes_max = 0;
  uint32_t interim_responses_max = 0;
  std::string underscore_names;  // drop, refuse or pass
  // Limits of connections and of slow peers.
  uint32_t connection_requests_max = 0;  // 0: none
  absl::Duration connection_age_max;     // 0: none
  absl::Duration response_time_max;      // 0: none
  uint32_t client_rate_min = 0;          // bytes a second; 0: none
  bool check = false;
  bool explain = false;
};

}  // namespace edge::proxy
