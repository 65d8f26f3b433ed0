// Replaces a photo's background: by nothing, a colour, its own blur or another picture.
#include <image_engine/plugin.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "shared/cutout.h"

namespace {

using shipped::Colour;
using shipped::ColourField;

enum Input : std::uint32_t { kPhoto, kBackgroundPicture };
enum Parameter : std::uint32_t { kBackground, kColour, kBlur, kTarget };

bool read_colour(const char* text, Colour& colour) {
  unsigned red = 0, green = 0, blue = 0;
  int used = 0;
  if (std::strlen(text) != 7 || std::sscanf(text, "#%2x%2x%2x%n", &red, &green, &blue, &used) != 3 || used != 7)
    return false;
  colour = {static_cast<float>(red), static_cast<float>(green), static_cast<float>(blue)};
  return true;
}

// The subject before background(x, y).
template <typename Background>
ie_status compose(const ie_call* call, const ie_picture& photo, const ie_picture& mask, Background background) {
  const ie_picture* out = call->new_picture(call, IE_RGB8, photo.width, photo.height);
  if (out == nullptr) return IE_OUT_OF_MEMORY;
  const shipped::Foreground subject(photo, mask);
  for (std::uint32_t y = 0; y < photo.height; ++y)
    for (std::uint32_t x = 0; x < photo.width; ++x)
      shipped::put(shipped::pixel(*out, x, y), shipped::mixed(background(x, y), subject.at(x, y), subject.share(x, y)));
  return call->give_picture(call, 0, out);
}

ie_status cut_out(const ie_call* call, const ie_picture& photo, const ie_picture& mask) {
  const ie_picture* out = call->new_picture(call, IE_RGBA8, photo.width, photo.height);
  if (out == nullptr) return IE_OUT_OF_MEMORY;
  shipped::cut_out(photo, mask, shipped::whole(photo), *out);
  return call->give_picture(call, 0, out);
}

ie_status before_colour(const ie_call* call, const ie_picture& photo, const ie_picture& mask) {
  Colour colour;
  if (!read_colour(call->text(call, kColour), colour)) {
    call->message(call, "colour takes #rrggbb");
    return IE_UNSUPPORTED;
  }
  return compose(call, photo, mask, [&](auto, auto) { return colour; });
}

// The subject's own colours are no part of the blur, so there is no glow around it.
ie_status before_blur(const ie_call* call, const ie_picture& photo, const ie_picture& mask) {
  constexpr int kSoftened = 2;
  const double edge = std::max(photo.width, photo.height);
  const auto side = std::max(1U, static_cast<std::uint32_t>(edge * call->number(call, kBlur) / 2));
  ColourField field(photo, shipped::whole(photo), side, shipped::Certain(mask, false));
  field.soften(kSoftened);
  return compose(call, photo, mask, [&](auto x, auto y) { return field.smooth(x, y); });
}

// The other picture covers the photo, its middle in the photo's.
ie_status before_picture(const ie_call* call, const ie_picture& photo, const ie_picture& mask) {
  const ie_picture* given = call->picture(call, kBackgroundPicture);
  if (given == nullptr) {
    call->message(call, "there is no picture for the background: --input background=FILE");
    return IE_UNSUPPORTED;
  }
  const auto* scale = static_cast<const ie_ext_resize*>(call->extension(call, IE_EXT_RESIZE));
  if (scale == nullptr) return IE_UNSUPPORTED;
  const double ratio = std::max(1.0 * photo.width / given->width, 1.0 * photo.height / given->height);
  const auto scaled = [&](std::uint32_t edge, std::uint32_t least) {
    return std::max(static_cast<std::uint32_t>(std::lround(edge * ratio)), least);
  };
  const ie_picture* picture =
      scale->resize(call, given, scaled(given->width, photo.width), scaled(given->height, photo.height));
  if (picture == nullptr) return IE_OUT_OF_MEMORY;
  const std::uint32_t left = (picture->width - photo.width) / 2, top = (picture->height - photo.height) / 2;
  return compose(call, photo, mask, [&](auto x, auto y) { return shipped::colour_at(*picture, left + x, top + y); });
}

struct Way {
  const char* name;
  ie_status (*make)(const ie_call* call, const ie_picture& photo, const ie_picture& mask);
};
constexpr Way kWays[] = {
    {"transparent", cut_out}, {"colour", before_colour}, {"blur", before_blur}, {"picture", before_picture}};

ie_status run(void*, const ie_call* call) {
  const ie_picture& photo = *call->picture(call, kPhoto);
  const ie_picture* mask = nullptr;
  const ie_status status = shipped::mask_of(call, &photo, call->text(call, kTarget), &mask);
  if (status != IE_OK) return status;
  std::string wanted = call->text(call, kBackground);
  if (wanted == kWays[0].name && call->picture(call, kBackgroundPicture) != nullptr) wanted = "picture";
  for (const Way& way : kWays)
    if (wanted == way.name) return way.make(call, photo, *mask);
  return IE_UNSUPPORTED;
}

const ie_port kInputs[] = {
    {sizeof(ie_port), IE_PICTURE, "photo", "The photo", 0},
    {sizeof(ie_port), IE_PICTURE, "background", "The picture that the subject is put before", IE_OPTIONAL}};
const ie_port kOutputs[] = {
    {sizeof(ie_port), IE_PICTURE, "cutout", "The subject without its background, or before another", IE_SAME_SIZE}};
const char* const kBackgrounds[] = {"transparent", "colour", "blur", "picture", nullptr};
const ie_parameter kParameters[] = {
    {sizeof(ie_parameter), IE_CHOICE, "background", "picture: that of --input background=FILE", 0, 0, 0, "transparent",
     kBackgrounds},
    {sizeof(ie_parameter), IE_TEXT, "colour", "Of background=colour: #rrggbb", 0, 0, 0, "#ffffff", nullptr},
    {sizeof(ie_parameter), IE_NUMBER, "blur", "Of background=blur: how wide, as a part of the longer edge", 0.002, 0.2,
     0.02, nullptr, nullptr},
    {sizeof(ie_parameter), IE_TEXT, "target", "What is cut out: subject, person or a class", 0, 0, 0, "subject",
     nullptr},
};

}  // namespace

IE_EXPORT const ie_plugin image_engine_plugin = {
    IE_ABI_VERSION,
    sizeof(ie_plugin),
    "background-removal",
    "1.0.0",
    "Apache-2.0",
    "Cuts the subject out, or puts it before a colour, a blur or another picture",
    kInputs,
    2,
    1,
    kOutputs,
    kParameters,
    sizeof kParameters / sizeof *kParameters,
    0,
    nullptr,
    nullptr,
    run,
    nullptr,
    nullptr};
