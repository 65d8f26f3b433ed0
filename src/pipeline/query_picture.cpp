#include "pipeline/query_picture.h"

#include <algorithm>

#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/stages.h"
#include "vision/hashes.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

namespace {

using Use = std::function<Status(const ImageView&, preprocess::FullSize)>;

// Of a photo by its orientation, of a video those frames.
Status with_each(const std::string& path, const Config& config, worker::Task task, std::span<const double> times,
                 const Use& use) {
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  const auto named = [&](const Error& error) {
    return is_of_the_run(error.code) ? fail(error) : fail(error.code, printable(path) + ": " + error.message);
  };
  Result<worker::LeasedFile> file = worker::LeasedFile::open(*pool, path);
  if (!file) return named(file.error());
  for (const double time : times) {
    task.at = time;
    const Result<worker::Reply> reply = file->run(task);
    if (!reply) return named(reply.error());
    if (!reply->picture) return named(reply->picture.error());
    const worker::Picture& picture = *reply->picture;
    IE_CHECK(use(file->pixels(picture), {picture.full_width, picture.full_height}));
  }
  return {};
}

}  // namespace

Status with_frames(const std::string& path, const Config& config, std::uint32_t edge, std::span<const double> times,
                   const Use& use) {
  return with_each(path, config, {.max_edge = edge}, times, use);
}

Status with_picture(const std::string& path, const Config& config, std::uint32_t edge, const Use& use,
                    std::uint32_t orientation) {
  const double no_time = worker::Task().at;
  return with_each(path, config, {.max_edge = edge, .orientation = orientation}, {&no_time, 1}, use);
}

Status with_query(const std::string& path, FrameTime at, const Config& config, std::uint32_t edge, const Use& use) {
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
