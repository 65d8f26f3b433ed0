#include <turbojpeg.h>

#include <memory>

#include "media/media.h"

namespace image_engine::media {

Result<std::vector<std::byte>> encode_jpeg(const ImageView& image, int quality, bool progressive) {
  if (quality < 1 || quality > 100) return fail(ErrorCode::kInvalidArgument, "a JPEG's quality is between 1 and 100");
  constexpr std::uint32_t kMaxEdge = 65'500;  // JPEG_MAX_DIMENSION of libjpeg
  if (image.width == 0 || image.height == 0 || image.width > kMaxEdge || image.height > kMaxEdge ||
      image.pixels.size() < size_t{image.width} * image.height * 3)
    return fail(ErrorCode::kInvalidArgument, "a JPEG's edges are between 1 and 65,500 pixels");

  struct Destroy {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  const std::unique_ptr<void, Destroy> handle(tjInitCompress());
  if (!handle) return fail(ErrorCode::kOutOfMemory, "no memory to encode a JPEG");
  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  std::vector<std::byte> jpeg(tjBufSize(width, height, TJSAMP_420));
  auto* into = reinterpret_cast<unsigned char*>(jpeg.data());
  unsigned long size = jpeg.size();
  if (tjCompress2(handle.get(), image.pixels.data(), width, width * 3, height, TJPF_RGB, &into, &size, TJSAMP_420,
                  quality, TJFLAG_NOREALLOC | (progressive ? TJFLAG_PROGRESSIVE : 0)) != 0)
    return fail(ErrorCode::kInternal, std::string("cannot encode a JPEG: ") + tjGetErrorStr2(handle.get()));
  jpeg.resize(size);
  return jpeg;
}

}  // namespace image_engine::media
