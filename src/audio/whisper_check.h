// Whether a Whisper's files have what sherpa-onnx reads: it ends the process where something lacks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace image_engine::audio {

struct WhisperFacts {
  bool is_multilingual = false;
  bool has_word_times = false;         // the decoder has a fourth output, cross_attention_weights
  std::vector<std::string> languages;  // codes as "de"; of a model for English alone "en"
  std::int32_t words = 0;              // of its vocabulary
  std::int32_t mels = 0;               // bands of its input
};

// Reads the metadata of encoder and decoder (ONNX, skipping over weights) and tokens.txt, nothing else: milliseconds.
// Errors name the file and what it lacks: kCorrupt where a file is damaged or no such file, kUnsupported where it is
// sound but not what sherpa-onnx takes, and those of opening it. Thread-safe.
Result<WhisperFacts> check_whisper(const std::string& encoder, const std::string& decoder, const std::string& tokens);

}  // namespace image_engine::audio
