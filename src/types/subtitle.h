// Subtitles as files and streams have them.
#pragma once

#include <string>

#include "types/metadata.h"

namespace image_engine {

// What is shown from one time to another, seconds of presentation time.
struct SubtitleCue {
  double from = 0, to = 0;
  std::string text;  // UTF-8, without markup; lines end in \n, the last without one
};

template <typename Archive>
void visit_fields(Archive& archive, Same<SubtitleCue> auto& c) {
  archive(c.from), archive(c.to), archive(c.text);
}

}  // namespace image_engine
