// XMP packets before exiv2 parses them, which refuses the whole for any fault.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "media/media.h"

namespace image_engine::media {

// The packet as UTF-8 without its XML declaration, whatever its character set.
std::string xmp_text(Bytes packet);

struct XmpProperty {
  std::string_view name;  // "dc:title", within the text
  std::string packet;     // a packet of this property alone
};

// The properties of a packet that is not well-formed, or not XMP, each to be parsed by itself: those without a fault
// can be read. A bare & is taken as one. At most 2,000 properties; those that do not end are left out.
std::vector<XmpProperty> xmp_properties(std::string_view text);

}  // namespace image_engine::media
