#include "plugins/plugin.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include <image_engine/plugin.h>
#include "core/json.h"
#include "core/text.h"
#include "plugins/protocol.h"
#include "worker/child.h"

namespace image_engine::plugins {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

tl::unexpected<Error> senseless() {
  return fail(ErrorCode::kCrashed, "the plugin's process sent an answer that makes no sense");
}

// How a plugin's process ended, and whose fault it is.
Error end_of(worker::Child& child) {
  const int status = child.end();
  if (!child.has_ended_by_itself()) return {ErrorCode::kCrashed, "the plugin closed its connection to the engine"};
  if (!WIFSIGNALED(status))
    return {ErrorCode::kCrashed, fmt::format("the plugin ended its process (exit code {})", WEXITSTATUS(status))};
  if (WTERMSIG(status) == SIGKILL)
    return {ErrorCode::kKilled,
            "the plugin was killed by the system, most likely for lack of memory: close other programs"};
  return {ErrorCode::kCrashed, fmt::format("the plugin crashed ({})", ::strsignal(WTERMSIG(status)))};
}

// By ie_status.
ErrorCode code_of(std::int32_t status) {
  switch (status) {
    case IE_UNSUPPORTED:
      return ErrorCode::kUnsupported;
    case IE_OUT_OF_MEMORY:
      return ErrorCode::kOutOfMemory;
    case IE_NOT_FOUND:
      return ErrorCode::kNotFound;
    default:
      return ErrorCode::kInternal;
  }
}

std::int32_t status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return IE_NOT_FOUND;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      return IE_UNSUPPORTED;
    case ErrorCode::kOutOfMemory:
      return IE_OUT_OF_MEMORY;
    default:
      return IE_FAILED;
  }
}

Status failure_of(const Done& done) {
  switch (done.outcome) {
    case Outcome::kDone:
      return {};
    case Outcome::kBadOutput:
      return fail(ErrorCode::kCorrupt, "the plugin's output is wrong: " + to_utf8(done.problem));
    case Outcome::kThrew:
      return fail(ErrorCode::kCrashed, "the plugin threw an exception: " + to_utf8(done.problem));
    case Outcome::kFailed:
      break;
  }
  const std::string why = done.messages.empty() ? fmt::format("it gives no reason (status {})", done.status)
                                                : to_utf8(done.messages.back());
  return fail(code_of(done.status), "the plugin failed: " + why);
}

// The pixels of the untrusted host's answer, if they are within its part of the memory.
std::optional<PixelView> view_of(const Pixels& pixels, std::span<const std::byte> memory) {
  const bool is_format = pixels.channels == 1 || pixels.channels == 3 || pixels.channels == 4;
  if (!is_format || pixels.width == 0 || pixels.height == 0 || pixels.width > kMostEdge || pixels.height > kMostEdge)
    return std::nullopt;
  if (pixels.offset < kPictures || pixels.offset > memory.size() || pixels.bytes() > memory.size() - pixels.offset)
    return std::nullopt;
  return PixelView{pixels.channels,
                   pixels.width,
                   pixels.height,
                   {reinterpret_cast<const std::uint8_t*>(memory.data()) + pixels.offset, pixels.bytes()}};
}

bool is_record(const std::string& text) {
  if (text.size() > kMostRecordBytes || !is_utf8(text)) return false;
  return parse_json(text).is_object();
}

// False for an output that was not declared so.
bool read_output(const Port& port, const Item& item, const Pixels& photo, std::span<const std::byte> memory,
                 Output& output) {
  if (port.kind == PortKind::kRecord) {
    output.record = item.record;
    return item.pixels.channels == 0 && (item.record.empty() ? port.optional : is_record(item.record));
  }
  if (!item.record.empty()) return false;
  if (item.pixels.channels == 0) return port.optional;
  const std::optional<PixelView> view = view_of(item.pixels, memory);
  if (!view || (port.kind == PortKind::kMask && view->channels != 1)) return false;
  if (port.same_size && (view->width != photo.width || view->height != photo.height)) return false;
  output.picture = *view;
  output.offset = item.pixels.offset;
  return true;
}

