#pragma once

// Input that comes in pieces, as from a socket, for tests and fuzz targets of the readers.

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/log/check.h"

namespace edge::http {

using Pieces = std::vector<std::string_view>;

inline Pieces Whole(std::string_view bytes) { return {bytes}; }

inline Pieces ByteByByte(std::string_view bytes) {
  Pieces pieces;
  for (size_t i = 0; i < bytes.size(); ++i) pieces.push_back(bytes.substr(i, 1));
  return pieces;
}

inline Pieces CutAt(std::string_view bytes, size_t position) {
  return {bytes.substr(0, position), bytes.substr(position)};
}

// Takes pieces one after the other, each in a copy of exactly its size: a sanitizer sees a read
// beyond it, or after it was taken away.
class PieceReader {
 public:
  explicit PieceReader(const Pieces& pieces) : pieces_(pieces) {}

  // What is left of the present piece. False: there is no other.
  bool Next(std::string_view* bytes) {
    while (used_ == size_) {
      if (next_ == pieces_.size()) return false;
      const std::string_view piece = pieces_[next_++];
      copy_ = std::make_unique<char[]>(piece.size());
      piece.copy(copy_.get(), piece.size());
      size_ = piece.size();
      used_ = 0;
    }
    *bytes = {copy_.get() + used_, size_ - used_};
    return true;
  }
  void Consume(size_t bytes) {
    CHECK_LE(bytes, size_ - used_);
    used_ += bytes;
    consumed_ += bytes;
  }
  size_t consumed() const { return consumed_; }

 private:
  const Pieces& pieces_;
  std::unique_ptr<char[]> copy_;
  size_t size_ = 0;
  size_t used_ = 0;
  size_t next_ = 0;
  size_t consumed_ = 0;
};

}  // namespace edge::http
