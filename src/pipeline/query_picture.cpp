#include "pipeline/query_picture.h"

#include <algorithm>

#include "core/file.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/stages.h"
#include "vision/hashes.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

Status look_at(const std::string& path, const Config& config, std::uint32_t edge,
               const std::function<Status(const ImageView&, preprocess::FullSize)>& see) {
  Result<UniqueFd> media = open_regular(path);
  if (!media) return fail(media.error().code, printable(path) + ": " + media.error().message);
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  worker::Task task;
  task.operations = worker::kDecode;
  task.media_fd = media->get();
  task.max_edge = edge;
  worker::Lease lease = pool->lease();
  IE_TRY(const worker::Reply reply, lease.run(task));
  if (!reply.picture) return fail(reply.picture.error().code, printable(path) + ": " + reply.picture.error().message);
  return see(lease.pixels(*reply.picture), {reply.picture->full_width, reply.picture->full_height});
}

Result<std::vector<std::uint64_t>> query_hashes(const std::string& path, const Config& config) {
  std::uint32_t edge = 0;
  for (const PictureStage& stage : picture_stages()) edge = std::max(edge, stage.edge);
  std::vector<std::uint64_t> hashes;
  IE_CHECK(look_at(path, config, edge, [&](const ImageView& picture, preprocess::FullSize) -> Status {
    for (const vision::PerceptualHashes& variant : vision::variants(picture)) hashes.push_back(variant.phash);
    return {};
  }));
  return hashes;
}

}  // namespace image_engine::pipeline
