#include "media/colour.h"

#include <lcms2.h>

#include <array>

#include <fmt/format.h>

#include "media/libraries.h"

namespace image_engine::media {
namespace {

struct CloseProfile {
  void operator()(void* profile) const { cmsCloseProfile(profile); }
};
using Profile = std::unique_ptr<void, CloseProfile>;

Profile open_profile(Bytes icc) {
  return Profile(cmsOpenProfileFromMem(icc.data(), static_cast<cmsUInt32Number>(icc.size())));
}

struct Layout {
  int channels;
  cmsColorSpaceSignature space;
  cmsUInt32Number type;
};
constexpr std::array kLayouts{
    Layout{1, cmsSigGrayData, TYPE_GRAY_8},
    Layout{3, cmsSigRgbData, TYPE_RGB_8},
    Layout{4, cmsSigCmykData, TYPE_CMYK_8},
};

}  // namespace

std::string profile_description(Bytes icc) {
  const auto profile = open_profile(icc);
  if (!profile) return {};
  std::array<char, 256> text{};
  cmsGetProfileInfoASCII(profile.get(), cmsInfoDescription, "en", "US", text.data(), text.size() - 1);
  for (char& c : text)
    if (c != 0 && (c < 0x20 || c > 0x7e)) c = '?';
  return text.data();
}

std::string lcms_version() {
  const int version = cmsGetEncodedCMMversion();  // 2140 is 2.14
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

bool needs_transform(Bytes icc) {
  if (icc.empty()) return false;
  const auto name = profile_description(icc);
  // The second is libjxl's name for its sRGB profile.
  return !name.starts_with("sRGB") && !(name.starts_with("RGB_D65_SRG_") && name.ends_with("_SRG"));
}

void ColourTransform::Close::operator()(void* transform) const { cmsDeleteTransform(transform); }

Result<ColourTransform> ColourTransform::create(Bytes icc, int channels) {
  const auto profile = open_profile(icc);
  const auto space = profile ? cmsGetColorSpace(profile.get()) : cmsColorSpaceSignature{};
  for (const auto& layout : kLayouts) {
    if (!profile || layout.channels != channels || layout.space != space) continue;
    const Profile srgb(cmsCreate_sRGBProfile());
    ColourTransform result;
    result.transform_.reset(
        cmsCreateTransform(profile.get(), layout.type, srgb.get(), TYPE_RGB_8, INTENT_PERCEPTUAL, 0));
    if (result.transform_) return result;
  }
  return fail(ErrorCode::kCorrupt, "the colour profile cannot be used, so the colours may be off");
}

void ColourTransform::apply(const std::uint8_t* in, std::uint8_t* out, size_t pixels) const {
  cmsDoTransform(transform_.get(), in, out, static_cast<cmsUInt32Number>(pixels));
}

void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, size_t pixels) {
  for (size_t i = 0; i < pixels; ++i) {
    const unsigned light = 255U - cmyk[i * 4 + 3];
    for (size_t c = 0; c < 3; ++c)
      rgb[i * 3 + c] = static_cast<std::uint8_t>(((255U - cmyk[i * 4 + c]) * light + 127) / 255);
  }
}

}  // namespace image_engine::media
