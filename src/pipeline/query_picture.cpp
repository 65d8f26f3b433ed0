#include "pipeline/query_picture.h"

#include "core/file.h"
#include "core/text.h"
#include "pipeline/stages.h"
#include "vision/hashes.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

Result<std::vector<std::uint64_t>> query_hashes(const std::string& path, const Config& config) {
  Result<UniqueFd> media = open_regular(path);
  if (!media) return fail(media.error().code, printable(path) + ": " + media.error().message);
  worker::PoolOptions options;
  options.memory_limit = static_cast<std::uint64_t>(config.worker.memory_limit_mb) << 20;
  options.require_sandbox = config.worker.sandbox == "strict";
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  worker::Task task;
  task.operations = worker::kDecode;
  task.media_fd = media->get();
  for (const PictureStage& stage : picture_stages()) task.max_edge = std::max(task.max_edge, stage.edge);
  worker::Lease lease = pool->lease();
  IE_TRY(const worker::Reply reply, lease.run(task));
  if (!reply.picture) return fail(reply.picture.error().code, printable(path) + ": " + reply.picture.error().message);
  std::vector<std::uint64_t> hashes;
  for (const vision::PerceptualHashes& variant : vision::variants(lease.pixels(*reply.picture)))
    hashes.push_back(variant.phash);
  return hashes;
}

}  // namespace image_engine::pipeline
