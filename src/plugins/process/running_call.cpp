#include "plugins/process/running_call.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/text.h"
#include "plugins/process/resize_picture.h"

namespace image_engine::plugins {
namespace {

constexpr std::uint64_t kAlignment = 64;

RunningCall& of(const ie_call* call) { return *static_cast<RunningCall*>(call->host); }

ie_call table_of(RunningCall& call) {
  ie_call table{};
  table.size = sizeof table;
  table.abi_version = IE_ABI_VERSION;
  table.host = &call;
  table.picture = [](const ie_call* c, std::uint32_t input) { return of(c).picture(input); };
  table.record = [](const ie_call* c, std::uint32_t input) { return of(c).record(input); };
  table.number = [](const ie_call* c, std::uint32_t parameter) {
    const Value* value = of(c).value(parameter);
    return value == nullptr ? 0.0 : value->number;
  };
  table.text = [](const ie_call* c, std::uint32_t parameter) {
    const Value* value = of(c).value(parameter);
    return value == nullptr ? "" : value->text.c_str();
  };
  table.new_picture = [](const ie_call* c, ie_format format, std::uint32_t width, std::uint32_t height) {
    return of(c).new_picture(format, width, height);
  };
  table.give_picture = [](const ie_call* c, std::uint32_t output, const ie_picture* picture) {
    return of(c).give_picture(output, picture);
  };
  table.give_record = [](const ie_call* c, std::uint32_t output, const char* json) {
    return of(c).give_record(output, json);
  };
  table.message = [](const ie_call* c, const char* text) { of(c).message(text); };
  table.progress = [](const ie_call* c, double done) { of(c).progress(done); };
  table.extension = [](const ie_call* c, const char* name) { return of(c).extension(name); };
  return table;
}

constexpr ie_ext_resize kResize = {[](const ie_call* c, const ie_picture* picture, std::uint32_t width,
                                      std::uint32_t height) { return of(c).resize(picture, width, height); }};
constexpr ie_ext_segment kSegment = {[](const ie_call* c, const ie_picture* picture, const char* target,
                                        const ie_picture** mask) { return of(c).segment(picture, target, mask); }};
constexpr ie_ext_detect kDetect = {[](const ie_call* c, const ie_picture* picture, const char* what,
                                      const ie_region** regions,
                                      std::uint32_t* count) { return of(c).detect(picture, what, regions, count); }};
constexpr ie_ext_model kModel = {
    [](const ie_call* c, const char* model, const ie_tensor* inputs, std::uint32_t count, const ie_tensor** outputs,
       std::uint32_t* output_count) { return of(c).run_model(model, inputs, count, outputs, output_count); }};

bool is_format(ie_format format) { return format == IE_GREY8 || format == IE_RGB8 || format == IE_RGBA8; }

// What is wrong with a picture of the plugin's; nullptr: nothing.
const char* fault_of(const ie_picture* picture) {
  if (picture == nullptr) return "it is a null pointer";
  if (picture->size < sizeof(ie_picture)) return "its struct's size is wrong";
  if (picture->pixels == nullptr) return "its pixels are a null pointer";
  if (!is_format(picture->format)) return "it has an unknown format";
  if (picture->width == 0 || picture->height == 0) return "it has no pixels";
  if (picture->width > kMostEdge || picture->height > kMostEdge) return "it has more than 65,535 pixels a side";
  if (picture->row_bytes < std::size_t{picture->width} * picture->format) return "its rows are shorter than its width";
  return nullptr;
}

std::int64_t milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Elements of the shape; nothing if it is no shape of a tensor that fits into memory.
std::optional<std::uint64_t> elements_of(const std::int64_t* shape, std::size_t dimensions) {
  if (dimensions == 0 || dimensions > IE_MOST_DIMENSIONS) return std::nullopt;
  std::uint64_t elements = 1;
  for (std::size_t i = 0; i < dimensions; ++i) {
    if (shape[i] <= 0 || shape[i] > (std::int64_t{1} << 32) || elements > (std::uint64_t{1} << 40)) return std::nullopt;
    elements *= static_cast<std::uint64_t>(shape[i]);
  }
  return elements;
}

}  // namespace

RunningCall::RunningCall(const Description& description, Call call, std::uint64_t number, std::span<std::byte> memory,
                         std::span<const std::byte> photo)
    : description_(description),
      call_(std::move(call)),
      number_(number),
      memory_(memory),
      table_(table_of(*this)),
      free_(call_.free) {
  outputs_.resize(description.outputs.size());
  for (std::size_t i = 0; i < call_.inputs.size(); ++i) {
    const Pixels& pixels = call_.inputs[i].pixels;
    std::byte* at = i == 0 && call_.is_attached ? const_cast<std::byte*>(photo.data()) : memory_.data() + pixels.offset;
    inputs_.push_back(pixels.channels == 0 ? nullptr : wrap(pixels, at));
  }
}

const ie_picture* RunningCall::wrap(const Pixels& pixels, std::byte* at) {
  made_.push_back({sizeof(ie_picture), pixels.channels, pixels.width, pixels.height,
                   std::size_t{pixels.width} * pixels.channels, reinterpret_cast<std::uint8_t*>(at)});
  return &made_.back();
}

const ie_picture* RunningCall::picture(std::uint32_t input) const {
  return input < inputs_.size() ? inputs_[input] : nullptr;
}

const char* RunningCall::record(std::uint32_t input) const {
  return input < call_.inputs.size() && !call_.inputs[input].record.empty() ? call_.inputs[input].record.c_str()
                                                                            : nullptr;
}

const Value* RunningCall::value(std::uint32_t parameter) const {
  return parameter < call_.values.size() ? &call_.values[parameter] : nullptr;
}

std::byte* RunningCall::take(std::uint64_t bytes) {
  const std::uint64_t begin = (free_ + kAlignment - 1) / kAlignment * kAlignment;
  if (begin > memory_.size() || bytes > memory_.size() - begin) return nullptr;
  free_ = begin + bytes;
  return memory_.data() + begin;
}

ie_picture* RunningCall::new_picture(ie_format format, std::uint32_t width, std::uint32_t height) {
  const bool sensible = is_format(format) && width > 0 && height > 0 && width <= kMostEdge && height <= kMostEdge;
  if (!sensible) return nullptr;
  const std::lock_guard lock(mutex_);
  std::byte* at = take(std::uint64_t{width} * height * format);
  if (at == nullptr) return nullptr;
  wrap({format, width, height, 0}, at);
  return &made_.back();
}

Pixels RunningCall::shared(const ie_picture& picture) {
  Pixels pixels{picture.format, picture.width, picture.height, 0};
  const std::size_t row = std::size_t{picture.width} * picture.format;
  const auto* from = reinterpret_cast<const std::byte*>(picture.pixels);
  const bool is_there = from >= memory_.data() + kPictures && from <= memory_.data() + free_ &&
                        picture.row_bytes == row &&
                        pixels.bytes() <= static_cast<std::uint64_t>(memory_.data() + free_ - from);
  if (is_there) {
    pixels.offset = static_cast<std::uint64_t>(from - memory_.data());
    return pixels;
  }
  std::byte* to = take(pixels.bytes());
  if (to == nullptr) return {};
  pixels.offset = static_cast<std::uint64_t>(to - memory_.data());
  for (std::uint32_t y = 0; y < picture.height; ++y) std::memcpy(to + y * row, from + y * picture.row_bytes, row);
  return pixels;
}

ie_status RunningCall::refuse(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  if (problem_.empty()) problem_ = problem;
  return IE_BAD_ARGUMENT;
}

ie_status RunningCall::give_picture(std::uint32_t output, const ie_picture* picture) {
  if (output >= outputs_.size()) return refuse("it gave a picture for an output that it does not have");
  const Port& port = description_.outputs[output];
  const auto wrong = [&](const std::string& what) {
    return refuse("the picture for '" + port.name + "' is wrong: " + what);
  };
  if (port.kind == PortKind::kRecord) return wrong("that output is a record");
  if (const char* fault = fault_of(picture)) return wrong(fault);
  if (port.kind == PortKind::kMask && picture->format != IE_GREY8) return wrong("a mask is grey");
  const Pixels& photo = call_.inputs[0].pixels;
  if (port.same_size && (picture->width != photo.width || picture->height != photo.height))
    return wrong(std::to_string(picture->width) + " × " + std::to_string(picture->height) +
                 " pixels, and the photo has " + std::to_string(photo.width) + " × " + std::to_string(photo.height));
  const std::lock_guard lock(mutex_);
  outputs_[output].pixels = shared(*picture);
  return outputs_[output].pixels.channels == 0 ? IE_OUT_OF_MEMORY : IE_OK;
}

ie_status RunningCall::give_record(std::uint32_t output, const char* json) {
  if (output >= outputs_.size() || description_.outputs[output].kind != PortKind::kRecord)
    return refuse("it gave a record for an output that is none");
  const std::string& name = description_.outputs[output].name;
  if (json == nullptr) return refuse("the record for '" + name + "' is a null pointer");
  const std::size_t bytes = ::strnlen(json, kMostRecordBytes + 1);
  if (bytes > kMostRecordBytes) return refuse("the record for '" + name + "' is larger than 1 MiB");
  const std::lock_guard lock(mutex_);
  outputs_[output].record.assign(json, bytes);
  return IE_OK;
}

void RunningCall::message(const char* text) {
  if (text == nullptr) return;
  const std::string whole = to_utf8(std::string_view(text, ::strnlen(text, kMostMessageText)));
  const std::lock_guard lock(mutex_);
  if (messages_.size() >= kMostMessages) messages_.pop_back();
  messages_.emplace_back(utf8_beginning(whole, kMostMessageText));
}

void RunningCall::progress(double done) {
  constexpr std::int64_t kBetween = 50;  // milliseconds
  if (!(done >= 0)) return;
  const std::lock_guard lock(mutex_);
  const std::int64_t now = milliseconds();
  if (now - last_progress_ < kBetween) return;
  last_progress_ = now;
  const Packet packet{PacketKind::kProgress, 0, number_, std::min(done, 1.0)};
  (void)worker::send_packet(worker::kSocketFd, &packet, sizeof packet, {}, MSG_DONTWAIT);
}

const void* RunningCall::extension(const char* name) const {
  if (name == nullptr) return nullptr;
  const std::string_view wanted(name, ::strnlen(name, 200));
  if (wanted == IE_EXT_RESIZE) return &kResize;
  if (std::ranges::find(call_.offers, wanted) == call_.offers.end()) return nullptr;
  if (wanted == IE_EXT_SEGMENT) return &kSegment;
  if (wanted == IE_EXT_DETECT) return &kDetect;
  if (wanted == IE_EXT_MODEL) return &kModel;
  return nullptr;
}

ie_picture* RunningCall::resize(const ie_picture* picture, std::uint32_t width, std::uint32_t height) {
  if (fault_of(picture) != nullptr) return nullptr;
  ie_picture* result = new_picture(picture->format, width, height);
  if (result != nullptr) resize_picture(*picture, *result);
  return result;
}

Result<Answer> RunningCall::ask(Ask ask) {
  const std::lock_guard one(asking_);
  {
    const std::lock_guard lock(mutex_);
    ask.free = free_;
  }
  if (!send_message(memory_, PacketKind::kAsk, number_, ask))
    return fail(ErrorCode::kTooLarge, "the question is too large");
  Packet packet;
  ssize_t count = 0;
  do count = ::recv(worker::kSocketFd, &packet, sizeof packet, 0);
  while (count < 0 && errno == EINTR);
  Answer answer;
  if (count != sizeof packet || packet.kind != PacketKind::kAnswer ||
      !read_message(std::span<const std::byte>(memory_), packet, answer))
    return fail(ErrorCode::kInternal, "the engine did not answer");
  if (!answer.message.empty()) message(answer.message.c_str());
  const std::lock_guard lock(mutex_);
  free_ = std::max(free_, answer.end);
  return answer;
}

tl::expected<Answer, ie_status> RunningCall::ask_about(const char* extension, const ie_picture* picture,
                                                       const char* name) {
  if (fault_of(picture) != nullptr || name == nullptr) return tl::unexpected(IE_BAD_ARGUMENT);
  if (picture->format != IE_RGB8) return tl::unexpected(IE_UNSUPPORTED);
  Ask question{extension, std::string(name, ::strnlen(name, 200)), {}, {}, 0};
  {
    const std::lock_guard lock(mutex_);
    question.pictures = {shared(*picture)};
  }
  if (question.pictures[0].channels == 0) return tl::unexpected(IE_OUT_OF_MEMORY);
  Result<Answer> answer = ask(std::move(question));
  if (!answer) return tl::unexpected(IE_FAILED);
  if (answer->status != IE_OK) return tl::unexpected(answer->status);
  return std::move(*answer);
}

ie_status RunningCall::segment(const ie_picture* picture, const char* target, const ie_picture** mask) {
  if (mask == nullptr) return IE_BAD_ARGUMENT;
  const tl::expected<Answer, ie_status> answer = ask_about(IE_EXT_SEGMENT, picture, target);
  if (!answer) return answer.error();
  if (answer->pictures.empty()) return IE_FAILED;
  const std::lock_guard lock(mutex_);
  *mask = wrap(answer->pictures[0], memory_.data() + answer->pictures[0].offset);
  return IE_OK;
}

ie_status RunningCall::detect(const ie_picture* picture, const char* what, const ie_region** regions,
                              std::uint32_t* count) {
  if (regions == nullptr || count == nullptr) return IE_BAD_ARGUMENT;
  const tl::expected<Answer, ie_status> answer = ask_about(IE_EXT_DETECT, picture, what);
  if (!answer) return answer.error();
  const std::lock_guard lock(mutex_);
  std::vector<ie_region>& list = regions_.emplace_back();
  for (const Region& found : answer->regions)
    list.push_back({sizeof(ie_region), found.confidence, found.x, found.y, found.width, found.height});
  *regions = list.data();
  *count = static_cast<std::uint32_t>(list.size());
  return IE_OK;
}

ie_status RunningCall::run_model(const char* model, const ie_tensor* inputs, std::uint32_t count,
                                 const ie_tensor** outputs, std::uint32_t* output_count) {
  if (model == nullptr || inputs == nullptr || count == 0 || count > kMostPorts || outputs == nullptr ||
      output_count == nullptr)
    return IE_BAD_ARGUMENT;
  Ask question{IE_EXT_MODEL, std::string(model, ::strnlen(model, 200)), {}, {}, 0};
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto& tensor = *reinterpret_cast<const ie_tensor*>(reinterpret_cast<const char*>(inputs) + i * inputs->size);
    if (tensor.size < sizeof tensor || tensor.values == nullptr) return IE_BAD_ARGUMENT;
    const std::optional<std::uint64_t> elements = elements_of(tensor.shape, tensor.dimensions);
    if (!elements) return IE_BAD_ARGUMENT;
    const std::lock_guard lock(mutex_);
    std::byte* to = take(*elements * sizeof(float));
    if (to == nullptr) return IE_OUT_OF_MEMORY;
    std::memcpy(to, tensor.values, *elements * sizeof(float));
    question.tensors.push_back(
        {{tensor.shape, tensor.shape + tensor.dimensions}, static_cast<std::uint64_t>(to - memory_.data())});
  }
  const Result<Answer> answer = ask(std::move(question));
  if (!answer) return IE_FAILED;
  if (answer->status != IE_OK) return answer->status;
  const std::lock_guard lock(mutex_);
  std::vector<ie_tensor>& list = tensors_.emplace_back();
  for (const FloatTensor& tensor : answer->tensors) {
    ie_tensor& out = list.emplace_back();
    out = {sizeof out,
           static_cast<std::uint32_t>(std::min<std::size_t>(tensor.shape.size(), IE_MOST_DIMENSIONS)),
           {},
           reinterpret_cast<float*>(memory_.data() + tensor.offset)};
    std::copy_n(tensor.shape.begin(), out.dimensions, out.shape);
  }
  *outputs = list.data();
  *output_count = static_cast<std::uint32_t>(list.size());
  return IE_OK;
}

Done RunningCall::done(ie_status status) {
  const std::lock_guard lock(mutex_);
  Done done{Outcome::kDone, status, problem_, std::move(outputs_), std::move(messages_)};
  if (status == IE_OK)
    for (std::size_t i = 0; i < description_.outputs.size() && done.problem.empty(); ++i) {
      const Item& item = done.outputs[i];
      if (!description_.outputs[i].optional && item.pixels.channels == 0 && item.record.empty())
        done.problem = "it gave nothing for '" + description_.outputs[i].name + "'";
    }
  if (status != IE_OK) done.outcome = Outcome::kFailed;
  if (!done.problem.empty()) done.outcome = Outcome::kBadOutput;
  if (done.outcome != Outcome::kDone) done.outputs.clear();
  return done;
}

}  // namespace image_engine::plugins
