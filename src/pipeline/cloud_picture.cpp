#include "pipeline/cloud_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

constexpr std::uint32_t kFine = 90, kCoarse = 75;  // JPEG quality: 75 before the picture gets smaller
constexpr std::uint32_t kLeastEdge = 64;           // pixels; smaller ones are not worth a request
constexpr double kMargin = 0.95;

bool wants_video_clip(const nvidia::Endpoint& endpoint) {
  return endpoint.task == nvidia::Task::kDetect && endpoint.dialect == nvidia::Dialect::kNvcf;
}

}  // namespace

Result<UniqueFd> open_as_analysed(const store::FileObservation& file) {
  IE_TRY(UniqueFd media, open_regular(file.path));
  IE_TRY(const store::FileStamp now, store::stamp_of(media.get()));
  if (now != file.stamp) return fail(ErrorCode::kInterrupted, "has changed since its analysis");
  return media;
}

bool want_the_same(const nvidia::Endpoint& one, const nvidia::Endpoint& other) {
  return one.edge == other.edge && one.most_bytes == other.most_bytes &&
         wants_video_clip(one) == wants_video_clip(other);
}

Result<nvidia::Picture> cloud_picture(worker::Pool& pool, const store::FileObservation& file,
                                      const nvidia::Endpoint& endpoint, double at) {
  IE_TRY(UniqueFd media, open_as_analysed(file));
  worker::Task task;
  task.operations = worker::kDecode | worker::kThumbnail;  // pixels for their size
  if (wants_video_clip(endpoint)) task.operations |= worker::kVideoClip;
  task.max_edge = task.thumbnail_edge = endpoint.edge;
  task.thumbnail_quality = kFine;
  task.orientation = file.orientation;
  task.at = at;
  IE_TRY(worker::DecodedFile decoded, worker::decode_file(pool, std::move(media), task));
  for (;;) {
    const worker::Picture& seen = decoded.picture();
    const std::span<const std::byte> jpeg = decoded.thumbnail();
    if (jpeg.size() <= endpoint.most_bytes) {
      nvidia::Picture picture;
      picture.jpeg.assign(reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
      picture.scale = {seen.width, seen.height, seen.full_width, seen.full_height};
      picture.path = file.path;
      if (wants_video_clip(endpoint)) {
        const std::span<const std::byte> clip = decoded.clip();
        picture.mp4.assign(reinterpret_cast<const char*>(clip.data()), clip.size());
      }
      return picture;
    }
    const std::uint32_t edge = std::max(seen.width, seen.height);
    if (task.thumbnail_quality == kFine) {
      task.thumbnail_quality = kCoarse;
    } else {
      // Bytes are about as many as pixels.
      const double share = std::sqrt(static_cast<double>(endpoint.most_bytes) / static_cast<double>(jpeg.size()));
      task.max_edge = task.thumbnail_edge = static_cast<std::uint32_t>(edge * share * kMargin);
    }
    if (task.max_edge < kLeastEdge)
      return fail(ErrorCode::kTooLarge,
                  fmt::format("{} takes {} bytes, too few for a JPEG of it", endpoint.name, endpoint.most_bytes));
    IE_CHECK(decoded.decode_again(task));
  }
}

}  // namespace image_engine::pipeline
