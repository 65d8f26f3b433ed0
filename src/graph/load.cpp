#include "graph/load.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::graph {
namespace {

constexpr std::uint64_t kMostBytes = (std::uint64_t{1} << 31U) - 1;  // of one protobuf message

tl::unexpected<Error> too_large(const std::string& path) {
  return fail(ErrorCode::kTooLarge, fmt::format("{} has more than 2 GB of weights", printable(path)));
}

// Where a tensor's bytes are.
struct Place {
  std::string location;
  std::uint64_t offset = 0, length = 0;  // 0: to the end
};

Result<Place> place_of(const onnx::TensorProto& tensor) {
  Place place;
  for (const auto& entry : tensor.external_data()) {
    const std::string& text = entry.value();
    std::uint64_t* number = entry.key() == "offset" ? &place.offset : entry.key() == "length" ? &place.length : nullptr;
    if (entry.key() == "location") place.location = text;
    if (number == nullptr) continue;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (error != std::errc() || end != text.data() + text.size() || *number > kMostBytes * 1024)
      return fail(ErrorCode::kCorrupt, fmt::format("the external data's {} is no number", entry.key()));
  }
  return place;
}

// Reads the external data of one model.
class ExternalData {
 public:
  explicit ExternalData(const std::string& path) : path_(path), folder_(parent_path(path)) {}

  Status load(onnx::GraphProto* graph) {
    for (auto& tensor : *graph->mutable_initializer()) IE_CHECK(load(&tensor));
    for (auto& node : *graph->mutable_node())
      for (auto& attribute : *node.mutable_attribute()) IE_CHECK(load(&attribute));
    return {};
  }

 private:
  Status load(onnx::AttributeProto* attribute) {
    if (attribute->has_t()) IE_CHECK(load(attribute->mutable_t()));
    for (auto& tensor : *attribute->mutable_tensors()) IE_CHECK(load(&tensor));
    if (attribute->has_g()) IE_CHECK(load(attribute->mutable_g()));
    for (auto& graph : *attribute->mutable_graphs()) IE_CHECK(load(&graph));
    return {};
  }

  Status load(onnx::TensorProto* tensor) {
    if (tensor->data_location() != onnx::TensorProto::EXTERNAL) return {};
    IE_TRY(Place place, place_of(*tensor));
    IE_TRY(const UniqueFd file, open_regular(join_path(folder_, place.location)));
    const ::off_t size = ::lseek(file.get(), 0, SEEK_END);
    if (size < 0) return fail(errno_error(printable(place.location)));
    const auto whole = static_cast<std::uint64_t>(size);
    if (place.length == 0 && place.offset <= whole) place.length = whole - place.offset;
    if (place.offset > whole || place.length > whole - place.offset)
      return fail(ErrorCode::kCorrupt,
                  fmt::format("{}: the external data {} is too short", printable(path_), printable(place.location)));
    total_ += place.length;
    if (total_ > kMostBytes) return too_large(path_);
    std::string* bytes = tensor->mutable_raw_data();
    bytes->resize(place.length);
    for (std::uint64_t done = 0; done < place.length;) {
      const ssize_t got =
          ::pread(file.get(), bytes->data() + done, place.length - done, static_cast<::off_t>(place.offset + done));
      if (got < 0) return fail(errno_error(printable(place.location)));
      if (got == 0)
        return fail(ErrorCode::kIo, fmt::format("{} became shorter while it was read", printable(place.location)));
      done += static_cast<std::uint64_t>(got);
    }
    tensor->clear_external_data();
    tensor->clear_data_location();
    return {};
  }

  const std::string& path_;
  std::string folder_;
  std::uint64_t total_ = 0;
};

}  // namespace

Result<onnx::ModelProto> parse_model(std::string_view bytes, const std::string& name) {
  onnx::ModelProto model;
  if (bytes.size() > kMostBytes) return too_large(name);
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(ErrorCode::kCorrupt, fmt::format("{} is no ONNX model", printable(name)));
  return model;
}

Result<onnx::ModelProto> load_model(const std::string& path) {
  const std::string whole = absolute_path(path);
  IE_TRY(const UniqueFd file, open_regular(whole));
  const ::off_t size = ::lseek(file.get(), 0, SEEK_END);
  if (size >= 0 && static_cast<std::uint64_t>(size) > kMostBytes) return too_large(path);
  IE_TRY(const MappedFile mapped, MappedFile::create(file.get()));
  const auto bytes = mapped.bytes();
  IE_TRY(onnx::ModelProto model, parse_model({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path));
  if (model.graph().node_size() == 0 || model.graph().output_size() == 0)
    return fail(ErrorCode::kCorrupt, fmt::format("{} is no ONNX model: its graph is empty", printable(path)));
  IE_CHECK(ExternalData(whole).load(model.mutable_graph()));
  if (model.ByteSizeLong() > kMostBytes) return too_large(path);
  return model;
}

}  // namespace image_engine::graph
