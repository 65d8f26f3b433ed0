// Readers behind read_metadata().
#pragma once

#include <cstddef>
#include <vector>

#include "media/media.h"
#include "media/tag_blocks.h"

namespace image_engine::media {

// What the headers of a picture say beside its size.
struct Blocks {
  TagBlocks tags;
  std::vector<std::byte> icc;  // a profile
  std::string colours;         // the name of what is stated otherwise
  std::string time;            // when it was taken by the container's own words, as it has them
  // EXIF's number that the container or one of its blocks states; 0: none. kTurned: the library turns the picture by
  // the container's own instruction, and no other one counts.
  std::uint32_t orientation = 0;
  static constexpr std::uint32_t kTurned = 9;
};

// Reads pixel information from a picture's headers and finds its tags. Sizes are as stored, before orientation.
Result<Blocks> read_jpeg_blocks(Bytes file, Metadata& metadata);
Result<Blocks> read_vips_blocks(Bytes file, Metadata& metadata);
Result<Blocks> read_bmp_blocks(Bytes file, Metadata& metadata);
Result<Blocks> read_raw_blocks(Bytes file, Metadata& metadata);

// Adds EXIF, XMP and IPTC to `metadata`, by the tables in metadata_exif.cpp. Never fails: broken data causes a warning.
void merge_tags(Bytes file, const Blocks& blocks, Bytes sidecar, Metadata& metadata);

// The same for a video or sound file, whose container was read before: what the sidecar states replaces it, a time
// unless it is only the receiver's or that of the last change.
void merge_sidecar(Bytes sidecar, Metadata& metadata);

// Container metadata of a video or sound file; decodes only what FFmpeg needs to identify the streams. The result's
// format says which of both it is, also where the signature did not tell. An attached picture is no video.
Result<Metadata> read_container_metadata(MediaFormat detected, Bytes file);

// Of a file without a video stream. Errors: kCorrupt (no sound either, or none that is understood), kUnsupported (sound
// alone in a container that is only supported for videos).
Result<Metadata> read_sound_metadata(MediaFormat detected, Bytes file);

}  // namespace image_engine::media
