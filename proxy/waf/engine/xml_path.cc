#include "proxy/waf/engine/xml_path.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace edge::waf {
namespace {

// Longer ones are mistakes, and each step is a pass over the document.
constexpr size_t kStepsMax = 32;

bool IsNameCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.' ||
         c == ':' || static_cast<unsigned char>(c) >= 0x80;
}

std::string_view TakeName(std::string_view& text) {
  size_t size = 0;
  // A name does not begin with '.' or '-', which would be an axis.
  if (text.empty() || text[0] == '.' || text[0] == '-') return {};
  while (size < text.size() && IsNameCharacter(text[size])) ++size;
  const std::string_view name = text.substr(0, size);
  text.remove_prefix(size);
  return name;
}

// "='value'" or "=\"value\"", to its end.
bool TakeEqualsLiteral(std::string_view text, std::string& value) {
  text = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&text, "=")) return false;
  text = absl::StripAsciiWhitespace(text);
  if (text.size() < 2 || (text[0] != '\'' && text[0] != '"') || text.back() != text[0]) {
    return false;
  }
  value = text.substr(1, text.size() - 2);
  return true;
}

std::string_view LocalName(const XmlElement& element) {
  return element.prefix.empty() ? element.name : element.name.substr(element.prefix.size() + 1);
}

}  // namespace

bool XmlPath::ParsePredicate(std::string_view text, Predicate& predicate) {
  using Kind = Predicate::Kind;
  text = absl::StripAsciiWhitespace(text);
  if (text == "text()") {
    predicate.kind = Kind::kHasText;
    return true;
  }
  if (absl::SimpleAtoi(text, &predicate.position)) {
    predicate.kind = Kind::kPosition;
    return predicate.position > 0;
  }
  if (absl::ConsumePrefix(&text, "local-name()")) {
    predicate.kind = Kind::kLocalNameIs;
    return TakeEqualsLiteral(text, predicate.value);
  }
  if (absl::ConsumePrefix(&text, "name()")) {
    predicate.kind = Kind::kNameIs;
    return TakeEqualsLiteral(text, predicate.value);
  }
  if (!absl::ConsumePrefix(&text, "@")) return false;
  predicate.name = TakeName(text);
  if (predicate.name.empty()) return false;
  predicate.kind = text.empty() ? Kind::kHasAttribute : Kind::kAttributeIs;
  return text.empty() || TakeEqualsLiteral(text, predicate.value);
}

absl::StatusOr<XmlPath> XmlPath::Parse(std::string_view expression) {
  const auto error = [expression](std::string_view found, std::string_view expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("found '", found, "' in the XPath '", expression, "'; expected ", expected));
  };
  XmlPath path;
  std::string_view rest = expression;
  while (!rest.empty()) {
    if (path.steps_.size() == kStepsMax) return error(rest, "no more than 32 steps");
    if (!path.steps_.empty() && path.steps_.back().node != Node::kElement) {
      return error(rest, "nothing behind an attribute or text()");
    }
    Step step;
    if (!absl::ConsumePrefix(&rest, "/")) return error(rest, "/ or //");
    step.descendants = absl::ConsumePrefix(&rest, "/");
    if (absl::ConsumePrefix(&rest, "text()")) {
      step.node = Node::kText;
      path.steps_.push_back(step);
      continue;
    }
    if (absl::ConsumePrefix(&rest, "@")) step.node = Node::kAttribute;
    if (!absl::ConsumePrefix(&rest, "*")) {
      step.name = TakeName(rest);
      // An axis, or a function.
      if (step.name.empty() || step.name.find("::") != step.name.npos || rest.starts_with('(')) {
        return error(rest, "an element's name, @ with an attribute's, * or text()");
      }
    }
    while (step.node == Node::kElement && rest.starts_with('[')) {
      // A literal may have a bracket in it.
      size_t end = 1;
      for (char quote = 0; end < rest.size() && (quote != 0 || rest[end] != ']'); ++end) {
        const char c = rest[end];
        if (c == quote) {
          quote = 0;
        } else if (quote == 0 && (c == '\'' || c == '"')) {
          quote = c;
        }
      }
      Predicate predicate{};
      if (end >= rest.size() || !ParsePredicate(rest.substr(1, end - 1), predicate)) {
        return error(rest, "[text()], a number, or [@name], [@name='...'], [local-name()='...']");
      }
      step.predicates.push_back(predicate);
      rest.remove_prefix(end + 1);
    }
    path.steps_.push_back(step);
  }
  if (path.steps_.empty()) return error("", "a path, like /* or //@*");
  return path;
}

