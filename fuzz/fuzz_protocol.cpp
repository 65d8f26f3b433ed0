// What a subverted worker may answer: read, and used as the engine uses it.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "worker/answer.h"
#include "worker/archive.h"
#include "worker/protocol.h"

using namespace image_engine;

namespace {

std::vector<std::byte> archived(const worker::Reply& reply) {
  worker::ArchiveWriter writer;
  writer(reply);
  return writer.bytes();
}

bool read(std::span<const std::byte> bytes, worker::Reply& reply) {
  worker::ArchiveReader reader(bytes);
  reader(reply);
  return reader.complete();
}

// A request for all that a worker can answer.
worker::Request everything() {
  worker::Request request;
  request.operations = ~0U;
  request.max_pixels = std::uint64_t{1} << 28;
  request.preview.frames = worker::kMostPreviewFrames;
  request.encode.width = request.encode.height = 4096;
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  worker::Reply reply;
  if (!read({reinterpret_cast<const std::byte*>(data), size}, reply)) return 0;
  const auto bytes = archived(reply);
  worker::Reply again;
  if (bytes.size() != size || !read(bytes, again) || archived(again) != bytes) std::abort();

  if (!is_answer_to(everything(), reply, std::uint64_t{1} << 30)) return 0;
  if (!reply.picture && error_name(reply.picture.error().code).empty()) std::abort();
  if (!reply.metadata) return 0;
  (void)nlohmann::json(*reply.metadata).dump();
  (void)format_name(reply.metadata->format);
  if (const auto& taken = reply.metadata->taken) {
    (void)taken->iso();
    (void)taken->local_seconds();
  }
  return 0;
}
