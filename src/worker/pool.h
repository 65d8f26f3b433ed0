// A pool of sandboxed processes that parse outside bytes: starts, watches and replaces them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "types/image.h"
#include "worker/protocol.h"

namespace image_engine::worker {

struct PoolOptions {
  int workers = 1;
  std::string program;                        // empty: image-engine-worker beside the running program
  std::uint64_t memory_limit = 1ULL << 30;    // bytes of private and shared memory, for each worker
  std::chrono::milliseconds timeout{30'000};  // for one file; files over 100 MB get more, by their size
  int decode_threads = 1;                     // libvips threads in one worker
  int niceness = 0;                           // as of nice(1)
  bool require_sandbox = false;               // refuse to run if a sandbox layer is missing
};

// What a worker does with a file.
struct Task {
  std::uint32_t operations = kDecode;    // worker::Operation bits
  std::uint32_t max_edge = 0;            // pixels; of the decoded picture's longer edge, 0 for full size
  std::uint32_t thumbnail_edge = 256;    // pixels; of the thumbnail's and the video clip's longer edge
  std::uint32_t thumbnail_quality = 80;  // 1…100, of the JPEG
  std::uint32_t orientation = 0;         // of the picture, EXIF's number; 0: as its file says
  double at = -1;                        // kDecode of a video: the frame shown at this time, seconds
  VideoTask video = {};                  // of kVideoFrames
  CutTask cut = {};                      // of kCut
  SoundTask sound = {};                  // of kSound
  SubtitlesTask subtitles = {};          // of kSubtitles
  PreviewTask preview = {};              // of kPreview
  EncodeTask encode = {};                // of kEncode
  RewriteTask rewrite = {};              // of kRewrite
};

class Process;

// Pixels in memory that another process can map.
struct SharedPixels {
  int descriptor = -1;  // that cannot be written to; below 0: there is none
  std::uint64_t offset = 0;
};

// A worker on loan. Not thread-safe; goes back to the pool when destroyed.
class Lease {
 public:
  Lease(class Pool& pool, std::unique_ptr<Process> process);
  Lease(Lease&&) noexcept;
  Lease& operator=(Lease&&) = delete;
  ~Lease();

  // Sends the task and waits for its reply; the time limit grows with the file's size. Descriptors are borrowed for the
  // call; sidecar_fd is -1 without one. decode_file.h opens files for it. A worker that dies, hangs or grows past its
  // limit is killed and replaced, and the task is tried once more if that worker died and was not fresh. Errors, each
  // about this file only: kCrashed, kTimeout, kOutOfMemory, kIo. Not about the file: kKilled (by the system, for want
  // of memory: try again later), kMachine (no worker can be started; names the remedy; the next call fails alike).
  Result<Reply> run(const Task& task, int media_fd, int sidecar_fd = -1);

  // Frames of a video: start_video(), then next_chunk() until it gives none; then summary() is there. A chunk's pixels
  // are valid until the next call. The time limit is the time without a chunk. Errors as of run(), without a second
  // try; a lease that is given back before the end ends its worker.
  Status start_video(const Task& task, int media_fd);
  Result<std::optional<VideoChunk>> next_chunk();
  [[nodiscard]] const VideoSummary& summary() const { return summary_; }

  // The file that a part of a video becomes: start_cut(), then next_part() until it gives none; then cut() is there. As
  // for frames.
  Status start_cut(const Task& task, int media_fd);
  Result<std::optional<WrittenPart>> next_part();
  [[nodiscard]] const CutSummary& cut() const { return cut_; }
  [[nodiscard]] std::span<const std::byte> bytes(const WrittenPart& part) const;

  // A video that is written anew: start_rewrite(), then next_step() until it gives none; then rewritten() is there.
  // After a step that is a question, the answer is to be in the file `answers` before the next call. As for frames.
  Status start_rewrite(const Task& task, int media_fd, int answers);
  Result<std::optional<RewriteStep>> next_step();
  [[nodiscard]] const RewriteSummary& rewritten() const { return rewritten_; }

  // The sound of a video or of a recording: start_sound(), then next_sound() until it gives none; then sound() is
  // there. As for frames; a chunk without samples is a sign of life. Errors also: kUnsupported (no audio track),
  // kNotFound (not the track that was asked for; names those that are there).
  Status start_sound(const Task& task, int media_fd);
  Result<std::optional<SoundChunk>> next_sound();
  [[nodiscard]] const SoundSummary& sound() const { return sound_; }
  // Of the last chunk; valid until the next call. Whatever the worker wrote: it is not trusted to write numbers.
  [[nodiscard]] std::span<const float> samples(const SoundChunk& chunk) const;

  // Of the last reply or chunk; valid until the next run() or next_chunk().
  [[nodiscard]] ImageView pixels(const Picture& picture) const;
  // The memory that pixels() lie in, as a descriptor for another process that cannot write to it; below 0: there is
  // none. Picture::offset is the place there. Borrowed; valid until the worker's next request.
  [[nodiscard]] int memory_descriptor() const;
  // Where there the pixels of a picture of this lease lie; no descriptor: the picture lies elsewhere.
  [[nodiscard]] SharedPixels shared(const ImageView& picture) const;
  // One small picture of the last chunk, RGB.
  [[nodiscard]] std::span<const std::uint8_t> small(const VideoChunk& chunk, std::size_t index) const;
  [[nodiscard]] std::span<const std::byte> bytes(const Thumbnail& thumbnail) const;

 private:
  Result<Reply> try_once(const Task& task, int media_fd, int sidecar_fd, bool& worth_retry);

  Status start(const Task& task, std::uint32_t operation, int media_fd, int beside = -1);
  template <typename InSlot>
  Result<std::optional<InSlot>> next(Reply& reply);
  void drop_process(bool has_died);

  Pool* pool_;
  std::unique_ptr<Process> process_;
  std::optional<Request> video_;             // while its chunks, sound or parts come
  std::optional<std::uint32_t> slot_;        // of the last chunk or part
  std::chrono::milliseconds time_limit_{0};  // for the next one
  VideoSummary summary_;
  SoundSummary sound_;
  CutSummary cut_;
  RewriteSummary rewritten_;
};

// Thread-safe. Workers start when first needed and are replaced after some thousand files.
class Pool {
 public:
  // With require_sandbox a worker is started at once. Errors: kMachine (no such program; a layer is missing).
  static Result<std::unique_ptr<Pool>> create(PoolOptions options);
  ~Pool();

  // Waits for a free worker.
  Lease lease();

  [[nodiscard]] const PoolOptions& options() const { return options_; }
  // How many workers died or were killed since the start.
  [[nodiscard]] std::uint64_t deaths() const;
  // How many workers were started.
  [[nodiscard]] std::uint64_t starts() const;
  // The sandbox layers that do not hold, by name; empty until a worker was started.
  [[nodiscard]] std::vector<std::string> missing() const;
  // Process ids of the running ones.
  [[nodiscard]] std::vector<int> process_ids() const;

 private:
  friend class Lease;
  explicit Pool(PoolOptions options);
  Result<std::unique_ptr<Process>> start();
  void give_back(std::unique_ptr<Process> process);
  void forget(int process_id, bool has_died);

  PoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Process>> idle_;
  std::vector<int> running_;
  int leased_ = 0;
  std::uint64_t deaths_ = 0, starts_ = 0;
  std::vector<std::string> missing_;
};

// What `image-engine-worker --probe` prints, as JSON text: library versions and the sandbox layers that hold.
Result<std::string> probe(const std::string& program = {});

}  // namespace image_engine::worker
