#include "worker/gpu_decoders.h"

#include <algorithm>
#include <limits>

namespace image_engine::worker {

Result<std::unique_ptr<GpuDecoders>> GpuDecoders::create(std::vector<GpuDecoderOptions> options) {
  std::vector<std::unique_ptr<GpuDecoder>> decoders;
  for (GpuDecoderOptions& one : options) {
    IE_TRY(std::unique_ptr<GpuDecoder> decoder, GpuDecoder::create(std::move(one)));
    decoders.push_back(std::move(decoder));
  }
  return std::unique_ptr<GpuDecoders>(new GpuDecoders(std::move(decoders)));
}

Status GpuDecoders::wait_until_ready(const std::stop_token& stop, bool says_so) {
  std::optional<Error> first;
  std::size_t failed = 0;
  for (const auto& decoder : decoders_) {
    const Status ready = decoder->wait_until_ready(stop, says_so && decoder == decoders_.front());
    if (ready) continue;
    if (ready.error().code == ErrorCode::kInterrupted) return ready;
    if (!first) first = ready.error();
    ++failed;
  }
  if (failed == decoders_.size()) return fail(*first);
  return {};
}

bool GpuDecoders::takes(const Task& task) const { return decoders_.front()->takes(task); }

Status GpuDecoders::make_inputs(std::span<const GpuInput> inputs, const MapMemory& map) {
  for (const auto& decoder : decoders_)
    IE_CHECK(
        decoder->make_inputs(inputs, [map, device = decoder->device()](const UniqueFd& handle, std::uint64_t bytes) {
          return map(device, handle, bytes);
        }));
  return {};
}

std::optional<GpuPicture> GpuDecoders::submit(const Task& task, int file, Choice choice) {
  struct Candidate {
    GpuDecoder* decoder;
    std::size_t free;
  };
  std::vector<Candidate> candidates;
  for (const auto& decoder : decoders_) {
    const std::size_t free = decoder.get() == choice.never ? 0 : decoder->free_slots();
    if (free == 0) continue;
    const bool is_first = decoder.get() == choice.first;
    candidates.push_back({decoder.get(), is_first ? std::numeric_limits<std::size_t>::max() : free});
  }
  std::ranges::stable_sort(candidates, std::ranges::greater(), &Candidate::free);
  for (const Candidate& candidate : candidates)
    if (std::optional<GpuPicture> picture = candidate.decoder->submit(task, file)) return picture;
  return std::nullopt;
}

}  // namespace image_engine::worker
