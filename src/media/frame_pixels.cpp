#include "media/frame_pixels.h"

extern "C" {
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <utility>

namespace image_engine::media {
namespace {

// The deprecated formats of full range under their modern names, for which swscale has no warning.
AVPixelFormat plain_format(int format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      return AV_PIX_FMT_YUV411P;
    default:
      return static_cast<AVPixelFormat>(format);
  }
}

bool is_full_range(const AVFrame& frame) {
  return frame.color_range == AVCOL_RANGE_JPEG || plain_format(frame.format) != frame.format;
}

std::optional<Transfer> hdr_of(const AVFrame& frame) {
  if (frame.color_trc == AVCOL_TRC_SMPTE2084) return Transfer::kPq;
  if (frame.color_trc == AVCOL_TRC_ARIB_STD_B67) return Transfer::kHlg;
  return std::nullopt;
}

// Of the content, in units of 100 cd/m², by the metadata that FFmpeg's tonemap reads in the same order; 0: none.
double peak_of(const AVFrame& frame) {
  if (const auto* data = av_frame_get_side_data(&frame, AV_FRAME_DATA_CONTENT_LIGHT_LEVEL))
    if (const auto* light = reinterpret_cast<const AVContentLightMetadata*>(data->data); light->MaxCLL > 0)
      return light->MaxCLL / 100.0;
  if (const auto* data = av_frame_get_side_data(&frame, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA))
    if (const auto* display = reinterpret_cast<const AVMasteringDisplayMetadata*>(data->data); display->has_luminance)
      return av_q2d(display->max_luminance) / 100.0;
  return 0;
}

void set_colours(SwsContext* context, const AVFrame& frame) {
  const int* matrix = sws_getCoefficients(frame.colorspace);
  sws_setColorspaceDetails(context, matrix, is_full_range(frame) ? 1 : 0, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0,
                           1 << 16, 1 << 16);
}

// Every other row, from the first: the top field.
struct Planes {
  std::array<const std::uint8_t*, 4> data{};
  std::array<int, 4> strides{};
};
Planes planes_of(const AVFrame& frame, int row_step) {
  Planes planes;
  for (size_t i = 0; i < 4; ++i) {
    planes.data[i] = frame.data[i];
    planes.strides[i] = frame.linesize[i] * row_step;
  }
  return planes;
}

tl::unexpected<Error> cannot_convert() {
  return fail(ErrorCode::kUnsupported, "this FFmpeg cannot convert the video's pixel format");
}

// Kr and Kb of a matrix (ITU-T H.273, table 4); unknown ones count as BT.601.
struct Weights {
  float red, blue;
};
Weights weights_of(AVColorSpace matrix) {
  switch (matrix) {
    case AVCOL_SPC_BT709:
      return {0.2126F, 0.0722F};
    case AVCOL_SPC_FCC:
      return {0.30F, 0.11F};
    case AVCOL_SPC_SMPTE240M:
      return {0.212F, 0.087F};
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return {0.2627F, 0.0593F};
    default:
      return {0.299F, 0.114F};
  }
}

// Y'CbCr codes to R'G'B' of 0…1, not clamped (ITU-T H.273, 8.3).
class YccToRgb {
 public:
  YccToRgb(Weights weights, bool full_range, int bits) : weights_(weights), green_(1 - weights.red - weights.blue) {
    const auto unit = static_cast<float>(1 << (bits - 8));
    const auto most = static_cast<float>((1 << bits) - 1);
    luma_offset_ = full_range ? 0 : 16 * unit;
    luma_scale_ = 1 / (full_range ? most : 219 * unit);
    chroma_offset_ = 128 * unit;
    chroma_scale_ = 1 / (full_range ? most : 224 * unit);
  }
  std::array<float, 3> operator()(float luma, float blue, float red) const {
    const float y = (luma - luma_offset_) * luma_scale_;
    const float b = y + 2 * (1 - weights_.blue) * (blue - chroma_offset_) * chroma_scale_;
    const float r = y + 2 * (1 - weights_.red) * (red - chroma_offset_) * chroma_scale_;
    return {r, (y - weights_.red * r - weights_.blue * b) / green_, b};
  }

 private:
  Weights weights_;
  float green_, luma_offset_, luma_scale_, chroma_offset_, chroma_scale_;
};

// The averages of one plane's component on a grid, in the component's own codes. Of each grid cell at most kRows rows
// are read.
class PlaneAverages {
 public:
  PlaneAverages(const AVFrame& frame, const AVComponentDescriptor& part, Size plane, std::vector<std::uint32_t>& sums)
      : data_(frame.data[part.plane] + part.offset),
        stride_(frame.linesize[part.plane]),
        step_(part.step),
        wide_(part.depth > 8),
        shift_(part.shift),
        plane_(plane),
        sums_(sums) {}

  void into(Size grid, std::span<float> averages) {
    for (std::uint32_t y = 0; y < grid.height; ++y) {
      const auto [top, bottom] = span_of(y, grid.height, plane_.height);
      const std::uint32_t rows = std::min(bottom - top, kRows);
      std::fill(sums_.begin(), sums_.end(), 0U);
      for (std::uint32_t i = 0; i < rows; ++i) add_row(top + (bottom - top) * i / rows);
      for (std::uint32_t x = 0; x < grid.width; ++x) {
        const auto [left, right] = span_of(x, grid.width, plane_.width);
        std::uint64_t sum = 0;
        for (std::uint32_t i = left; i < right; ++i) sum += sums_[i];
        averages[size_t{y} * grid.width + x] =
            static_cast<float>(sum) / static_cast<float>(std::uint64_t{rows} * (right - left) << shift_);
      }
    }
  }

 private:
  static constexpr std::uint32_t kRows = 6;

  static std::pair<std::uint32_t, std::uint32_t> span_of(std::uint32_t cell, std::uint32_t cells,
                                                         std::uint32_t length) {
    const auto from = static_cast<std::uint32_t>(std::uint64_t{cell} * length / cells);
    return {from, std::max(static_cast<std::uint32_t>(std::uint64_t{cell + 1} * length / cells), from + 1)};
  }

  void add_row(std::uint32_t row) {
    const std::uint8_t* at = data_ + static_cast<std::ptrdiff_t>(row) * stride_;
    if (wide_)
      for (std::uint32_t x = 0; x < plane_.width; ++x)
        sums_[x] += *reinterpret_cast<const std::uint16_t*>(at + static_cast<std::ptrdiff_t>(x) * step_);
    else if (step_ == 1)
      for (std::uint32_t x = 0; x < plane_.width; ++x) sums_[x] += at[x];
    else
      for (std::uint32_t x = 0; x < plane_.width; ++x) sums_[x] += at[static_cast<std::ptrdiff_t>(x) * step_];
  }

  const std::uint8_t* data_;
  std::ptrdiff_t stride_;
  int step_;
  bool wide_;
  int shift_;
  Size plane_;
  std::vector<std::uint32_t>& sums_;
};

// Whether components are whole little-endian bytes or words of Y'CbCr.
bool is_plain_ycc(const AVPixFmtDescriptor& format) {
  return format.nb_components >= 3 &&
         (format.flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                          AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_FLOAT)) == 0;
}

// Whether each row holds what the format says of its components: it does not of 4:1:1 in one plane (UYYVYY).
bool has_whole_rows(const AVFrame& frame, const AVPixFmtDescriptor& format) {
  for (int i = 0; i < 3; ++i) {
    const AVComponentDescriptor& part = format.comp[i];
    const int width = AV_CEIL_RSHIFT(frame.width, i == 0 ? 0 : format.log2_chroma_w);
    const std::int64_t needed = std::int64_t{width - 1} * part.step + part.offset + (part.depth > 8 ? 2 : 1);
    if (needed > std::abs(frame.linesize[part.plane])) return false;
  }
  return true;
}

}  // namespace

