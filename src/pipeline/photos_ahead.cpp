#include "pipeline/photos_ahead.h"

#include "core/file.h"

namespace image_engine::pipeline {

PhotosAhead::Begun PhotosAhead::take(std::size_t group) {
  const std::lock_guard lock(mutex_);
  first_untaken_ = std::max(first_untaken_, group + 1);
  auto found = begun_.extract(group);
  return found ? std::move(found.mapped()) : Begun();
}

void PhotosAhead::begin(std::span<const store::PendingFile> files, Begun& begun) {
  if (gpu_ == nullptr) return;
  while (begun.size() < std::min(kAhead, files.size()))
    if (!begin_next(files, begun)) {
      if (begun.empty()) begun.emplace_back();
      return;
    }
}

void PhotosAhead::begin_one_ahead() {
  if (gpu_ == nullptr) return;
  const std::lock_guard lock(mutex_);
  for (std::size_t group = first_untaken_; !groups_.of(group).empty(); ++group) {
    const auto files = groups_.of(group).first(std::min(kAhead, groups_.of(group).size()));
    Begun& begun = begun_[group];
    if (begun.size() == files.size()) continue;
    begin_next(files, begun);
    return;
  }
}

// On the GPU that has the photo before it, if that takes more. False when no GPU takes one at present.
bool PhotosAhead::begin_next(std::span<const store::PendingFile> files, Begun& begun) {
  const store::PendingFile& file = files[begun.size()];
  const bool is_photo = file.seen.kind == MediaKind::kPhoto;
  const auto last = std::find_if(begun.rbegin(), begun.rend(), [](const auto& one) { return one.has_value(); });
  const worker::GpuDecoder* beside = last != begun.rend() ? &(*last)->decoder() : nullptr;
  std::optional<worker::GpuPicture> picture = is_photo ? submit(file, {.first = beside}) : std::nullopt;
  if (is_photo && !picture) return false;
  begun.push_back(std::move(picture));
  return true;
}

std::optional<worker::GpuPicture> PhotosAhead::submit(const store::PendingFile& file,
                                                      worker::GpuDecoders::Choice choice) {
  const Result<UniqueFd> opened = open_regular(file.seen.path);
  if (!opened) return std::nullopt;
  return gpu_->submit(task_of_(file), opened->get(), choice);
}

}  // namespace image_engine::pipeline
