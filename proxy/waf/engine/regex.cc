#include "proxy/waf/engine/regex.h"

#include <algorithm>
#include <iterator>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"

namespace edge::waf {
namespace {

// Values are bytes: to match what is not UTF-8 with an expression that asks for UTF, as (*UTF)
// does, is undefined. \C is of use with UTF only.
constexpr uint32_t kOptions = PCRE2_DOTALL | PCRE2_MULTILINE | PCRE2_NEVER_UTF |
                              PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;

// pcre2 takes no null pointer, which a view without bytes may have.
PCRE2_SPTR Bytes(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data() == nullptr ? "" : text.data());
}

// Of results; pcre2's own end before it.
constexpr int kLateCode = -1000;

// --- The steps of a search in a long subject
//
// One start costs in proportion to what is behind it, times the rounds of compiled code that are
// counted: not the bytes that a repeated character takes, but each time that such a repetition is
// entered. So both are the fewer the more is behind. 128 KiB of "<svg/" for <svg[^>]*on: 0.1 to
// 0.4 ms a start, 10 starts a step.
constexpr size_t kStepBytesMin = 64;
constexpr size_t kStepBytesMax = 512;
constexpr size_t StepBytes(size_t rest) {
  return std::clamp((size_t{8} << 20) / rest, kStepBytesMin, kStepBytesMax);
}
// A start that takes more is tried by the interpreter, which counts every byte: there kMatchLimit
// is some milliseconds, where a[^>]*b[^>]*c as compiled code can take 3 s for one start in 128 KiB.
constexpr size_t kRoundsMin = 32;
constexpr size_t kRoundsMax = 4096;
constexpr uint32_t Rounds(size_t rest) {
  return static_cast<uint32_t>(std::clamp((size_t{4} << 20) / rest, kRoundsMin, kRoundsMax));
}

// \G is the place where a search begins, and these verbs of an expression that fails say where it
// goes on, perhaps nowhere.
bool SaysWhereToGoOn(std::string_view pattern) {
  constexpr std::string_view kWords[] = {"\\G", "(*COMMIT", "(*SKIP"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](std::string_view word) { return pattern.find(word) != pattern.npos; });
}

Regex::Result ResultOf(int code, size_t& groups) {
  groups = 0;
  if (code == PCRE2_ERROR_NOMATCH) return Regex::Result::kNoMatch;
  if (code == kLateCode) return Regex::Result::kLate;
  // The others are limits: the subject is not taken for UTF-8, and the arguments are right.
  if (code < 0) return Regex::Result::kLimit;
  // 0: there were more groups than the scratch takes.
  groups = code == 0 ? RegexScratch::kGroupsMax : static_cast<size_t>(code);
  return Regex::Result::kMatch;
}

}  // namespace

RegexScratch::RegexScratch(Deadline deadline)
    : deadline(deadline),
      data_(pcre2_match_data_create(kGroupsMax, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      stack_(pcre2_jit_stack_create(kStackBytes, kStackBytesMax, nullptr)) {
  CHECK(data_ != nullptr && context_ != nullptr && stack_ != nullptr) << "no memory";
  pcre2_set_match_limit(context_, kMatchLimit);
  pcre2_set_heap_limit(context_, kHeapKibMax);
  pcre2_jit_stack_assign(context_, nullptr, stack_);
}

RegexScratch::~RegexScratch() {
  pcre2_jit_stack_free(stack_);
  pcre2_match_context_free(context_);
  pcre2_match_data_free(data_);
}

std::string_view RegexScratch::Group(size_t index, std::string_view subject) const {
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data_);
  const PCRE2_SIZE begin = offsets[2 * index];
  const PCRE2_SIZE end = offsets[2 * index + 1];
  // \K in a lookahead can put the begin behind the end.
  if (begin == PCRE2_UNSET || end > subject.size() || begin > end) return {};
  return subject.substr(begin, end - begin);
}

absl::StatusOr<std::unique_ptr<const Regex>> Regex::Compile(std::string_view pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(Bytes(pattern), pattern.size(), kOptions, &error, &offset, nullptr);
  if (code == nullptr) {
    char message[256];
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof(message));
    return absl::InvalidArgumentError(absl::StrCat(message, " at offset ", offset));
  }
  // Where memory may not be made executable there is no compiled code: matches are slower.
  const bool compiled = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  uint32_t options = 0;
  pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
  // An anchored one is tried at one start, and the next step would be another.
  const bool divisible = (options & PCRE2_ANCHORED) == 0 && !SaysWhereToGoOn(pattern);
  return std::unique_ptr<const Regex>(new Regex(code, compiled, divisible));
}

