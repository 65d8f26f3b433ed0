#include "worker/process/cut_sender.h"

#include <algorithm>
#include <cstring>

#include "media/video_cut.h"
#include "worker/archive.h"
#include "worker/process/slots.h"

namespace image_engine::worker {

Result<CutSummary> send_cut(std::span<std::byte> memory, media::Bytes file, const Request& request) {
  Slots slots(memory, request.number);
  const auto send = [&](std::uint64_t position, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::uint32_t slot = slots.take();
      const SlotRange range = slots.range(slot);
      WrittenPart part{position, range.begin + kMostChunkBytes, 0};
      part.bytes = std::min<std::uint64_t>(bytes.size(), range.end - part.offset);
      std::memcpy(memory.data() + part.offset, bytes.data(), part.bytes);
      ArchiveWriter writer;
      writer(part);
      slots.send(slot, writer.bytes());
      bytes = bytes.subspan(part.bytes);
      position += part.bytes;
    }
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
