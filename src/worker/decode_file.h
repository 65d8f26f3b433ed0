// One call to a worker: opens the file, leases a worker for it, and keeps both while the pixels are used.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "core/file.h"
#include "core/result.h"
#include "types/image.h"
#include "worker/pool.h"

namespace image_engine::worker {

// An open file and a worker on loan for it, for one request or several. Not thread-safe.
class LeasedFile {
 public:
  // Waits for a free worker. Errors: those of open_regular().
  static Result<LeasedFile> open(Pool& pool, const std::string& path);
  // A file that is open already, and its sidecar where there is one. Waits for a free worker.
  LeasedFile(Pool& pool, UniqueFd media, UniqueFd sidecar = {});

  // As Lease::run(); each operation has its own result in the reply.
  Result<Reply> run(const Task& task) { return lease_.run(task, media_.get(), sidecar_.get()); }
  // As Lease::start_video() and so on.
  Status start_video(const Task& task) { return lease_.start_video(task, media_.get()); }
  Result<std::optional<VideoChunk>> next_chunk() { return lease_.next_chunk(); }
  [[nodiscard]] const VideoSummary& summary() const { return lease_.summary(); }
  Status start_sound(const Task& task) { return lease_.start_sound(task, media_.get()); }
  Result<std::optional<SoundChunk>> next_sound() { return lease_.next_sound(); }
  [[nodiscard]] std::span<const float> samples(const SoundChunk& chunk) const { return lease_.samples(chunk); }
  [[nodiscard]] const SoundSummary& sound() const { return lease_.sound(); }
  Status start_cut(const Task& task) { return lease_.start_cut(task, media_.get()); }
  Result<std::optional<WrittenPart>> next_part() { return lease_.next_part(); }
  [[nodiscard]] const CutSummary& cut() const { return lease_.cut(); }
  [[nodiscard]] std::span<const std::byte> bytes(const WrittenPart& part) const { return lease_.bytes(part); }
  [[nodiscard]] std::span<const std::uint8_t> small(const VideoChunk& chunk, std::size_t index) const {
    return lease_.small(chunk, index);
  }
  // Of the last reply or chunk; valid until the next run() or next_chunk().
  [[nodiscard]] ImageView pixels(const Picture& picture) const { return lease_.pixels(picture); }
  [[nodiscard]] std::span<const std::byte> bytes(const Thumbnail& thumbnail) const { return lease_.bytes(thumbnail); }
  [[nodiscard]] int memory_descriptor() const { return lease_.memory_descriptor(); }
  [[nodiscard]] SharedPixels shared(const ImageView& picture) const { return lease_.shared(picture); }

 private:
  UniqueFd media_, sidecar_;
  Lease lease_;
};

// A file with all requested results. Holds its worker: destroy it before the same thread leases another one. Not
// thread-safe.
class DecodedFile {
 public:
  // Results of the requested operations have a value.
  [[nodiscard]] const Reply& reply() const { return reply_; }
  // Each only if it was requested (kDecode, kThumbnail, kVideoClip). Views are valid until decode_again().
  [[nodiscard]] const Picture& picture() const { return *reply_.picture; }
  [[nodiscard]] ImageView pixels() const { return file_.pixels(picture()); }
  // As Lease::memory_descriptor().
  [[nodiscard]] int memory_descriptor() const { return file_.memory_descriptor(); }
  [[nodiscard]] std::span<const std::byte> thumbnail() const { return file_.bytes(*reply_.thumbnail); }
  [[nodiscard]] std::span<const std::byte> clip() const { return file_.bytes(*reply_.clip); }

  // Runs another task on the same file and worker. After an error only reply()'s errors may be read. Errors as
  // decode_file().
  Status decode_again(const Task& task);

 private:
  friend Result<DecodedFile> decode_file(Pool& pool, UniqueFd media, const Task& task);
  explicit DecodedFile(LeasedFile file) : file_(std::move(file)) {}

  LeasedFile file_;
  Reply reply_;
};

// Opens the file, waits for a free worker and runs the task. Errors: those of open_regular() and Lease::run(), and the
// first of a requested operation. Thread-safe.
Result<DecodedFile> decode_file(Pool& pool, const std::string& path, const Task& task);
// The same for a file that is open already.
Result<DecodedFile> decode_file(Pool& pool, UniqueFd media, const Task& task);

}  // namespace image_engine::worker
