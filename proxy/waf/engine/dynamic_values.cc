// Variables that change while rules run, and texts that are put together of variables.

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "proxy/waf/engine/transaction_state.h"

namespace edge::waf {
namespace {

constexpr size_t kKeyBytesMax = 1024;

bool Excluded(const std::vector<Target>* exclusions, const DynamicItem& item,
              OperatorScratch& scratch) {
  return exclusions != nullptr &&
         std::any_of(exclusions->begin(), exclusions->end(), [&](const Target& exclusion) {
           return exclusion.variable == item.variable && Selects(exclusion, item.key, scratch);
         });
}

}  // namespace

std::string_view Transaction::State::Number(int64_t number) {
  char digits[21];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
  return arena.Copy({digits, static_cast<size_t>(end - digits)});
}

// All that `target` selects, static or not, without what is excluded; or their number.
void Transaction::State::AppendMembers(const Target& target, const std::vector<Target>* exclusions,
                                       std::vector<DynamicItem>& to) {
  const size_t begin = to.size();
  if (IsStored(target.variable)) {
    AppendStored(target, to);
  } else if (InfoOf(target.variable).dynamic) {
    AppendDynamic(target, to);
  } else {
    std::string_view name = target.key;
    if (target.selector == Target::Selector::kMacro) name = Expand(*target.name, kKeyBytesMax);
    members.clear();
    variables.Append(target.variable, members);
    for (const Member& member : members) {
      const bool selected = target.selector == Target::Selector::kMacro
                                ? absl::EqualsIgnoreCase(member.key, name)
                                : Selects(target, member.key, memory->operators);
      if (selected) {
        to.push_back({.variable = target.variable, .key = member.key, .value = member.value});
      }
    }
  }
  if (exclusions != nullptr && !exclusions->empty()) {
    to.erase(std::remove_if(to.begin() + static_cast<ptrdiff_t>(begin), to.end(),
                            [&](const DynamicItem& item) {
                              return Excluded(exclusions, item, memory->operators);
                            }),
             to.end());
  }
  if (!target.count) return;
  const auto count = static_cast<int64_t>(to.size() - begin);
  to.resize(begin);
  to.push_back({.variable = target.variable, .key = target.key, .value = Number(count)});
}

void Transaction::State::AppendStored(const Target& target, std::vector<DynamicItem>& to) {
  const auto add = [&](std::string_view name, std::string_view value) {
    to.push_back({.variable = target.variable, .key = name, .value = value});
  };
  std::string_view name = target.key;
  switch (target.selector) {
    case Target::Selector::kMacro:
      name = Expand(*target.name, kKeyBytesMax);
      [[fallthrough]];
    case Target::Selector::kName: {
      const int slot = target.slot >= 0 ? target.slot : stored.Find(target.variable, name);
      if (const auto value = slot < 0 ? std::nullopt : stored.Get(slot)) {
        add(name, *value);
      } else if (target.variable == Variable::kEnv) {
        const std::string variable(name);
        if (const char* text = std::getenv(variable.c_str())) add(name, text);
      }
      return;
    }
    case Target::Selector::kAll:
    case Target::Selector::kSubstring:
    case Target::Selector::kRegex:
      stored.ForEach(target.variable, [&](std::string_view key, std::string_view value) {
        if (Selects(target, key, memory->operators)) add(key, value);
      });
      if (target.variable == Variable::kEnv) {
        for (char** entry = environ; *entry != nullptr; ++entry) {
          const std::string_view text = *entry;
          const size_t equals = text.find('=');
          if (equals == text.npos || !Selects(target, text.substr(0, equals), memory->operators)) {
            continue;
          }
          add(text.substr(0, equals), text.substr(equals + 1));
        }
      }
      return;
  }
}

void Transaction::State::AppendDynamic(const Target& target, std::vector<DynamicItem>& to) {
  const auto add = [&](std::string_view value) {
    to.push_back({.variable = target.variable, .key = {}, .value = value});
  };
  switch (target.variable) {
    case Variable::kMatchedVar:
      return add(matched.empty() ? std::string_view() : matched.back().value);
    case Variable::kMatchedVarName:
      return add(matched.empty() ? std::string_view() : matched.back().name);
    case Variable::kMatchedVars:
    case Variable::kMatchedVarsNames:
      for (const MatchedValue& match : matched) {
        if (!Selects(target, match.name, memory->operators)) continue;
        to.push_back({.variable = target.variable,
                      .key = match.name,
                      .value = target.variable == Variable::kMatchedVars ? match.value  //
                                                                         : match.name});
      }
      return;
    case Variable::kRule:
      return AppendRule(target, to);
    case Variable::kHighestSeverity:
      return add(Number(highest_severity));
    case Variable::kMscPcreError:
    case Variable::kMscPcreLimitsExceeded:
      return add(pcre_limit_exceeded ? "1" : "0");
    case Variable::kReqbodyProcessor:
      return add(BodyProcessorName(processor));
    case Variable::kSessionId:
      return add(session_id);
    case Variable::kUserId:
      return add(user_id);
    case Variable::kDuration: {
      const int64_t now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                 std::chrono::steady_clock::now().time_since_epoch())
                                 .count();
      // Seconds, as libmodsecurity 3 has it.
      char text[32];
      const int bytes =
          absl::SNPrintF(text, sizeof text, "%.6f", static_cast<double>(now_us - begin_us) * 1e-6);
      return add(arena.Copy({text, static_cast<size_t>(bytes)}));
    }
    case Variable::kGeo:  // no database
      return;
    default:
      return AppendTime(target.variable, to);
  }
}

