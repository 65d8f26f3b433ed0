#include "worker/process/rewrite_sender.h"

#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "media/video_rewrite.h"
#include "worker/archive.h"
#include "worker/process/arena.h"
#include "worker/process/part_sender.h"

namespace image_engine::worker {
namespace {

Status read_answer(int file, std::uint64_t at, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t count = ::pread(file, into.data(), into.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return fail(ErrorCode::kIo, "the answer about a frame cannot be read");
    into = into.subspan(static_cast<std::size_t>(count));
    at += static_cast<std::uint64_t>(count);
  }
  return {};
}

std::vector<std::byte> archived(const RewriteStep& step) {
  ArchiveWriter writer;
  writer(step);
  return {writer.bytes().begin(), writer.bytes().end()};
}

class RewriteSender {
 public:
  RewriteSender(std::span<std::byte> memory, int answers, const Request& request)
      : memory_(memory), answers_(answers), request_(request), slots_(memory, request.number) {}

  void send(std::uint64_t position, std::span<const std::byte> bytes) {
    send_parts(memory_, slots_, position, bytes, [](const WrittenPart& part) { return archived({.part = part}); });
  }

  Status edit(media::EditedFrame& frame) {
    IE_CHECK(ask(frame));
    FrameAnswer answer;
    IE_CHECK(read_answer(answers_, 0, std::as_writable_bytes(std::span(&answer, 1))));
    const RewriteTask& task = request_.rewrite;
    if (answer.channels == 0) {
      std::vector<HiddenArea> areas(answer.areas);
      IE_CHECK(read_answer(answers_, sizeof answer, std::as_writable_bytes(std::span(areas))));
      return frame.hide(areas, task.style, task.squares);
    }
    pixels_.resize(std::size_t{answer.width} * answer.height * answer.channels);
    IE_CHECK(read_answer(answers_, sizeof answer, pixels_));
    const media::RawPicture picture{answer.width, answer.height, answer.channels, pixels_};
    return answer.channels == 1 ? frame.hide_outside(picture, task.style, task.squares) : frame.replace(picture);
  }

 private:
  Status ask(media::EditedFrame& frame) {
    RewriteStep step{.seconds = frame.seconds()};
    const std::uint32_t slot = slots_.take();
    const SlotRange range = slots_.range(slot);
    const media::Size full = frame.full_size();
    step.picture.full_width = full.width;
    step.picture.full_height = full.height;
    if (request_.rewrite.sends_pictures != 0) {
      IE_TRY(const Image image, frame.picture(0));
      Arena arena(memory_, range.begin + kMostChunkBytes, range.end);
      step.picture.width = image.width;
      step.picture.height = image.height;
      IE_TRY(step.picture.offset, arena.put(std::as_bytes(std::span(image.pixels))));
    }
    slots_.send(slot, archived(step));
    slots_.await(slot);
    return {};
  }

  std::span<std::byte> memory_;
  int answers_;
  const Request& request_;
  Slots slots_;
  std::vector<std::byte> pixels_;
};

}  // namespace

Result<RewriteSummary> send_rewritten(std::span<std::byte> memory, media::Bytes file, int answers,
                                      const Request& request) {
  RewriteSender sender(memory, answers, request);
  const RewriteTask& task = request.rewrite;
  IE_TRY(media::RewrittenVideo made,
         media::rewrite_video(
             file,
             {.format = task.format,
              .coding = task.coding,
              .with_sound = task.with_sound != 0,
              .is_mapped = true,
              .threads = static_cast<int>(std::clamp(task.threads, 1U, 16U)),
              .max_pixels = request.max_pixels},
             [&](media::EditedFrame& frame) { return sender.edit(frame); },
             [&](std::uint64_t position, media::Bytes bytes) { sender.send(position, bytes); }));
  return RewriteSummary{made.frames, std::move(made.codec), made.sound_tracks, made.subtitle_tracks,
                        std::move(made.notes)};
}

}  // namespace image_engine::worker
