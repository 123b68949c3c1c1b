#include "uring/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace edge::uring {
namespace {

struct Message : MailboxNode {
  size_t sender = 0;
  size_t number = 0;
};

// Not on the stack: the fake stack of AddressSanitizer does not align its frames to cache lines.
class MailboxTest : public testing::Test {
 protected:
  Mailbox mailbox_;
  Mailbox other_;
};

TEST_F(MailboxTest, DeliversInTheOrderOfPushes) {
  Message messages[3];
  for (Message& message : messages) mailbox_.Push(&message);
  MailboxNode* node = mailbox_.TakeAll();
  for (Message& message : messages) {
    ASSERT_EQ(node, &message);
    node = node->next;
  }
  EXPECT_EQ(node, nullptr);
  EXPECT_EQ(mailbox_.TakeAll(), nullptr);
}

TEST_F(MailboxTest, OnlyThePushOntoAnEmptyListRings) {
  Message messages[4];
  EXPECT_TRUE(mailbox_.Push(&messages[0]));
  EXPECT_FALSE(mailbox_.Push(&messages[1]));
  EXPECT_FALSE(mailbox_.Push(&messages[2]));
  mailbox_.TakeAll();
  EXPECT_TRUE(mailbox_.Push(&messages[3]));
}

TEST_F(MailboxTest, ANodeCanBeSentAgainOnceItWasTaken) {
  Message message;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(mailbox_.Push(&message));
    ASSERT_EQ(mailbox_.TakeAll(), &message);
    EXPECT_EQ(message.next, nullptr);
  }
}

// Stands for the ring: the owner blocks on it, and a push that asks for it rings.
class Doorbell {
 public:
  Doorbell() : fd_(eventfd(0, EFD_CLOEXEC)) {}
  ~Doorbell() { close(fd_); }
  void Ring() { ASSERT_EQ(eventfd_write(fd_, 1), 0); }
  void Wait() {
    eventfd_t count = 0;
    ASSERT_EQ(eventfd_read(fd_, &count), 0);
    rings_ += count;
  }
  uint64_t rings() const { return rings_; }

 private:
  const int fd_;
  uint64_t rings_ = 0;
};

// The owner sleeps whenever it has taken all there was, and nothing but a ring wakes it: if one
// were lost while messages are there, the test would not end.
TEST_F(MailboxTest, LosesNoMessageAndNoWakeUpAmongManySenders) {
  constexpr size_t kSenders = 4;
  constexpr size_t kMessages = 20'000;
  Doorbell doorbell;
  std::vector<std::vector<Message>> messages(kSenders);
  std::vector<std::thread> senders;
  for (size_t sender = 0; sender < kSenders; ++sender) {
    messages[sender].resize(kMessages);
    senders.emplace_back([&, sender] {
      for (size_t i = 0; i < kMessages; ++i) {
        Message& message = messages[sender][i];
        message.sender = sender;
        message.number = i;
        if (mailbox_.Push(&message)) doorbell.Ring();
        // Lets the owner run dry now and then, even on one core.
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }

  size_t received = 0;
  std::vector<size_t> next(kSenders, 0);
  while (received < kSenders * kMessages) {
    doorbell.Wait();
    for (MailboxNode* node = mailbox_.TakeAll(); node != nullptr;) {
      auto* message = static_cast<Message*>(node);
      node = node->next;
      // Of one sender, in its order.
      ASSERT_EQ(message->number, next[message->sender]);
      ++next[message->sender];
      message->next = message;  // it is ours now: a second delivery would not end
      ++received;
    }
  }
  for (std::thread& sender : senders) sender.join();
  EXPECT_EQ(mailbox_.TakeAll(), nullptr);
  EXPECT_LE(doorbell.rings(), received);
}

// Ping-pong: each message waits for the answer, so the list is empty at every push and every push
// must ring.
TEST_F(MailboxTest, WakesForEveryMessageThatComesAlone) {
  constexpr int kRounds = 5'000;
  Mailbox& to_echo = mailbox_;
  Mailbox& to_sender = other_;
  Doorbell echo_bell;
  Doorbell sender_bell;
  std::thread echo([&] {
    for (int i = 0; i < kRounds; ++i) {
      MailboxNode* node = nullptr;
      while ((node = to_echo.TakeAll()) == nullptr) echo_bell.Wait();
      if (to_sender.Push(node)) sender_bell.Ring();
    }
  });
  Message message;
  for (int i = 0; i < kRounds; ++i) {
    if (to_echo.Push(&message)) echo_bell.Ring();
    MailboxNode* node = nullptr;
    while ((node = to_sender.TakeAll()) == nullptr) sender_bell.Wait();
    ASSERT_EQ(node, &message);
  }
  echo.join();
}

}  // namespace
}  // namespace edge::uring