FramePixels::FramePixels() = default;
FramePixels::~FramePixels() {
  sws_freeContext(full_);
  sws_freeContext(reduced_);
}

bool is_hdr(const AVFrame& frame) { return hdr_of(frame).has_value(); }

Size display_size(const AVFrame& frame) {
  const AVRational aspect = frame.sample_aspect_ratio;
  Size size{static_cast<std::uint32_t>(frame.width), static_cast<std::uint32_t>(frame.height)};
  // A wild one is a damaged header's: no camera or disc squeezes more.
  const double ratio = aspect.num > 0 && aspect.den > 0 ? av_q2d(aspect) : 1;
  if (ratio > 1 && ratio <= 4) size.width = static_cast<std::uint32_t>(std::lround(size.width * ratio));
  if (ratio < 1 && ratio >= 0.25) size.height = static_cast<std::uint32_t>(std::lround(size.height / ratio));
  return size;
}

Result<Image> FramePixels::srgb(const AVFrame& frame) {
  if (const auto transfer = hdr_of(frame)) return tone_mapped(frame, *transfer);
  const int step = frame.interlaced_frame && frame.height >= 4 ? 2 : 1;
  const int height = frame.height / step;
  full_ = sws_getCachedContext(full_, frame.width, height, plain_format(frame.format), frame.width, height,
                               AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr,
                               nullptr);
  if (full_ == nullptr) return cannot_convert();
  set_colours(full_, frame);
  Image image{static_cast<std::uint32_t>(frame.width), static_cast<std::uint32_t>(height), {}};
  image.pixels.resize(image.row_bytes() * image.height);
  const Planes from = planes_of(frame, step);
  std::array<std::uint8_t*, 4> to{image.pixels.data()};
  const std::array<int, 4> strides{static_cast<int>(image.row_bytes())};
  if (sws_scale(full_, from.data.data(), from.strides.data(), 0, height, to.data(), strides.data()) <= 0)
    return cannot_convert();
  return image;
}

