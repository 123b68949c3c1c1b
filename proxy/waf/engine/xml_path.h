// XPath expressions in rules ("XML:/order/item/@id"): the part of XPath 1.0 that names elements and
// attributes by where they are.
//
//   path       ("/" | "//") step, again and again
//   step       name | "*" | prefix:name | "@"name | "@*" | "text()", and predicates
//   predicate  "[text()]" | "[" number "]" | "[@name]" | "[@name='value']"
//              | "[local-name()='name']" | "[name()='name']"
//
// Names are compared as they are written in the document, with their prefixes; xmlns actions change
// nothing. The text of an element is all that is inside of it, also for text(). Immutable; any
// thread. Allocates: rule sets that care for speed ask for XML:/* and XML://@* only.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/waf/engine/request_body.h"

namespace edge::waf {

class XmlPath {
 public:
  // The error says what was found and what was expected.
  static absl::StatusOr<XmlPath> Parse(std::string_view expression);

  // Appends the text of each element or attribute that it names, in the document's order.
  void Select(const ParsedBody& parsed, std::vector<std::string_view>& values) const;

 private:
  struct Predicate {
    enum class Kind : uint8_t {
      kHasText,
      kPosition,
      kHasAttribute,
      kAttributeIs,
      kLocalNameIs,
      kNameIs
    };
    Kind kind;
    std::string name;
    std::string value;
    size_t position = 0;  // from 1
  };
  enum class Node : uint8_t { kElement, kAttribute, kText };
  struct Step {
    bool descendants = false;  // "//"
    Node node = Node::kElement;
    std::string name;  // empty: any
    std::vector<Predicate> predicates;
  };

  static bool Matches(const Predicate& predicate, const ParsedBody& parsed, size_t element,
                      size_t position);
  static void SelectElements(const Step& step, const ParsedBody& parsed,
                             const std::vector<uint32_t>& from, std::vector<uint32_t>& found);
  static bool ParsePredicate(std::string_view text, Predicate& predicate);

  std::vector<Step> steps_;
};

}  // namespace edge::waf
