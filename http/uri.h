#pragma once

// Checks of request targets and authorities (RFC 3986, RFC 9112 3.2). Nothing is decoded or
// normalised: what passes is forwarded as it came.
//
// Pure functions, any thread.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/method.h"
#include "http/reason.h"
#include "http/validation_policy.h"

namespace edge::http {

enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAsterisk };

struct Target {
  TargetForm form = TargetForm::kOrigin;
  bool https = false;          // absolute-form
  std::string_view authority;  // absolute-form, a part of the input
  std::string_view
      path_and_query;    // a part of the input; may be empty or start with "?" in absolute-form
  size_t path_size = 0;  // of path_and_query, before "?"
};

// Refusal::offset is within `target`.
Refusal ParseTarget(std::string_view target, Method method, const ValidationPolicy& policy,
                    Target* out);

// Host's value: uri-host [ ":" port ], not empty. Offset within `host`.
Refusal CheckHost(std::string_view host);

// An IPv6 address without brackets and zone (RFC 3986 3.2.2).
bool IsIpv6Address(std::string_view text);

}  // namespace edge::http
