#include "media/colour_code.h"

#include <lcms2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string_view>

#include "types/byte_view.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;

struct Chromaticity {
  double x = 0, y = 0;
};
struct Primaries {
  std::uint16_t code;
  std::string_view name;
  Chromaticity red, green, blue, white;
};
constexpr Chromaticity kD65{0.3127, 0.3290};
// ITU-T H.273, table 2, but for Adobe RGB (1998), 4.2.1.
constexpr Primaries kSrgb{1, "sRGB", {0.640, 0.330}, {0.300, 0.600}, {0.150, 0.060}, kD65};
constexpr Primaries kAdobe{0, "Adobe RGB (1998)", {0.640, 0.330}, {0.210, 0.710}, {0.150, 0.060}, kD65};
constexpr std::array kPrimaries{
    kSrgb,
    Primaries{4, "BT.470 M", {0.670, 0.330}, {0.210, 0.710}, {0.140, 0.080}, {0.310, 0.316}},
    Primaries{5, "BT.601 625", {0.640, 0.330}, {0.290, 0.600}, {0.150, 0.060}, kD65},
    Primaries{6, "BT.601 525", {0.630, 0.340}, {0.310, 0.595}, {0.155, 0.070}, kD65},
    Primaries{7, "SMPTE 240M", {0.630, 0.340}, {0.310, 0.595}, {0.155, 0.070}, kD65},
    Primaries{9, "BT.2020", {0.708, 0.292}, {0.170, 0.797}, {0.131, 0.046}, kD65},
    Primaries{11, "DCI-P3", {0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}, {0.314, 0.351}},
    Primaries{12, "Display P3", {0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}, kD65},
};

constexpr double kSrgbCurve = 0;  // instead of a gamma
constexpr double kAdobeGamma = 563.0 / 256;

double gamma_of(std::uint16_t transfer) {
  switch (transfer) {
    case 4:
      return 2.2;
    case 5:
      return 2.8;
    case 8:
      return 1;
    default:
      return kSrgbCurve;
  }
}

std::optional<HdrKind> hdr_of(const ColourCode& code) {
  constexpr std::uint16_t kPq = 16, kHlg = 18;
  if (code.transfer != kPq && code.transfer != kHlg) return std::nullopt;
  return HdrKind{code.transfer == kPq ? Transfer::kPq : Transfer::kHlg, code.primaries};
}

// Unknown ones count as sRGB's.
const Primaries& primaries_of(std::uint16_t code) {
  const auto* found = std::ranges::find(kPrimaries, code, &Primaries::code);
  return found == kPrimaries.end() ? kSrgb : *found;
}

Colours hdr_colours(const HdrKind& kind) {
  return {{}, kind, std::string(primaries_of(kind.primaries).name) + (kind.transfer == Transfer::kPq ? " PQ" : " HLG")};
}

struct CloseIcc {
  void operator()(void* profile) const { cmsCloseProfile(profile); }
};
struct FreeCurve {
  void operator()(cmsToneCurve* curve) const { cmsFreeToneCurve(curve); }
};
using Curve = std::unique_ptr<cmsToneCurve, FreeCurve>;

Curve make_curve(double gamma) {
  // IEC 61966-2-1, as lcms' parametric curve 4.
  constexpr std::array<double, 5> kParameters{2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};
  return Curve(gamma == kSrgbCurve ? cmsBuildParametricToneCurve(nullptr, 4, kParameters.data())
                                   : cmsBuildGamma(nullptr, gamma));
}