// Reads the host's archived message; copied first, as the host can still write to it.
template <typename Message>
bool read_message(std::span<const std::byte> memory, const Packet& packet, Message& message) {
  if (packet.bytes > kMostMessageBytes) return false;
  const auto part = memory.subspan(kFromHost, packet.bytes);
  const std::vector<std::byte> bytes(part.begin(), part.end());
  worker::ArchiveReader reader(bytes);
  reader(message);
  return reader.complete();
}

constexpr std::uint64_t aligned(std::uint64_t offset) { return (offset + 63) / 64 * 64; }

}  // namespace

struct Plugin::State {
  PluginFile file;
  PluginOptions options;
  Description description;
  std::unique_ptr<worker::Child> child;  // null: the next run starts one
  std::vector<std::string> missing;
  std::uint64_t calls = 0;

  Status start();
  Status load();
  Result<Packet> receive(Milliseconds timeout, const std::stop_token& stop);
  template <typename Message>
  Status send(PacketKind kind, const Message& message, std::span<const int> descriptors = {});
  Result<Call> lay_out(std::span<const Input> inputs, const std::vector<Value>& values, const Offers& offers);
  Result<Done> wait(const RunWatch& watch);
  Status answer(const Packet& packet, const Offers& offers);
  Answer answer_to(const Ask& ask, const Offers& offers);
  Result<RunResult> result_of(const Done& done, const Pixels& photo);
  std::uint64_t put(std::uint64_t offset, std::span<const std::byte> bytes) const;
  tl::unexpected<Error> drop(Error error) {
    child.reset();
    return fail(std::move(error));
  }
};

Status Plugin::State::start() {
  // The loader reads from its position, which all copies of the descriptor share.
  if (::lseek(file.descriptor(), 0, SEEK_SET) != 0) return fail(errno_error("the plugin cannot be read"));
  worker::ChildOptions child_options;
  child_options.arguments = {options.program, std::to_string(options.memory_limit)};
  child_options.descriptors = {{file.descriptor(), kPluginFd}};
  child_options.shared_bytes = kPictures + options.memory_limit;
  child_options.memory_limit = options.memory_limit;
  child_options.writable = true;
  child_options.name = "a plugin";
  child_options.memory_key = "plugins.memory_limit_mb";
  child_options.timeout_key = "plugins.timeout_seconds";
  IE_TRY(child, worker::Child::create(std::move(child_options)));
  Result<worker::Layers> layers = child->read_hello(kPluginProtocolVersion);
  if (!layers)
    return drop({ErrorCode::kMachine, fmt::format("{} cannot work: {}", options.program, layers.error().message)});
  missing = worker::missing_layers(*layers);
  if (options.require_sandbox && !missing.empty())
    return drop(
        {ErrorCode::kMachine, fmt::format("worker.sandbox is strict, and these sandbox layers do not hold here: {}; "
                                          "image-engine doctor shows what each needs",
                                          fmt::join(missing, ", "))});
  return load();
}

Status Plugin::State::load() {
  const Result<Packet> packet = receive(options.load_timeout, {});
  if (!packet) return drop({packet.error().code, "while it was loaded, " + packet.error().message});
  Result<Description> loaded = fail(ErrorCode::kInternal, "");
  if (packet->kind != PacketKind::kLoaded || !read_message(child->memory(), *packet, loaded))
    return drop(senseless().value());
  if (!loaded) return drop({ErrorCode::kUnsupported, to_utf8(loaded.error().message)});
  if (const Status checked = check_description(*loaded); !checked) return drop(checked.error());
  description = std::move(*loaded);
  return {};
}

Result<Packet> Plugin::State::receive(Milliseconds timeout, const std::stop_token& stop) {
  worker::Death death = worker::Death::kNone;
  if (const Status ready = child->wait_readable(timeout, death, stop); !ready) {
    if (death == worker::Death::kTimeout) return fail(ErrorCode::kTimeout, "the plugin was " + ready.error().message);
    if (death == worker::Death::kMemory) return fail(ErrorCode::kOutOfMemory, "the plugin " + ready.error().message);
    return fail(ready.error());
  }
  Packet packet;
  ssize_t count = 0;
  do count = ::recv(child->socket(), &packet, sizeof packet, MSG_TRUNC);
  while (count < 0 && errno == EINTR);
  if (count <= 0) return fail(end_of(*child));
  if (count != sizeof packet) return senseless();
  return packet;
}

