#include "proxy/waf/engine/rule_settings.h"

#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

// Of the compiler.
constexpr std::string_view kOfRules[] = {
    "SecMarker",
    "SecDefaultAction",
    "SecRuleRemoveById",
    "SecRuleRemoveByMsg",
    "SecRuleRemoveByTag",
    "SecRuleUpdateActionById",
    "SecRuleUpdateTargetById",
    "SecRuleUpdateTargetByMsg",
    "SecRuleUpdateTargetByTag",
};

// Which libmodsecurity 3 refuses too, or which would change what is decided.
constexpr std::string_view kRefused[] = {
    "SecCacheTransformations",
    "SecChrootDir",
    "SecConnEngine",
    "SecConnReadStateLimit",
    "SecConnWriteStateLimit",
    "SecContentInjection",
    "SecCookieV0Separator",
    "SecDisableBackendCompression",
    "SecGsbLookupDb",
    "SecGuardianLog",
    "SecHashEngine",
    "SecHashKey",
    "SecHashMethodPm",
    "SecHashMethodRx",
    "SecHashParam",
    "SecInterceptOnError",
    "SecRemoteRules",
    "SecRemoteRulesFailAction",
    "SecRuleInheritance",
    "SecRulePerfTime",
    "SecRuleScript",
    "SecSensorId",
    "SecServerSignature",
    "SecStreamInBodyInspection",
    "SecStreamOutBodyInspection",
};

// Larger bodies are never inspected.
constexpr uint64_t kBodyBytesMax = uint64_t{1} << 30;

class Reader {
 public:
  explicit Reader(const DirectiveSource& directive) : directive_(directive) {}

  std::string_view argument() const {
    return directive_.arguments.empty() ? std::string_view() : directive_.arguments.front();
  }
  bool Is(std::string_view name) const { return directive_.name == name; }

  absl::Status Unexpected(std::string_view expected) const {
    return SourceError(directive_.where, absl::StrCat("found ", directive_.name, " ", argument(),
                                                      "; expected ", expected));
  }
  absl::Status Number(uint64_t max, uint64_t& number) const {
    if (absl::SimpleAtoi(argument(), &number) && number <= max) return absl::OkStatus();
    return Unexpected(absl::StrCat("a number up to ", max));
  }
  // "path 20127": the file is not read, but a mistake in its name is one all the same.
  absl::Status CheckUnicodeMap() const {
    const std::string all = absl::StrJoin(directive_.arguments, " ");
    const size_t blank = all.rfind(' ');
    uint32_t page;
    if (blank == all.npos || !absl::SimpleAtoi(all.substr(blank + 1), &page)) {
      return Unexpected("a file and a code page, like unicode.mapping 20127");
    }
    std::filesystem::path path = all.substr(0, blank);
    if (path.is_relative()) {
      path = std::filesystem::path(directive_.where.file).parent_path() / path;
    }
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      return SourceError(directive_.where, absl::StrCat("found no file ", path.string(),
                                                        "; expected the map of code pages"));
    }
    return absl::OkStatus();
  }
  absl::Status OnOff(bool& on) const {
    if (absl::EqualsIgnoreCase(argument(), "on")) {
      on = true;
    } else if (absl::EqualsIgnoreCase(argument(), "off")) {
      on = false;
    } else {
      return Unexpected("On or Off");
    }
    return absl::OkStatus();
  }
  absl::Status Action(LimitAction& action) const {
    if (absl::EqualsIgnoreCase(argument(), "reject")) {
      action = LimitAction::kReject;
    } else if (absl::EqualsIgnoreCase(argument(), "processpartial")) {
      action = LimitAction::kProcessPartial;
    } else {
      return Unexpected("Reject or ProcessPartial");
    }
    return absl::OkStatus();
  }
  absl::Status Mode(EngineMode& mode) const {
    if (absl::EqualsIgnoreCase(argument(), "on")) {
      mode = EngineMode::kOn;
    } else if (absl::EqualsIgnoreCase(argument(), "off")) {
      mode = EngineMode::kOff;
    } else if (absl::EqualsIgnoreCase(argument(), "detectiononly")) {
      mode = EngineMode::kDetectionOnly;
    } else {
      return Unexpected("On, Off or DetectionOnly");
    }
    return absl::OkStatus();
  }

 private:
  const DirectiveSource& directive_;
};

}  // namespace

