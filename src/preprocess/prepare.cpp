#include <algorithm>
#include <cmath>
#include <string>

#include "preprocess/geometry.h"
#include "preprocess/resample.h"
#include "preprocess/write_pixels.h"

namespace image_engine::preprocess {
namespace {

using Size = PictureEdges;

Size with_short_edge(const Size& picture, std::uint64_t edge) {
  const auto longer = [&](std::uint64_t other, std::uint64_t shorter) { return other * edge / shorter; };
  return picture.width <= picture.height ? Size{edge, longer(picture.height, picture.width)}
                                         : Size{longer(picture.width, picture.height), edge};
}

// In doubles and in this order, as in training: the truncation is visible.
Size with_longest(const Size& picture, double shorter, double longest) {
  const double small = static_cast<double>(std::min(picture.width, picture.height));
  const double large = static_cast<double>(std::max(picture.width, picture.height));
  if (large / small * shorter <= longest) return with_short_edge(picture, static_cast<std::uint64_t>(shorter));
  const double raw = longest * small / large;
  const auto short_edge = static_cast<std::uint64_t>(std::max(1.0, std::nearbyint(raw)));
  const auto long_edge = static_cast<std::uint64_t>(std::max(1.0, raw * large / small));
  return picture.width <= picture.height ? Size{short_edge, long_edge} : Size{long_edge, short_edge};
}

Size letterboxed(const Size& picture, const Plan& plan) {
  const bool wide = picture.width * plan.height >= picture.height * plan.width;
  const auto rounded = [](std::uint64_t edge, std::uint64_t to, std::uint64_t of) {
    return std::max<std::uint64_t>(1, (edge * to * 2 + of) / (of * 2));
  };
  return wide ? Size{plan.width, rounded(picture.height, plan.width, picture.width)}
              : Size{rounded(picture.width, plan.height, picture.height), plan.height};
}

Geometry whole(InputSize input, const Size& size) {
  return {
      input,
      {size.width, size.height, 0, 0, static_cast<std::uint32_t>(size.width), static_cast<std::uint32_t>(size.height)}};
}

Status check_edge(const char* name, std::uint32_t value, std::uint32_t least) {
  if (value >= least && value <= kLargestEdge) return {};
  return fail(ErrorCode::kInvalidArgument, std::string("preprocessing: ") + name + " is " + std::to_string(value) +
                                               ", not " + std::to_string(least) + "…" + std::to_string(kLargestEdge));
}

Status check_picture(const ImageView& picture) {
  const auto pixels = std::uint64_t{picture.width} * picture.height;
  if (pixels == 0) return fail(ErrorCode::kInvalidArgument, "preprocessing: the picture is empty");
  if (pixels > picture.pixels.size() / 3)
    return fail(ErrorCode::kInvalidArgument, "preprocessing: the picture has fewer pixels than its size requires");
  return {};
}

Size size_of(FullSize picture, FullSize full) {
  return full.width != 0 && full.height != 0 ? Size{full.width, full.height} : Size{picture.width, picture.height};
}

template <typename T>
void write(const Plan& plan, const ImageView& picture, const Geometry& geometry, std::span<std::byte> out) {
  PixelWriter<T> writer(plan, geometry.input, {reinterpret_cast<T*>(out.data()), out.size() / sizeof(T)});
  Resampler resampler(picture, plan.filter, geometry.part);
  const InputSize& input = geometry.input;
  const std::uint32_t right = geometry.left + geometry.part.width, bottom = geometry.top + geometry.part.height;
  for (std::uint32_t y = 0; y < input.height; ++y) {
    if (y < geometry.top || y >= bottom) {
      writer.padding(0, y, input.width);
      continue;
    }
    writer.padding(0, y, geometry.left);
    writer.pixels(geometry.left, y, resampler.next_row());
    writer.padding(right, y, input.width - right);
  }
}

Placement write_input(const Plan& plan, const ImageView& picture, const Geometry& geometry, std::span<std::byte> out) {
  (plan.type == ElementType::kUint8 ? write<std::uint8_t> : write<float>)(plan, picture, geometry, out);
  return placement_of(geometry, picture.width, picture.height);
}

std::vector<std::int64_t> shape_of(const Plan& plan, const InputSize& input) {
  const std::int64_t width = input.width, height = input.height;
  if (plan.layout == Layout::kNchw) return {1, 3, height, width};
  return {1, height, width, 3};
}

std::size_t count_of(const InputSize& input) { return std::size_t{3} * input.width * input.height; }

}  // namespace

Geometry geometry_of(const Plan& plan, const Size& picture) {
  const InputSize fixed{plan.width, plan.height};
  switch (plan.fit) {
    case Fit::kStretch:
      return whole(fixed, {plan.width, plan.height});
    case Fit::kLetterbox: {
      Geometry geometry = whole(fixed, letterboxed(picture, plan));
      if (plan.align == Align::kCentre) {
        geometry.left = (plan.width - geometry.part.width) / 2;
        geometry.top = (plan.height - geometry.part.height) / 2;
      }
      return geometry;
    }
    case Fit::kCentreCrop: {
      const std::uint32_t edge = plan.resize_edge != 0 ? plan.resize_edge : std::max(plan.width, plan.height);
      const Size size = with_short_edge(picture, edge);
      return {fixed,
              {size.width, size.height, (size.width - plan.width) / 2, (size.height - plan.height) / 2, plan.width,
               plan.height}};
    }
    case Fit::kShortEdge:
      break;
  }
  const Size size = with_longest(picture, plan.width, plan.longest != 0 ? plan.longest : kLargestEdge);
  return whole({static_cast<std::uint32_t>(size.width), static_cast<std::uint32_t>(size.height)}, size);
}

Placement placement_of(const Geometry& geometry, std::uint32_t width, std::uint32_t height) {
  const Resampler::Part& part = geometry.part;
  return {static_cast<double>(part.out_width) / width, static_cast<double>(part.out_height) / height,
          geometry.left - static_cast<double>(part.left), geometry.top - static_cast<double>(part.top)};
}

Status check_plan(const Plan& plan) {
  IE_CHECK(check_edge("width", plan.width, 1));
  if (plan.fit != Fit::kShortEdge) IE_CHECK(check_edge("height", plan.height, 1));
  if (plan.resize_edge != 0) IE_CHECK(check_edge("resize_edge", plan.resize_edge, std::max(plan.width, plan.height)));
  if (plan.longest != 0) IE_CHECK(check_edge("longest", plan.longest, 1));
  if (plan.type != ElementType::kFloat32 && plan.type != ElementType::kUint8)
    return fail(ErrorCode::kInvalidArgument, "preprocessing: the type is neither float32 nor uint8");
  for (std::size_t c = 0; c < 3; ++c) {
    if (!(plan.pad[c] >= 0 && plan.pad[c] <= 255))
      return fail(ErrorCode::kInvalidArgument, "preprocessing: pad is not within 0…255");
    if (!std::isfinite(plan.mean[c]) || !std::isnormal(plan.deviation[c]))
      return fail(ErrorCode::kInvalidArgument, "preprocessing: mean or deviation is not usable");
  }
  return {};
}

InputSize input_size(const Plan& plan, std::uint32_t picture_width, std::uint32_t picture_height) {
  return geometry_of(plan, {std::max(1U, picture_width), std::max(1U, picture_height)}).input;
}

Result<Prepared> prepare(const Plan& plan, const ImageView& picture, FullSize full) {
  IE_CHECK(check_plan(plan));
  IE_CHECK(check_picture(picture));
  const FullSize size{picture.width, picture.height};
  const Geometry geometry = geometry_of(plan, size_of(size, full));
  Prepared prepared{Tensor::zeros(plan.type, shape_of(plan, geometry.input)), {}, size, full};
  prepared.placement = write_input(plan, picture, geometry, prepared.tensor.data);
  return prepared;
}

Result<Prepared> prepared_on_gpu(const Plan& plan, const MadeInput& made, FullSize full) {
  IE_CHECK(check_plan(plan));
  if (made.picture.width == 0 || made.picture.height == 0)
    return fail(ErrorCode::kInvalidArgument, "preprocessing: the picture is empty");
  const Geometry geometry = geometry_of(plan, size_of(made.picture, full));
  return Prepared{{plan.type, shape_of(plan, geometry.input), {}, {made.row}},
                  placement_of(geometry, made.picture.width, made.picture.height),
                  made.picture,
                  full};
}

Result<Placement> prepare_into(const Plan& plan, const ImageView& picture, std::span<std::byte> out, FullSize full) {
  IE_CHECK(check_plan(plan));
  IE_CHECK(check_picture(picture));
  const Geometry geometry = geometry_of(plan, size_of({picture.width, picture.height}, full));
  const std::size_t wanted = count_of(geometry.input) * element_size(plan.type);
  if (out.size() != wanted)
    return fail(ErrorCode::kInvalidArgument, "preprocessing: the input takes " + std::to_string(wanted) +
                                                 " bytes, not " + std::to_string(out.size()));
  return write_input(plan, picture, geometry, out);
}

std::uint32_t wanted_edge(const Plan& plan) {
  switch (plan.fit) {
    case Fit::kLetterbox:
      return std::max(plan.width, plan.height);
    case Fit::kStretch:
      return 2 * std::max(plan.width, plan.height);
    case Fit::kCentreCrop:
      return 2 * std::max({plan.resize_edge, plan.width, plan.height});
    case Fit::kShortEdge:
      break;
  }
  return plan.longest != 0 ? std::min(plan.longest, 2 * plan.width) : 2 * plan.width;
}

}  // namespace image_engine::preprocess
