// What a subverted worker may answer: read, and used as the engine uses it.
#include <cstdlib>
#include <nlohmann/json.hpp>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  worker::Reply reply;
  if (!read({reinterpret_cast<const std::byte*>(data), size}, reply)) return 0;
  const auto bytes = archived(reply);
  worker::Reply again;
  if (bytes.size() != size || !read(bytes, again) || archived(again) != bytes) std::abort();

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
