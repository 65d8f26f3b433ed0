// Colours that are stated by numbers and not by an ICC profile: ITU-T H.273 in HEIF, AVIF, PNG and profiles, PNG's own
// chunks, Exif's interoperability index.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "media/media.h"
#include "media/tone_map.h"

namespace image_engine::media {

// ITU-T H.273, ColourPrimaries and TransferCharacteristics; 2: not specified.
struct ColourCode {
  std::uint16_t primaries = 2, transfer = 2;
};

// How a picture's samples are to be understood.
struct Colours {
  std::vector<std::byte> icc;  // a profile, its own or one made of what is stated; empty: sRGB, or `hdr`
  std::optional<HdrKind> hdr;  // PQ or HLG: goes through the ToneMapper
  std::string name;            // of `hdr`: "BT.2020 PQ"
};

// By a code. Transfers of SDR video (BT.709, BT.2020) count as sRGB's, as everywhere in viewers.
Colours colours_of(const ColourCode& code, int channels);
// By a picture's own profile: PQ or HLG where its `cicp` tag (ICC.1:2022, 9.2.17) or its curve says so, else itself.
Colours colours_of(Bytes icc);
// By a PNG's chunks, in the order of PNG's third edition, 4.3: cICP, iCCP (`icc`, as libvips gives it), sRGB, gAMA with
// cHRM.
Colours png_colours(Bytes file, Bytes icc, int channels);
// Adobe RGB where Exif says so, by the interoperability index R03 (DCF 2.0) or the colour space 2; else empty.
// `exif`: a TIFF.
std::vector<std::byte> exif_profile(Bytes exif);

}  // namespace image_engine::media
