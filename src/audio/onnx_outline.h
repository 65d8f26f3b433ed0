// The outline of an ONNX file, read without its weights.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "core/result.h"

namespace image_engine::audio {

struct OnnxOutline {
  std::map<std::string, std::string> metadata;
  size_t inputs = 0, outputs = 0;  // of the graph
};

// Of a file's bytes. kCorrupt when they are no ONNX model, are cut short or hold absurd numbers of entries. Reads what
// leads to the entries only, whatever the bytes are. Thread-safe.
Result<OnnxOutline> onnx_outline(std::span<const std::byte> bytes);

}  // namespace image_engine::audio
