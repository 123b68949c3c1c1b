#include "proxy/waf/engine/operator.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "proxy/waf/engine/operator_internal.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf {
namespace {

// A file of words or addresses beyond this is a mistake: it would be in memory several times over.
constexpr size_t kArgumentFileBytesMax = 64 << 20;

// Operators that say the same of every value.
class Constant : public Operator {
 public:
  Constant(bool matches, std::string_view note) : matches_(matches), note_(note) {}

  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    operators::Begin(scratch);
    return matches_ && operators::Matched(scratch, value);
  }
  std::string_view Note() const override { return note_; }

 private:
  const bool matches_;
  const std::string_view note_;
};

operators::Made MakeConstant(std::string_view name, std::string_view, const SourceLocation&) {
  std::string_view note;
  if (name == "geolookup") note = "@geoLookup never matches: there is no database of places";
  if (name == "rbl") note = "@rbl never matches: inspection does not wait for the network";
  return std::make_unique<Constant>(name == "unconditionalmatch", note);
}

// What would run programs, wait for the network, or need libraries that edge does not have; and
// what libmodsecurity has the name of only (gsbLookup, rsub, validateHash). Rules that rely on one
// would be without effect, so they are refused, but for those that the Core Rule Set has.
operators::Made Refuse(std::string_view name, std::string_view, const SourceLocation& where) {
  return SourceError(where, absl::StrCat("found operator @", name,
                                         ", which is not supported; expected another one"));
}

struct Entry {
  std::string_view name;
  operators::Made (*make)(std::string_view, std::string_view, const SourceLocation&);
};

constexpr Entry kEntries[] = {
    {"beginswith", operators::MakeTextOperator},
    {"contains", operators::MakeTextOperator},
    {"containsword", operators::MakeTextOperator},
    {"detectsqli", operators::MakeInjectionOperator},
    {"detectxss", operators::MakeInjectionOperator},
    {"endswith", operators::MakeTextOperator},
    {"eq", operators::MakeNumberOperator},
    {"fuzzyhash", Refuse},
    {"ge", operators::MakeNumberOperator},
    {"geolookup", MakeConstant},
    {"gsblookup", Refuse},
    {"gt", operators::MakeNumberOperator},
    {"inspectfile", Refuse},
    {"ipmatch", operators::MakeAddressOperator},
    {"ipmatchf", operators::MakeAddressOperator},
    {"ipmatchfromfile", operators::MakeAddressOperator},
    {"le", operators::MakeNumberOperator},
    {"lt", operators::MakeNumberOperator},
    {"nomatch", MakeConstant},
    {"pm", operators::MakePhraseOperator},
    {"pmf", operators::MakePhraseOperator},
    {"pmfromfile", operators::MakePhraseOperator},
    {"rbl", MakeConstant},
    {"rsub", Refuse},
    {"rx", operators::MakeRegexOperator},
    {"rxglobal", operators::MakeRegexOperator},
    {"streq", operators::MakeTextOperator},
    {"strmatch", operators::MakeTextOperator},
    {"unconditionalmatch", MakeConstant},
    {"validatebyterange", operators::MakeValidateOperator},
    {"validatedtd", Refuse},
    {"validatehash", Refuse},
    {"validateschema", Refuse},
    {"validateurlencoding", operators::MakeValidateOperator},
    {"validateutf8encoding", operators::MakeValidateOperator},
    {"verifycc", operators::MakeVerifyOperator},
    {"verifycpf", operators::MakeVerifyOperator},
    {"verifyssn", operators::MakeVerifyOperator},
    {"verifysvnr", operators::MakeVerifyOperator},
    {"within", operators::MakeTextOperator},
};

}  // namespace

OperatorScratch::OperatorScratch() : memory_(std::make_unique<Memory>()) {}
OperatorScratch::~OperatorScratch() = default;

Deadline& OperatorScratch::deadline() { return memory_->regex.deadline; }

absl::StatusOr<std::unique_ptr<Operator>> MakeOperator(std::string_view name,
                                                       std::string_view argument,
                                                       const SourceLocation& where) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.make(name, argument, where);
  }
  return SourceError(where, absl::StrCat("found operator @", name,
                                         "; expected one of the reference manual, like @rx"));
}

namespace operators {

absl::StatusOr<std::string> ReadArgumentFile(std::string_view name, const SourceLocation& where) {
  const std::filesystem::path path =
      std::filesystem::path(where.file).parent_path() / std::filesystem::path(name);
  std::error_code error;
  const uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) {
    return SourceError(where, absl::StrCat("found ", error.message(), " for '", path.string(),
                                           "'; expected a file that can be read"));
  }
  if (bytes > kArgumentFileBytesMax) {
    return SourceError(where, absl::StrCat("found ", bytes, " bytes in '", path.string(),
                                           "'; expected at most ", kArgumentFileBytesMax));
  }
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad() || !in.is_open()) {
    return SourceError(where, absl::StrCat("found that '", path.string(),
                                           "' cannot be read; expected a file that can be"));
  }
  return text;
}

}  // namespace operators
}  // namespace edge::waf
