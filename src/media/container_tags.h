// What containers of videos and sound say of themselves in words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "media/ffmpeg.h"
#include "types/metadata.h"

namespace image_engine::media {

// The container's tag, or else the stream's; clean UTF-8, empty without one or for a null `key`.
std::string tag_of(const AVFormatContext& input, const AVStream& stream, const char* key);

// Title, description, creator, copyright, camera and place.
void read_container_texts(const AVFormatContext& input, const AVStream& stream, Metadata& metadata);

// When the recording was made; nullopt for clocks that were never set.
std::optional<CaptureTime> container_time(const AVFormatContext& input, const AVStream& stream);

// In the file's order, at most 100.
std::vector<AudioTrack> audio_tracks_of(const AVFormatContext& input);

}  // namespace image_engine::media
