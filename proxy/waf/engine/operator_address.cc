// @ipMatch and @ipMatchFromFile: whether a value is an address in one of some blocks.

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proxy/waf/engine/operator_internal.h"
#include "proxy/waf/engine/seclang_parser.h"

namespace edge::waf::operators {
namespace {

// IPv4 uses the first four bytes.
using Bytes = std::array<uint8_t, 16>;

struct Address {
  bool ipv6 = false;
  Bytes bytes{};
};

// nullopt: it is none.
std::optional<Address> ParseAddress(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(terminated) || text.find('\0') != text.npos) return std::nullopt;
  terminated[text.copy(terminated, sizeof(terminated) - 1)] = '\0';
  Address address;
  address.ipv6 = text.find(':') != text.npos;
  if (inet_pton(address.ipv6 ? AF_INET6 : AF_INET, terminated, address.bytes.data()) != 1) {
    return std::nullopt;
  }
  return address;
}

struct Range {
  Bytes first;
  Bytes last;
};

// "10.0.0.0/8" or a single address.
std::optional<Range> ParseBlock(std::string_view text, bool& ipv6) {
  const std::pair<std::string_view, std::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  const std::optional<Address> address = ParseAddress(parts.first);
  if (!address.has_value()) return std::nullopt;
  ipv6 = address->ipv6;
  const int bits_max = ipv6 ? 128 : 32;
  int bits = bits_max;
  if (text.size() > parts.first.size() &&
      (!absl::SimpleAtoi(parts.second, &bits) || bits < 0 || bits > bits_max)) {
    return std::nullopt;
  }
  Range range = {address->bytes, address->bytes};
  for (int bit = bits; bit < bits_max; ++bit) {
    const uint8_t mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    range.first[static_cast<size_t>(bit / 8)] &= static_cast<uint8_t>(~mask);
    range.last[static_cast<size_t>(bit / 8)] |= mask;
  }
  return range;
}

// Ranges of one family, sorted, that do not overlap.
class RangeSet {
 public:
  void Add(const Range& range) { ranges_.push_back(range); }

  void Sort() {
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.first < b.first; });
    std::vector<Range> merged;
    for (const Range& range : ranges_) {
      if (!merged.empty() && range.first <= merged.back().last) {
        merged.back().last = std::max(merged.back().last, range.last);
      } else {
        merged.push_back(range);
      }
    }
    ranges_ = std::move(merged);
  }

  bool Contains(const Bytes& address) const {
    const auto behind =
        std::upper_bound(ranges_.begin(), ranges_.end(), address,
                         [](const Bytes& a, const Range& range) { return a < range.first; });
    return behind != ranges_.begin() && address <= std::prev(behind)->last;
  }

 private:
  std::vector<Range> ranges_;
};

class AddressOperator : public Operator {
 public:
  AddressOperator(RangeSet ipv4, RangeSet ipv6) : ipv4_(std::move(ipv4)), ipv6_(std::move(ipv6)) {}

  bool Match(std::string_view value, std::string_view, OperatorScratch& scratch) const override {
    Begin(scratch);
    const std::optional<Address> address = ParseAddress(value);
    if (!address.has_value()) return false;
    return (address->ipv6 ? ipv6_ : ipv4_).Contains(address->bytes) && Matched(scratch, value);
  }

 private:
  const RangeSet ipv4_;
  const RangeSet ipv6_;
};

}  // namespace

Made MakeAddressOperator(std::string_view name, std::string_view argument,
                         const SourceLocation& where) {
  std::string text(argument);
  if (name != "ipmatch") {
    absl::StatusOr<std::string> read = ReadArgumentFile(argument, where);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  RangeSet ipv4;
  RangeSet ipv6;
  for (std::string_view line : absl::StrSplit(text, '\n')) {
    line = line.substr(0, line.find('#'));
    for (const std::string_view item : absl::StrSplit(line, ',')) {
      const std::string_view block = absl::StripAsciiWhitespace(item);
      if (block.empty()) continue;
      bool is_ipv6 = false;
      const std::optional<Range> range = ParseBlock(block, is_ipv6);
      if (!range.has_value()) {
        return SourceError(where, absl::StrCat("found '", block, "' for @", name,
                                               "; expected an address or a block like 10.0.0.0/8"));
      }
      (is_ipv6 ? ipv6 : ipv4).Add(*range);
    }
  }
  ipv4.Sort();
  ipv6.Sort();
  return std::make_unique<AddressOperator>(std::move(ipv4), std::move(ipv6));
}

}  // namespace edge::waf::operators
