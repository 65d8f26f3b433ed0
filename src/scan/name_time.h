// The time that cameras, phones and messengers write into the name of a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "types/capture_time.h"

namespace image_engine::scan {

// By the name of a file without its folder: "IMG-20190422-WA0004.jpg", "PXL_20190422_131541123.jpg",
// "Screenshot 2019-04-22 at 13.15.41.png", "1555938941000.jpg" (milliseconds since 1970). The name's most exact time,
// its source kName; times of Pixel phones (PXL_), of OneDrive (_iOS) and in milliseconds are UTC, others local. nullopt
// for names without one and for times more than a day after `now` (seconds since 1970).
std::optional<CaptureTime> time_in_name(std::string_view name, std::int64_t now);

}  // namespace image_engine::scan
