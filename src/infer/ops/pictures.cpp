#include "infer/ops/pictures.h"

#include <algorithm>
#include <limits>

namespace image_engine::infer {
namespace {

bool is_countable(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t side : shape) {
    if (side < 0 || (side > 0 && count > std::numeric_limits<std::int32_t>::max() / side)) return false;
    count *= side;
  }
  return true;
}

bool begins_at_word(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

Divider divider_of_side(std::int64_t side) {
  return divider_of(static_cast<std::uint32_t>(std::max<std::int64_t>(side, 1)));
}

}  // namespace

const char* fill_last(const ChainTensor& picture, void* result, bool is_half, LastChannels& work) {
  const auto& shape = picture.shape;
  if (shape.size() != 4 || shape[1] < 1 || shape[1] > graph::kMostTurned) return "it takes pictures of few channels";
  if (!is_countable(shape) || !is_countable(std::span(shape).subspan(1))) return "a tensor of more than 2³¹ numbers";
  const std::int64_t places = shape[2] * shape[3];
  if (places % graph::kTurnedPlaces != 0 || !begins_at_word(picture.data) || !begins_at_word(result))
    return "there is no kernel for pictures of this size";
  const auto small = [](std::int64_t number) { return static_cast<std::uint32_t>(number); };
  work = {picture.data,    result, small(shape[0]), small(places), small(shape[1]), divider_of_side(places / kLanes),
          picture.is_half, is_half};
  return nullptr;
}

const char* window_shape(std::span<const std::int64_t> picture, std::span<const std::int64_t> window,
                         std::array<std::int64_t, 4>& output) {
  if (window.size() != graph::kWindowNumbers) return "its window has too few numbers, or too many";
  const std::int64_t size = window[0], stride = window[1];
  if (size < 1 || size > graph::kMostWindow || stride < 1 || stride > graph::kMostWindow)
    return "its window has another size or stride";
  if (std::ranges::any_of(window.subspan(2, 4), [&](std::int64_t pad) { return pad < 0 || pad >= size; }))
    return "its window has other pads";
  if (picture.size() != 4 || picture[3] % graph::kWindowChannels != 0) return "there is no kernel for so many channels";
  const auto side = [&](std::size_t axis) {
    const std::int64_t free = picture[axis + 1] + window[axis + 2] + window[axis + 4] - size;
    return free < 0 ? 0 : free / stride + 1;
  };
  output = {picture[0], side(0), side(1), picture[3]};
  return nullptr;
}

const char* fill_window(const ChainTensor& picture, std::span<const std::int64_t> window,
                        std::span<const std::int64_t> output, void* result, bool is_half, WindowMax& work) {
  if (picture.is_half != is_half) return "its picture is of another type";
  if (!is_countable(picture.shape) || !is_countable(output)) return "a tensor of more than 2³¹ numbers";
  if (!begins_at_word(picture.data) || !begins_at_word(result))
    return "a tensor does not begin at a multiple of 16 bytes";
  const auto small = [](std::int64_t number) { return static_cast<std::uint32_t>(number); };
  work.picture = picture.data;
  work.result = result;
  work.words = small(output[0] * output[1] * output[2] * output[3] / kLanes);
  work.word_channels = divider_of_side(output[3] / kLanes);
  work.width = divider_of_side(output[2]);
  work.height = divider_of_side(output[1]);
  work.in_height = small(picture.shape[1]);
  work.in_width = small(picture.shape[2]);
  work.size = static_cast<std::int32_t>(window[0]);
  work.stride = static_cast<std::int32_t>(window[1]);
  work.top = static_cast<std::int32_t>(window[2]);
  work.left = static_cast<std::int32_t>(window[3]);
  work.has_zeros = window[6] != 0;
  work.is_half = is_half;
  return nullptr;
}

}  // namespace image_engine::infer
