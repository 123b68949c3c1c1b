// The rules of SecLang files, compiled once: an immutable program that all threads share. One for
// each configuration snapshot.
//
//   files --ParseRuleFiles--> sources --compile--> RuleSet <--- Transaction (one for each request)
//
// Loading: control thread only. Everything else: any thread.

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/rule_source.h"

namespace edge::waf {

enum class EngineMode : uint8_t { kOff, kDetectionOnly, kOn };

class Program;  // program.h: rules, chains of transformations, the prefilter

class RuleSet {
 public:
  // Errors are one line: file, line, what was found and what was expected.
  // No patterns: the built-in set.
  static absl::StatusOr<std::shared_ptr<const RuleSet>> Load(
      const std::vector<std::string>& patterns);
  static absl::StatusOr<std::shared_ptr<const RuleSet>> FromText(std::string_view text,
                                                                 std::string_view name);
  // A small set of edge's own, that denies the plainest attacks.
  static absl::StatusOr<std::shared_ptr<const RuleSet>> Builtin();
  static std::shared_ptr<const RuleSet> FromProgram(std::unique_ptr<const Program> program);
  ~RuleSet();

  // SecRuleEngine, as the files say it; --waf overrides it.
  EngineMode mode() const;
  size_t rules() const;
  // What was left out or has no effect here, a line each, for the log.
  const std::vector<std::string>& notes() const;
  const Program& program() const { return *program_; }

 private:
  static absl::StatusOr<std::shared_ptr<const RuleSet>> FromItems(
      const std::vector<SourceItem>& items);
  explicit RuleSet(std::unique_ptr<const Program> program);

  std::unique_ptr<const Program> program_;
};

}  // namespace edge::waf
