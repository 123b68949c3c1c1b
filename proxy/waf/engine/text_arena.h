// Memory for texts that live until the end of a request: decoded arguments, names of JSON values.
//
// Blocks are filled one after the other and kept by Clear, so that in a steady state nothing is
// allocated; what one large request needed is given back. One thread.

#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace edge::waf {

class TextArena {
 public:
  TextArena() = default;
  TextArena(const TextArena&) = delete;
  TextArena& operator=(const TextArena&) = delete;

  // A place for `bytes`, which are the caller's to fill; contiguous and never moved. Aligned for
  // any scalar type.
  char* Allocate(size_t bytes);
  // Of the latest allocation, which was `bytes`, only the first `used` are needed.
  void Shrink(size_t bytes, size_t used);
  std::string_view Copy(std::string_view text);
  // All texts end. Keeps no more than kKeptBytes.
  void Clear();

  size_t allocated_bytes() const;
  // More was asked for since Clear than one request is to have. It still gets it; the owner is to
  // ask this between steps, and to stop.
  bool over_budget() const { return used_bytes_ > kBudgetBytes; }

  static constexpr size_t kBlockBytes = 16 << 10;
  // More than the arguments of a body of 128 KiB need, the usual limit of what is inspected.
  static constexpr size_t kKeptBytes = 512 << 10;
  // A body of 128 KiB and each of some 30 chains of the Core Rule Set changing all of it are 4 MiB;
  // what more there is are names and log lines that repeat them.
  static constexpr size_t kBudgetBytes = 16 << 20;

 private:
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size = 0;
    size_t used = 0;
  };

  std::vector<Block> blocks_;
  size_t current_ = 0;  // that is being filled
  size_t used_bytes_ = 0;
};

}  // namespace edge::waf