absl::StatusOr<bool> ReadSetting(const DirectiveSource& directive, EngineSettings& settings,
                                 std::vector<std::string>& notes) {
  for (const std::string_view name : kOfRules) {
    if (directive.name == name) return false;
  }
  for (const std::string_view name : kRefused) {
    if (directive.name == name) {
      return SourceError(directive.where,
                         absl::StrCat("found ", name, "; expected a directive that is supported"));
    }
  }
  const Reader reader(directive);
  absl::Status status;
  uint64_t number = 0;
  if (reader.Is("SecRuleEngine")) {
    status = reader.Mode(settings.mode);
  } else if (reader.Is("SecRequestBodyAccess")) {
    status = reader.OnOff(settings.request_body_access);
  } else if (reader.Is("SecResponseBodyAccess")) {
    status = reader.OnOff(settings.response_body_access);
  } else if (reader.Is("SecRequestBodyLimit")) {
    status = reader.Number(kBodyBytesMax, settings.request_body_bytes_max.emplace());
  } else if (reader.Is("SecRequestBodyNoFilesLimit")) {
    status = reader.Number(kBodyBytesMax, settings.request_body_no_files_bytes_max.emplace());
  } else if (reader.Is("SecResponseBodyLimit")) {
    status = reader.Number(kBodyBytesMax, settings.response_body_bytes_max.emplace());
  } else if (reader.Is("SecRequestBodyLimitAction")) {
    status = reader.Action(settings.request_body_limit_action);
  } else if (reader.Is("SecResponseBodyLimitAction")) {
    status = reader.Action(settings.response_body_limit_action);
  } else if (reader.Is("SecUploadKeepFiles")) {
    // RelevantOnly keeps some.
    settings.upload_keep_files = !absl::EqualsIgnoreCase(reader.argument(), "off");
  } else if (reader.Is("SecUploadFileLimit")) {
    status = reader.Number(UINT32_MAX, number);
    settings.upload_files_max = number;
  } else if (reader.Is("SecRequestBodyJsonDepthLimit")) {
    status = reader.Number(100'000, number);
    settings.json_depth_max = number;
  } else if (reader.Is("SecArgumentsLimit")) {
    status = reader.Number(1'000'000, number);
    settings.arguments_max = number;
  } else if (reader.Is("SecArgumentSeparator")) {
    if (reader.argument().size() != 1) return reader.Unexpected("one character");
    settings.argument_separator = reader.argument().front();
  } else if (reader.Is("SecResponseBodyMimeType")) {
    settings.response_mime_types = directive.arguments;
  } else if (reader.Is("SecResponseBodyMimeTypesClear")) {
    settings.response_mime_types.emplace();
  } else if (reader.Is("SecWebAppId")) {
    settings.web_app_id = reader.argument();
  } else if (reader.Is("SecUnicodeMapFile")) {
    status = reader.CheckUnicodeMap();
    notes.push_back(absl::StrCat(directive.where.file, ":", directive.where.line,
                                 ": SecUnicodeMapFile: t:urlDecodeUni has a map of its own"));
  } else if (reader.Is("SecComponentSignature")) {
    // Names the rule set, for an audit log.
  } else if (reader.Is("SecCollectionTimeout")) {
    status = reader.Number(UINT32_MAX, number);
    notes.push_back(absl::StrCat(directive.where.file, ":", directive.where.line,
                                 ": SecCollectionTimeout: collections last for one request"));
  } else {
    notes.push_back(absl::StrCat(directive.where.file, ":", directive.where.line, ": ",
                                 directive.name, " has no effect here"));
  }
  if (!status.ok()) return status;
  return true;
}

}  // namespace edge::waf
