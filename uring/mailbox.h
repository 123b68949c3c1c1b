// Messages from any thread to one: a lock-free list of nodes that the senders own the memory of.
//
// Push onto an empty list says that the owner of the mailbox must be woken (by a doorbell of its
// ring); later pushes ride along, so there is one wake-up per batch and not one per message.
// TakeAll empties the list in one exchange before anything in it is looked at, so a push that comes
// after sees an empty list again and wakes: no wake-up is lost.

#pragma once

#include <atomic>

namespace edge::uring {

struct MailboxNode {
  MailboxNode* next = nullptr;
};

class Mailbox {
 public:
  // Any thread. The node stays the sender's memory and is not touched until TakeAll has returned
  // it. True: the list was empty, ring the owner.
  bool Push(MailboxNode* node) {
    MailboxNode* head = head_.load(std::memory_order_relaxed);
    do {
      node->next = head;
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
    return head == nullptr;
  }

  // The owner's thread only: everything that is there, oldest first, chained by `next`.
  MailboxNode* TakeAll() {
    if (head_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    MailboxNode* node = head_.exchange(nullptr, std::memory_order_seq_cst);
    MailboxNode* oldest = nullptr;
    while (node != nullptr) {
      MailboxNode* next = node->next;
      node->next = oldest;
      oldest = node;
      node = next;
    }
    return oldest;
  }

 private:
  alignas(64) std::atomic<MailboxNode*> head_{nullptr};
};

}  // namespace edge::uring
