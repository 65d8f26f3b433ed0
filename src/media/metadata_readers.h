// Readers behind read_metadata().
#pragma once

#include <cstddef>
#include <vector>

#include "media/media.h"

namespace image_engine::media {

// The metadata blocks found in a file. The spans point into the file or into `storage`.
struct Blocks {
  Bytes exif;                  // a TIFF
  Bytes xmp;                   // a packet
  Bytes photoshop;             // image resource blocks, one of which is IPTC
  std::vector<std::byte> icc;  // a profile
  bool whole_file = false;     // the file is to be opened by exiv2, which knows its structure
  std::vector<std::vector<std::byte>> storage;
};

// What the headers of a picture say about pixels, and where its tags are. Sizes are as stored, before orientation.
Result<Blocks> read_jpeg_blocks(Bytes file, Metadata& metadata);
Result<Blocks> read_vips_blocks(Bytes file, Metadata& metadata);
Result<Blocks> read_bmp_blocks(Bytes file, Metadata& metadata);
Result<Blocks> read_raw_blocks(Bytes file, Metadata& metadata);

// EXIF, XMP and IPTC into `metadata`, by the tables in metadata_exif.cpp. Never fails: what is broken is a warning.
void merge_tags(Bytes file, const Blocks& blocks, Bytes sidecar, Metadata& metadata);

// Container metadata; decodes no more than FFmpeg needs to name the streams.
Result<Metadata> read_video_metadata(MediaFormat format, Bytes file);

}  // namespace image_engine::media
