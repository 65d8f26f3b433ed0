#include "worker/gpu_decoder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "core/log.h"
#include "worker/answer.h"
#include "worker/archive.h"
#include "worker/gpu_worker_process.h"
#include "worker/process.h"

namespace image_engine::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMostDeaths = 3;  // then it stays away for the rest of the run

enum class SlotState : std::uint8_t { kFree, kInWork, kDone };

struct Slot {
  SlotState state = SlotState::kFree;
  Request request;
  Clock::time_point begun;
  std::optional<Reply> reply;
  bool is_lost = false;                   // its process died
  std::shared_ptr<const std::byte> area;  // of models' inputs, given back when it is destroyed
  bool has_inputs = false;                // they are in it
};

// The memory of models' inputs. Areas that are in use keep it.
struct InputAreas {
  std::shared_ptr<const std::byte> memory;
  GpuInputAreas layout;
  std::mutex mutex;
  std::vector<std::uint32_t> free;
};

struct TakenArea {
  std::uint32_t number = kNoArea;
  std::shared_ptr<const std::byte> begin;
};
TakenArea take_area(const std::shared_ptr<InputAreas>& areas) {
  if (!areas) return {};
  const std::lock_guard lock(areas->mutex);
  if (areas->free.empty()) return {};
  const std::uint32_t number = areas->free.back();
  areas->free.pop_back();
  const std::byte* begin = areas->memory.get() + number * areas->layout.step;
  return {number, std::shared_ptr<const std::byte>(begin, [areas, number](const std::byte*) {
            const std::lock_guard giving_back(areas->mutex);
            areas->free.push_back(number);
          })};
}

bool is_sound(const GpuInputAreas& layout) {
  const std::uint64_t step = layout.step;
  return layout.version == kGpuProtocolVersion && layout.areas <= kMostAreas &&
         (layout.areas == 0 || (step > 0 && step <= layout.bytes / layout.areas)) &&
         std::ranges::all_of(layout.offsets, [&](std::uint64_t offset) { return offset <= step; });
}

std::uint64_t slot_bytes_of(const GpuDecoderOptions& options) {
  const std::uint64_t edge = options.max_edge, small = options.thumbnail_edge;
  const std::uint64_t thumbnail = small * small * kMostBytesAPixel + (std::uint64_t{64} << 10);
  return (kReplyRoom + edge * edge * 3 + thumbnail + 4095) / 4096 * 4096;
}

}  // namespace

struct GpuDecoder::State {
  GpuDecoderOptions options;
  std::uint64_t slot_bytes = 0;
  UniqueFd memory_fd;
  const std::byte* memory = nullptr;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<Slot> slots;
  std::vector<std::uint32_t> free_slots;
  std::unique_ptr<GpuWorkerProcess> process;  // while ready
  bool alone = true;                          // in a PID namespace of its own
  bool is_ready = false, is_ending = false;
  std::optional<Error> failure;  // it could not start, or died too often
  GpuHello hello;
  GpuDecoderCounts counts;
  std::uint64_t numbers = 0;
  std::optional<GpuInputs> inputs;  // that are wanted; none any more once they are asked for
  MapMemory map;
  std::shared_ptr<InputAreas> areas;  // of this process; null: none
  std::array<std::uint64_t, kMostInputs> input_offsets{};
  Clock::time_point last_answer;
  Clock::time_point engine_until = Clock::now();  // of its last batch
  std::size_t in_work = 0;                        // slots
  Clock::time_point works_on;                     // the last time when something began to be in work, or was answered
  UniqueFd wake_read, wake_write;                 // ends the thread's waiting
  std::thread thread;

  ~State();
  Status share_memory();
  Status start();
  bool stop_process();
  void run();
  bool receive_one();
  bool is_overdue();
  bool is_stopping();
  void ask_for_inputs();
  bool take_areas(const GpuInputAreas& layout, const UniqueFd& handle);
  bool take_message(const GpuAnswer& answer);
  void take_answer(const GpuAnswer& answer);
  void note_batch(const EngineTime& batch);
  void count_death();
};

