#include "proxy/patience.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace edge::proxy {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kFull = 60 * kSecond;

TEST(PatienceTest, APeerThatMovesNothingIsGivenUpAfterTheFullTime) {
  Patience patience(kFull, 240);
  EXPECT_FALSE(patience.waiting());
  patience.Wait(5 * kSecond);
  EXPECT_EQ(patience.until_ns(), 65 * kSecond);
  patience.Wait(30 * kSecond);
  EXPECT_EQ(patience.until_ns(), 65 * kSecond) << "asking again is no progress";
}

TEST(PatienceTest, EachByteEarnsItsPartOfASecond) {
  Patience patience(kFull, 240);
  patience.Wait(0);
  patience.Earn(240, 10 * kSecond);
  EXPECT_EQ(patience.until_ns(), 61 * kSecond);
  patience.Earn(120, 20 * kSecond);
  EXPECT_EQ(patience.until_ns(), 61 * kSecond + kSecond / 2);
}

TEST(PatienceTest, AByteASecondDoesNotKeepAConnection) {
  Patience patience(kFull, 240);
  patience.Wait(0);
  int64_t now = 0;
  while (now < patience.until_ns()) {
    now += kSecond;
    patience.Earn(1, now);
  }
  EXPECT_LT(now, 62 * kSecond);
}

TEST(PatienceTest, NobodySavesMoreThanTheFullTime) {
  Patience patience(kFull, 240);
  patience.Wait(0);
  patience.Earn(UINT64_MAX, 10 * kSecond);
  EXPECT_EQ(patience.until_ns(), 70 * kSecond);
  patience.Pause(20 * kSecond);
  patience.Earn(1 << 30, 20 * kSecond);
  patience.Wait(100 * kSecond);
  EXPECT_EQ(patience.until_ns(), 160 * kSecond);
}

TEST(PatienceTest, TimeInWhichNobodyWaitsDoesNotCount) {
  Patience patience(kFull, 240);
  patience.Wait(0);
  patience.Pause(20 * kSecond);
  EXPECT_FALSE(patience.waiting());
  patience.Pause(50 * kSecond);
  patience.Wait(1000 * kSecond);
  EXPECT_EQ(patience.until_ns(), 1040 * kSecond);
  patience.Fill(1010 * kSecond);
  EXPECT_EQ(patience.until_ns(), 1070 * kSecond);
}

TEST(PatienceTest, WithoutARateAnyByteEarnsAllTheTime) {
  Patience patience(kFull, 0);
  patience.Wait(0);
  patience.Earn(0, 30 * kSecond);
  EXPECT_EQ(patience.until_ns(), kFull);
  patience.Earn(1, 30 * kSecond);
  EXPECT_EQ(patience.until_ns(), 90 * kSecond);
}

}  // namespace
}  // namespace edge::proxy
