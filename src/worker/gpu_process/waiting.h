// Pictures on their way through the worker, and the queues between its threads.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <iterator>
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
  MemoryArena::Part rgb;             // on the GPU, as stored
  GpuRoute route = GpuRoute::kNone;  // that decoded it
  EngineTime engine;
  Reply reply;
  bool has_inputs = false;  // of models, in the request's area
};
using JobPointer = std::unique_ptr<Job>;

// Pictures that wait for a decoder. Thread-safe.
class WaitingPictures {
 public:
  // `engine_batch` pictures are left to the engine by the others; 0: there is no engine.
  explicit WaitingPictures(std::size_t engine_batch) : engine_batch_(engine_batch) {}

  void push(JobPointer job) { add(std::move(job), false); }
  // Before all others: it was taken, and there was no memory for it.
  void put_back(JobPointer job) { add(std::move(job), true); }

  // Waits for pictures that the engine decodes, and then shortly for `most` of them.
  std::vector<JobPointer> take_for_engine(std::size_t most) {
    constexpr std::chrono::milliseconds kPatience{4};
    std::unique_lock lock(mutex_);
    for_engine_changed_.wait(lock, [&] { return !for_engine_.empty(); });
    for_engine_changed_.wait_for(lock, kPatience, [&] { return for_engine_.size() >= most; });
    std::vector<JobPointer> taken;
    while (taken.size() < most && !for_engine_.empty()) taken.push_back(take_first(for_engine_));
    return taken;
  }
  // Waits for one that CUDA decodes: what the engine does not take, or what waits behind its next batch.
  JobPointer take_for_cuda() {
    std::unique_lock lock(mutex_);
    for_cuda_changed_.wait(lock, [&] { return has_for_cuda(); });
    return take_first(for_cuda_.empty() ? for_engine_ : for_cuda_);
  }

 private:
  static JobPointer take_first(std::deque<JobPointer>& queue) {
    JobPointer job = std::move(queue.front());
    queue.pop_front();
    return job;
  }
  [[nodiscard]] bool has_for_cuda() const { return !for_cuda_.empty() || for_engine_.size() > engine_batch_; }
  void add(JobPointer job, bool in_front) {
    bool wakes_cuda = false;
    {
      const std::lock_guard lock(mutex_);
      std::deque<JobPointer>& queue = job->jpeg.for_engine && engine_batch_ > 0 ? for_engine_ : for_cuda_;
      queue.insert(in_front ? queue.begin() : queue.end(), std::move(job));
      wakes_cuda = has_for_cuda();
    }
    for_engine_changed_.notify_one();
    if (wakes_cuda) for_cuda_changed_.notify_one();
  }

  const std::size_t engine_batch_;
  std::mutex mutex_;
  std::condition_variable for_engine_changed_, for_cuda_changed_;
  std::deque<JobPointer> for_engine_, for_cuda_;
};

// Decoded pictures, of which results are still to be made. Thread-safe.
class DecodedPictures {
 public:
  void push(std::vector<JobPointer> jobs) {
    {
      const std::lock_guard lock(mutex_);
      std::ranges::move(jobs, std::back_inserter(jobs_));
    }
    changed_.notify_one();
  }
  // Waits for some, and takes all.
  std::vector<JobPointer> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !jobs_.empty(); });
    return std::exchange(jobs_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<JobPointer> jobs_;
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
