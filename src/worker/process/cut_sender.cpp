#include "worker/process/cut_sender.h"

#include "media/video_cut.h"
#include "worker/archive.h"
#include "worker/process/part_sender.h"

namespace image_engine::worker {

Result<CutSummary> send_cut(std::span<std::byte> memory, media::Bytes file, const Request& request) {
  Slots slots(memory, request.number);
  const auto send = [&](std::uint64_t position, std::span<const std::byte> bytes) {
    send_parts(memory, slots, position, bytes, [](const WrittenPart& part) {
      ArchiveWriter writer;
      writer(part);
      return writer.bytes();
    });
  };
  const CutTask& task = request.cut;
  IE_TRY(media::VideoCut cut, media::cut_video(file, {task.from, task.to, task.format, true}, send));
  return CutSummary{cut.from,
                    cut.to,
                    cut.key_frame,
                    std::move(cut.video_codecs),
                    std::move(cut.audio_codecs),
                    std::move(cut.warnings)};
}

}  // namespace image_engine::worker
