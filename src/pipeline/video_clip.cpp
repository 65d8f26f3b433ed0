#include "pipeline/video_clip.h"

#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "core/file.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

// A part is no larger than the whole, but for another container's headers. More comes from a subverted worker.
Result<std::uint64_t> most_bytes(const UniqueFd& video) {
  constexpr std::uint64_t kHeaders = std::uint64_t{64} << 20;
  struct stat info {};
  if (::fstat(video.get(), &info) != 0) return fail(errno_error("cannot stat"));
  return 2 * static_cast<std::uint64_t>(info.st_size) + kHeaders;
}

Result<std::unique_ptr<worker::Pool>> one_worker(const Config& config) {
  worker::PoolOptions options = pool_options(config);
  options.workers = 1;
  return worker::Pool::create(options);
}

// Blames the video for what is about it.
tl::unexpected<Error> about(const std::string& path, const Error& error) {
  return is_of_the_run(error.code) ? fail(error) : fail(error.code, printable(path) + ": " + error.message);
}

Result<Clip> receive_clip(worker::LeasedFile& file, AtomicFile& out, std::uint64_t most, const std::string& path,
                          const std::stop_token& stop) {
  Clip clip;
  std::uint64_t received = 0;
  for (;;) {
    if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted: nothing was written");
    const Result<std::optional<worker::WrittenPart>> next = file.next_part();
    if (!next) return about(path, next.error());
    if (!*next) break;
    const worker::WrittenPart& part = **next;
    received += part.bytes;
    // Headers are written a second time.
    if (part.position > most || part.bytes > most - part.position || received / 2 > most)
      return about(path,
                   {ErrorCode::kCrashed, "the clip is larger than the video; its demuxer was probably subverted"});
    IE_CHECK(out.write(part.position, file.bytes(part)));
    clip.bytes = std::max(clip.bytes, part.position + part.bytes);
  }
  clip.cut = file.cut();
  return clip;
}

}  // namespace

Result<Clip> write_clip(const std::string& path, const Config& config, const worker::CutTask& part,
                        const std::string& target, const std::stop_token& stop) {
  IE_TRY(const std::unique_ptr<worker::Pool> pool, one_worker(config));
  Result<UniqueFd> video = open_regular(path);
  if (!video) return about(path, video.error());
  IE_TRY(const std::uint64_t most, most_bytes(*video));
  worker::LeasedFile file(*pool, std::move(*video));
  IE_TRY(AtomicFile out, AtomicFile::create(target));
  worker::Task task;
  task.operations = 0;
  task.cut = part;
  if (Status begun = file.start_cut(task); !begun) return about(path, begun.error());
  IE_TRY(const Clip clip, receive_clip(file, out, most, path, stop));
  IE_CHECK(out.sync());
  IE_CHECK(out.finish());
  return clip;
}

Result<std::uint64_t> write_preview(const std::string& path, const Config& config, const worker::PreviewTask& preview,
                                    const std::string& target) {
  IE_TRY(const std::unique_ptr<worker::Pool> pool, one_worker(config));
  Result<worker::LeasedFile> file = worker::LeasedFile::open(*pool, path);
  if (!file) return about(path, file.error());
  worker::Task task;
  task.operations = worker::kPreview;
  task.preview = preview;
  const Result<worker::Reply> reply = file->run(task);
  if (!reply) return about(path, reply.error());
  if (!reply->preview) return about(path, reply->preview.error());
  IE_CHECK(write_file_atomically(target, file->bytes(*reply->preview)));
  return reply->preview->bytes;
}

}  // namespace image_engine::pipeline
