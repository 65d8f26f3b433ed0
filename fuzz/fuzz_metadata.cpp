// Headers of any format. The first byte says how much of the rest is the sidecar.
#include "core/file.h"
#include "libraries.h"

using namespace image_engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto rest = as_file(data + 1, size - 1);
  const auto sidecar = std::min<size_t>(data[0] * size_t{16}, rest.size());
  const auto metadata = media::read_metadata(rest.first(rest.size() - sidecar), rest.last(sidecar));
  if (!metadata) return 0;
  for (const auto& keyword : metadata->keywords)
    if (!is_utf8(keyword)) std::abort();
  for (const auto* text : {&metadata->make, &metadata->title, &metadata->description, &metadata->creator})
    if (!is_utf8(*text)) std::abort();
  if (metadata->gps && !(metadata->gps->latitude >= -90 && metadata->gps->latitude <= 90)) std::abort();
  if (metadata->orientation < 1 || metadata->orientation > 8) std::abort();
  return 0;
}
