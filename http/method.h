#pragma once

// Methods that edge forwards. Any other token is answered 501 (RFC 9110 9.1).

#include <cstdint>
#include <optional>
#include <string_view>

namespace edge::http {

// Those of the IANA registry that llhttp knows as well.
enum class Method : uint8_t {
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kOptions,
  kPatch,
  kTrace,
  kConnect,
  kAcl,
  kBind,
  kCheckout,
  kCopy,
  kLink,
  kLock,
  kMerge,
  kMkactivity,
  kMkcalendar,
  kMkcol,
  kMove,
  kPropfind,
  kProppatch,
  kQuery,
  kRebind,
  kReport,
  kSearch,
  kUnbind,
  kUnlink,
  kUnlock,
  kCount,
};

// Exact match: methods are case-sensitive.
std::optional<Method> LookupMethod(std::string_view name);
std::string_view MethodName(Method method);

// RFC 9110 9.2.2 and the registry: such a request may be sent again when its connection broke (RFC
// 9112 9.3.1).
bool IsIdempotent(Method method);
// RFC 9110 9.2.1.
bool IsSafe(Method method);

}  // namespace edge::http
