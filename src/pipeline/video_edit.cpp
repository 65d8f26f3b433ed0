#include "pipeline/video_edit.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "pipeline/analyze.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

Status write_all(int file, std::span<const std::byte> bytes, off_t at) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail(ErrorCode::kMachine, errno_error("no memory for a frame").message);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    at += written;
  }
  return {};
}

// More comes from a subverted worker. What is encoded anew may be larger than it was, but not out of all proportion.
Result<std::uint64_t> most_written(const UniqueFd& video) {
  constexpr std::uint64_t kTimes = 64, kBeside = std::uint64_t{1} << 30;
  struct stat info {};
  if (::fstat(video.get(), &info) != 0) return fail(errno_error("cannot stat"));
  return kTimes * static_cast<std::uint64_t>(info.st_size) + kBeside;
}

// A full disk and the like are no fault of the video.
Status of_the_run(Status written) {
  if (written) return written;
  return fail(ErrorCode::kMachine, written.error().message);
}

class RewriteRun {
 public:
  RewriteRun(worker::Lease& lease, FrameAnswers& answers, AtomicFile& out, std::uint64_t most, double seconds,
             const AnswerFrame& answer, const VideoWatch& watch)
      : lease_(lease), answers_(answers), out_(out), most_(most), seconds_(seconds), answer_(answer), watch_(watch) {}

  Result<RewrittenFile> run() {
    for (;;) {
      if (watch_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted: nothing was written");
      IE_TRY(const std::optional<worker::RewriteStep> step, lease_.next_step());
      if (!step) break;
      IE_CHECK(step->part.bytes > 0 ? take(step->part) : reply_to(*step));
    }
    made_.summary = lease_.rewritten();
    return std::move(made_);
  }

 private:
  Status take(const worker::WrittenPart& part) {
    received_ += part.bytes;
    // Headers are written a second time.
    if (part.position > most_ || part.bytes > most_ - part.position || received_ / 2 > most_)
      return fail(ErrorCode::kCrashed, "far more is written than was read; the worker was probably subverted");
    made_.bytes = std::max(made_.bytes, part.position + part.bytes);
    return of_the_run(out_.write(part.position, lease_.bytes(part)));
  }

  Status reply_to(const worker::RewriteStep& step) {
    made_.width = step.picture.full_width, made_.height = step.picture.full_height;
    const bool has_picture = step.picture.width > 0;
    if (!first_) first_ = step.seconds;
    IE_CHECK(answer_({step.seconds, made_.width, made_.height, has_picture ? lease_.pixels(step.picture) : ImageView{},
                      has_picture ? lease_.memory_descriptor() : -1, step.picture.offset},
                     answers_));
    if (watch_.progress && seconds_ > 0) watch_.progress(std::clamp((step.seconds - *first_) / seconds_, 0.0, 1.0));
    return {};
  }

  worker::Lease& lease_;
  FrameAnswers& answers_;
  AtomicFile& out_;
  std::uint64_t most_, received_ = 0;
  double seconds_;
  std::optional<double> first_;
  const AnswerFrame& answer_;
  const VideoWatch& watch_;
  RewrittenFile made_;
};

}  // namespace

Result<FrameAnswers> FrameAnswers::create() {
  UniqueFd memory(::memfd_create("image-engine-answers", MFD_CLOEXEC));
  if (!memory) return fail(ErrorCode::kMachine, errno_error("no memory to share").message);
  return FrameAnswers(std::move(memory));
}

Status FrameAnswers::write(const worker::FrameAnswer& head, std::span<const std::byte> payload) {
  IE_CHECK(write_all(memory_.get(), std::as_bytes(std::span(&head, 1)), 0));
  return write_all(memory_.get(), payload, sizeof head);
}

Status FrameAnswers::hide(std::span<const HiddenArea> areas) {
  return write({.areas = static_cast<std::uint32_t>(areas.size())}, std::as_bytes(areas));
}

Status FrameAnswers::give(std::uint32_t width, std::uint32_t height, std::uint32_t channels,
                          std::span<const std::uint8_t> pixels) {
  if (pixels.size() != std::size_t{width} * height * channels)
    return fail(ErrorCode::kInternal, "a frame is not complete");
  return write({0, width, height, channels}, std::as_bytes(pixels));
}

Result<std::unique_ptr<worker::Pool>> video_workers(const Config& config) {
  constexpr std::uint64_t kOfEncoders = std::uint64_t{3} << 30;  // frames that are looked ahead, in 4K
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  options.memory_limit = std::max(options.memory_limit, kOfEncoders);
  return worker::Pool::create(options);
}

Result<double> video_seconds(worker::Pool& pool, const std::string& path) {
  IE_TRY(worker::LeasedFile file, worker::LeasedFile::open(pool, path));
  IE_TRY(const worker::Reply reply, file.run({.operations = worker::kReadMetadata}));
  if (!reply.metadata) return fail(reply.metadata.error());
  if (!reply.metadata->video) return fail(ErrorCode::kUnsupported, "this is not a video");
  return reply.metadata->video->duration;
}

Result<RewrittenFile> rewrite_video(worker::Pool& pool, const std::string& path, const worker::RewriteTask& task,
                                    double seconds, const std::string& target, const AnswerFrame& answer,
                                    const VideoWatch& watch) {
  IE_TRY(const UniqueFd video, open_regular(path));
  IE_TRY(const std::uint64_t most, most_written(video));
  IE_TRY(FrameAnswers answers, FrameAnswers::create());
  IE_CHECK(answers.hide({}));
  IE_TRY(AtomicFile out, AtomicFile::create(target));
  worker::Lease lease = pool.lease();
  worker::Task all;
  all.operations = 0;
  all.rewrite = task;
  IE_CHECK(lease.start_rewrite(all, video.get(), answers.descriptor()));
  IE_TRY(RewrittenFile made, RewriteRun(lease, answers, out, most, seconds, answer, watch).run());
  IE_CHECK(of_the_run(out.sync()));
  IE_CHECK(of_the_run(out.finish()));
  return made;
}

}  // namespace image_engine::pipeline
