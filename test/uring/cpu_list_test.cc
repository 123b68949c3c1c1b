#include "uring/cpu_list.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace edge::uring {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(CpuListTest, ReadsNumbersAndRanges) {
  EXPECT_THAT(*ParseCpuList("0"), ElementsAre(0));
  EXPECT_THAT(*ParseCpuList("0-3,6"), ElementsAre(0, 1, 2, 3, 6));
  EXPECT_THAT(*ParseCpuList("5-5"), ElementsAre(5));
  EXPECT_THAT(*ParseCpuList("1,3,5-6,8191"), ElementsAre(1, 3, 5, 6, 8191));
  EXPECT_THAT(*ParseCpuList(""), IsEmpty());
}

TEST(CpuListTest, RefusesEverythingElse) {
  for (const char* list : {"a",          "0-",      "-3",      "-",     "3-1",
                           "1,,2",       ",1",      "1,",      " 1",    "1 ",
                           "1, 2",       "+1",      "0x1",     "1-2-3", "2,1",
                           "0-3,3",      "1,1",     "0-3,2-5", "8192",  "0-99999999999999999999",
                           "4294967296", "0-7:2/4", "1\n"}) {
    EXPECT_FALSE(ParseCpuList(list).ok()) << "'" << list << "'";
  }
}

TEST(CpuListTest, NamesThePartThatIsWrong) {
  EXPECT_THAT(ParseCpuList("0-3,x").status().message(), HasSubstr("'x'"));
  EXPECT_THAT(ParseCpuList("0-3,2").status().message(), HasSubstr("'2' does not come after CPU 3"));
}

TEST(CpuListTest, WritesWhatItReads) {
  for (const char* list : {"0", "0-3,6", "1,3,5-6", "0-8191"}) {
    EXPECT_EQ(FormatCpuList(*ParseCpuList(list)), list);
  }
  EXPECT_EQ(FormatCpuList({}), "none");
  EXPECT_EQ(FormatCpuList({4, 5}), "4-5");
}

}  // namespace
}  // namespace edge::uring
