#include "proxy/waf/engine/hyperscan.h"

#include <algorithm>
#include <vector>

#include "absl/base/no_destructor.h"
#include "absl/base/thread_annotations.h"
#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"

namespace edge::waf {
namespace {

// The scratch that threads clone. Fits all databases made so far, those that are gone too.
class Prototype {
 public:
  static Prototype& Get() {
    static absl::NoDestructor<Prototype> prototype;
    return *prototype;
  }

  // Returns the generation from which on the prototype fits; 0: no memory.
  uint64_t Fit(const hs_database_t* database) {
    absl::MutexLock lock(&mutex_);
    if (hs_alloc_scratch(database, &scratch_) != HS_SUCCESS) return 0;
    return ++generation_;
  }

  uint64_t Clone(hs_scratch_t** scratch) {
    absl::MutexLock lock(&mutex_);
    CHECK_EQ(hs_clone_scratch(scratch_, scratch), HS_SUCCESS) << "no memory";
    return generation_;
  }

 private:
  absl::Mutex mutex_;
  hs_scratch_t* scratch_ ABSL_GUARDED_BY(mutex_) = nullptr;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A regular expression of the same bytes.
std::string Escape(std::string_view literal) {
  std::string expression;
  for (const unsigned char c : literal) {
    if (absl::ascii_isalnum(c)) {
      expression.push_back(static_cast<char>(c));
    } else {
      absl::StrAppendFormat(&expression, "\\x%02x", c);
    }
  }
  return expression;
}

}  // namespace

absl::StatusOr<std::unique_ptr<const HyperscanDatabase>> HyperscanDatabase::Adopt(
    hs_database_t* database) {
  const uint64_t generation = Prototype::Get().Fit(database);
  if (generation == 0) {
    hs_free_database(database);
    return absl::ResourceExhaustedError("no memory to scan with");
  }
  return std::unique_ptr<const HyperscanDatabase>(new HyperscanDatabase(database, generation));
}

absl::StatusOr<std::unique_ptr<const HyperscanDatabase>> HyperscanDatabase::OfLiterals(
    std::span<const std::string> literals) {
  // What is made for literals is a third of the size and of the time of a scan, but refuses one
  // that begins with a NUL: with such a one they are all written as regular expressions.
  const bool escape = std::any_of(literals.begin(), literals.end(),
                                  [](const std::string& text) { return text.starts_with('\0'); });
  std::vector<std::string> expressions;
  for (const std::string& literal : literals) {
    expressions.push_back(escape ? Escape(literal) : literal);
  }
  std::vector<const char*> texts;
  std::vector<size_t> lengths;
  std::vector<unsigned> ids;
  for (const std::string& expression : expressions) {
    ids.push_back(static_cast<unsigned>(ids.size()));
    texts.push_back(expression.c_str());
    lengths.push_back(expression.size());
  }
  const std::vector<unsigned> flags(literals.size(), HS_FLAG_CASELESS);
  const auto count = static_cast<unsigned>(literals.size());
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  const hs_error_t result =
      escape ? hs_compile_multi(texts.data(), flags.data(), ids.data(), count, HS_MODE_BLOCK,
                                nullptr, &database, &error)
             : hs_compile_lit_multi(texts.data(), flags.data(), ids.data(), lengths.data(), count,
                                    HS_MODE_BLOCK, nullptr, &database, &error);
  if (result != HS_SUCCESS) {
    absl::Status status = absl::InvalidArgumentError(absl::StrCat("hyperscan: ", error->message));
    hs_free_compile_error(error);
    return status;
  }
  return Adopt(database);
}

HyperscanDatabase::~HyperscanDatabase() { hs_free_database(database_); }

HyperscanScratch::~HyperscanScratch() { hs_free_scratch(scratch_); }

hs_scratch_t* HyperscanScratch::For(const HyperscanDatabase& database) {
  if (generation_ < database.generation_) {
    hs_free_scratch(scratch_);
    scratch_ = nullptr;
    generation_ = Prototype::Get().Clone(&scratch_);
  }
  return scratch_;
}

}  // namespace edge::waf
