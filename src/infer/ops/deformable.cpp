#include "infer/ops/deformable.h"

#include <algorithm>
#include <array>
#include <limits>

namespace image_engine::infer {
namespace {

constexpr std::int64_t kMostNumbers = std::numeric_limits<std::int32_t>::max();

bool is_small(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t side : shape) {
    if (side < 0 || (side > 0 && count > kMostNumbers / side)) return false;
    count *= side;
  }
  return true;
}

bool is_at_word(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

}  // namespace

const char* fill_levels(std::span<const std::int64_t> levels, Deformable& work) {
  if (levels.empty() || levels.size() % 4 != 0 || levels.size() / 4 > graph::kMostDeformableLevels)
    return "it has no levels, too many, or half a level";
  if (std::ranges::any_of(levels, [](std::int64_t number) { return number < 0 || number > (1 << 20); }))
    return "a level is too large";
  work.level_count = static_cast<std::uint8_t>(levels.size() / 4);
  work.all_points = 0;
  for (std::size_t i = 0; i < work.level_count; ++i) {
    const auto at = [&](std::size_t k) { return static_cast<std::uint32_t>(levels[4 * i + k]); };
    work.levels[i] = {at(0), at(1), at(2), at(3)};
    work.all_points += at(3);
  }
  return nullptr;
}

const char* fill_deformable(std::span<const ChainTensor> inputs, void* result, bool is_half, Deformable& work) {
  if (inputs.size() != 3) return "it needs rows, points and weights";
  const auto &rows = inputs[0].shape, &points = inputs[1].shape, &weights = inputs[2].shape;
  if (rows.size() != 3 || points.size() != 5 || weights.size() != 4 || points[4] != 2)
    return "an input has another rank";
  if (!is_small(rows) || !is_small(points)) return "a tensor of more than 2³¹ numbers";
  if (rows[0] != points[0] || !std::ranges::equal(weights, points.subspan(0, 4)) || points[3] != work.all_points)
    return "its inputs do not fit each other, or the levels";
  if (points[2] == 0 || rows[2] % (points[2] * graph::kDeformableChannels) != 0 || !is_at_word(inputs[0].data) ||
      !is_at_word(result))
    return "there is no kernel for heads of this size";
  for (std::size_t i = 0; i < work.level_count; ++i) {
    const DeformableLevel& level = work.levels[i];
    if (level.first + std::int64_t{level.height} * level.width > rows[1])
      return "a level has more places than there are rows";
  }
  const auto small = [](std::int64_t number) { return static_cast<std::uint32_t>(number); };
  if (!is_small(std::array{rows[0], points[1], rows[2]})) return "a tensor of more than 2³¹ numbers";
  work.rows = inputs[0].data;
  work.points = inputs[1].data;
  work.weights = inputs[2].data;
  work.result = result;
  work.pictures = small(rows[0]);
  work.places = small(rows[1]);
  work.queries = small(points[1]);
  work.heads = small(points[2]);
  work.size = small(rows[2] / points[2]);
  work.rows_half = inputs[0].is_half;
  work.points_half = inputs[1].is_half;
  work.weights_half = inputs[2].is_half;
  work.is_half = is_half;
  return nullptr;
}

}  // namespace image_engine::infer