GpuDecoder::State::~State() {
  {
    const std::lock_guard lock(mutex);
    is_ending = true;
  }
  if (wake_write) (void)!::write(wake_write.get(), "", 1);
  if (thread.joinable()) thread.join();
  if (memory != nullptr) ::munmap(const_cast<std::byte*>(memory), slot_bytes * slots.size());
}

Status GpuDecoder::State::share_memory() {
  const std::uint64_t bytes = slot_bytes * slots.size();
  memory_fd.reset(::memfd_create("image-engine-gpu-pictures", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory_fd || ::ftruncate(memory_fd.get(), static_cast<off_t>(bytes)) != 0 ||
      ::fcntl(memory_fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return fail(ErrorCode::kMachine, errno_error("no memory to share with the GPU worker").message);
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, memory_fd.get(), 0);
  if (mapped == MAP_FAILED) return fail(ErrorCode::kMachine, errno_error("cannot map shared memory").message);
  memory = static_cast<const std::byte*>(mapped);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail(ErrorCode::kMachine, errno_error("no pipe").message);
  wake_read.reset(ends[0]);
  wake_write.reset(ends[1]);
  return {};
}

Status GpuDecoder::State::start() {
  IE_TRY(std::unique_ptr<GpuWorkerProcess> started,
         GpuWorkerProcess::create(options, slot_bytes, memory_fd.get(), alone, wake_read.get()));
  const std::lock_guard lock(mutex);
  process = std::move(started);
  hello = process->hello();
  is_ready = true;
  ask_for_inputs();
  changed.notify_all();
  return {};
}

// Of the first process only: what it gave is in use for longer than it lives. Call with the lock.
void GpuDecoder::State::ask_for_inputs() {
  if (is_ready && inputs && counts.deaths == 0 &&
      send_packet(process->socket(), &*inputs, sizeof *inputs, {}, MSG_DONTWAIT))
    inputs.reset();
}

bool GpuDecoder::State::take_areas(const GpuInputAreas& layout, const UniqueFd& handle) {
  if (!is_sound(layout) || (layout.areas > 0) != (handle.get() >= 0) || !map) return false;
  if (layout.areas == 0) return true;
  auto made = std::make_shared<InputAreas>();
  made->memory = map(handle, layout.bytes);
  made->layout = layout;
  for (std::uint32_t area = layout.areas; area > 0; --area) made->free.push_back(area - 1);
  const std::lock_guard lock(mutex);
  std::ranges::copy(layout.offsets, input_offsets.begin());
  if (made->memory) areas = std::move(made);
  return true;
}

// False when it does not end.
bool GpuDecoder::State::stop_process() {
  std::unique_ptr<GpuWorkerProcess> gone;
  {
    const std::lock_guard lock(mutex);
    is_ready = false;
    gone = std::move(process);
  }
  return !gone || gone->stop();
}

// Of the process: what was in work is left to other decoders.
void GpuDecoder::State::count_death() {
  const std::lock_guard lock(mutex);
  is_ready = false;
  ++counts.deaths;
  areas.reset();
  for (Slot& slot : slots)
    if (slot.state == SlotState::kInWork) {
      slot.state = SlotState::kDone;
      slot.reply.reset();
      slot.is_lost = true;
      ++counts.left;
    }
  in_work = 0;
  changed.notify_all();
}

void GpuDecoder::State::take_answer(const GpuAnswer& answer) {
  // Copied before it is parsed: the worker could still write to the shared memory.
  std::optional<Reply> reply;
  if (answer.route != GpuRoute::kNone) {
    const std::byte* begin = memory + answer.slot * slot_bytes;
    const std::vector<std::byte> bytes(begin, begin + answer.reply_bytes);
    ArchiveReader reader(bytes);
    reader(reply.emplace());
    Request request;
    {
      const std::lock_guard lock(mutex);
      request = slots[answer.slot].request;
    }
    if (!reader.complete() || !is_answer_to(request, *reply, slot_bytes)) reply.reset();
  }
  Clock::time_point worked_from;
  {
    const std::lock_guard lock(mutex);
    last_answer = Clock::now();
    worked_from = std::exchange(works_on, last_answer);
  }
  // Before who waits for the picture goes on: a report has all that led to it.
  if (options.on_answer) options.on_answer(worked_from);
  note_batch(answer.engine);
  const std::lock_guard lock(mutex);
  Slot& slot = slots[answer.slot];
  slot.state = SlotState::kDone;
  --in_work;
  std::uint64_t& count = !reply ? counts.left : answer.route == GpuRoute::kHardware ? counts.hardware : counts.hybrid;
  ++count;
  slot.has_inputs = reply && answer.has_inputs != 0 && slot.area;
  slot.reply = std::move(reply);
  changed.notify_all();
}

// The pictures of a batch all tell its time. Batches follow each other, and pictures of two come in any order.
void GpuDecoder::State::note_batch(const EngineTime& batch) {
  const auto at = [](std::int64_t nanoseconds) { return Clock::time_point(std::chrono::nanoseconds(nanoseconds)); };
  const bool is_next = at(batch.from) >= engine_until && batch.from < batch.until && at(batch.until) <= Clock::now();
  if (!options.on_engine || !is_next) return;
  engine_until = at(batch.until);
  options.on_engine(at(batch.from), engine_until);
}

// False when the process has gone, or what it says makes no sense.
bool GpuDecoder::State::receive_one() {
  alignas(std::max_align_t) std::array<std::byte, std::max(sizeof(GpuAnswer), sizeof(GpuInputAreas))> bytes;
  Result<Packet> packet = receive_packet(process->socket(), bytes);
  if (!packet) return false;
  if (packet->bytes == sizeof(GpuInputAreas)) {
    GpuInputAreas layout;
    std::memcpy(&layout, bytes.data(), sizeof layout);
    return take_areas(layout, packet->descriptor);
  }
  GpuAnswer answer;
  std::memcpy(&answer, bytes.data(), sizeof answer);
  return packet->bytes == sizeof answer && take_message(answer);
}

bool GpuDecoder::State::take_message(const GpuAnswer& answer) {
  if (answer.version != kGpuProtocolVersion || answer.slot >= slots.size() || answer.reply_bytes > kReplyRoom ||
      answer.route > GpuRoute::kHybrid)
    return false;
  {
    const std::lock_guard lock(mutex);
    const Slot& slot = slots[answer.slot];
    if (slot.state != SlotState::kInWork || slot.request.number != answer.number) return false;
  }
  take_answer(answer);
  return true;
}

bool GpuDecoder::State::is_stopping() {
  const std::lock_guard lock(mutex);
  return is_ending;
}

// Nothing came for the time of one picture, although one is in work. Many wait in a queue: a slow disk is no hang.
bool GpuDecoder::State::is_overdue() {
  const Clock::time_point limit = Clock::now() - options.timeout;
  const std::lock_guard lock(mutex);
  if (last_answer >= limit) return false;
  return std::ranges::any_of(slots,
                             [&](const Slot& slot) { return slot.state == SlotState::kInWork && slot.begun < limit; });
}

void GpuDecoder::State::run() {
  for (;;) {
    Status started = start();
    // CUDA does not start in a PID namespace for which the system mounts no /proc.
    if (!started && started.error().code == ErrorCode::kPermission && alone && !options.require_sandbox &&
        !is_stopping()) {
      alone = false;
      started = start();
    }
    if (!started) {
      const std::lock_guard lock(mutex);
      failure = started.error();
      changed.notify_all();
      return;
    }
    for (bool is_alive = true; is_alive;) {
      pollfd waiting[] = {{process->socket(), POLLIN, 0}, {wake_read.get(), POLLIN, 0}};
      constexpr int kStep = 200;  // milliseconds
      const int count = ::poll(waiting, 2, kStep);
      if (waiting[1].revents != 0) return;
      if (count > 0) is_alive = receive_one();
      if (is_alive && is_overdue()) is_alive = false;
    }
    count_death();
    const bool has_ended = stop_process();
    const std::lock_guard lock(mutex);
    if (has_ended && counts.deaths < kMostDeaths) continue;
    failure = Error{ErrorCode::kCrashed,
                    has_ended ? "the GPU worker died three times" : "the GPU worker hangs in the driver"};
    changed.notify_all();
    return;
  }
}

GpuDecoder::GpuDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
GpuDecoder::~GpuDecoder() = default;

Result<std::unique_ptr<GpuDecoder>> GpuDecoder::create(GpuDecoderOptions options) {
  if (options.program.empty()) options.program = gpu_program();
  if (::access(options.program.c_str(), X_OK) != 0)
    return fail(ErrorCode::kNotFound, options.program + " is missing: it belongs to builds with CUDA");
  auto state = std::make_unique<State>();
  state->slot_bytes = slot_bytes_of(options);
  state->slots.resize(std::clamp<std::uint32_t>(options.slots, 1, kMostSlots));
  for (std::uint32_t slot = 0; slot < state->slots.size(); ++slot) state->free_slots.push_back(slot);
  state->options = std::move(options);
  IE_CHECK(state->share_memory());
  state->thread = std::thread([state = state.get()] { state->run(); });
  return std::unique_ptr<GpuDecoder>(new GpuDecoder(std::move(state)));
}

Status GpuDecoder::wait_until_ready(const std::stop_token& stop, bool says_so) {
  constexpr std::chrono::milliseconds kStep{50};
  const Clock::time_point silent_until = Clock::now() + std::chrono::seconds(2);
  std::unique_lock lock(state_->mutex);
  while (!state_->changed.wait_for(lock, kStep, [&] { return state_->is_ready || state_->failure; })) {
    if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "stopped waiting for the GPU's decoder");
    if (!says_so || Clock::now() < silent_until) continue;
    log_info("waiting for the GPU's decoder to start (inference.gpu_decode is on)");
    says_so = false;
  }
  if (state_->is_ready) return {};
  return fail(*state_->failure);
}

bool GpuDecoder::takes(const Task& task) const {
  constexpr std::uint32_t kTaken = kHash | kFormerHash | kDecode | kThumbnail | kLuma;
  const GpuDecoderOptions& options = state_->options;
  if ((task.operations & ~kTaken) != 0 || (task.operations & (kDecode | kThumbnail)) == 0) return false;
  const bool is_decoded = (task.operations & kDecode) != 0;
  if (is_decoded && (task.max_edge == 0 || task.max_edge > options.max_edge)) return false;
  return task.thumbnail_edge <= options.thumbnail_edge;
}

Status GpuDecoder::make_inputs(std::span<const GpuInput> inputs, MapMemory map) {
  if (inputs.empty() || inputs.size() > kMostInputs)
    return fail(ErrorCode::kInvalidArgument, "no such number of models' inputs");
  const std::lock_guard lock(state_->mutex);
  state_->map = std::move(map);
  GpuInputs& wanted = state_->inputs.emplace();
  wanted.count = static_cast<std::uint32_t>(inputs.size());
  std::ranges::copy(inputs, wanted.inputs);
  state_->ask_for_inputs();
  return {};
}

std::optional<GpuPicture> GpuDecoder::submit(const Task& task, int file) {
  State& state = *state_;
  if (!takes(task)) return std::nullopt;
  const std::lock_guard lock(state.mutex);
  if (!state.is_ready || state.free_slots.empty()) return std::nullopt;
  GpuRequest message;
  message.slot = state.free_slots.back();
  TakenArea area = (task.operations & kDecode) != 0 ? take_area(state.areas) : TakenArea{};
  message.area = area.number;
  Request& request = message.request;
  request.operations = task.operations;
  request.max_edge = task.max_edge;
  request.thumbnail_edge = task.thumbnail_edge;
  request.thumbnail_quality = task.thumbnail_quality;
  request.orientation = task.orientation;
  request.max_pixels = state.options.max_pixels;
  request.number = ++state.numbers;
  // A worker that takes no more must not hold up everybody.
  if (!send_packet(state.process->socket(), &message, sizeof message, {&file, 1}, MSG_DONTWAIT)) return std::nullopt;
  state.free_slots.pop_back();
  const Clock::time_point now = Clock::now();
  if (state.in_work++ == 0) state.works_on = now;
  state.slots[message.slot] = {
      .state = SlotState::kInWork, .request = request, .begun = now, .area = std::move(area.begin)};
  return GpuPicture(*this, message.slot);
}

int GpuDecoder::device() const { return state_->options.device; }

std::size_t GpuDecoder::free_slots() const {
  const std::lock_guard lock(state_->mutex);
  return state_->is_ready ? state_->free_slots.size() : 0;
}

GpuDecoderCounts GpuDecoder::counts() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counts;
}

