#include "media/resize.h"

#include <algorithm>
#include <cstring>

#include "media/media.h"

namespace image_engine::media {
namespace {

constexpr std::uint8_t kGrey = 128;

Taps lanczos_taps(std::uint32_t in, double extent, std::uint32_t out) {
  return make_taps(ResampleFilter::kLanczos, {in, extent, out}, 0, out);
}

}  // namespace

Size fit(Size full, std::uint32_t max_edge) {
  const auto longer = std::max(full.width, full.height);
  if (max_edge == 0 || longer <= max_edge) return full;
  const auto scaled = [&](std::uint32_t edge) {
    return std::max(1U, static_cast<std::uint32_t>((std::uint64_t{edge} * max_edge * 2 + longer) / (2ULL * longer)));
  };
  return {scaled(full.width), scaled(full.height)};
}

RowResizer::RowResizer(Size in, Size out, double extent_width, double extent_height)
    : in_(in),
      out_(out),
      copy_(in == out && extent_width == in.width && extent_height == in.height),
      image_{out.width, out.height, std::vector<std::uint8_t>(size_t{out.width} * out.height * 3, kGrey)} {
  if (copy_) return;
  resampled_.emplace(lanczos_taps(in.width, extent_width, out.width),
                     lanczos_taps(in.height, extent_height, out.height));
  row_.resize(size_t{in.width} * 3 + ResampledRows::kPadding);
}

void RowResizer::watch(LumaAccumulator* luma) {
  luma_ = luma;
  if (luma_ == nullptr) return;
  luma_->begin(in_.width, in_.height);
  luma_row_.resize(in_.width);
}

std::uint8_t* RowResizer::next_row() {
  if (copy_) return image_.pixels.data() + std::min(rows_in_, out_.height - 1) * image_.row_bytes();
  return row_.data();
}

void RowResizer::commit_row() {
  if (rows_in_ >= in_.height) return;
  if (luma_ != nullptr) {
    rgb_to_luma({next_row(), size_t{in_.width} * 3}, luma_row_);
    luma_->add_row(luma_row_);
  }
  const std::uint32_t y = rows_in_++;
  if (copy_) return;
  resampled_->take(y, row_.data());
  for (; rows_out_ < out_.height && resampled_->end(rows_out_) <= rows_in_; ++rows_out_)
    std::ranges::copy(resampled_->make(rows_out_), image_.pixels.data() + rows_out_ * image_.row_bytes());
}

Image RowResizer::finish() {
  luma_ = nullptr;  // missing rows are not part of the picture
  while (!copy_ && rows_in_ < in_.height) {
    std::fill_n(next_row(), size_t{in_.width} * 3, kGrey);
    commit_row();
  }
  return std::move(image_);
}

Image apply_orientation(Image image, std::uint32_t orientation) {
  if (orientation < 2 || orientation > 8) return image;
  // The directions in the upright picture of the stored picture's x and y steps (TIFF 6.0, Orientation: row 0 and
  // column 0 are…).
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
  constexpr std::uint32_t kTile = 32;  // a transposition walks down columns on one side: stay within the cache
  for (std::uint32_t top = 0; top < size.height; top += kTile)
    for (std::uint32_t left = 0; left < size.width; left += kTile)
      for (std::uint32_t y = top; y < std::min(top + kTile, size.height); ++y)
        for (std::uint32_t x = left; x < std::min(left + kTile, size.width); ++x) {
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
