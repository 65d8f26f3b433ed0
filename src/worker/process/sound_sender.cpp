#include "worker/process/sound_sender.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "media/sound_reader.h"
#include "worker/archive.h"
#include "worker/process/slots.h"

namespace image_engine::worker {
namespace {

constexpr std::chrono::milliseconds kLongestSoundChunk{500};  // of decoding, so that the engine sees progress
static_assert(kSoundRate == media::kModelSoundRate);

media::SoundReaderOptions options_of(const SoundTask& task) {
  media::SoundReaderOptions options;
  options.from = task.from;
  options.duration = task.duration;
  options.track = task.track;
  options.language.assign(task.language, strnlen(task.language, sizeof task.language));
  options.loudness = task.loudness != 0;
  options.all_loudness = task.loudness == 2;
  options.is_mapped = true;
  return options;
}

SoundSummary summary_of(const media::SoundReader& reader) {
  SoundSummary summary;
  summary.tracks = reader.tracks();
  summary.track = reader.track();
  if (reader.duration() <= kMostVideoSeconds) summary.duration = reader.duration();
  summary.loudness = reader.loudness();
  summary.is_cut_off = reader.is_cut_off();
  summary.warnings = reader.warnings();
  return summary;
}

}  // namespace

Result<SoundSummary> send_sound(std::span<std::byte> memory, media::Bytes file, const Request& request) {
  IE_TRY(media::SoundReader reader, media::SoundReader::open(file, options_of(request.sound)));
  Slots slots(memory, request.number);
  double first = 0, last = 0;
  bool has_first = false;
  for (bool is_end = false; !is_end;) {
    const std::uint32_t slot = slots.take();
    const SlotRange range = slots.range(slot);
    SoundChunk chunk{.offset = range.begin + kMostChunkBytes};
    const std::uint64_t room = std::min<std::uint64_t>(kMostChunkSamples, (range.end - chunk.offset) / sizeof(float));
    auto* at = reinterpret_cast<float*>(memory.data() + chunk.offset);
    IE_TRY(const auto piece, reader.read({at, room}, kLongestSoundChunk));
    is_end = piece.is_end;
    if (!(std::abs(piece.seconds) <= kMostVideoSeconds))
      return fail(ErrorCode::kCorrupt, "the sound's times are damaged");
    if (is_end && piece.samples == 0) break;
    chunk.seconds = piece.seconds;
    chunk.samples = static_cast<std::uint32_t>(piece.samples);
    if (!has_first && piece.samples > 0) first = piece.seconds, has_first = true;
    last = piece.seconds + static_cast<double>(piece.samples) / kSoundRate;
    ArchiveWriter writer;
    writer(chunk);
    slots.send(slot, writer.bytes());
  }
  SoundSummary summary = summary_of(reader);
  if (has_first) summary.first = first, summary.last = last;
  return summary;
}

}  // namespace image_engine::worker
