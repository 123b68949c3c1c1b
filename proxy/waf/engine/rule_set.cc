#include "proxy/waf/engine/rule_set.h"

#include <utility>

#include "proxy/waf/engine/builtin_rules.h"
#include "proxy/waf/engine/program.h"
#include "proxy/waf/engine/rule_compiler.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {

RuleSet::RuleSet(std::unique_ptr<const Program> program) : program_(std::move(program)) {}
RuleSet::~RuleSet() = default;

absl::StatusOr<std::shared_ptr<const RuleSet>> RuleSet::Load(
    const std::vector<std::string>& patterns) {
  if (patterns.empty()) return Builtin();
  auto items = ParseRuleFiles(patterns);
  if (!items.ok()) return items.status();
  return FromItems(*items);
}

absl::StatusOr<std::shared_ptr<const RuleSet>> RuleSet::FromText(std::string_view text,
                                                                 std::string_view name) {
  auto items = ParseRuleText(text, name);
  if (!items.ok()) return items.status();
  return FromItems(*items);
}

absl::StatusOr<std::shared_ptr<const RuleSet>> RuleSet::Builtin() {
  return FromText(kBuiltinRules, "built-in");
}

absl::StatusOr<std::shared_ptr<const RuleSet>> RuleSet::FromItems(
    const std::vector<SourceItem>& items) {
  auto program = CompileRules(items);
  if (!program.ok()) return program.status();
  return FromProgram(*std::move(program));
}

std::shared_ptr<const RuleSet> RuleSet::FromProgram(std::unique_ptr<const Program> program) {
  return std::shared_ptr<const RuleSet>(new RuleSet(std::move(program)));
}

EngineMode RuleSet::mode() const { return program_->settings.mode; }
size_t RuleSet::rules() const { return program_->rules; }
const std::vector<std::string>& RuleSet::notes() const { return program_->notes; }

}  // namespace edge::waf
