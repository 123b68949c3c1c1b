// What the access log says of one exchange. A view: lives no longer than the exchange.
//
// Worker thread only.

#pragma once

#include <cstdint>
#include <string>

#include "proxy/exchange.h"

namespace edge::proxy {

class AccessLogEntry {
 public:
  AccessLogEntry(const Exchange& exchange, int64_t now_ns);

  // 0: the client got no response.
  uint16_t status() const;
  // Appends one JSON object and a newline. `wall_ns`: now, since the Unix epoch.
  void AppendJson(std::string& out, int64_t wall_ns) const;

 private:
  const Exchange& exchange_;
  const int64_t now_ns_;
};

// A line of its own for what inspection found: a JSON object and a newline. It may come after the
// exchange's line, or before; the request's id is the same. `wall_ns`: now, since the Unix epoch.
void AppendInspectionJson(std::string& out, const waf::InspectionJob& job, waf::Verdict verdict,
                          int64_t wall_ns);

}  // namespace edge::proxy
