// What rules refer to: one variable with its selector (Target), and texts with %{...} in them
// (Macro), with all names looked up.
//
// Made by the compiler; immutable.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/operator.h"
#include "proxy/waf/engine/rule_source.h"
#include "proxy/waf/engine/variable.h"

namespace edge::waf {

class StoredNames;
struct Macro;

// `ARGS`, `REQUEST_HEADERS:Host`, `&TX:/^a/`. What it selects is without regard to case, but for
// elements of XML.
struct Target {
  enum class Selector : uint8_t {
    kAll,
    kName,
    kSubstring,  // a regular expression that is only letters: found by comparing
    kRegex,
    kMacro,  // a name with macros
  };
  Variable variable = Variable::kArgs;
  bool count = false;
  Selector selector = Selector::kAll;
  std::string key;  // as it was written; of kSubstring in lower case
  std::shared_ptr<const Operator> regex;
  std::shared_ptr<const Macro> name;
  int slot = -1;  // of a stored variable with a constant name: in StoredNames
};

// A text, and for each piece of it either bytes or a variable whose first value stands there.
struct Macro {
  struct Piece {
    std::string text;
    std::unique_ptr<const Target> variable;
  };
  std::vector<Piece> pieces;

  bool empty() const { return pieces.empty(); }
  bool constant() const {
    return pieces.empty() || (pieces.size() == 1 && pieces[0].variable == nullptr);
  }
  // Of a constant one.
  std::string_view text() const {
    return pieces.empty() ? std::string_view() : std::string_view(pieces[0].text);
  }
};

// Names of TX, IP, and so on that stand in the rules, each with a place of its own (a slot), so
// that a transaction need not look for them. Slots 0 to 9 are TX:0 to TX:9. Names are without
// regard to case.
class StoredNames {
 public:
  StoredNames();

  // The slot of a name, which is made if there is none.
  int Add(Variable collection, std::string_view name);
  // -1: none.
  int Find(Variable collection, std::string_view name) const;
  static size_t Hash(Variable collection, std::string_view name);

  size_t size() const { return names_.size(); }
  Variable collection(int slot) const { return names_[static_cast<size_t>(slot)].collection; }
  std::string_view name(int slot) const { return names_[static_cast<size_t>(slot)].name; }

 private:
  struct Name {
    Variable collection;
    std::string name;
  };
  void Place(int slot);

  std::vector<Name> names_;
  std::vector<int> table_;  // open addressing; -1: free
};

// `text` may have macros. Errors: SourceError.
absl::StatusOr<Macro> CompileMacro(std::string_view text, const SourceLocation& where,
                                   StoredNames& names);
absl::StatusOr<Target> CompileTarget(const VariableSource& source, const SourceLocation& where,
                                     StoredNames& names);
// Whether a member of a collection is one that `target` selects; not for kMacro.
bool Selects(const Target& target, std::string_view key, OperatorScratch& scratch);

}  // namespace edge::waf