// A profile of one or three channels; empty where lcms refuses the numbers.
std::vector<std::byte> make_profile(const Primaries& space, double gamma, int channels) {
  const Curve curve = make_curve(gamma);
  if (!curve) return {};
  const auto point = [](const Chromaticity& at) { return cmsCIExyY{at.x, at.y, 1}; };
  const cmsCIExyY white = point(space.white);
  const cmsCIExyYTRIPLE primaries{point(space.red), point(space.green), point(space.blue)};
  const std::array curves{curve.get(), curve.get(), curve.get()};
  const std::unique_ptr<void, CloseIcc> profile(channels == 1 ? cmsCreateGrayProfile(&white, curve.get())
                                                              : cmsCreateRGBProfile(&white, &primaries, curves.data()));
  if (!profile) return {};
  cmsMLU* name = cmsMLUalloc(nullptr, 1);
  cmsMLUsetASCII(name, "en", "US", std::string(space.name).c_str());
  cmsWriteTag(profile.get(), cmsSigProfileDescriptionTag, name);
  cmsMLUfree(name);
  cmsUInt32Number size = 0;
  if (!cmsSaveProfileToMem(profile.get(), nullptr, &size)) return {};
  std::vector<std::byte> bytes(size);
  if (!cmsSaveProfileToMem(profile.get(), bytes.data(), &size)) return {};
  return bytes;
}

// What PNG's ancillary chunks before the pixels state.
struct PngChunks {
  std::optional<ColourCode> code;
  bool is_srgb = false;
  std::optional<double> gamma;  // of the display: 2.2
  std::optional<Primaries> primaries;
};

PngChunks read_chunks(Bytes file) {
  const ByteView view(file);
  constexpr double kUnit = 100'000;
  PngChunks chunks;
  for (std::uint64_t at = 8; view.has(at, 12);) {
    const std::uint64_t size = view.u32(at), data = at + 8;
    const std::string_view type = view.text(at + 4, 4);
    if (type == "IDAT" || type == "IEND") break;
    const auto point = [&](std::uint64_t offset) {
      return Chromaticity{view.u32(data + offset) / kUnit, view.u32(data + offset + 4) / kUnit};
    };
    if (type == "cICP" && size == 4) chunks.code = ColourCode{view.u8(data), view.u8(data + 1)};
    if (type == "sRGB") chunks.is_srgb = true;
    if (type == "gAMA" && size == 4 && view.u32(data) > 0) chunks.gamma = kUnit / view.u32(data);
    if (type == "cHRM" && size == 32)
      chunks.primaries = Primaries{0, "by chromaticities", point(8), point(16), point(24), point(0)};
    at = data + size + 4;
  }
  return chunks;
}

bool is_near(const Chromaticity& a, const Chromaticity& b) {
  constexpr double kRounding = 0.005;
  return std::abs(a.x - b.x) < kRounding && std::abs(a.y - b.y) < kRounding;
}

bool is_like(const Primaries& a, const Primaries& b) {
  return is_near(a.red, b.red) && is_near(a.green, b.green) && is_near(a.blue, b.blue) && is_near(a.white, b.white);
}

// By a profile's curve, which is that of PQ, relative to 10,000 cd/m², or HLG's inverse OETF (ITU-R BT.2100, tables 4
// and 5): so writes libjxl. Primaries by the X of its red, adapted to D50.
std::optional<HdrKind> hdr_by_curve(Bytes icc) {
  struct Known {
    Transfer transfer;
    float half, three_quarters;  // light at these signals
  };
  constexpr Known kCurves[] = {{Transfer::kPq, 0.009225F, 0.09833F}, {Transfer::kHlg, 1.0F / 12, 0.26496F}};
  struct Red {
    double x;
    std::uint16_t primaries;
  };
  constexpr Red kReds[] = {{0.6735, 9}, {0.5151, 12}, {0.4361, 1}};
  constexpr float kTolerance = 0.02F;
  const std::unique_ptr<void, CloseIcc> profile(
      cmsOpenProfileFromMem(icc.data(), static_cast<cmsUInt32Number>(icc.size())));
  if (!profile || cmsGetColorSpace(profile.get()) != cmsSigRgbData) return std::nullopt;
  const auto* curve = static_cast<const cmsToneCurve*>(cmsReadTag(profile.get(), cmsSigRedTRCTag));
  const auto* red = static_cast<const cmsCIEXYZ*>(cmsReadTag(profile.get(), cmsSigRedColorantTag));
  if (curve == nullptr || red == nullptr) return std::nullopt;
  const auto is_about = [&](float signal, float light) {
    return std::abs(cmsEvalToneCurveFloat(curve, signal) - light) <= kTolerance * light;
  };
  const auto* known = std::ranges::find_if(
      kCurves, [&](const Known& one) { return is_about(0.5F, one.half) && is_about(0.75F, one.three_quarters); });
  if (known == std::end(kCurves)) return std::nullopt;
  const auto* nearest = std::ranges::min_element(kReds, {}, [&](const Red& one) { return std::abs(one.x - red->X); });
  return HdrKind{known->transfer, nearest->primaries};
}

