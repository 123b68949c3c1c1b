#include "proxy/waf/engine/seclang_directives.h"

#include <algorithm>
#include <array>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace edge::waf {
namespace {

constexpr size_t kAny = std::numeric_limits<size_t>::max();

constexpr DirectiveShape kDirectives[] = {
    {"Include"},
    {"SecAction"},
    {"SecArgumentSeparator"},
    {"SecArgumentsLimit"},
    {"SecAuditEngine"},
    {"SecAuditLog"},
    {"SecAuditLog2"},
    {"SecAuditLogDirMode"},
    {"SecAuditLogFileMode"},
    {"SecAuditLogFormat"},
    {"SecAuditLogParts"},
    {"SecAuditLogRelevantStatus"},
    {"SecAuditLogStorageDir"},
    {"SecAuditLogType"},
    {"SecCacheTransformations", 1, kAny},
    {"SecChrootDir"},
    {"SecCollectionTimeout"},
    {"SecComponentSignature"},
    {"SecConnEngine"},
    {"SecConnReadStateLimit", 1, kAny},
    {"SecConnWriteStateLimit", 1, kAny},
    {"SecContentInjection"},
    {"SecCookieFormat"},
    {"SecCookieV0Separator"},
    {"SecDataDir"},
    {"SecDebugLog"},
    {"SecDebugLogLevel"},
    {"SecDefaultAction"},
    {"SecDisableBackendCompression"},
    {"SecGeoLookupDb", 1, kAny},
    {"SecGsbLookupDb"},
    {"SecGuardianLog"},
    {"SecHashEngine"},
    {"SecHashKey", 1, 2},
    {"SecHashMethodPm", 2, 2},
    {"SecHashMethodRx", 2, 2},
    {"SecHashParam"},
    {"SecHttpBlKey"},
    {"SecInterceptOnError"},
    {"SecMarker"},
    {"SecParseXmlIntoArgs"},
    {"SecPcreMatchLimit"},
    {"SecPcreMatchLimitRecursion"},
    {"SecRemoteRules", 2, 2},
    {"SecRemoteRulesFailAction"},
    {"SecRequestBodyAccess"},
    {"SecRequestBodyInMemoryLimit"},
    {"SecRequestBodyJsonDepthLimit"},
    {"SecRequestBodyLimit"},
    {"SecRequestBodyLimitAction"},
    {"SecRequestBodyNoFilesLimit"},
    {"SecResponseBodyAccess"},
    {"SecResponseBodyLimit"},
    {"SecResponseBodyLimitAction"},
    {"SecResponseBodyMimeType", 1, kAny},
    {"SecResponseBodyMimeTypesClear", 0, 0},
    {"SecRule", 2, 3},
    {"SecRuleEngine"},
    {"SecRuleInheritance"},
    {"SecRulePerfTime"},
    {"SecRuleRemoveById", 1, kAny},
    {"SecRuleRemoveByMsg", 1, kAny},
    {"SecRuleRemoveByTag", 1, kAny},
    {"SecRuleScript", 1, 2},
    {"SecRuleUpdateActionById", 2, 2},
    {"SecRuleUpdateTargetById", 2, 2},
    {"SecRuleUpdateTargetByMsg", 2, 2},
    {"SecRuleUpdateTargetByTag", 2, 2},
    {"SecSensorId"},
    {"SecServerSignature"},
    {"SecStatusEngine"},
    {"SecStreamInBodyInspection"},
    {"SecStreamOutBodyInspection"},
    {"SecTmpDir"},
    {"SecTmpSaveUploadedFiles"},
    {"SecUnicodeMapFile", 1, kAny},
    {"SecUploadDir"},
    {"SecUploadFileLimit"},
    {"SecUploadFileMode"},
    {"SecUploadKeepFiles"},
    {"SecWebAppId"},
    {"SecXmlExternalEntity"},
};

// Longer names of a file are like none of ours, and would make the comparison slow.
constexpr size_t kComparedBytesMax = 64;

// How many letters must be changed, added or taken away (Levenshtein). `b` has at most
// kComparedBytesMax.
size_t Distance(std::string_view a, std::string_view b) {
  std::array<size_t, kComparedBytesMax + 1> row;
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const bool same = absl::ascii_tolower(static_cast<unsigned char>(a[i])) ==
                        absl::ascii_tolower(static_cast<unsigned char>(b[j]));
      const size_t changed = diagonal + (same ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

const DirectiveShape* FindDirective(std::string_view name) {
  const auto* found = std::find_if(
      std::begin(kDirectives), std::end(kDirectives),
      [name](const DirectiveShape& shape) { return absl::EqualsIgnoreCase(shape.name, name); });
  return found == std::end(kDirectives) ? nullptr : found;
}

std::string_view NearestDirective(std::string_view name) {
  name = name.substr(0, kComparedBytesMax);
  std::string_view nearest = kDirectives[0].name;
  size_t least = Distance(nearest, name);
  for (const DirectiveShape& shape : kDirectives) {
    // The lengths alone are that far apart.
    const size_t apart =
        std::max(shape.name.size(), name.size()) - std::min(shape.name.size(), name.size());
    if (apart >= least) continue;
    const size_t distance = Distance(shape.name, name);
    if (distance >= least) continue;
    least = distance;
    nearest = shape.name;
  }
  return nearest;
}

}  // namespace edge::waf
