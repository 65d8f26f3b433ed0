// Names of languages as containers, files and people write them.
#pragma once

#include <string>
#include <string_view>

namespace image_engine {

// The code that models of speech use, ISO 639-1 where it has one ("de"), for the codes of ISO 639-1 and 639-2 ("ger",
// "deu"), with a region or script after them ("de-AT", "zh_Hans"), and English names ("German"); in any case. Empty for
// others, and for what states no language ("und", "mul"). Thread-safe.
std::string language_code(std::string_view name);

}  // namespace image_engine
