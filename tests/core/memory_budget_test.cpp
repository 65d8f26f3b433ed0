#include "core/memory_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace image_engine {
namespace {

TEST(MemoryBudgetTest, SharesNeverExceedIt) {
  MemoryBudget budget(100);
  std::atomic<std::uint64_t> taken = 0, most = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 8; ++thread)
    threads.emplace_back([&, thread] {
      for (std::uint64_t i = 0; i < 500; ++i) {
        const MemoryBudget::Share share = budget.take(10 + (thread * 13 + i * 7) % 80);
        const std::uint64_t now = taken += share.bytes();
        std::uint64_t seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::yield();
        taken -= share.bytes();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 100U);
  EXPECT_GT(most, 0U);
}

TEST(MemoryBudgetTest, WhatIsLargerThanAllOfItGetsAllOfIt) {
  MemoryBudget budget(100);
  EXPECT_EQ(budget.take(1000).bytes(), 100U);
  EXPECT_EQ(budget.take(100).bytes(), 100U);
}

TEST(MemoryBudgetTest, SmallRequestsDoNotWait) {
  MemoryBudget budget(3200);
  const MemoryBudget::Share all = budget.take(3200);
  EXPECT_EQ(budget.take(99).bytes(), 0U);
}

TEST(MemoryBudgetTest, NoneIsNoLimit) {
  MemoryBudget budget(0);
  const MemoryBudget::Share one = budget.take(1 << 30), two = budget.take(1 << 30);
  EXPECT_EQ(one.bytes() + two.bytes(), 0U);
}

// A large request is served before later ones that would fit: small ones cannot keep it waiting for ever.
TEST(MemoryBudgetTest, ServesInOrder) {
  MemoryBudget budget(100);
  std::atomic<int> order = 0;
  int large = 0, later = 0;
  auto held = std::make_unique<MemoryBudget::Share>(budget.take(50));
  std::thread first([&] {
    const MemoryBudget::Share share = budget.take(100);
    large = ++order;
  });
  while (!budget.is_waited_for()) std::this_thread::yield();
  std::thread second([&] {
    const MemoryBudget::Share share = budget.take(40);
    later = ++order;
  });
  held.reset();
  first.join();
  second.join();
  EXPECT_EQ(large, 1);
  EXPECT_EQ(later, 2);
}

}  // namespace
}  // namespace image_engine