std::uint64_t Plugin::State::put(std::uint64_t offset, std::span<const std::byte> bytes) const {
  std::memcpy(child->memory().data() + offset, bytes.data(), bytes.size());
  return offset + bytes.size();
}

template <typename Message>
Status Plugin::State::send(PacketKind kind, const Message& message, std::span<const int> descriptors) {
  worker::ArchiveWriter writer;
  writer(message);
  if (writer.bytes().size() > kMostMessageBytes) return fail(ErrorCode::kTooLarge, "the plugin's inputs are too large");
  put(kFromEngine, writer.bytes());
  const Packet packet{kind, static_cast<std::uint32_t>(writer.bytes().size()), calls, 0};
  return worker::send_packet(child->socket(), &packet, sizeof packet, descriptors);
}

namespace {

// An answer that is being written, behind what the plugin has in the shared memory.
class AnswerWriter {
 public:
  AnswerWriter(std::span<std::byte> memory, const Ask& ask) : memory_(memory), ask_(ask) { answer_.end = ask.free; }

  Status segment(const Offers& offers) {
    IE_TRY(const PixelView view, picture());
    IE_TRY(const std::vector<std::uint8_t> mask, offers.segment({view.width, view.height, view.pixels}, ask_.name));
    if (mask.size() != std::uint64_t{view.width} * view.height)
      return fail(ErrorCode::kInternal, "the mask has another size than the picture");
    IE_TRY(const std::uint64_t at, put(std::as_bytes(std::span(mask))));
    answer_.pictures.push_back({1, view.width, view.height, at});
    return {};
  }

  Status detect(const Offers& offers) {
    IE_TRY(const PixelView view, picture());
    IE_TRY(const std::vector<FoundRegion> found, offers.detect({view.width, view.height, view.pixels}, ask_.name));
    for (const FoundRegion& region : std::span(found).first(std::min(found.size(), kMostRegions)))
      answer_.regions.push_back({region.confidence, region.box.x, region.box.y, region.box.width, region.box.height});
    return {};
  }

  Status run_model(const Offers& offers) {
    std::vector<Tensor> inputs;
    for (const FloatTensor& given : ask_.tensors) {
      IE_TRY(inputs.emplace_back(), tensor(given));
    }
    IE_TRY(const std::vector<Tensor> outputs, offers.run_model(ask_.name, inputs));
    for (const Tensor& output : outputs) {
      if (output.type != ElementType::kFloat32) return fail(ErrorCode::kInternal, "an output that is not float");
      IE_TRY(const std::uint64_t at, put(output.data));
      answer_.tensors.push_back({output.shape, at});
    }
    return {};
  }

  // What was written; or why not, if `done` has failed.
  Answer take(const Status& done) && {
    if (done) return std::move(answer_);
    return {.status = status_of(done.error().code), .message = done.error().message, .end = ask_.free};
  }

 private:
  [[nodiscard]] Result<PixelView> picture() const {
    const std::optional<PixelView> view = ask_.pictures.size() == 1 ? view_of(ask_.pictures[0], memory_) : std::nullopt;
    if (!view || view->channels != 3) return fail(ErrorCode::kInvalidArgument, "no picture");
    return *view;
  }

  [[nodiscard]] Result<Tensor> tensor(const FloatTensor& given) const {
    std::uint64_t bytes = sizeof(float);
    for (const std::int64_t side : given.shape)
      bytes = side > 0 && bytes <= memory_.size()
                  ? bytes * static_cast<std::uint64_t>(std::min<std::int64_t>(side, std::int64_t{1} << 31))
                  : memory_.size() + 1;
    if (given.offset < kPictures || given.offset > memory_.size() || bytes > memory_.size() - given.offset)
      return fail(ErrorCode::kInvalidArgument, "a tensor is not within the plugin's memory");
    const auto values = memory_.subspan(given.offset, bytes);
    return Tensor{ElementType::kFloat32, given.shape, {values.begin(), values.end()}};
  }

