#include <libraw/libraw.h>

#include <algorithm>
#include <array>
#include <memory>

#include "media/decoders.h"
#include "media/libraries.h"
#include "media/metadata_readers.h"

namespace image_engine::media {
namespace {

struct Recycle {
  void operator()(libraw_processed_image_t* image) const { LibRaw::dcraw_clear_mem(image); }
};
using Processed = std::unique_ptr<libraw_processed_image_t, Recycle>;

// LibRaw's sizes and rotation: 3, 5, 6 are 180°, 90° counterclockwise, 90° clockwise.
std::uint32_t flip_of(const LibRaw& raw) {
  switch (raw.imgdata.sizes.flip) {
    case 3:
      return 3;
    case 5:
      return 8;
    case 6:
      return 6;
    default:
      return 1;
  }
}

Size size_of(const LibRaw& raw) { return {raw.imgdata.sizes.iwidth, raw.imgdata.sizes.iheight}; }

Error raw_failure(int code) {
  const auto kind = code == LIBRAW_FILE_UNSUPPORTED || code == LIBRAW_NOT_IMPLEMENTED ? ErrorCode::kUnsupported
                    : code == LIBRAW_UNSUFFICIENT_MEMORY                              ? ErrorCode::kOutOfMemory
                    : code == LIBRAW_TOO_BIG                                          ? ErrorCode::kTooLarge
                                                                                      : ErrorCode::kCorrupt;
  return {kind, std::string("the raw file cannot be decoded: ") + libraw_strerror(code)};
}

// Some of LibRaw's parsers throw.
template <typename Call>
int guarded(Call call) {
  try {
    return call();
  } catch (...) {
    return LIBRAW_DATA_ERROR;
  }
}

Result<std::unique_ptr<LibRaw>> open(Bytes file) {
  auto raw = std::make_unique<LibRaw>(LIBRAW_OPIONS_NO_MEMERR_CALLBACK | LIBRAW_OPIONS_NO_DATAERR_CALLBACK);
  const int code = guarded([&] { return raw->open_buffer(const_cast<std::byte*>(file.data()), file.size()); });
  if (code != LIBRAW_SUCCESS) return fail(raw_failure(code));
  return raw;
}

// The camera's embedded JPEG; nullopt without one that can be decoded.
std::optional<Decoded> decode_preview(LibRaw& raw, const DecodeOptions& options) {
  if (guarded([&] { return raw.unpack_thumb(); }) != LIBRAW_SUCCESS) return std::nullopt;
  const auto& preview = raw.imgdata.thumbnail;
  if (preview.tformat != LIBRAW_THUMBNAIL_JPEG || !preview.thumb) return std::nullopt;
  const Bytes jpeg(reinterpret_cast<const std::byte*>(preview.thumb), preview.tlength);
  // Cameras that are set to Adobe RGB make their previews so.
  const auto header = read_jpeg_header(jpeg);
  auto decoded = decode_jpeg(jpeg, options, header ? Bytes(header->icc) : Bytes());
  if (!decoded) return std::nullopt;
  return std::move(*decoded);
}

// From the sensor's values: at half size if that is enough, which needs no interpolation.
Result<Decoded> demosaic(LibRaw& raw, Size target, const DecodeOptions& options) {
  int code = guarded([&] { return raw.unpack(); });
  if (code != LIBRAW_SUCCESS) return fail(raw_failure(code));
  auto& settings = raw.imgdata.params;
  const Size full = size_of(raw);
  settings.half_size = options.max_edge != 0 && full.width / 2 >= target.width && full.height / 2 >= target.height;
  settings.use_camera_wb = 1;
  settings.output_bps = 8;
  settings.output_color = 1;  // sRGB
  settings.user_flip = 0;     // decode() turns it
  code = guarded([&] { return raw.dcraw_process(); });
  if (code != LIBRAW_SUCCESS) return fail(raw_failure(code));
  const Processed image(raw.dcraw_make_mem_image(&code));
  if (!image || image->type != LIBRAW_IMAGE_BITMAP || image->bits != 8 || (image->colors != 3 && image->colors != 1))
    return fail(raw_failure(code == LIBRAW_SUCCESS ? LIBRAW_NOT_IMPLEMENTED : code));

  const Size size{image->width, image->height};
  RowResizer resizer(size, fit(size, options.max_edge));
  resizer.watch(options.luma);
  for (size_t y = 0; y < size.height; ++y) {
    const std::uint8_t* from = image->data + y * size.width * image->colors;
    std::uint8_t* to = resizer.next_row();
    for (size_t i = 0; i < size_t{size.width} * 3; ++i) to[i] = from[image->colors == 3 ? i : i / 3];
    resizer.commit_row();
  }
  Decoded decoded;
  decoded.image = resizer.finish();
  return decoded;
}

}  // namespace

std::string libraw_version() { return LibRaw::version(); }

Result<Blocks> read_raw_blocks(Bytes file, Metadata& metadata) {
  IE_TRY(const auto raw, open(file));
  const Size size = size_of(*raw);
  metadata.width = size.width;
  metadata.height = size.height;
  metadata.bit_depth = raw->imgdata.color.raw_bps ? raw->imgdata.color.raw_bps : 16;
  Blocks blocks;
  blocks.tags.whole_file = true;
  blocks.orientation = flip_of(*raw);
  return blocks;
}

Result<Decoded> decode_raw(Bytes file, const DecodeOptions& options) {
  IE_TRY(const auto raw, open(file));
  const Size full = size_of(*raw);
  IE_CHECK(check_size(full, options));
  const Size target = fit(full, options.max_edge);
  const auto finish = [&](Decoded decoded) {
    decoded.full_width = full.width;
    decoded.full_height = full.height;
    return decoded;
  };

  const auto& thumbnail = raw->imgdata.thumbnail;
  const bool enough =
      std::max<std::uint32_t>(thumbnail.twidth, thumbnail.theight) >= std::max(target.width, target.height);
  if (enough)
    if (auto preview = decode_preview(*raw, options)) return finish(std::move(*preview));
  auto developed = demosaic(*raw, target, options);
  if (developed) return finish(std::move(*developed));
  if (developed.error().code == ErrorCode::kTooLarge) return developed;
  auto preview = decode_preview(*raw, options);
  if (!preview) return developed;
  preview->partial = true;
  preview->warnings.push_back("only the small preview is left: " + developed.error().message);
  return finish(std::move(*preview));
}

}  // namespace image_engine::media
