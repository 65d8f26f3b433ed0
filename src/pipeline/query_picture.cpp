#include "pipeline/query_picture.h"

#include <algorithm>

#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/stages.h"
#include "vision/hashes.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

Status with_frames(const std::string& path, const Config& config, std::uint32_t edge, std::span<const double> times,
                   const std::function<Status(const ImageView&, preprocess::FullSize)>& use) {
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  const auto named = [&](const Error& error) {
    return is_of_the_run(error.code) ? fail(error) : fail(error.code, printable(path) + ": " + error.message);
  };
  Result<worker::LeasedFile> file = worker::LeasedFile::open(*pool, path);
  if (!file) return named(file.error());
  for (const double time : times) {
    const Result<worker::Reply> reply = file->run({.max_edge = edge, .at = time});
    if (!reply) return named(reply.error());
    if (!reply->picture) return named(reply->picture.error());
    const worker::Picture& picture = *reply->picture;
    IE_CHECK(use(file->pixels(picture), {picture.full_width, picture.full_height}));
  }
  return {};
}

Status with_picture(const std::string& path, const Config& config, std::uint32_t edge,
                    const std::function<Status(const ImageView&, preprocess::FullSize)>& use) {
  return with_query(path, std::nullopt, config, edge, use);
}

Status with_query(const std::string& path, FrameTime at, const Config& config, std::uint32_t edge,
                  const std::function<Status(const ImageView&, preprocess::FullSize)>& use) {
  const double time = at.value_or(worker::Task().at);
  return with_frames(path, config, edge, {&time, 1}, use);
}

Result<std::vector<std::uint64_t>> query_hashes(const std::string& path, FrameTime at, const Config& config) {
  std::uint32_t edge = 0;
  for (const PictureStage& stage : picture_stages()) edge = std::max(edge, stage.edge);
  std::vector<std::uint64_t> hashes;
  IE_CHECK(with_query(path, at, config, edge, [&](const ImageView& picture, preprocess::FullSize) -> Status {
    for (const vision::PerceptualHashes& variant : vision::variants(picture)) hashes.push_back(variant.phash);
    return {};
  }));
  return hashes;
}

}  // namespace image_engine::pipeline
