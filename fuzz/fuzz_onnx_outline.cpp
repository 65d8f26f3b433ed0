// The outline of an ONNX file of any bytes: no more entries than there are bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "audio/onnx_outline.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const auto outline = image_engine::audio::onnx_outline(std::as_bytes(std::span(data, size)));
  if (outline && outline->metadata.size() + outline->inputs + outline->outputs > size) std::abort();
  return 0;
}
