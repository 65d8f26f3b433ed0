// Whether this CPU multiplies bytes without saturation.
#pragma once

namespace image_engine::infer {

// True where the CPU and the operating system offer VNNI (AVX-512 or AVX), whose dot products of unsigned by signed
// bytes are summed in 32 bits. Without it ONNX Runtime's kernel for uint8 × int8 adds pairs of products in 16 bits
// (vpmaddubsw), which saturate: 2 × 255 × 127 > 32767. Thread-safe.
bool has_vnni();

}  // namespace image_engine::infer
