// What a container that is used for one request after the other keeps of its memory.

#pragma once

#include <cstddef>
#include <vector>

namespace edge::waf {

// More than the 1000 arguments that a request may have need in any container.
inline constexpr size_t kKeptBytes = 128 << 10;

// Takes all elements out, and gives memory back that only an unusual request needs.
template <typename T>
void Empty(std::vector<T>& elements) {
  elements.clear();
  if (elements.capacity() * sizeof(T) > kKeptBytes) elements.shrink_to_fit();
}

}  // namespace edge::waf
