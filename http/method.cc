#include "http/method.h"

#include <array>
#include <cstddef>

namespace edge::http {
namespace {

struct MethodInfo {
  std::string_view name;
  bool idempotent;
  bool safe;
};

// In the order of the enumerators. Safe and idempotent as the IANA registry has them.
constexpr std::array<MethodInfo, static_cast<size_t>(Method::kCount)> kMethods = {{
    {"GET", true, true},        {"HEAD", true, true},        {"POST", false, false},
    {"PUT", true, false},       {"DELETE", true, false},     {"OPTIONS", true, true},
    {"PATCH", false, false},    {"TRACE", true, true},       {"CONNECT", false, false},
    {"ACL", true, false},       {"BIND", true, false},       {"CHECKOUT", true, false},
    {"COPY", true, false},      {"LINK", true, false},       {"LOCK", false, false},
    {"MERGE", true, false},     {"MKACTIVITY", true, false}, {"MKCALENDAR", true, false},
    {"MKCOL", true, false},     {"MOVE", true, false},       {"PROPFIND", true, true},
    {"PROPPATCH", true, false}, {"QUERY", true, true},       {"REBIND", true, false},
    {"REPORT", true, true},     {"SEARCH", true, true},      {"UNBIND", true, false},
    {"UNLINK", true, false},    {"UNLOCK", true, false},
}};
static_assert(kMethods[static_cast<size_t>(Method::kUnlock)].name == "UNLOCK");
static_assert(kMethods[static_cast<size_t>(Method::kPropfind)].name == "PROPFIND");

const MethodInfo& Info(Method method) { return kMethods[static_cast<size_t>(method)]; }

}  // namespace

std::optional<Method> LookupMethod(std::string_view name) {
  // The common ones are the first in the table, so a pass over it ends early.
  for (size_t i = 0; i < kMethods.size(); ++i) {
    if (kMethods[i].name == name) return static_cast<Method>(i);
  }
  return std::nullopt;
}

std::string_view MethodName(Method method) { return Info(method).name; }
bool IsIdempotent(Method method) { return Info(method).idempotent; }
bool IsSafe(Method method) { return Info(method).safe; }

}  // namespace edge::http
