// What the data path needs of the configuration, in the units it uses. Immutable; shared by all
// workers of a snapshot.

#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "http/forwarding.h"
#include "http/validation_policy.h"
#include "proxy/address.h"
#include "proxy/upstream_pool.h"

namespace edge::proxy {

// Of inspection; see the --waf flags.
struct InspectionSettings {
  enum class Mode : uint8_t { kOff, kDetect, kBlock };
  Mode mode = Mode::kOff;
  bool pass_on_overload = false;  // no credit, or late
  bool pass_on_oversize = true;
  int64_t deadline_ns = 50'000'000;
  size_t body_bytes_max = 131072;  // of a request's body; what is beyond is not looked at
  size_t memory_bytes_max = size_t{64} << 20;  // of requests under inspection, per worker
};

struct Settings {
  http::ValidationPolicy policy;
  http::ClientFieldPolicy forwarded_fields = http::ClientFieldPolicy::kReplace;
  std::vector<AddressBlock> trusted_proxies;
  std::vector<AddressBlock> proxy_protocol_from;  // who may connect where a PROXY header is due
  std::vector<UpstreamAddress> upstreams;         // empty: the local origin answers
  int64_t header_timeout_ns = 10'000'000'000;
  int64_t idle_timeout_ns = 60'000'000'000;
  int64_t connect_timeout_ns = 5'000'000'000;
  int64_t upstream_timeout_ns = 60'000'000'000;
  // 0: as the one that its accessor falls back to.
  int64_t tls_handshake_timeout_ns = 0;
  int64_t request_body_timeout_ns = 0;
  int64_t response_write_timeout_ns = 0;
  int64_t upstream_first_byte_timeout_ns = 0;
  int64_t upstream_idle_timeout_ns = 60'000'000'000;
  int64_t upstream_age_max_ns = 3'600'000'000'000;
  int64_t connection_age_max_ns = INT64_MAX;  // of clients
  int64_t response_time_max_ns = INT64_MAX;   // from its first byte to its last
  uint32_t connection_requests_max = UINT32_MAX;
  // Bytes a second that a client has to send or to read while it is waited for; 0: any byte will
  // do.
  uint32_t client_rate_min = 0;
  uint32_t upstream_idle_max = 1024;
  uint32_t max_connections = 65536;  // per worker
  bool access_log = false;
  InspectionSettings inspection;

  int64_t TlsHandshakeTimeoutNs() const {
    return tls_handshake_timeout_ns > 0 ? tls_handshake_timeout_ns : header_timeout_ns;
  }
  int64_t RequestBodyTimeoutNs() const {
    return request_body_timeout_ns > 0 ? request_body_timeout_ns : idle_timeout_ns;
  }
  int64_t ResponseWriteTimeoutNs() const {
    return response_write_timeout_ns > 0 ? response_write_timeout_ns : idle_timeout_ns;
  }
  int64_t UpstreamFirstByteTimeoutNs() const {
    return upstream_first_byte_timeout_ns > 0 ? upstream_first_byte_timeout_ns
                                              : upstream_timeout_ns;
  }
};

}  // namespace edge::proxy
