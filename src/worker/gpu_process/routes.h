// Which JPEGs the GPU decodes, decided by their headers before anything is submitted.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "media/media.h"
#include "worker/gpu_protocol.h"

namespace image_engine::worker {

struct RoutedJpeg {
  std::uint32_t width = 0, height = 0;  // as stored
  std::uint32_t orientation = 1;
  std::vector<std::byte> icc;    // of a profile that needs converting; else empty
  std::size_t header_bytes = 0;  // of the file, before the first scan's coded data
  bool for_engine = false;       // GPUs' JPEG engines may take it: one sequential scan
  ByteSequence coded;            // media::jpeg_coded_data(), of the file's bytes
};

// None for what is left to the CPU: other formats, more than eight bits, CMYK, RGB without conversion, grey with a
// profile, arithmetic or lossless coding, no Huffman tables, and files that end before their picture does or whose
// coded data look damaged, of which the CPU's decoder shows what there is and says so.
std::optional<RoutedJpeg> route_jpeg(media::Bytes file);

}  // namespace image_engine::worker