std::optional<Error> GpuDecoder::failure() const {
  const std::lock_guard lock(state_->mutex);
  return state_->failure;
}

int GpuDecoder::process_id() const {
  const std::lock_guard lock(state_->mutex);
  return state_->process ? state_->process->id() : -1;
}

bool GpuDecoder::has_engine() const {
  const std::lock_guard lock(state_->mutex);
  return state_->hello.has_engine != 0;
}

std::vector<std::string> GpuDecoder::missing() const {
  const std::lock_guard lock(state_->mutex);
  return state_->is_ready ? missing_layers(state_->hello.layers) : std::vector<std::string>{};
}

GpuPicture::GpuPicture(GpuPicture&& other) noexcept
    : decoder_(std::exchange(other.decoder_, nullptr)), slot_(other.slot_) {}

GpuPicture::~GpuPicture() {
  if (decoder_ == nullptr) return;
  GpuDecoder::State& state = *decoder_->state_;
  std::unique_lock lock(state.mutex);
  // Its memory is still written to.
  state.changed.wait(lock, [&] { return state.slots[slot_].state == SlotState::kDone; });
  state.slots[slot_] = {};
  state.free_slots.push_back(slot_);
}

std::optional<Reply> GpuPicture::wait() {
  GpuDecoder::State& state = *decoder_->state_;
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock, [&] { return state.slots[slot_].state == SlotState::kDone; });
  return std::move(state.slots[slot_].reply);
}

bool GpuPicture::is_lost() const {
  const GpuDecoder::State& state = *decoder_->state_;
  const std::lock_guard lock(state.mutex);
  return state.slots[slot_].is_lost;
}

GpuRow GpuPicture::input(std::uint32_t index) const {
  GpuDecoder::State& state = *decoder_->state_;
  const std::lock_guard lock(state.mutex);
  const Slot& slot = state.slots[slot_];
  if (!slot.has_inputs) return {};
  return {{slot.area, slot.area.get() + state.input_offsets[index]}, state.options.device};
}

ImageView GpuPicture::pixels(const Picture& picture) const {
  const GpuDecoder::State& state = *decoder_->state_;
  const std::byte* begin = state.memory + slot_ * state.slot_bytes + picture.offset;
  return {picture.width,
          picture.height,
          {reinterpret_cast<const std::uint8_t*>(begin), size_t{picture.width} * picture.height * 3}};
}

std::span<const std::byte> GpuPicture::bytes(const Thumbnail& thumbnail) const {
  const GpuDecoder::State& state = *decoder_->state_;
  return {state.memory + slot_ * state.slot_bytes + thumbnail.offset, thumbnail.bytes};
}

}  // namespace image_engine::worker
