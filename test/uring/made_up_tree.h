// A file-system root made up for a test: what /proc and /sys of some machine would look like.
//
// Removed with the object.

#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace edge::uring {

class MadeUpTree {
 public:
  MadeUpTree() {
    std::string pattern = absl::StrCat(testing::TempDir(), "/tree.XXXXXX");
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  MadeUpTree(const MadeUpTree&) = delete;
  MadeUpTree& operator=(const MadeUpTree&) = delete;
  ~MadeUpTree() { std::filesystem::remove_all(root_); }

  // The kernel's files end with a newline; so do these.
  void Write(std::string_view path, std::string_view content) {
    const std::filesystem::path file = std::filesystem::path(root_) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content << "\n";
  }

  void WriteNode(int id, std::string_view cpulist) {
    Write(absl::StrCat("sys/devices/system/node/node", id, "/cpulist"), cpulist);
  }

  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

}  // namespace edge::uring
