#pragma once
#include <optional>
#include <string>
#include <vector>
#include "core/result.h"
#include "types/transcript.h"
#include "worker/pool.h"
namespace image_engine::pipeline {
struct SubtitleTranscript { std::vector<SpeechSegment> segments; std::string source; };
inline Result<std::optional<SubtitleTranscript>> read_subtitles(worker::Pool&, const std::string&, const std::string&) { return std::nullopt; }
}
