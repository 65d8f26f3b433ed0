// What a subverted worker may send of a video's frames and of sound: a chunk that is accepted lies in its slot.
#include <cstdlib>

#include "worker/answer.h"
#include "worker/archive.h"

using namespace image_engine;

namespace {

constexpr worker::SlotRange kSlot{8 << 20, 64 << 20};

void inside(std::uint64_t offset, std::uint64_t bytes) {
  if (offset < kSlot.begin || bytes > kSlot.end || offset > kSlot.end - bytes) std::abort();
}

void read_sound(const std::uint8_t* data, size_t size) {
  worker::SoundChunk chunk;
  worker::ArchiveReader reader({reinterpret_cast<const std::byte*>(data), size});
  reader(chunk);
  worker::Request request;
  request.operations = worker::kSound;
  if (!reader.complete() || !worker::is_sound_of(request, chunk, kSlot, 0)) return;
  if (chunk.offset % alignof(float) != 0) std::abort();
  inside(chunk.offset, std::uint64_t{chunk.samples} * sizeof(float));
}

void read_step(const std::uint8_t* data, size_t size) {
  worker::RewriteStep step;
  worker::ArchiveReader reader({reinterpret_cast<const std::byte*>(data), size});
  reader(step);
  worker::Request request;
  request.operations = worker::kRewrite;
  request.max_pixels = 1 << 24;
  request.rewrite.sends_pictures = size % 2;
  if (!reader.complete() || !worker::is_step_of(request, step, kSlot)) return;
  if (step.part.bytes > 0)
    inside(step.part.offset, step.part.bytes);
  else if (step.picture.width > 0)
    inside(step.picture.offset, std::uint64_t{3} * step.picture.width * step.picture.height);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  read_sound(data, size);
  read_step(data, size);
  worker::VideoChunk chunk;
  worker::ArchiveReader reader({reinterpret_cast<const std::byte*>(data), size});
  reader(chunk);
  if (!reader.complete()) return 0;
  worker::Request request;
  request.operations = worker::kVideoFrames | (size % 2 == 0 ? worker::kThumbnail : 0U);
  request.max_edge = 640;
  request.video.small_width = 64;
  request.video.small_height = 36;
  request.video.step_seconds = size % 3 == 0 ? 0.25 : 0;
  request.video.step_edge = 320;
  if (!worker::is_chunk_of(request, chunk, kSlot, 0)) return 0;
  inside(chunk.small_offset, chunk.seconds.size() * 64 * 36 * 3);
  for (const worker::ChosenFrame& frame : chunk.chosen) {
    inside(frame.picture.offset, std::uint64_t{3} * frame.picture.width * frame.picture.height);
    inside(frame.thumbnail.offset, frame.thumbnail.bytes);
  }
  for (const worker::ChosenFrame& frame : chunk.steps)
    inside(frame.picture.offset, std::uint64_t{3} * frame.picture.width * frame.picture.height);
  return 0;
}