  Result<std::uint64_t> put(std::span<const std::byte> bytes) {
    const std::uint64_t at = aligned(answer_.end);
    if (at < kPictures || at > memory_.size() || bytes.size() > memory_.size() - at)
      return fail(ErrorCode::kOutOfMemory,
                  "the answer does not fit into the plugin's memory (plugins.memory_limit_mb)");
    std::memcpy(memory_.data() + at, bytes.data(), bytes.size());
    answer_.end = at + bytes.size();
    return at;
  }

  std::span<std::byte> memory_;
  const Ask& ask_;
  Answer answer_;
};

// What can be asked for: by whom it is answered, and whether it is.
struct OfferRow {
  std::string_view extension;
  bool (*is_offered)(const Offers& offers);
  Status (AnswerWriter::*answer)(const Offers& offers);
};
constexpr std::array kOffers = {
    OfferRow{IE_EXT_SEGMENT, [](const Offers& o) { return bool{o.segment}; }, &AnswerWriter::segment},
    OfferRow{IE_EXT_DETECT, [](const Offers& o) { return bool{o.detect}; }, &AnswerWriter::detect},
    OfferRow{IE_EXT_MODEL, [](const Offers& o) { return bool{o.run_model}; }, &AnswerWriter::run_model},
};

}  // namespace

Result<Call> Plugin::State::lay_out(std::span<const Input> inputs, const std::vector<Value>& values,
                                    const Offers& offers) {
  Call call;
  call.values = values;
  for (const OfferRow& row : kOffers)
    if (row.is_offered(offers)) call.offers.emplace_back(row.extension);
  std::uint64_t free = kPictures;
  for (const Input& input : inputs) {
    const PixelView& view = input.picture;
    Item item{{view.channels, view.width, view.height, input.offset}, input.record};
    if (item.record.size() > kMostRecordBytes)
      return fail(ErrorCode::kTooLarge, "the photo's record is larger than 1 MiB");
    const bool is_attached = call.inputs.empty() && input.descriptor >= 0;
    if (is_attached) call.is_attached = true;
    if (!is_attached && view.channels > 0) {
      item.pixels.offset = free = aligned(free);
      if (view.pixels.size() > child->memory().size() - std::min<std::uint64_t>(free, child->memory().size()))
        return fail(ErrorCode::kTooLarge, "the photo does not fit into the plugin's memory (plugins.memory_limit_mb)");
      free = put(free, std::as_bytes(view.pixels));
    }
    call.inputs.push_back(std::move(item));
  }
  call.free = aligned(free);
  return call;
}

Answer Plugin::State::answer_to(const Ask& ask, const Offers& offers) {
  AnswerWriter writer(child->memory(), ask);
  const auto* const row = std::ranges::find(kOffers, ask.extension, &OfferRow::extension);
  const bool is_offered = row != kOffers.end() && row->is_offered(offers);
  const Status done = is_offered ? (writer.*row->answer)(offers) : fail(ErrorCode::kUnsupported, "not offered");
  return std::move(writer).take(done);
}

Status Plugin::State::answer(const Packet& packet, const Offers& offers) {
  Ask ask;
  if (!read_message(child->memory(), packet, ask)) return senseless();
  return send(PacketKind::kAnswer, answer_to(ask, offers));
}

