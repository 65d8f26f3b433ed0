#include "media/colour.h"

#include <lcms2.h>

#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

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

namespace {

// Whether a grid of colours stays as it is, but for rounding. Unusable profiles differ, and are reported on use.
bool is_srgb(Bytes icc) {
  constexpr int kLevels = 9, kRounding = 1;
  for (const int channels : {3, 1}) {
    const auto transform = ColourTransform::create(icc, channels);
    if (!transform) continue;
    const int count = channels == 3 ? kLevels * kLevels * kLevels : 256;
    std::vector<std::uint8_t> in(static_cast<size_t>(count * channels)), out(static_cast<size_t>(count) * 3);
    for (int i = 0; i < count; ++i)
      for (int c = 0, rest = i; c < channels; ++c, rest /= kLevels)
        in[static_cast<size_t>(i * channels + c)] =
            static_cast<std::uint8_t>(channels == 1 ? i : rest % kLevels * 255 / (kLevels - 1));
    transform->apply(in.data(), out.data(), static_cast<size_t>(count));
    for (size_t i = 0; i < out.size(); ++i)
      if (std::abs(out[i] - in[channels == 3 ? i : i / 3]) > kRounding) return false;
    return true;
  }
  return false;
}

}  // namespace

bool needs_transform(Bytes icc) {
  if (icc.empty()) return false;
  // A library has few profiles, and many pictures with each.
  constexpr size_t kMostKept = 256;
  static std::mutex mutex;
  static std::map<Hash128, bool> known;
  const Hash128 name = content_hash(icc);
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(name); found != known.end()) return found->second;
  }
  const bool needed = !is_srgb(icc);
  const std::lock_guard lock(mutex);
  if (known.size() >= kMostKept) known.clear();
  known.emplace(name, needed);
  return needed;
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
