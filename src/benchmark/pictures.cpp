#include "benchmark/pictures.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/file.h"
#include "core/hash.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/parallel.h"
#include "pipeline/sample_photos.h"
#include "scan/scan.h"
#include "worker/decode_file.h"

namespace image_engine::benchmark {
namespace {

struct Decoded {
  SamplePicture sample;
  double milliseconds = 0;
};

Result<std::vector<std::string>> find_photos(const std::string& folder, std::size_t limit,
                                             const std::stop_token& stop) {
  IE_TRY(const scan::Walker walker, scan::Walker::create({}));
  std::vector<std::string> all;
  Error problem{ErrorCode::kNotFound, ""};
  scan::ScanVisitor visitor;
  visitor.file = [&](scan::FoundFile&& file) {
    if (file.kind == MediaKind::kPhoto && file.format != MediaFormat::kNone) all.push_back(std::move(file.path));
    return !stop.stop_requested();
  };
  visitor.problem = [&](const scan::ScanProblem& found) { problem = found.error; };
  walker.walk({folder}, visitor);
  if (all.empty())
    return fail(ErrorCode::kNotFound, fmt::format("there is no photo in {}{}{}", printable(folder),
                                                  problem.message.empty() ? "" : ": ", problem.message));
  std::vector<std::string> chosen;
  const std::size_t count = std::min(limit, all.size());
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(std::move(all[i * all.size() / count]));
  return chosen;
}

Result<Decoded> decode(worker::Pool& pool, const std::string& path, std::uint32_t edge) {
  IE_TRY(const worker::DecodedFile decoded, worker::decode_file(pool, path, {.max_edge = edge}));
  const ImageView seen = decoded.pixels();
  return Decoded{{path,
                  {seen.width, seen.height, {seen.pixels.begin(), seen.pixels.end()}},
                  {decoded.picture().full_width, decoded.picture().full_height}},
                 decoded.reply().timings.decode / 1000.0};
}

}  // namespace

Result<SamplePictures> load_samples(const SampleRequest& request, const Config& config) {
  SamplePictures samples;
  IE_TRY(samples.folder, pipeline::samples_folder(request.folder, "--images"));
  IE_TRY(const auto paths, find_photos(samples.folder, request.limit, request.stop));
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(pipeline::pool_options(config)));
  Progress progress("Decoding", paths.size(), request.progress);
  double milliseconds = 0;
  std::string why;
  const auto work = [&](std::size_t i) { return decode(*pool, paths[i], request.edge); };
  const auto sink = [&](std::size_t i, Result<Decoded>& decoded) -> Status {
    progress.add();
    if (decoded) {
      milliseconds += decoded->milliseconds;
      samples.pictures.push_back(std::move(decoded->sample));
      return {};
    }
    if (is_of_the_run(decoded.error().code)) return fail(decoded.error());
    ++samples.unreadable;
    why = printable(paths[i]) + ": " + decoded.error().message;
    return {};
  };
  IE_CHECK(pipeline::parallel_files(paths.size(), static_cast<int>(config.worker_count()), work, sink, request.stop));
  if (request.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
  if (samples.pictures.empty())
    return fail(ErrorCode::kNotFound, fmt::format("no photo in {} can be decoded: {}", printable(samples.folder), why));
  std::ranges::sort(samples.pictures, {}, &SamplePicture::path);
  samples.decode_ms = milliseconds / static_cast<double>(samples.pictures.size());
  return samples;
}

std::string samples_hash(const SamplePictures& samples) {
  std::string text;
  for (const SamplePicture& one : samples.pictures)
    text += fmt::format("{} {} {}\n", one.path, one.full.width, one.full.height);
  return hash128(text).hex();
}

}  // namespace image_engine::benchmark