Result<Done> Plugin::State::wait(const RunWatch& watch) {
  Clock::time_point deadline = Clock::now() + options.timeout;
  for (;;) {
    const auto left = std::max(std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()), Milliseconds(0));
    Result<Packet> packet = receive(left, watch.stop);
    if (!packet && packet.error().code == ErrorCode::kTimeout)
      return fail(ErrorCode::kTimeout,
                  fmt::format("the plugin was not done within {} (plugins.timeout_seconds)",
                              human_duration(static_cast<double>(options.timeout.count()) / 1000)));
    if (!packet) return fail(packet.error());
    if (packet->number != calls) return senseless();
    switch (packet->kind) {
      case PacketKind::kProgress:
        if (watch.progress && packet->done >= 0 && packet->done <= 1) watch.progress(packet->done);
        continue;
      case PacketKind::kAsk: {
        const Clock::time_point asked = Clock::now();
        IE_CHECK(answer(*packet, watch.offers));
        deadline += Clock::now() - asked;
        continue;
      }
      case PacketKind::kDone: {
        Done done;
        if (!read_message(child->memory(), *packet, done)) return senseless();
        return done;
      }
      default:
        return senseless();
    }
  }
}

Result<RunResult> Plugin::State::result_of(const Done& done, const Pixels& photo) {
  RunResult result;
  for (std::size_t i = 0; i < std::min(done.messages.size(), kMostMessages); ++i)
    result.messages.push_back(to_utf8(done.messages[i]));
  if (done.outputs.size() != description.outputs.size()) return senseless();
  for (std::size_t i = 0; i < done.outputs.size(); ++i)
    if (!read_output(description.outputs[i], done.outputs[i], photo, child->memory(), result.outputs.emplace_back()))
      return fail(ErrorCode::kCorrupt, fmt::format("the plugin's output is wrong: '{}' is not what it declares",
                                                   description.outputs[i].name));
  return result;
}

Plugin::Plugin(std::unique_ptr<State> state) : state_(std::move(state)) {}

Plugin::~Plugin() {
  if (!state_->child) return;
  constexpr Milliseconds kStopTime{1000};  // of its stop()
  const Packet end{PacketKind::kEnd, 0, 0, 0};
  worker::Death death = worker::Death::kNone;
  if (worker::send_packet(state_->child->socket(), &end, sizeof end, {}, MSG_DONTWAIT))
    (void)state_->child->wait_readable(kStopTime, death);
}

Result<std::unique_ptr<Plugin>> Plugin::load(PluginFile file, PluginOptions options) {
  if (options.program.empty()) options.program = worker::helper_program("image-engine-plugin-host");
  if (!open_regular(options.program))
    return fail(ErrorCode::kMachine, options.program + " is missing: install all programs together");
  std::unique_ptr<State> state(new State{std::move(file), std::move(options), {}, nullptr, {}, 0});
  IE_CHECK(state->start());
  return std::unique_ptr<Plugin>(new Plugin(std::move(state)));
}

const Description& Plugin::description() const { return state_->description; }
const PluginFile& Plugin::file() const { return state_->file; }
const std::vector<std::string>& Plugin::missing() const { return state_->missing; }
int Plugin::memory_descriptor() const { return state_->child ? state_->child->read_only_memory() : -1; }

Result<RunResult> Plugin::run(std::span<const Input> inputs, const std::vector<Value>& values, const RunWatch& watch) {
  // Room for the result of 12 megapixels: freeing its pages and faulting them in again takes longer than the call.
  constexpr std::uint64_t kKept = kPictures + (std::uint64_t{64} << 20);
  if (inputs.size() != state_->description.inputs.size())
    return fail(ErrorCode::kInternal, "another number of inputs than the plugin has");
  if (!state_->child) IE_CHECK(state_->start());
  state_->child->release_pages(kKept);
  ++state_->calls;
  IE_TRY(const Call call, state_->lay_out(inputs, values, watch.offers));
  const Clock::time_point begin = Clock::now();
  const std::span<const int> descriptors =
      call.is_attached ? std::span(&inputs[0].descriptor, 1) : std::span<const int>();
  if (const Status sent = state_->send(PacketKind::kCall, call, descriptors); !sent) {
    if (sent.error().code == ErrorCode::kTooLarge) return fail(sent.error());
    return state_->drop(end_of(*state_->child));
  }
  const Result<Done> done = state_->wait(watch);
  if (!done) return state_->drop(done.error());
  IE_CHECK(failure_of(*done));
  IE_TRY(RunResult result, state_->result_of(*done, call.inputs[0].pixels));
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return result;
}

}  // namespace image_engine::plugins
