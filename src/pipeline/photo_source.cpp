#include "pipeline/photo_source.h"

#include <algorithm>
#include <utility>

namespace image_engine::pipeline {

ImageView PhotoSource::pixels(const worker::Picture& picture) const {
  return on_gpu_ ? on_gpu_->pixels(picture) : file_->pixels(picture);
}

std::span<const std::byte> PhotoSource::bytes(const worker::Thumbnail& thumbnail) const {
  return on_gpu_ ? on_gpu_->bytes(thumbnail) : file_->bytes(thumbnail);
}

std::optional<preprocess::MadeInput> PhotoSource::made_input(std::uint32_t number,
                                                             const worker::Picture& picture) const {
  GpuRow row = on_gpu_ ? on_gpu_->input(number) : GpuRow{};
  if (!row) return std::nullopt;
  return preprocess::MadeInput{{picture.width, picture.height}, std::move(row)};
}

Result<PhotoSource::Decoded> PhotoSource::decode(worker::Task task) {
  task.orientation = seen_.orientation;
  if (!file_) {
    IE_TRY(worker::LeasedFile leased, worker::LeasedFile::open(run_.pool, seen_.path));
    file_.emplace(std::move(leased));
  }
  IE_TRY(worker::Reply reply, run_.ask(*file_, task));
  if (!reply.picture) return fail(reply.picture.error());
  const ImageView pixels = file_->pixels(*reply.picture);
  return Decoded{std::move(*reply.picture), pixels};
}

void PhotoSource::serve(StageInput& input) {
  kept_.clear();
  input.larger = [this, &input](std::uint32_t edge) { return larger(input, edge); };
  input.shared = [this](const ImageView& picture) { return file_ ? file_->shared(picture) : worker::SharedPixels{}; };
}

Result<ImageView> PhotoSource::larger(StageInput& input, std::uint32_t edge) {
  const std::uint32_t there = std::max(input.picture.width, input.picture.height);
  if (there >= std::min(edge, std::max(input.full_width, input.full_height))) return input.picture;
  if (kept_.empty()) {
    kept_.assign(input.picture.pixels.begin(), input.picture.pixels.end());
    input.picture.pixels = kept_;
  }
  IE_TRY(const Decoded decoded, decode({.operations = worker::kDecode, .max_edge = edge}));
  return decoded.pixels;
}

}  // namespace image_engine::pipeline
