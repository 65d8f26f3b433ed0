// Cuts a subject out, with only as much around it as is wanted.
#include <image_engine/plugin.h>

#include <cstdio>

#include "shared/cutout.h"

namespace {

using shipped::Area;

enum Output : std::uint32_t { kSubject, kMask, kWhere };
enum Parameter : std::uint32_t { kTarget, kMargin, kWithMask };

// The least area around all pixels that belong to the subject more than to the rest; empty without any.
Area bounds_of(const ie_picture& mask) {
  std::uint32_t left = mask.width, top = mask.height, right = 0, bottom = 0;
  for (std::uint32_t y = 0; y < mask.height; ++y)
    for (std::uint32_t x = 0; x < mask.width; ++x) {
      if (*shipped::pixel(mask, x, y) < 128) continue;
      left = std::min(left, x), right = std::max(right, x + 1);
      top = std::min(top, y), bottom = std::max(bottom, y + 1);
    }
  return left < right ? Area{left, top, right - left, bottom - top} : Area{};
}

Area widened(const Area& area, double margin, const ie_picture& photo) {
  const auto beside = static_cast<std::uint32_t>(std::lround(margin * std::max(area.width, area.height)));
  const std::uint32_t left = area.x - std::min(area.x, beside), top = area.y - std::min(area.y, beside);
  return {left, top, std::min(area.x + area.width + beside, photo.width) - left,
          std::min(area.y + area.height + beside, photo.height) - top};
}

ie_status run(void*, const ie_call* call) {
  const ie_picture& photo = *call->picture(call, 0);
  const ie_picture* mask = nullptr;
  const ie_status status = shipped::mask_of(call, &photo, call->text(call, kTarget), &mask);
  if (status != IE_OK) return status;
  const Area subject = bounds_of(*mask);
  if (subject.width == 0) {
    call->message(call, "there is no such subject in the photo");
    return IE_NOT_FOUND;
  }
  const Area area = widened(subject, call->number(call, kMargin), photo);
  const ie_picture* out = call->new_picture(call, IE_RGBA8, area.width, area.height);
  if (out == nullptr) return IE_OUT_OF_MEMORY;
  shipped::cut_out(photo, *mask, area, *out);
  char where[200];
  std::snprintf(where, sizeof where, R"({"box": [%u, %u, %u, %u], "cut": [%u, %u, %u, %u]})", subject.x, subject.y,
                subject.width, subject.height, area.x, area.y, area.width, area.height);
  const ie_status given = call->give_picture(call, kSubject, out);
  if (given != IE_OK) return given;
  if (call->number(call, kWithMask) != 0)
    if (const ie_status also = call->give_picture(call, kMask, mask); also != IE_OK) return also;
  return call->give_record(call, kWhere, where);
}

const ie_port kInputs[] = {{sizeof(ie_port), IE_PICTURE, "photo", "The photo", 0}};
const ie_port kOutputs[] = {
    {sizeof(ie_port), IE_PICTURE, "subject", "The subject, transparent around it", 0},
    {sizeof(ie_port), IE_MASK, "mask", "What belongs to the subject, of the whole photo", IE_OPTIONAL | IE_SAME_SIZE},
    {sizeof(ie_port), IE_RECORD, "where", "The subject's box and the part that was cut out: x, y, width, height", 0}};
const ie_parameter kParameters[] = {
    {sizeof(ie_parameter), IE_TEXT, "target", "What is cut out: subject, person or a class", 0, 0, 0, "subject",
     nullptr},
    {sizeof(ie_parameter), IE_NUMBER, "margin", "Around the subject, as a part of its longer edge", 0, 1, 0.05, nullptr,
     nullptr},
    {sizeof(ie_parameter), IE_BOOL, "mask", "Give the mask, too", 0, 1, 0, nullptr, nullptr},
};

}  // namespace

IE_EXPORT const ie_plugin image_engine_plugin = {IE_ABI_VERSION,
                                                 sizeof(ie_plugin),
                                                 "subject-isolation",
                                                 "1.0.0",
                                                 "Apache-2.0",
                                                 "Cuts the subject out and crops the picture to it",
                                                 kInputs,
                                                 1,
                                                 3,
                                                 kOutputs,
                                                 kParameters,
                                                 sizeof kParameters / sizeof *kParameters,
                                                 0,
                                                 nullptr,
                                                 nullptr,
                                                 run,
                                                 nullptr,
                                                 nullptr};