// Of an ICC profile: the data of a tag (ICC.1:2022, 7.3), with its type signature.
Bytes profile_tag(Bytes icc, std::string_view signature) {
  constexpr std::uint64_t kTable = 128, kEntry = 12, kMostTags = 200;
  const ByteView view(icc);
  const std::uint64_t count = std::min<std::uint64_t>(view.u32(kTable), kMostTags);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = kTable + 4 + i * kEntry;
    if (view.text(at, 4) == signature) return view.sub(view.u32(at + 4), view.u32(at + 8));
  }
  return {};
}

}  // namespace

Colours colours_of(const ColourCode& code, int channels) {
  if (const auto hdr = hdr_of(code); hdr && channels == 3) return hdr_colours(*hdr);
  const Primaries& space = primaries_of(code.primaries);
  Colours colours;
  if (const double gamma = gamma_of(code.transfer); space.code != kSrgb.code || gamma != kSrgbCurve) {
    colours.icc = make_profile(space, gamma, channels);
  }
  return colours;
}

Colours colours_of(Bytes icc) {
  const ByteView tag(profile_tag(icc, "cicp"));
  if (tag.size() >= 12) {
    Colours colours = colours_of(ColourCode{tag.u8(8), tag.u8(9)}, 3);
    if (colours.hdr) return colours;
  }
  if (const auto hdr = hdr_by_curve(icc)) return hdr_colours(*hdr);
  return {{icc.begin(), icc.end()}, std::nullopt, {}};
}

Colours png_colours(Bytes file, Bytes icc, int channels) {
  const PngChunks chunks = read_chunks(file);
  if (chunks.code) return colours_of(*chunks.code, channels);
  if (!icc.empty()) return colours_of(icc);
  if (chunks.is_srgb || (!chunks.gamma && !chunks.primaries)) return {};
  // Most programs write sRGB's as 2.2, rounded in one way or the other.
  constexpr double kUsual = 2.2, kAlmost = 0.03;
  const double gamma = std::abs(chunks.gamma.value_or(kUsual) - kUsual) < kAlmost ? kSrgbCurve : *chunks.gamma;
  const bool has_own = chunks.primaries && !is_like(*chunks.primaries, kSrgb);
  if (gamma == kSrgbCurve && !has_own) return {};
  constexpr double kLeast = 0.1, kMost = 10;
  if (gamma != kSrgbCurve && (gamma < kLeast || gamma > kMost)) return {};
  Primaries space = has_own ? *chunks.primaries : kSrgb;
  const auto* known = std::ranges::find_if(kPrimaries, [&](const Primaries& one) { return is_like(one, space); });
  space.name = known != kPrimaries.end() ? known->name : is_like(space, kAdobe) ? kAdobe.name : space.name;
  return {make_profile(space, gamma, channels), std::nullopt, {}};
}

std::vector<std::byte> exif_profile(Bytes exif) {
  constexpr std::uint16_t kExif = 0x8769, kColourSpace = 0xA001, kInterop = 0xA005, kIndex = 1, kAdobeRgb = 2;
  const ByteView view(exif);
  if (!view.starts_with("II*\0"sv) && !view.starts_with("MM\0*"sv)) return {};
  const std::uint32_t at = TiffDirectory(exif).number(kExif);
  if (at == 0) return {};
  const TiffDirectory directory(exif, at);
  const std::uint32_t interop = directory.number(kInterop);
  const bool says_so = interop != 0 && TiffDirectory(exif, interop).ascii(kIndex).starts_with("R03");
  if (!says_so && directory.number(kColourSpace) != kAdobeRgb) return {};
  static const std::vector<std::byte> kProfile = make_profile(kAdobe, kAdobeGamma, 3);
  return kProfile;
}

}  // namespace image_engine::media
