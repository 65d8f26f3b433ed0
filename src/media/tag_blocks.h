// Where the tags of a picture are: the blocks of EXIF, XMP and IPTC in the structure of its file.
#pragma once

#include <cstddef>
#include <vector>

#include "media/media.h"

namespace image_engine::media {

// Of several blocks of a kind the first has precedence. The spans point into the file or into `storage`.
struct TagBlocks {
  std::vector<Bytes> exif;       // TIFFs
  std::vector<Bytes> xmp;        // packets
  std::vector<Bytes> photoshop;  // image resources, some of which are IPTC
  std::vector<Bytes> iptc;       // IPTC-IIM without resources around it
  bool whole_file = false;       // exiv2 must open the whole file
  std::vector<std::vector<std::byte>> storage;

  TagBlocks() = default;
  TagBlocks(TagBlocks&&) noexcept = default;
  TagBlocks& operator=(TagBlocks&&) noexcept = default;
  TagBlocks(const TagBlocks&) = delete;
  TagBlocks& operator=(const TagBlocks&) = delete;
  ~TagBlocks() = default;

  [[nodiscard]] Bytes first_exif() const { return exif.empty() ? Bytes() : exif.front(); }
};

// The blocks in a picture of that format, found without a decoder: also where the picture itself is damaged.
TagBlocks find_tag_blocks(MediaFormat format, Bytes file);

// The IPTC-IIM records among Photoshop's image resources, whoever wrote the others (Adobe Photoshop file formats
// specification). What is no resource is skipped.
std::vector<Bytes> iptc_resources(Bytes photoshop);

}  // namespace image_engine::media
