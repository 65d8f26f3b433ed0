// Photos of pass 2 that GPUs decode before a thread needs them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "store/types.h"
#include "worker/gpu_decoders.h"

namespace image_engine::pipeline {

// The files of a pass in groups: a thread reads all files of one before it runs models on them.
struct FileGroups {
  std::span<const store::PendingFile> files;
  std::size_t size = 1;  // of each but the last

  [[nodiscard]] std::size_t count() const { return (files.size() + size - 1) / size; }
  // Empty: there is no such group.
  [[nodiscard]] std::span<const store::PendingFile> of(std::size_t group) const {
    const std::size_t first = std::min(group * size, files.size());
    return files.subspan(first, std::min(size, files.size() - first));
  }
};

// Sends photos to decoders, so many ahead that GPUs have work while threads run models. Thread-safe.
class PhotosAhead {
 public:
  static constexpr std::size_t kAhead = 32;  // of each thread

  // Files of a group, from one on, that GPUs have; none: a worker is to decode that one.
  using Begun = std::deque<std::optional<worker::GpuPicture>>;
  using TaskOf = std::function<worker::Task(const store::PendingFile&)>;

  // `gpu` null: it does nothing. `groups` refers to the caller's files. `task_of` is what decoders are to do;
  // thread-safe.
  PhotosAhead(worker::GpuDecoders* gpu, FileGroups groups, TaskOf task_of)
      : gpu_(gpu), groups_(groups), task_of_(std::move(task_of)) {}

  // What was begun of a group, which the caller reads now.
  Begun take(std::size_t group);
  // Begins with the next of `files`, of which `begun` holds the first. Where no decoder takes one, a worker is to
  // decode the first.
  void begin(std::span<const store::PendingFile> files, Begun& begun);
  // Begins with one file of the first group that is not taken and not all begun.
  void begin_one_ahead();
  // Begins with one photo. None: it cannot be opened, or as GpuDecoders::submit().
  std::optional<worker::GpuPicture> submit(const store::PendingFile& file, worker::GpuDecoders::Choice choice);

 private:
  bool begin_next(std::span<const store::PendingFile> files, Begun& begun);

  worker::GpuDecoders* gpu_;
  const FileGroups groups_;
  const TaskOf task_of_;
  std::mutex mutex_;
  std::size_t first_untaken_ = 0;       // group
  std::map<std::size_t, Begun> begun_;  // of groups that are not taken
};

}  // namespace image_engine::pipeline
