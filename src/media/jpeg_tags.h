// Tags in a JPEG's segments APP1 and APP13. A segment has at most 64 KB: what is larger goes on in the following ones.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "media/tag_blocks.h"

namespace image_engine::media {

// Takes the payloads of segments in the file's order.
class JpegTags {
 public:
  void add_app1(Bytes payload);
  void add_app13(Bytes payload);
  // All blocks. Of extended XMP (XMP specification part 3, 1.1.3.1) those that a main packet names, up to the first
  // part that is missing.
  [[nodiscard]] TagBlocks join() const;

 private:
  using Parts = std::vector<Bytes>;
  void add_extension(Bytes payload);

  std::vector<Parts> exif_;
  std::vector<Bytes> xmp_;
  Parts photoshop_;
  std::map<std::string, std::map<std::uint32_t, Bytes>> extensions_;  // by their MD5, then by offset
};

}  // namespace image_engine::media
