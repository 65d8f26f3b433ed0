#include "audio/onnx_outline.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace image_engine::audio {
namespace {

// Protocol Buffers' kinds of fields.
enum class Wire : std::uint8_t { kNumber = 0, kEight = 1, kBytes = 2, kFour = 5 };

// Numbers of fields in ONNX's schema.
constexpr std::uint64_t kModelGraph = 7, kModelMetadata = 14, kEntryKey = 1, kEntryValue = 2, kGraphInput = 11,
                        kGraphOutput = 12;
constexpr size_t kMostFields = 1'000'000;  // of a message: nodes and weights of large graphs are tens of thousands
constexpr size_t kMostEntries = 10'000;
constexpr size_t kLongestEntry = size_t{1} << 20;  // bytes of a key or value

using Bytes = std::span<const std::byte>;

tl::unexpected<Error> damaged(const char* what) { return fail(ErrorCode::kCorrupt, what); }

// A message's fields, one after the other.
class Fields {
 public:
  struct Field {
    std::uint64_t number = 0;
    Bytes bytes;  // of Wire::kBytes
  };

  explicit Fields(Bytes bytes) : rest_(bytes) {}

  // nullopt at the end.
  Result<std::optional<Field>> next() {
    if (rest_.empty()) return std::nullopt;
    if (++count_ > kMostFields) return damaged("it has too many fields");
    IE_TRY(const std::uint64_t tag, number());
    Field field{tag >> 3, {}};
    if (field.number == 0) return damaged("it is no ONNX model");
    switch (static_cast<Wire>(tag & 7)) {
      case Wire::kNumber:
        IE_CHECK(number());
        return field;
      case Wire::kEight:
        IE_CHECK(take(8));
        return field;
      case Wire::kFour:
        IE_CHECK(take(4));
        return field;
      case Wire::kBytes: {
        IE_TRY(const std::uint64_t size, number());
        IE_TRY(field.bytes, take(size));
        return field;
      }
    }
    return damaged("it is no ONNX model");
  }

 private:
  Result<std::uint64_t> number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(rest_.front());
      rest_ = rest_.subspan(1);
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return damaged("it is cut short or no ONNX model");
  }

  Result<Bytes> take(std::uint64_t size) {
    if (size > rest_.size()) return damaged("it is cut short");
    const Bytes taken = rest_.first(static_cast<size_t>(size));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

  Bytes rest_;
  size_t count_ = 0;
};

// Calls use(field) for each field.
template <typename Use>
Status for_each_field(Bytes message, Use use) {
  Fields fields(message);
  for (;;) {
    IE_TRY(const std::optional<Fields::Field> field, fields.next());
    if (!field) return {};
    IE_CHECK(use(*field));
  }
}

std::string text_of_bytes(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Status read_entry(Bytes message, OnnxOutline& outline) {
  if (outline.metadata.size() >= kMostEntries) return damaged("it has too many entries of metadata");
  std::string key, value;
  IE_CHECK(for_each_field(message, [&](const Fields::Field& field) -> Status {
    if (field.bytes.size() > kLongestEntry) return damaged("its metadata is too long");
    if (field.number == kEntryKey) key = text_of_bytes(field.bytes);
    if (field.number == kEntryValue) value = text_of_bytes(field.bytes);
    return {};
  }));
  outline.metadata.insert_or_assign(std::move(key), std::move(value));
  return {};
}

}  // namespace

Result<OnnxOutline> onnx_outline(Bytes bytes) {
  OnnxOutline outline;
  bool has_graph = false;
  IE_CHECK(for_each_field(bytes, [&](const Fields::Field& field) -> Status {
    if (field.number == kModelMetadata) return read_entry(field.bytes, outline);
    if (field.number != kModelGraph) return {};
    has_graph = true;
    return for_each_field(field.bytes, [&](const Fields::Field& part) -> Status {
      outline.inputs += part.number == kGraphInput ? 1 : 0;
      outline.outputs += part.number == kGraphOutput ? 1 : 0;
      return {};
    });
  }));
  if (!has_graph) return damaged("it is no ONNX model: it has no graph");
  return outline;
}

}  // namespace image_engine::audio
