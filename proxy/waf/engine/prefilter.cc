#include "proxy/waf/engine/prefilter.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "hs.h"

namespace edge::waf {
namespace {

// Values are never so long; Hyperscan's lengths are of 32 bits.
constexpr size_t kValueBytesMax = std::numeric_limits<unsigned>::max();

}  // namespace

PrefilterScratch::~PrefilterScratch() { hs_free_scratch(scratch_); }

void Prefilter::Free::operator()(hs_database* database) const { hs_free_database(database); }

absl::StatusOr<Prefilter> Prefilter::Build(
    const std::vector<std::vector<std::string>>& candidates) {
  std::vector<const char*> literals;
  std::vector<unsigned> flags;
  std::vector<unsigned> numbers;
  std::vector<size_t> sizes;
  for (size_t i = 0; i < candidates.size(); ++i) {
    for (const std::string& literal : candidates[i]) {
      literals.push_back(literal.data());
      flags.push_back(HS_FLAG_CASELESS | HS_FLAG_SINGLEMATCH);
      numbers.push_back(static_cast<unsigned>(i));
      sizes.push_back(literal.size());
    }
  }
  Prefilter prefilter;
  prefilter.candidates_ = candidates.size();
  if (literals.empty()) return prefilter;
  hs_database_t* database = nullptr;
  hs_compile_error_t* error = nullptr;
  const hs_error_t result = hs_compile_lit_multi(
      literals.data(), flags.data(), numbers.data(), sizes.data(),
      static_cast<unsigned>(literals.size()), HS_MODE_BLOCK, nullptr, &database, &error);
  if (result != HS_SUCCESS) {
    absl::Status status = absl::InternalError(absl::StrCat("hyperscan: ", error->message));
    hs_free_compile_error(error);
    return status;
  }
  prefilter.database_.reset(database);
  return prefilter;
}

absl::Status Prefilter::Prepare(PrefilterScratch& scratch) const {
  if (database_ == nullptr) return absl::OkStatus();
  if (const hs_error_t error = hs_alloc_scratch(database_.get(), &scratch.scratch_);
      error != HS_SUCCESS) {
    return absl::ResourceExhaustedError(absl::StrCat("hs_alloc_scratch: error ", error));
  }
  return absl::OkStatus();
}

bool Prefilter::Scan(std::string_view value, PrefilterScratch& scratch,
                     absl::FunctionRef<void(uint16_t)> found) const {
  if (value.empty() || database_ == nullptr) return true;
  if (value.size() > kValueBytesMax) return false;
  constexpr auto kReport = [](unsigned id, unsigned long long, unsigned long long, unsigned,
                              void* context) {
    (*static_cast<absl::FunctionRef<void(uint16_t)>*>(context))(static_cast<uint16_t>(id));
    return 0;
  };
  return hs_scan(database_.get(), value.data(), static_cast<unsigned>(value.size()), 0,
                 scratch.scratch_, kReport, &found) == HS_SUCCESS;
}

}  // namespace edge::waf
