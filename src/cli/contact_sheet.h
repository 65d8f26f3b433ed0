// The scenes of a video as one picture: `show VIDEO --contact-sheet OUT`.
#pragma once

#include <string>
#include <vector>

#include "cli/app.h"
#include "cli/canvas.h"

namespace image_engine::cli {

// A frame for each of these times (seconds, at most kMostCells; of more, evenly spread ones), in rows from the top,
// with its time below it. `edge`: of the sheet's longer side, at most. Errors: those of decoding the video.
inline constexpr std::size_t kMostCells = 48;
Result<Canvas> contact_sheet(const Context& context, const std::string& path, std::vector<double> times,
                             std::uint32_t edge);

}  // namespace image_engine::cli
