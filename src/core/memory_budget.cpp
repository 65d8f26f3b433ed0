#include "core/memory_budget.h"

#include <algorithm>

namespace image_engine {

MemoryBudget::Share MemoryBudget::take(std::uint64_t bytes) {
  if (bytes_ == 0 || bytes < bytes_ / 32) return {};
  bytes = std::min(bytes, bytes_);
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  changed_.wait(lock, [&] { return ticket == serving_ && taken_ + bytes <= bytes_; });
  taken_ += bytes;
  ++serving_;
  lock.unlock();
  changed_.notify_all();
  return {this, bytes};
}

bool MemoryBudget::is_waited_for() const {
  const std::lock_guard lock(mutex_);
  return serving_ < next_ticket_;
}

MemoryBudget::Share::~Share() {
  if (budget_ == nullptr) return;
  {
    const std::lock_guard lock(budget_->mutex_);
    budget_->taken_ -= bytes_;
  }
  budget_->changed_.notify_all();
}

}  // namespace image_engine
