#include "media/jxl_boxes.h"

#include <brotli/decode.h>

#include <memory>
#include <optional>

#include "media/iso_boxes.h"

namespace image_engine::media {
namespace {

constexpr size_t kMostDecompressed = size_t{16} << 20;

struct EndBrotli {
  void operator()(BrotliDecoderState* state) const { BrotliDecoderDestroyInstance(state); }
};

// nullopt for damaged data, and for more than kMostDecompressed.
std::optional<std::vector<std::byte>> decompress(Bytes compressed) {
  const std::unique_ptr<BrotliDecoderState, EndBrotli> state(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr));
  if (!state) return std::nullopt;
  std::vector<std::byte> all;
  size_t input = compressed.size();
  const auto* next = reinterpret_cast<const std::uint8_t*>(compressed.data());
  for (;;) {
    size_t room = 0;
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state.get(), &input, &next, &room, nullptr, nullptr);
    size_t size = 0;
    const std::uint8_t* part = BrotliDecoderTakeOutput(state.get(), &size);
    if (all.size() + size > kMostDecompressed) return std::nullopt;
    const auto* bytes = reinterpret_cast<const std::byte*>(part);
    all.insert(all.end(), bytes, bytes + size);
    if (result == BROTLI_DECODER_RESULT_SUCCESS && BrotliDecoderHasMoreOutput(state.get()) == BROTLI_FALSE) return all;
    if (result != BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT && result != BROTLI_DECODER_RESULT_SUCCESS)
      return std::nullopt;
  }
}

void add_box(std::string_view type, Bytes body, TagBlocks& blocks) {
  const ByteView view(body);
  if (type == "xml ") blocks.xmp.push_back(body);
  // A four-byte offset from its end to the TIFF.
  if (type == "Exif") blocks.exif.push_back(view.sub(std::uint64_t{4} + view.u32(0)));
}

}  // namespace

TagBlocks jxl_blocks(Bytes file) {
  constexpr std::uint64_t kType = 4;
  const ByteView view(file);
  TagBlocks blocks;
  Boxes boxes(view, 0, view.size());
  while (const auto box = boxes.next()) {
    const Bytes body = view.sub(box->begin, box->end - box->begin);
    const std::string_view compressed = view.text(box->begin, kType);
    if (box->type != "brob") {
      add_box(box->type, body, blocks);
    } else if (compressed == "Exif" || compressed == "xml ") {
      auto plain = decompress(ByteView(body).sub(kType));
      if (plain) add_box(compressed, blocks.storage.emplace_back(std::move(*plain)), blocks);
    }
  }
  return blocks;
}

}  // namespace image_engine::media
