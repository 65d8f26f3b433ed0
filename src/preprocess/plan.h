// Converts a picture to a model's input: resizes, positions and normalises it, in one pass over the output.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "types/flat_colours.h"
#include "types/image.h"
#include "types/taps.h"
#include "types/tensor.h"

namespace image_engine::preprocess {

// How a picture is fitted to the input's shape.
enum class Fit : std::uint8_t {
  // Resizes both edges to the input's, without keeping the aspect ratio.
  kStretch,
  // Resizes to the largest size that fits: one edge is the input's, the other is rounded to nearest (half up), at least
  // 1. The rest is padding.
  kLetterbox,
  // Short edge to `resize_edge` (0: the input's longer edge), the longer one rounded down, as in transformers' CLIP;
  // then crops the centre, with offsets rounded down.
  kCentreCrop,
  // Short edge to `width`, the longer one rounded down; if that exceeds `longest`, the longer one to `longest` and the
  // shorter one rounded to nearest, with the arithmetic of transformers' DETR (so the longer may be one less). The
  // input has the resulting size, without padding; `height` is not used.
  kShortEdge,
};
// The position of a letterboxed picture; offsets are rounded down.
enum class Align : std::uint8_t { kCentre, kTopLeft };
using Filter = ResampleFilter;
enum class Layout : std::uint8_t { kNchw, kNhwc };
enum class ChannelOrder : std::uint8_t { kRgb, kBgr };

// The names used in specs ("letterbox", "top-left", "bicubic", "nhwc", "bgr"); nullopt for an unknown name.
std::optional<Fit> fit_from_name(std::string_view name);
std::optional<Align> align_from_name(std::string_view name);
std::optional<Filter> filter_from_name(std::string_view name);
std::optional<Layout> layout_from_name(std::string_view name);
std::optional<ChannelOrder> channel_order_from_name(std::string_view name);

inline constexpr std::uint32_t kLargestEdge = 4096;

// A plain value. Channel triples are in the order of `order`; pixels are 0…255 before normalisation.
struct Plan {
  std::uint32_t width = 0, height = 0;  // of the input, pixels, 1…kLargestEdge
  Fit fit = Fit::kStretch;
  Align align = Align::kCentre;
  Filter filter = Filter::kBilinear;
  std::uint32_t resize_edge = 0;  // kCentreCrop: the short edge before cropping, at least the input's longer edge
  std::uint32_t longest = 0;      // kShortEdge: 0 is kLargestEdge
  std::array<float, 3> pad{};     // padding's pixel, 0…255
  Layout layout = Layout::kNchw;
  ChannelOrder order = ChannelOrder::kRgb;
  std::array<float, 3> mean{};               // subtracted from 0…255
  std::array<float, 3> deviation{1, 1, 1};   // then divided by
  ElementType type = ElementType::kFloat32;  // kFloat32, or kUint8: then no normalisation
  bool operator==(const Plan&) const = default;
};

// kInvalidArgument names the value that is out of range.
Status check_plan(const Plan& plan);

// The picture's position in the input: input = offset + picture × scale, in pixels, edge to edge.
struct Placement {
  double scale_x = 1, scale_y = 1;
  double offset_x = 0, offset_y = 0;
};

// The input's size for a picture of this size and a valid plan: {width, height} except for kShortEdge.
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
  FullSize picture;                // that the tensor was made from
  FullSize full;                   // as given
  std::optional<FlatMap> drawing;  // of a drawing of flat colours, as far as whoever prepared it has found out
};
// Positions are computed from `full`, so that rounding of a reduced picture's edges shifts nothing. Errors:
// kInvalidArgument for an empty picture or an invalid plan. Thread-safe.
Result<Prepared> prepare(const Plan& plan, const ImageView& picture, FullSize full = {});

// What prepare() would return, of an input that was made in a GPU's memory (device_input.h) from a picture of this
// size. kInvalidArgument as prepare().
struct MadeInput {
  FullSize picture;
  GpuRow row;
};
Result<Prepared> prepared_on_gpu(const Plan& plan, const MadeInput& made, FullSize full = {});

// As prepare(), into one item of a batch: `out` has 3 × H × W elements of the plan's type.
Result<Placement> prepare_into(const Plan& plan, const ImageView& picture, std::span<std::byte> out,
                               FullSize full = {});

// The least longer edge of a decoded picture at which this plan loses no detail. Where the short edge counts (all but
// kLetterbox), for pictures up to 2:1.
std::uint32_t wanted_edge(const Plan& plan);

}  // namespace image_engine::preprocess
