#include "worker/encode_pixels.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "core/file.h"

namespace image_engine::worker {
namespace {

// A file in memory that holds the pixels.
Result<UniqueFd> memory_with(std::span<const std::uint8_t> pixels) {
  UniqueFd memory(::memfd_create("image-engine-made", MFD_CLOEXEC));
  if (!memory) return fail(ErrorCode::kMachine, errno_error("no memory to share").message);
  while (!pixels.empty()) {
    const ssize_t written = ::write(memory.get(), pixels.data(), pixels.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail(ErrorCode::kMachine, errno_error("no memory for a picture").message);
    pixels = pixels.subspan(static_cast<std::size_t>(written));
  }
  return memory;
}

}  // namespace

Result<std::vector<std::byte>> encode_pixels(Pool& pool, std::span<const std::uint8_t> pixels, EncodeTask task) {
  IE_TRY(const UniqueFd memory, memory_with(pixels));
  task.offset = 0;
  Lease lease = pool.lease();
  IE_TRY(const Reply reply, lease.run({.operations = kEncode, .encode = task}, memory.get()));
  if (!reply.encoded) return fail(reply.encoded.error());
  const std::span<const std::byte> bytes = lease.bytes(*reply.encoded);
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

}  // namespace image_engine::worker
