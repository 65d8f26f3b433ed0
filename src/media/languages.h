// Codes of languages.
#pragma once

#include <string_view>

namespace image_engine::media {

// Whether both are codes of one language by ISO 639-1 or 639-2, lower case: "de", "deu" (terminological) and "ger"
// (bibliographic). What follows a hyphen is not compared.
bool same_language(std::string_view one, std::string_view other);

}  // namespace image_engine::media
