// A video written anew by a worker, with frames that are changed as the caller says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "core/config.h"
#include "core/file.h"
#include "core/result.h"
#include "types/image.h"
#include "types/video_edit.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// Where the answers about frames are, one at a time: memory that a worker reads.
class FrameAnswers {
 public:
  // kMachine.
  static Result<FrameAnswers> create();
  // Each replaces the answer before. kMachine: no memory.
  Status hide(std::span<const HiddenArea> areas);
  // 1 channel: hide what is outside of this mask; 3 or 4: these pixels replace the frame.
  Status give(std::uint32_t width, std::uint32_t height, std::uint32_t channels, std::span<const std::uint8_t> pixels);
  [[nodiscard]] int descriptor() const { return memory_.get(); }

 private:
  explicit FrameAnswers(UniqueFd memory) : memory_(std::move(memory)) {}
  Status write(const worker::FrameAnswer& head, std::span<const std::byte> payload);
  UniqueFd memory_;
};

// A frame that an answer is wanted for. The pixels lie in the worker's memory and are valid during the call.
struct AskedFrame {
  double seconds = 0;                             // presentation time
  std::uint32_t full_width = 0, full_height = 0;  // upright
  ImageView picture;                              // full size, upright sRGB; empty unless the task has it sent
  int descriptor = -1;                            // of the memory that the pixels lie in, which cannot be written to
  std::uint64_t offset = 0;                       // of the pixels there
};
using AnswerFrame = std::function<Status(const AskedFrame&, FrameAnswers&)>;

// How far work on a video is: `done` of it, 0 to 1.
struct VideoWatch {
  std::stop_token stop;
  std::function<void(double done)> progress;
};

struct RewrittenFile {
  worker::RewriteSummary summary;
  std::uint64_t bytes = 0;
  std::uint32_t width = 0, height = 0;  // of the last frame, upright
};

// Workers for one video at a time: with the memory that encoders need. Errors of Pool::create().
Result<std::unique_ptr<worker::Pool>> video_workers(const Config& config);

// Seconds that the container states; 0: unknown. Errors: those of reading the file, kUnsupported: it is no video.
Result<double> video_seconds(worker::Pool& pool, const std::string& path);

// Writes the video in `path` anew into `target`, which is written beside and renamed; `answer` is called once for each
// frame, in order. `seconds`: of the video, for the progress. Errors: of media::rewrite_video(), of `answer`, of
// writing (a full disk: of the run); kInterrupted. `target` is then as it was.
Result<RewrittenFile> rewrite_video(worker::Pool& pool, const std::string& path, const worker::RewriteTask& task,
                                    double seconds, const std::string& target, const AnswerFrame& answer,
                                    const VideoWatch& watch);

}  // namespace image_engine::pipeline
