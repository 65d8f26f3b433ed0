#include "pipeline/query_picture.h"

#include <algorithm>

#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/stages.h"
#include "vision/hashes.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

Status with_picture(const std::string& path, const Config& config, std::uint32_t edge,
                    const std::function<Status(const ImageView&, preprocess::FullSize)>& use) {
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  const Result<worker::DecodedFile> decoded = worker::decode_file(*pool, path, {.max_edge = edge});
  if (!decoded && is_of_the_run(decoded.error().code)) return fail(decoded.error());
  if (!decoded) return fail(decoded.error().code, printable(path) + ": " + decoded.error().message);
  const worker::Picture& picture = decoded->picture();
  return use(decoded->pixels(), {picture.full_width, picture.full_height});
}

Status see_frames(const std::string& path, const Config& config, std::uint32_t edge, std::span<const double> times,
                  const std::function<Status(const ImageView&, preprocess::FullSize)>& see) {
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  IE_TRY(worker::LeasedFile file, worker::LeasedFile::open(*pool, path));
  for (const double time : times) {
    Result<worker::Reply> reply = file.run({.operations = worker::kDecode, .max_edge = edge, .at = time});
    if (reply && !reply->picture) reply = fail(reply->picture.error());
    if (!reply && is_of_the_run(reply.error().code)) return fail(reply.error());
    if (!reply) return fail(reply.error().code, printable(path) + ": " + reply.error().message);
    const worker::Picture& picture = *reply->picture;
    IE_CHECK(see(file.pixels(picture), {picture.full_width, picture.full_height}));
  }
  return {};
}

Result<std::vector<std::uint64_t>> query_hashes(const std::string& path, const Config& config) {
  std::uint32_t edge = 0;
  for (const PictureStage& stage : picture_stages()) edge = std::max(edge, stage.edge);
  std::vector<std::uint64_t> hashes;
  IE_CHECK(with_picture(path, config, edge, [&](const ImageView& picture, preprocess::FullSize) -> Status {
    for (const vision::PerceptualHashes& variant : vision::variants(picture)) hashes.push_back(variant.phash);
    return {};
  }));
  return hashes;
}

}  // namespace image_engine::pipeline
