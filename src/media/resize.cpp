#include "media/resize.h"
#include "media/media.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>

namespace image_engine::media {
namespace {

constexpr double kSupport = 3;  // Lanczos's a
constexpr std::uint8_t kGrey = 128;

double lanczos(double x) {
  if (x <= -kSupport || x >= kSupport) return 0;
  if (x == 0) return 1;
  const double angle = x * std::numbers::pi;
  return kSupport * std::sin(angle) * std::sin(angle / kSupport) / (angle * angle);
}

std::uint8_t to_byte(float value) { return static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F)); }

}  // namespace

Size fit(Size full, std::uint32_t max_edge) {
  const auto longer = std::max(full.width, full.height);
  if (max_edge == 0 || longer <= max_edge) return full;
  const auto scaled = [&](std::uint32_t edge) {
    return std::max(1U, static_cast<std::uint32_t>((std::uint64_t{edge} * max_edge * 2 + longer) / (2ULL * longer)));
  };
  return {scaled(full.width), scaled(full.height)};
}

RowResizer::Taps::Taps(std::uint32_t in, std::uint32_t out, double extent) : first(out), count(out) {
  const double scale = extent / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = kSupport * filter_scale;
  stride = std::min(in, static_cast<std::uint32_t>(std::ceil(support)) * 2 + 1);
  weights.assign(size_t{out} * stride, 0.0F);
  std::vector<double> row(stride);
  for (std::uint32_t i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const auto begin = static_cast<std::uint32_t>(std::clamp(centre - support + 0.5, 0.0, double(in - 1)));
    const auto end = static_cast<std::uint32_t>(std::clamp(centre + support + 0.5, begin + 1.0, double(in)));
    first[i] = begin;
    count[i] = std::min(end - begin, stride);
    double sum = 0;
    for (std::uint32_t k = 0; k < count[i]; ++k) sum += row[k] = lanczos((begin + k - centre + 0.5) / filter_scale);
    for (std::uint32_t k = 0; k < count[i]; ++k) weights[size_t{i} * stride + k] = static_cast<float>(row[k] / sum);
  }
}

RowResizer::RowResizer(Size in, Size out, double extent_width, double extent_height)
    : in_(in),
      out_(out),
      copy_(in == out && extent_width == in.width && extent_height == in.height),
      across_(in.width, copy_ ? 1 : out.width, extent_width),
      down_(in.height, copy_ ? 1 : out.height, extent_height) {
  image_ = {out.width, out.height, std::vector<std::uint8_t>(size_t{out.width} * out.height * 3, kGrey)};
  if (copy_) return;
  row_.resize(size_t{in.width} * 3);
  expanded_.resize(size_t{in.width} * 4);
  ring_.resize(size_t{down_.stride} * image_.row_bytes());
  accumulator_.resize(image_.row_bytes());
}

void RowResizer::watch(LumaAccumulator* luma) {
  luma_ = luma;
  if (luma_ == nullptr) return;
  luma_->begin(in_.width, in_.height);
  luma_row_.resize(in_.width);
}

std::uint8_t* RowResizer::next_row() {
  return copy_ ? image_.pixels.data() + std::min(rows_in_, out_.height - 1) * image_.row_bytes() : row_.data();
}

void RowResizer::commit_row() {
  if (rows_in_ >= in_.height) return;
  if (luma_ != nullptr) {
    rgb_to_luma({next_row(), size_t{in_.width} * 3}, luma_row_);
    luma_->add_row(luma_row_);
  }
  if (!copy_) horizontal(row_.data(), ring_.data() + rows_in_ % down_.stride * image_.row_bytes());
  ++rows_in_;
  while (!copy_ && rows_out_ < out_.height && down_.first[rows_out_] + down_.count[rows_out_] <= rows_in_)
    vertical(rows_out_++);
}

Image RowResizer::finish() {
  if (!copy_) {
    luma_ = nullptr;  // what never came is not part of the picture
    std::fill(row_.begin(), row_.end(), kGrey);
    while (rows_in_ < in_.height) commit_row();
  }
  return std::move(image_);
}

void RowResizer::horizontal(const std::uint8_t* in, std::uint8_t* out) {
  float* wide = expanded_.data();
  for (size_t x = 0; x < in_.width; ++x)
    for (size_t c = 0; c < 3; ++c) wide[x * 4 + c] = in[x * 3 + c];
  for (size_t x = 0; x < out_.width; ++x) {
    const float* weight = across_.weights.data() + x * across_.stride;
    const float* pixel = wide + size_t{across_.first[x]} * 4;
    std::array<float, 4> sum{};
    for (std::uint32_t k = 0; k < across_.count[x]; ++k)
      for (size_t c = 0; c < 4; ++c) sum[c] += weight[k] * pixel[k * 4 + c];
    for (size_t c = 0; c < 3; ++c) out[x * 3 + c] = to_byte(sum[c]);
  }
}

void RowResizer::vertical(std::uint32_t y) {
  const size_t bytes = image_.row_bytes();
  const float* weight = down_.weights.data() + size_t{y} * down_.stride;
  float* sum = accumulator_.data();
  std::fill_n(sum, bytes, 0.0F);
  for (std::uint32_t k = 0; k < down_.count[y]; ++k) {
    const std::uint8_t* row = ring_.data() + (down_.first[y] + k) % down_.stride * bytes;
    for (size_t i = 0; i < bytes; ++i) sum[i] += weight[k] * row[i];
  }
  std::uint8_t* out = image_.pixels.data() + y * bytes;
  for (size_t i = 0; i < bytes; ++i) out[i] = to_byte(sum[i]);
}

Image apply_orientation(Image image, std::uint32_t orientation) {
  if (orientation < 2 || orientation > 8) return image;
  // Where the stored picture's x and y steps go in the upright one (TIFF 6.0, Orientation: row 0 and column 0 are…).
  struct Turn {
    bool transpose, flip_x, flip_y;
  };
  static constexpr Turn kTurns[] = {{false, true, false}, {false, true, true}, {false, false, true},
                                    {true, false, false}, {true, true, false}, {true, true, true},
                                    {true, false, true}};
  const Turn turn = kTurns[orientation - 2];
  const Size size = upright({image.width, image.height}, orientation);
  Image out{size.width, size.height, std::vector<std::uint8_t>(image.pixels.size())};
  const auto source_width = image.width;
  constexpr std::uint32_t kBlock = 32;  // a transposition walks one side down columns: stay within the cache
  for (std::uint32_t top = 0; top < size.height; top += kBlock)
    for (std::uint32_t left = 0; left < size.width; left += kBlock)
      for (std::uint32_t y = top; y < std::min(top + kBlock, size.height); ++y)
        for (std::uint32_t x = left; x < std::min(left + kBlock, size.width); ++x) {
          const auto u = turn.flip_x ? size.width - 1 - x : x, v = turn.flip_y ? size.height - 1 - y : y;
          const size_t from = turn.transpose ? size_t{u} * source_width + v : size_t{v} * source_width + u;
          std::memcpy(&out.pixels[(size_t{y} * size.width + x) * 3], &image.pixels[from * 3], 3);
        }
  return out;
}

Image resize_to_fit(const Image& image, std::uint32_t max_edge) {
  const Size full{image.width, image.height};
  const Size wanted = fit(full, max_edge);
  if (wanted == full) return image;
  RowResizer resizer(full, wanted);
  for (std::uint32_t y = 0; y < image.height; ++y) {
    std::copy_n(image.pixels.data() + y * image.row_bytes(), image.row_bytes(), resizer.next_row());
    resizer.commit_row();
  }
  return resizer.finish();
}

}  // namespace image_engine::media