Regex::~Regex() { pcre2_code_free(code_); }

Regex::Result Regex::Find(std::string_view subject, size_t from, RegexScratch& scratch,
                          size_t& groups) const {
  const bool is_long = subject.size() > Deadline::kLongBytes;
  // Also between many short searches of one long subject.
  if (is_long && scratch.deadline.Look()) return ResultOf(kLateCode, groups);
  return ResultOf(is_long ? FindInSteps(subject, from, scratch) : Match(subject, from, scratch),
                  groups);
}

// The match is the same as of one search: all of the subject is seen in each step.
int Regex::FindInSteps(std::string_view subject, size_t from, RegexScratch& scratch) const {
  int code = PCRE2_ERROR_NOMATCH;
  while (code == PCRE2_ERROR_NOMATCH && from <= subject.size()) {
    const size_t rest = std::max<size_t>(subject.size() - from, 1);
    const size_t last =
        divisible_ ? std::min(from + StepBytes(rest) - 1, subject.size()) : subject.size();
    code = PCRE2_ERROR_MATCHLIMIT;
    if (compiled_) {
      pcre2_set_offset_limit(scratch.context_, last);
      pcre2_set_match_limit(scratch.context_, Rounds(rest));
      code = pcre2_jit_match(code_, Bytes(subject), subject.size(), from, 0, scratch.data_,
                             scratch.context_);
      pcre2_set_match_limit(scratch.context_, RegexScratch::kMatchLimit);
    }
    if (code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_JIT_STACKLIMIT) {
      code = InterpretStarts(subject, from, last, scratch);
    }
    from = last + 1;
    if (code == PCRE2_ERROR_NOMATCH && scratch.deadline.Look()) code = kLateCode;
  }
  pcre2_set_offset_limit(scratch.context_, PCRE2_UNSET);
  return code;
}

// One after the other, because each may take long.
int Regex::InterpretStarts(std::string_view subject, size_t from, size_t last,
                           RegexScratch& scratch) const {
  int code = PCRE2_ERROR_NOMATCH;
  while (code == PCRE2_ERROR_NOMATCH && from <= last) {
    if (scratch.deadline.Look()) return kLateCode;
    const size_t until = divisible_ ? from : last;
    pcre2_set_offset_limit(scratch.context_, until);
    code = pcre2_match(code_, Bytes(subject), subject.size(), from, PCRE2_NO_JIT, scratch.data_,
                       scratch.context_);
    from = until + 1;
  }
  return code;
}

int Regex::Match(std::string_view subject, size_t from, RegexScratch& scratch) const {
  int code = PCRE2_ERROR_JIT_STACKLIMIT;
  if (compiled_) {
    code = pcre2_jit_match(code_, Bytes(subject), subject.size(), from, 0, scratch.data_,
                           scratch.context_);
  }
  if (code == PCRE2_ERROR_JIT_STACKLIMIT) {
    code = pcre2_match(code_, Bytes(subject), subject.size(), from, PCRE2_NO_JIT, scratch.data_,
                       scratch.context_);
  }
  return code;
}

Regex::Result Regex::FindNonEmptyAt(std::string_view subject, size_t from, RegexScratch& scratch,
                                    size_t& groups) const {
  const int code =
      pcre2_match(code_, Bytes(subject), subject.size(), from,
                  PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED, scratch.data_, scratch.context_);
  return ResultOf(code, groups);
}

}  // namespace edge::waf