bool XmlPath::Matches(const Predicate& predicate, const ParsedBody& parsed, size_t i,
                      size_t position) {
  const XmlElement& element = parsed.xml_elements[i];
  switch (predicate.kind) {
    case Predicate::Kind::kHasText:
      return element.has_text;
    case Predicate::Kind::kPosition:
      return position == predicate.position;
    case Predicate::Kind::kHasAttribute:
    case Predicate::Kind::kAttributeIs:
      for (size_t a = element.attributes_begin; a < element.attributes_end; ++a) {
        if (parsed.xml_attribute_names[a] == predicate.name &&
            (predicate.kind == Predicate::Kind::kHasAttribute ||
             parsed.xml_attributes[a] == predicate.value)) {
          return true;
        }
      }
      return false;
    case Predicate::Kind::kLocalNameIs:
      return LocalName(element) == predicate.value;
    case Predicate::Kind::kNameIs:
      return element.name == predicate.value;
  }
  return false;
}

// `from` and `found` are in the document's order. A position counts the siblings of the same test
// that passed the predicates before it, as XPath does.
void XmlPath::SelectElements(const Step& step, const ParsedBody& parsed,
                             const std::vector<uint32_t>& from, std::vector<uint32_t>& found) {
  const auto& elements = parsed.xml_elements;
  std::vector<uint32_t> siblings;
  // Of one parent, or of the document where there is none: elements from `begin` to `end`.
  const auto select_children = [&](uint32_t begin, uint32_t end) {
    siblings.clear();
    for (uint32_t i = begin; i < end; i = elements[i].end) {
      if (step.name.empty() || elements[i].name == step.name) siblings.push_back(i);
    }
    for (const Predicate& predicate : step.predicates) {
      size_t position = 0;
      std::erase_if(siblings,
                    [&](uint32_t i) { return !Matches(predicate, parsed, i, ++position); });
    }
    found.insert(found.end(), siblings.begin(), siblings.end());
  };
  constexpr uint32_t kDocument = UINT32_MAX;
  uint32_t covered = 0;  // of descendants, so that none is looked at twice
  for (const uint32_t parent : from) {
    const bool document = parent == kDocument;
    const uint32_t begin = document ? 0 : parent + 1;
    const uint32_t end = document ? static_cast<uint32_t>(elements.size()) : elements[parent].end;
    if (!step.descendants) {
      select_children(begin, end);
      continue;
    }
    if (!document && parent < covered) continue;
    select_children(begin, end);
    for (uint32_t i = begin; i < end; ++i) select_children(i + 1, elements[i].end);
    covered = end;
  }
  std::sort(found.begin(), found.end());
}

void XmlPath::Select(const ParsedBody& parsed, std::vector<std::string_view>& values) const {
  const auto& elements = parsed.xml_elements;
  if (elements.empty()) return;
  std::vector<uint32_t> found{UINT32_MAX};  // the document
  for (const Step& step : steps_) {
    if (step.node == Node::kElement) {
      std::vector<uint32_t> next;
      SelectElements(step, parsed, found, next);
      found = std::move(next);
      continue;
    }
    // The last step: of the elements found, and with "//" of all inside of them.
    std::vector<uint32_t> owners;
    for (const uint32_t i : found) {
      const bool document = i == UINT32_MAX;
      uint32_t begin = document ? 0 : i;
      const uint32_t end = document ? static_cast<uint32_t>(step.descendants ? elements.size() : 0)
                           : step.descendants ? elements[i].end
                                              : i + 1;
      if (!owners.empty()) begin = std::max(begin, owners.back() + 1);
      for (uint32_t j = begin; j < end; ++j) owners.push_back(j);
    }
    for (const uint32_t i : owners) {
      if (step.node == Node::kText) {
        if (elements[i].has_text) values.push_back(elements[i].text);
        continue;
      }
      for (size_t a = elements[i].attributes_begin; a < elements[i].attributes_end; ++a) {
        if (step.name.empty() || parsed.xml_attribute_names[a] == step.name) {
          values.push_back(parsed.xml_attributes[a]);
        }
      }
    }
    return;
  }
  for (const uint32_t i : found) values.push_back(elements[i].text);
}

}  // namespace edge::waf