Result<Image> FramePixels::upright(const AVFrame& frame, std::uint32_t orientation, std::uint32_t max_edge,
                                   LumaAccumulator* luma) {
  IE_TRY(Image image, srgb(frame));
  const Size from{image.width, image.height}, to = fit(display_size(frame), max_edge);
  if (luma != nullptr || !(from == to)) {
    RowResizer resizer(from, to);
    if (luma != nullptr) resizer.watch(luma);
    for (std::uint32_t row = 0; row < from.height; ++row) {
      std::copy_n(&image.pixels[row * image.row_bytes()], image.row_bytes(), resizer.next_row());
      resizer.commit_row();
    }
    image = resizer.finish();
  }
  return apply_orientation(std::move(image), orientation);
}

Result<Image> FramePixels::tone_mapped(const AVFrame& frame, Transfer transfer) {
  // In 4:2:0 chroma lies where the stream says; swscale's own guess is half a pixel off.
  const bool top = frame.chroma_location == AVCHROMA_LOC_TOPLEFT;
  SwsContext* context = sws_alloc_context();
  if (context == nullptr) return fail(ErrorCode::kOutOfMemory, "no memory to convert a frame");
  const std::unique_ptr<SwsContext, decltype(&sws_freeContext)> owner(context, sws_freeContext);
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, int>>{
           {"srcw", frame.width},
           {"srch", frame.height},
           {"src_format", plain_format(frame.format)},
           {"dstw", frame.width},
           {"dsth", frame.height},
           {"dst_format", AV_PIX_FMT_YUV444P16},
           {"sws_flags", SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT},
           {"src_h_chr_pos", 0},
           {"src_v_chr_pos", top ? 0 : 128}})
    av_opt_set_int(context, name, value, 0);
  if (sws_init_context(context, nullptr, nullptr) < 0) return cannot_convert();
  const size_t width = static_cast<size_t>(frame.width), cells = width * static_cast<size_t>(frame.height);
  std::array<std::vector<std::uint16_t>, 3> planes{};
  std::array<std::uint8_t*, 4> to{};
  std::array<int, 4> strides{};
  for (size_t i = 0; i < 3; ++i) {
    planes[i].resize(cells);
    to[i] = reinterpret_cast<std::uint8_t*>(planes[i].data());
    strides[i] = frame.width * 2;
  }
  if (sws_scale(context, frame.data, frame.linesize, 0, frame.height, to.data(), strides.data()) <= 0)
    return cannot_convert();
  std::vector<std::uint16_t> wide(cells * 3);
  const YccToRgb convert(weights_of(frame.colorspace), is_full_range(frame), 16);
  for (size_t i = 0; i < cells; ++i) {
    const auto rgb = convert(planes[0][i], planes[1][i], planes[2][i]);
    for (size_t c = 0; c < 3; ++c)
      wide[3 * i + c] = static_cast<std::uint16_t>(std::clamp(rgb[c] * 65535 + 0.5F, 0.0F, 65535.0F));
  }
  if (!mapper_) mapper_ = std::make_unique<ToneMapper>(HdrKind{transfer}, peak_of(frame));
  Image image{static_cast<std::uint32_t>(frame.width), static_cast<std::uint32_t>(frame.height), {}};
  image.pixels.resize(wide.size());
  mapper_->map(wide, image.pixels.data());
  return image;
}

