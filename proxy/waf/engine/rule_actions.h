// The actions of one rule, read: names looked up, numbers and macros parsed. What needs other rules
// (block, ids, markers) stays as it was written, for the compiler.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/rule_source.h"

namespace edge::waf {

// Of one rule; no set has a tenth of it.
inline constexpr size_t kTransformationsMax = 64;

// Rules that an exclusion names.
struct RuleSelection {
  enum class By : uint8_t { kId, kTag, kMessage };
  By by = By::kId;
  std::vector<std::pair<int64_t, int64_t>> ids;  // ranges, both ends in them
  std::string text;                              // of a tag or message: equal
};

struct RuleActions {
  std::optional<int64_t> id;
  std::optional<int> phase;
  bool chained = false;
  bool capture = false;
  bool multi_match = false;
  // t:none takes away what stands before it, SecDefaultAction's too.
  bool transformations_reset = false;
  std::vector<Transformation> transformations;
  std::vector<SetVariable> set_variables;
  std::vector<Action> actions;
  // Of `actions` with these indexes.
  std::vector<std::pair<size_t, RuleSelection>> selections;
  std::vector<std::pair<size_t, std::string>> markers;
  std::optional<Disruption> disruption;  // kNone: pass
  bool block = false;
  std::optional<uint16_t> status;
  Macro redirect;
  std::optional<Macro> message;
  std::string message_text;
  std::optional<Macro> log_data;
  std::vector<Macro> tags;
  std::vector<std::string> tag_texts;
  std::optional<int> severity;
  std::string revision;
  std::string version;
  std::optional<bool> logged;
  std::vector<std::string> notes;
};

// Errors: SourceError.
absl::StatusOr<RuleActions> ReadRuleActions(const std::vector<ActionSource>& sources,
                                            const SourceLocation& where, StoredNames& names);
// "12", "12-20 30", with commas or blanks between.
absl::StatusOr<std::vector<std::pair<int64_t, int64_t>>> ReadRuleIds(std::string_view text,
                                                                     const SourceLocation& where);

}  // namespace edge::waf
