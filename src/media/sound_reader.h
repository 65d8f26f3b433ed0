// The sound of a video or of a recording as samples for models: 16 kHz, one channel.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "media/media.h"
#include "types/metadata.h"
#include "types/transcript.h"

namespace image_engine::media {

inline constexpr std::uint32_t kModelSoundRate = 16'000;  // samples a second

struct SoundReaderOptions {
  double from = 0;            // seconds of presentation time; up to 0: from the start
  double duration = 0;        // seconds of sound at most; 0: to the end
  std::int32_t track = -1;    // from 0 among the audio tracks; below 0: by `language`
  std::string language;       // ISO 639, two or three letters; empty: the default track, else the first
  bool loudness = false;      // measure what is read
  bool all_loudness = false;  // measure all of it up to where reading ends: it is then decoded from the start
  bool is_mapped = false;     // the bytes are a mapped file's (Demuxer::open())
};

// Not thread-safe.
class SoundReader {
 public:
  // `file` must outlive it. Errors: kUnsupported (no container that is known, no audio track, no decoder), kNotFound
  // (not the track that was asked for; names those that are there), kCorrupt, kOutOfMemory.
  static Result<SoundReader> open(Bytes file, const SoundReaderOptions& options);
  SoundReader(SoundReader&&) noexcept;
  ~SoundReader();

  struct Piece {
    double seconds = 0;  // presentation time of the first sample: the clock of VideoFrame::seconds
    size_t samples = 0;
    bool is_end = false;
  };
  // The next samples, as many as `into` takes, fewer at the end or when `longest` has passed. Samples are finite, from
  // -1 to 1. The first call begins at `from`, with the samples that a whole run has there, as far as the container's
  // times are exact to a sample. Pieces follow each other without a gap: where the container's times leave out more
  // than 50 ms there is silence, and what comes twice is dropped. A time that lies far off counts as damaged. Packets
  // that cannot be decoded are left out and counted. Errors: kCorrupt (nothing can be decoded), kOutOfMemory.
  Result<Piece> read(std::span<float> into, std::chrono::milliseconds longest = std::chrono::hours(1));

  [[nodiscard]] const std::vector<AudioTrack>& tracks() const;
  [[nodiscard]] std::uint32_t track() const;  // that is read
  [[nodiscard]] double duration() const;      // seconds that the container states; 0: unknown
  // Whether the container ended by an error, or lacks bytes that it declares: it is damaged, or ends early.
  [[nodiscard]] bool is_cut_off() const;
  // Of what was read so far; empty unless it was asked for.
  [[nodiscard]] Loudness loudness() const;
  // For a person: what was wrong so far but survived.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct State;
  explicit SoundReader(std::unique_ptr<State> state);
  // At the start, with the first frame decoded.
  static Result<std::unique_ptr<State>> begin(Bytes file, const SoundReaderOptions& options);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::media
