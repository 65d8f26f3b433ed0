// What a plugin's process may send once the plugin has it: read, checked, and written again.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "plugins/description.h"
#include "plugins/protocol.h"

using namespace image_engine;

namespace {

// False: it is no such message.
template <typename Message>
bool read(std::span<const std::byte> bytes, Message& message) {
  worker::ArchiveReader reader(bytes);
  reader(message);
  return reader.complete();
}

template <typename Message>
std::vector<std::byte> archived(const Message& message) {
  worker::ArchiveWriter writer;
  writer(message);
  return writer.bytes();
}

// What is taken for a message is one, too, when it is written again.
template <typename Message>
bool read_twice(std::span<const std::byte> bytes, Message& message) {
  if (!read(bytes, message)) return false;
  const std::vector<std::byte> written = archived(message);
  Message again = message;
  if (written.size() != bytes.size() || !read(written, again) || archived(again) != written) std::abort();
  return true;
}

void describe(std::span<const std::byte> bytes) {
  Result<plugins::Description> loaded = fail(ErrorCode::kInternal, "");
  if (!read_twice(bytes, loaded) || !loaded || !plugins::check_description(*loaded)) return;
  // What passes has sane names, at least the photo as an input, and defaults within their own ranges.
  if (loaded->inputs.empty() || loaded->outputs.empty()) std::abort();
  if (!plugins::parameter_values(*loaded, {})) std::abort();
}

}  // namespace

// The message's kind, the message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
  plugins::Ask ask;
  plugins::Done done;
  switch (data[0] % 3) {
    case 0:
      describe(bytes);
      break;
    case 1:
      (void)read_twice(bytes, ask);
      break;
    default:
      (void)read_twice(bytes, done);
  }
  return 0;
}
