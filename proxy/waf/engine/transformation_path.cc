// Transformations of paths: empty, "." and ".." segments go away.
//
// A segment is judged by its end, as in libmodsecurity: one that ends in ".." takes itself back to
// the slash before it, and if it is nothing but ".." the segment before it too.

#include <algorithm>

#include "proxy/waf/engine/transformation_internal.h"

namespace edge::waf::transformation {
namespace {

// Normalises a path in place: what is read is never behind what is written.
class PathNormaliser {
 public:
  explicit PathNormaliser(std::string& path)
      : path_(path), size_(static_cast<ptrdiff_t>(path.size())), relative_(path.front() != '/') {}

  void Run() {
    const bool trailing_slash = path_.back() == '/';
    while (read_ < size_) {
      const bool last = read_ + 1 == size_;
      const bool ends_segment = last || path_[read_ + 1] == '/';
      if (ends_segment && path_[read_] == '.') {
        const bool dropped = DropDots(last);
        if (dropped && last) break;
        // The slash after what was dropped is copied.
        if (dropped) ++read_;
      } else if (ends_segment && (path_[read_] != '/' || last) && written_ > 0) {
        above_start_ = false;
      }
      Copy();
    }
    if (!trailing_slash && written_ > 0 && path_[written_ - 1] == '/') --written_;
    path_.resize(static_cast<size_t>(written_));
  }

 private:
  // At the last '.' of a segment, the rest of which has been written. Returns whether it was "." or
  // a ".." that could be followed, and takes back what went with it.
  bool DropDots(bool last) {
    if (written_ == 0) return true;
    const char before = path_[written_ - 1];
    if (before == '/') {
      if (!last) --written_;
      return true;
    }
    if (before != '.') return false;
    // ".." that leaves a relative path's start stays, and so do those that follow it.
    if (relative_ && (above_start_ || written_ <= 2)) {
      above_start_ = true;
      return false;
    }
    written_ -= 3;
    while (written_ > 0 && path_[written_] != '/') --written_;
    if (written_ <= 0) {
      above_start_ = true;
      // Of an absolute path the root stays; if more follows, its slash is copied anew.
      written_ = !relative_ && last ? 1 : 0;
    }
    return true;
  }

  void Copy() {
    if (path_[read_] == '/') {
      while (read_ + 1 < size_ && path_[read_ + 1] == '/') ++read_;
      // A relative path does not become an absolute one.
      if (relative_ && written_ == 0) {
        ++read_;
        return;
      }
    }
    path_[written_++] = path_[read_++];
  }

  std::string& path_;
  const ptrdiff_t size_;
  const bool relative_;
  ptrdiff_t read_ = 0;
  ptrdiff_t written_ = 0;
  bool above_start_ = false;  // a ".." has left the start; until there is a segment to go back from
};

// Whether there is a segment that is empty or ends in a dot. If not, the path stays as it is.
bool MayChange(std::string_view path) {
  if (path.empty()) return false;
  const char* bytes = path.data();
  const size_t last = path.size() - 1;
  return bytes[last] == '.' ||
         FindPosition(last, [bytes](size_t i) {
           return ((bytes[i] == '/') | (bytes[i] == '.')) & (bytes[i + 1] == '/');
         }) != last;
}

}  // namespace

bool NormalisePath(std::string_view in, std::string& out) {
  if (!MayChange(in)) return false;
  out.assign(in);
  PathNormaliser(out).Run();
  return out != in;
}

bool NormalisePathWin(std::string_view in, std::string& out) {
  if (in.find('\\') == in.npos) return NormalisePath(in, out);
  out.assign(in);
  // All of them. libmodsecurity leaves one that follows two slashes.
  std::replace(out.begin(), out.end(), '\\', '/');
  PathNormaliser(out).Run();
  return true;
}

}  // namespace edge::waf::transformation
