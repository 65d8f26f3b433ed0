#include "infer/ep_context_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/text.h"

namespace image_engine::infer {
namespace {

// Field numbers are those of onnx.proto; wire types those of protobuf's encoding.
class Message {
 public:
  Message& number(unsigned field, std::uint64_t value) {
    varint(field << 3U);
    varint(value);
    return *this;
  }
  Message& text(unsigned field, std::string_view value) {
    varint(field << 3U | 2U);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& part(unsigned field, const Message& value) { return text(field, value.bytes_); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>(value | 0x80U);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

struct OnnxElement {
  ElementType ours;
  std::uint64_t theirs;  // TensorProto.DataType
};
constexpr OnnxElement kOnnxElements[] = {{ElementType::kFloat32, 1}, {ElementType::kUint8, 2},
                                         {ElementType::kInt32, 6},   {ElementType::kInt64, 7},
                                         {ElementType::kBool, 9},    {ElementType::kFloat16, 10}};

// Free first dimensions share one name, as they are one batch.
Message value_info(const TensorInfo& info) {
  Message shape;
  for (std::size_t i = 0; i < info.shape.size(); ++i) {
    Message side;
    if (info.shape[i] >= 0)
      side.number(1, static_cast<std::uint64_t>(info.shape[i]));
    else
      side.text(2, i == 0 ? "batch" : fmt::format("{}_{}", info.name, i));
    shape.part(1, side);
  }
  const auto* element = std::ranges::find(kOnnxElements, info.type, &OnnxElement::ours);
  Message tensor, type;
  tensor.number(1, element->theirs).part(2, shape);
  type.part(1, tensor);
  Message value;
  value.text(1, info.name).part(2, type);
  return value;
}

Message attribute(std::string_view name, std::string_view value) {
  constexpr std::uint64_t kString = 3;  // AttributeProto.AttributeType
  Message made;
  made.text(1, name).text(4, value).number(20, kString);
  return made;
}

Message attribute(std::string_view name, std::uint64_t value) {
  constexpr std::uint64_t kInt = 2;
  Message made;
  made.text(1, name).number(3, value).number(20, kInt);
  return made;
}

Message operators(std::string_view domain, std::uint64_t version) {
  Message made;
  made.text(1, domain).number(2, version);
  return made;
}

}  // namespace

Result<std::string> ep_context_model(const EpContext& context) {
  if (context.engine.empty() || context.engine.find('/') != std::string::npos ||
      context.engine.find("..") != std::string::npos)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' cannot be an engine's name: it must be beside its model", printable(context.engine)));
  Message node, graph, model;
  for (const TensorInfo& info : context.inputs) node.text(1, info.name);
  for (const TensorInfo& info : context.outputs) node.text(2, info.name);
  node.text(3, "engine").text(4, "EPContext").text(7, "com.microsoft");
  node.part(5, attribute("main_context", std::uint64_t{1}))
      .part(5, attribute("embed_mode", std::uint64_t{0}))
      .part(5, attribute("ep_cache_context", context.engine))
      .part(5, attribute("source", context.source))
      .part(5, attribute("hardware_architecture", context.compute_capability));
  graph.part(1, node).text(2, "engine");
  for (const TensorInfo& info : context.inputs) graph.part(11, value_info(info));
  for (const TensorInfo& info : context.outputs) graph.part(12, value_info(info));
  constexpr std::uint64_t kIrVersion = 8, kOpset = 17;
  model.number(1, kIrVersion).text(2, "image-engine").part(7, graph);
  model.part(8, operators("", kOpset)).part(8, operators("com.microsoft", 1));
  return model.bytes();
}

}  // namespace image_engine::infer
