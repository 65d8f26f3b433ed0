#include "worker/gpu_process/results.h"

#include <algorithm>
#include <cstring>

#include "media/colour.h"
#include "media/media.h"
#include "media/resize.h"

namespace image_engine::worker {
namespace {

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

std::uint32_t edge_of(const Request& request) {
  return (request.operations & kDecode) != 0 ? request.max_edge : request.thumbnail_edge;
}

gpu::DevicePicture stored(const Job& job) {
  return {reinterpret_cast<const std::uint8_t*>(job.rgb.data()), job.jpeg.width, job.jpeg.height,
          std::size_t{job.jpeg.width} * 3, static_cast<int>(job.jpeg.orientation)};
}

}  // namespace

Results lay_out(const Job& job, std::size_t begin) {
  const Request& request = job.request.request;
  Results results;
  results.size = gpu::reduced_size(stored(job), edge_of(request));
  results.rgb = begin;
  results.luma = aligned(results.rgb + std::size_t{results.size.width} * results.size.height * 3);
  results.has_luma = (request.operations & kLuma) != 0;
  results.condensed = results.luma + (results.has_luma ? aligned(gpu::luma_bytes(job.jpeg.width, job.jpeg.height)) : 0);
  const bool is_decoded = (request.operations & kDecode) != 0;
  results.has_condensed = is_decoded && job.jpeg.icc.empty() && gpu::can_condense(results.size);
  results.thumbnail = results.condensed + (results.has_condensed ? aligned(sizeof(CondensedPicture)) : 0);
  // One with a profile is made on the CPU, of the converted picture.
  const bool is_smaller = std::max(results.size.width, results.size.height) > request.thumbnail_edge;
  results.has_thumbnail = (request.operations & kThumbnail) != 0 && is_smaller && job.jpeg.icc.empty();
  if (results.has_thumbnail)
    results.small = gpu::reduced_size({nullptr, results.size.width, results.size.height}, request.thumbnail_edge);
  results.end = aligned(results.thumbnail + std::size_t{results.small.width} * results.small.height * 3);
  return results;
}

void add_tasks(Job& job, const Results& results, std::byte* memory, const ModelInputs* inputs, BatchTasks& tasks) {
  const Request& request = job.request.request;
  auto* rgb = reinterpret_cast<std::uint8_t*>(memory + results.rgb);
  tasks.reduce.push_back(
      gpu::reduce_task(stored(job), edge_of(request), rgb, results.has_luma ? memory + results.luma : nullptr));
  const gpu::DevicePicture reduced{rgb, results.size.width, results.size.height, std::size_t{results.size.width} * 3};
  const std::uint32_t area = job.request.area;
  const bool is_decoded = (request.operations & kDecode) != 0;
  if (inputs != nullptr && inputs->has_area(area) && is_decoded && job.jpeg.icc.empty())
    job.has_inputs = inputs->add_tasks(area, reduced, gpu::upright_size(stored(job)), tasks.shrink).has_value();
  if (results.has_condensed)
    tasks.condense.push_back({rgb, results.size, reinterpret_cast<CondensedPicture*>(memory + results.condensed)});
  if (!results.has_thumbnail) return;
  tasks.shrink.push_back(
      gpu::reduce_task(reduced, request.thumbnail_edge, reinterpret_cast<std::uint8_t*>(memory + results.thumbnail)));
}

namespace {

// Puts bytes into a slot, one part behind the other.
class SlotWriter {
 public:
  explicit SlotWriter(std::span<std::byte> slot) : slot_(slot) {}
  // Their offset. kTooLarge: they do not fit.
  Result<std::uint64_t> put(const void* bytes, std::size_t count) {
    if (at_ > slot_.size() || count > slot_.size() - at_) return fail(ErrorCode::kTooLarge, "it does not fit its slot");
    std::memcpy(slot_.data() + at_, bytes, count);
    return std::exchange(at_, (at_ + count + 63) / 64 * 64);
  }

 private:
  std::span<std::byte> slot_;
  std::size_t at_ = kReplyRoom;
};

// The reduced picture in sRGB; `converted` holds it where it had to be converted.
ImageView in_srgb(const Job& job, const ImageView& reduced, std::vector<std::uint8_t>& converted, Picture& picture) {
  if (job.jpeg.icc.empty()) return reduced;
  const Result<media::ColourTransform> transform = media::ColourTransform::create(job.jpeg.icc, 3);
  if (!transform) {
    picture.warnings.push_back(transform.error().message);
    return reduced;
  }
  converted.resize(reduced.pixels.size());
  transform->apply(reduced.pixels.data(), converted.data(), converted.size() / 3);
  return {reduced.width, reduced.height, converted};
}

Result<std::vector<std::byte>> thumbnail_of(const Request& request, const ImageView& picture) {
  const int quality = static_cast<int>(request.thumbnail_quality);
  if (std::max(picture.width, picture.height) <= request.thumbnail_edge) return media::encode_jpeg(picture, quality);
  const Image whole{picture.width, picture.height, {picture.pixels.begin(), picture.pixels.end()}};
  const Image small = media::resize_to_fit(whole, request.thumbnail_edge);
  return media::encode_jpeg({small.width, small.height, small.pixels}, quality);
}

ImageView view(const std::byte* rgb, gpu::PictureSize size) {
  return {
      size.width, size.height, {reinterpret_cast<const std::uint8_t*>(rgb), std::size_t{size.width} * size.height * 3}};
}

}  // namespace

Status fill_reply(Job& job, const Results& results, const std::byte* memory, std::span<std::byte> slot) {
  const Request& request = job.request.request;
  SlotWriter writer(slot);
  Picture picture;
  const gpu::PictureSize upright = gpu::upright_size(stored(job));
  picture.full_width = upright.width;
  picture.full_height = upright.height;
  const std::size_t luma_bytes = gpu::luma_bytes(job.jpeg.width, job.jpeg.height);
  if (results.has_luma) {
    IE_TRY(picture.luma, gpu::read_luma(job.jpeg.width, job.jpeg.height, {memory + results.luma, luma_bytes}));
  }
  if (results.has_condensed) std::memcpy(&picture.condensed, memory + results.condensed, sizeof picture.condensed);
  std::vector<std::uint8_t> converted;
  const ImageView reduced = in_srgb(job, view(memory + results.rgb, results.size), converted, picture);
  if ((request.operations & kDecode) != 0) {
    picture.width = reduced.width;
    picture.height = reduced.height;
    IE_TRY(picture.offset, writer.put(reduced.pixels.data(), reduced.pixels.size()));
  }
  if ((request.operations & kThumbnail) != 0) {
    const ImageView source = results.has_thumbnail ? view(memory + results.thumbnail, results.small) : reduced;
    IE_TRY(const std::vector<std::byte> jpeg, thumbnail_of(request, source));
    IE_TRY(const std::uint64_t offset, writer.put(jpeg.data(), jpeg.size()));
    job.reply.thumbnail = Thumbnail{offset, jpeg.size()};
  }
  job.reply.picture = std::move(picture);
  return {};
}

}  // namespace image_engine::worker
