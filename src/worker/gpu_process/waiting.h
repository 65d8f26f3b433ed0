// Pictures on their way through the worker, and the queues between its threads.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "core/file.h"
#include "worker/gpu_process/memory.h"
#include "worker/gpu_process/routes.h"
#include "worker/gpu_protocol.h"

namespace image_engine::worker {

// One picture.
struct Job {
  GpuRequest request;
  UniqueFd file;
  MemoryArena::Part input;  // page-locked: the file's bytes
  RoutedJpeg jpeg;
  MemoryArena::Part rgb;  // on the GPU, as stored
  Reply reply;
  bool has_inputs = false;  // of models, in the request's area
};
using JobPointer = std::unique_ptr<Job>;

// Pictures that wait for a decoder. Thread-safe.
class WaitingPictures {
 public:
  // Without an engine all pictures are for the hybrid decoder.
  WaitingPictures(bool has_engine, std::size_t engine_batch) : has_engine_(has_engine), engine_batch_(engine_batch) {}

  void push(JobPointer job) {
    {
      const std::lock_guard lock(mutex_);
      (job->jpeg.for_engine && has_engine_ ? for_engine_ : for_hybrid_).push_back(std::move(job));
    }
    changed_.notify_all();
  }
  // Before all others: it was taken, and there was no memory for it.
  void put_back(JobPointer job) {
    {
      const std::lock_guard lock(mutex_);
      (job->jpeg.for_engine && has_engine_ ? for_engine_ : for_hybrid_).push_front(std::move(job));
    }
    changed_.notify_all();
  }

  // Waits for pictures that this route decodes, and then shortly for a whole batch of them.
  std::vector<JobPointer> take(GpuRoute route, std::size_t most) {
    constexpr std::chrono::milliseconds kPatience{4};
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count(route) > 0; });
    changed_.wait_for(lock, kPatience, [&] { return count(route) >= most; });
    std::vector<JobPointer> taken;
    const auto move_from = [&](std::deque<JobPointer>& queue, std::size_t left) {
      while (taken.size() < most && queue.size() > left) {
        taken.push_back(std::move(queue.front()));
        queue.pop_front();
      }
    };
    if (route == GpuRoute::kHybrid) move_from(for_hybrid_, 0);
    move_from(for_engine_, route == GpuRoute::kHybrid ? engine_batch_ : 0);
    return taken;
  }

 private:
  // The hybrid decoder leaves the engine its next batch.
  [[nodiscard]] std::size_t count(GpuRoute route) const {
    if (route == GpuRoute::kHardware) return for_engine_.size();
    return for_hybrid_.size() + (for_engine_.size() > engine_batch_ ? for_engine_.size() - engine_batch_ : 0);
  }

  const bool has_engine_;
  const std::size_t engine_batch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<JobPointer> for_engine_, for_hybrid_;
};

// Threads that run tasks in order. They end with the process.
class TaskThreads {
 public:
  explicit TaskThreads(int count) {
    for (int i = 0; i < count; ++i)
      std::thread([this] {
        for (;;) next()();
      }).detach();
  }
  void add(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

 private:
  std::function<void()> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !tasks_.empty(); });
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
};

}  // namespace image_engine::worker