Status FramePixels::reduce(const AVFrame& frame, Size size, std::span<std::uint8_t> rgb) {
  const auto format = plain_format(frame.format);
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  if (description == nullptr || rgb.size() < size_t{size.width} * size.height * 3) return cannot_convert();
  if (!is_plain_ycc(*description) || !has_whole_rows(frame, *description)) return reduce_any(frame, size, rgb);
  const size_t cells = size_t{size.width} * size.height;
  std::array<std::vector<float>, 3> averages;
  sums_.resize(static_cast<size_t>(frame.width));
  for (size_t i = 0; i < 3; ++i) {
    averages[i].resize(cells);
    const auto shrunk = [&](int length, int shift) {
      return static_cast<std::uint32_t>(AV_CEIL_RSHIFT(length, shift));
    };
    const Size plane{shrunk(frame.width, i == 0 ? 0 : description->log2_chroma_w),
                     shrunk(frame.height, i == 0 ? 0 : description->log2_chroma_h)};
    PlaneAverages(frame, description->comp[i], plane, sums_).into(size, averages[i]);
  }
  const YccToRgb convert(weights_of(frame.colorspace), is_full_range(frame), description->comp[0].depth);
  for (size_t i = 0; i < cells; ++i) {
    const auto one = convert(averages[0][i], averages[1][i], averages[2][i]);
    for (size_t c = 0; c < 3; ++c)
      rgb[3 * i + c] = static_cast<std::uint8_t>(std::clamp(one[c] * 255 + 0.5F, 0.0F, 255.0F));
  }
  return {};
}

// By swscale: RGB, palettes, odd packings.
Status FramePixels::reduce_any(const AVFrame& frame, Size size, std::span<std::uint8_t> rgb) {
  reduced_ = sws_getCachedContext(reduced_, frame.width, frame.height, plain_format(frame.format),
                                  static_cast<int>(size.width), static_cast<int>(size.height), AV_PIX_FMT_RGB24,
                                  SWS_AREA, nullptr, nullptr, nullptr);
  if (reduced_ == nullptr) return cannot_convert();
  set_colours(reduced_, frame);
  std::array<std::uint8_t*, 4> to{rgb.data()};
  const std::array<int, 4> strides{static_cast<int>(size.width * 3)};
  if (sws_scale(reduced_, frame.data, frame.linesize, 0, frame.height, to.data(), strides.data()) <= 0)
    return cannot_convert();
  return {};
}

}  // namespace image_engine::media