void Transaction::State::AppendTime(Variable variable, std::vector<DynamicItem>& to) {
  const auto seconds = static_cast<time_t>(variables.request().time_unix_us / 1'000'000);
  tm local = {};
  localtime_r(&seconds, &local);
  std::string_view value;
  switch (variable) {
    case Variable::kTime: {
      char text[16];
      const size_t bytes = strftime(text, sizeof text, "%H:%M:%S", &local);
      value = arena.Copy({text, bytes});
      break;
    }
    case Variable::kTimeDay:
      value = Number(local.tm_mday);
      break;
    case Variable::kTimeEpoch:
      value = Number(seconds);
      break;
    case Variable::kTimeHour:
      value = Number(local.tm_hour);
      break;
    case Variable::kTimeMin:
      value = Number(local.tm_min);
      break;
    case Variable::kTimeMon:
      value = Number(local.tm_mon);
      break;
    case Variable::kTimeSec:
      value = Number(local.tm_sec);
      break;
    case Variable::kTimeWday:
      value = Number(local.tm_wday);
      break;
    case Variable::kTimeYear:
      value = Number(local.tm_year + 1900);
      break;
    default:
      return;
  }
  to.push_back({.variable = variable, .key = {}, .value = value});
}

// RULE:id and so on, of the rule that is run, or of the nearest before it in its chain that has it.
void Transaction::State::AppendRule(const Target& target, std::vector<DynamicItem>& to) {
  if (current_rule == nullptr) return;
  // Texts may not ask for themselves.
  const auto constant = [](const Macro& macro) {
    return macro.constant() ? macro.text() : std::string_view();
  };
  for (const std::string_view name : {"id", "rev", "severity", "logdata", "msg"}) {
    if (!Selects(target, name, memory->operators)) continue;
    std::string_view value;
    for (const Rule* rule = current_rule; rule >= first_rule && value.empty(); --rule) {
      if (name == "id") {
        value = Number(rule->id);
      } else if (name == "rev") {
        value = rule->revision;
      } else if (name == "severity") {
        if (rule->severity >= 0) value = Number(rule->severity);
      } else {
        value = constant(name == "msg" ? rule->message : rule->log_data);
      }
    }
    if (!value.empty()) to.push_back({.variable = target.variable, .key = name, .value = value});
  }
}

std::string_view Transaction::State::FirstValue(const Target& target) {
  if (target.slot >= 0 && target.variable != Variable::kEnv && !target.count) {
    return stored.Get(target.slot).value_or("");
  }
  const size_t begin = macro_items.size();
  AppendMembers(target, nullptr, macro_items);
  const std::string_view value =
      macro_items.size() > begin ? macro_items[begin].value : std::string_view();
  macro_items.resize(begin);
  return value;
}

std::string_view Transaction::State::Expand(const Macro& macro, size_t bytes_max) {
  if (macro.constant()) return macro.text();
  if (macro.pieces.size() == 1) return FirstValue(*macro.pieces[0].variable);
  // Pieces are worked out first: they allocate, too, and may have macros themselves.
  const size_t first = macro_texts.size();
  size_t bytes = 0;
  for (const Macro::Piece& piece : macro.pieces) {
    std::string_view text =
        piece.variable == nullptr ? std::string_view(piece.text) : FirstValue(*piece.variable);
    text = text.substr(0, bytes_max - bytes);
    bytes += text.size();
    macro_texts.push_back(text);
  }
  char* const begin = arena.Allocate(bytes);
  char* at = begin;
  for (size_t i = first; i < macro_texts.size(); ++i) {
    at = std::copy(macro_texts[i].begin(), macro_texts[i].end(), at);
  }
  macro_texts.resize(first);
  return {begin, bytes};
}

}  // namespace edge::waf
