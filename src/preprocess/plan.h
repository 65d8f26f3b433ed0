// How a picture becomes a model's input: resize, place, normalise, in one pass over the output.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "types/image.h"
#include "types/taps.h"
#include "types/tensor.h"

namespace image_engine::preprocess {

// How the picture's shape meets the model's.
enum class Fit : std::uint8_t {
  // Both edges to the input's, aspect not kept.
  kStretch,
  // As large as fits: one edge is the input's, the other rounded to nearest (a half up), at least 1. The rest is
  // padding.
  kLetterbox,
  // Short edge to `resize_edge` (0: the input's longer edge), the longer one rounded down, as transformers' CLIP has
  // it; then the middle, its offsets rounded down.
  kCentreCrop,
  // Short edge to `width`, the longer one rounded down; where that is more than `longest`, the longer one to `longest`
  // and the shorter one rounded to nearest, in transformers' DETR's arithmetic (so the longer may be one less). The
  // input has the size that results, no padding; `height` is not used.
  kShortEdge,
};
// Where a letterboxed picture lies; offsets are rounded down.
enum class Align : std::uint8_t { kCentre, kTopLeft };
using Filter = ResampleFilter;
enum class Layout : std::uint8_t { kNchw, kNhwc };
enum class ChannelOrder : std::uint8_t { kRgb, kBgr };

// The names used in specs ("letterbox", "top-left", "bicubic", "nhwc", "bgr"); nullopt for another.
std::optional<Fit> fit_from_name(std::string_view name);
std::optional<Align> align_from_name(std::string_view name);
std::optional<Filter> filter_from_name(std::string_view name);
std::optional<Layout> layout_from_name(std::string_view name);
std::optional<ChannelOrder> channel_order_from_name(std::string_view name);

inline constexpr std::uint32_t kLargestEdge = 4096;

// A plain value. Channel triples are in the order of `order`; pixels are 0…255 before normalisation.
struct Plan {
  std::uint32_t width = 0, height = 0;  // of the input, 1…kLargestEdge
  Fit fit = Fit::kStretch;
  Align align = Align::kCentre;
  Filter filter = Filter::kBilinear;
  std::uint32_t resize_edge = 0;  // kCentreCrop: the short edge before cropping, at least both of the input's
  std::uint32_t longest = 0;      // kShortEdge: 0 is kLargestEdge
  std::array<float, 3> pad{};     // padding's pixel, 0…255
  Layout layout = Layout::kNchw;
  ChannelOrder order = ChannelOrder::kRgb;
  std::array<float, 3> mean{};               // subtracted from 0…255
  std::array<float, 3> deviation{1, 1, 1};   // then divided by
  ElementType type = ElementType::kFloat32;  // kFloat32, or kUint8: then no normalisation
  bool operator==(const Plan&) const = default;
};

// kInvalidArgument names what is out of its range.
Status check_plan(const Plan& plan);

// Where the picture lies in the input: input = offset + picture × scale, in pixels, edge to edge.
struct Placement {
  double scale_x = 1, scale_y = 1;
  double offset_x = 0, offset_y = 0;
};

// The size of the input that this sound plan makes of such a picture: {width, height} but for kShortEdge.
struct InputSize {
  std::uint32_t width = 0, height = 0;
};
InputSize input_size(const Plan& plan, std::uint32_t picture_width, std::uint32_t picture_height);

// The size of the whole photo that a picture was reduced from; zeros: the picture is the photo.
struct FullSize {
  std::uint32_t width = 0, height = 0;
};
struct Prepared {
  Tensor tensor;  // [1, 3, H, W] or [1, H, W, 3]
  Placement placement;
  FullSize picture;  // that it was made of
  FullSize full;     // as it was given
};
// `full` decides where what lies in the input, so that rounding a reduced picture's edges shifts nothing.
// Errors: kInvalidArgument for an empty picture or a plan out of its ranges. Thread-safe.
Result<Prepared> prepare(const Plan& plan, const ImageView& picture, FullSize full = {});

// The same into one item of a batch: `out` has 3 × H × W elements of the plan's type.
Result<Placement> prepare_into(const Plan& plan, const ImageView& picture, std::span<std::byte> out,
                               FullSize full = {});

// The longer edge that a decoded picture should at least have so that this plan loses nothing it could show. Where the
// short edge counts (all but kLetterbox), pictures up to 2:1 are meant.
std::uint32_t wanted_edge(const Plan& plan);

}  // namespace image_engine::preprocess
