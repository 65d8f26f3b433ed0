#include "worker/pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>

#include "core/file.h"
#include "core/subprocess.h"
#include "worker/process.h"

namespace image_engine::worker {
namespace {

// A worker is replaced after this many requests, which limits leaks in decoders.
constexpr std::uint64_t kRequestsPerWorker = 20'000;
constexpr std::uint64_t kPlainFileBytes = 100'000'000;
constexpr std::uint64_t kSlowestBytesPerSecond = 10'000'000;  // a slow network drive

std::uint64_t size_of(int fd) {
  struct stat info {};
  return fd >= 0 && ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::chrono::milliseconds time_for(const PoolOptions& options, int media_fd, int sidecar_fd) {
  const std::uint64_t bytes = size_of(media_fd) + size_of(sidecar_fd);
  const std::uint64_t extra = bytes > kPlainFileBytes ? (bytes - kPlainFileBytes) / kSlowestBytesPerSecond : 0;
  return options.timeout + std::chrono::seconds(extra);
}

Request request_of(const Task& task, const PoolOptions& options) {
  Request request;
  request.operations = task.operations;
  request.max_edge = task.max_edge;
  request.thumbnail_edge = task.thumbnail_edge;
  request.thumbnail_quality = task.thumbnail_quality;
  request.orientation = task.orientation;
  request.at = task.at;
  request.video = task.video;
  request.cut = task.cut;
  request.sound = task.sound;
  request.subtitles = task.subtitles;
  request.preview = task.preview;
  request.encode = task.encode;
  request.rewrite = task.rewrite;
  // Three bytes per pixel: a larger picture could not be held in memory. Smaller needs are met by decoding in strips or
  // at a smaller scale; larger ones hit the worker's memory limit.
  request.max_pixels = options.memory_limit / 3;
  return request;
}

}  // namespace

Lease::Lease(Pool& pool, std::unique_ptr<Process> process) : pool_(&pool), process_(std::move(process)) {}
Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      process_(std::move(other.process_)),
      video_(std::exchange(other.video_, std::nullopt)),
      slot_(other.slot_),
      time_limit_(other.time_limit_),
      summary_(std::move(other.summary_)),
      sound_(std::move(other.sound_)),
      cut_(std::move(other.cut_)),
      rewritten_(std::move(other.rewritten_)) {}

Lease::~Lease() {
  if (pool_ != nullptr && video_) drop_process(false);
  if (pool_ != nullptr) pool_->give_back(std::move(process_));
}

Result<Reply> Lease::try_once(const Task& task, int media_fd, int sidecar_fd, bool& worth_retry) {
  if (!process_) {
    IE_TRY(process_, pool_->start());
  }
  process_->release_pages();
  const Request request = request_of(task, pool_->options());
  Death death = Death::kNone;
  Result<Reply> reply =
      process_->exchange(request, media_fd, sidecar_fd, time_for(pool_->options(), media_fd, sidecar_fd), death);
  worth_retry = death == Death::kCrashed || death == Death::kMemory || death == Death::kKilled;
  if (death != Death::kNone) drop_process(true);
  return reply;
}

void Lease::drop_process(bool has_died) {
  if (!process_) return;
  pool_->forget(process_->started_id(), has_died);
  process_.reset();
}

Status Lease::start(const Task& task, std::uint32_t operation, int media_fd, int beside) {
  if (!process_) {
    IE_TRY(process_, pool_->start());
  }
  process_->release_pages();
  Request request = request_of(task, pool_->options());
  request.operations |= operation;
  time_limit_ = time_for(pool_->options(), media_fd, -1);
  slot_.reset();
  Death death = Death::kNone;
  if (Status begun = process_->begin(request, media_fd, beside, death); !begun) {
    drop_process(true);
    return begun;
  }
  video_ = request;
  return {};
}

// What came in the next slot; none with the reply.
template <typename InSlot>
Result<std::optional<InSlot>> Lease::next(Reply& reply) {
  if (!video_) return fail(ErrorCode::kInternal, "no video is being read");
  if (slot_) process_->release(*video_, *slot_);
  slot_.reset();
  Death death = Death::kNone;
  Result<Process::Received> received = process_->receive(*video_, time_limit_, death);
  time_limit_ = pool_->options().timeout;
  if (!received) {
    video_.reset();
    if (death != Death::kNone) drop_process(true);
    return fail(received.error());
  }
  if (auto* in_slot = std::get_if<InSlot>(&*received)) {
    slot_ = in_slot->slot;
    return std::move(*in_slot);
  }
  video_.reset();
  reply = std::move(std::get<Reply>(*received));
  return std::nullopt;
}

Status Lease::start_video(const Task& task, int media_fd) {
  summary_ = {};
  return start(task, kVideoFrames, media_fd);
}

Result<std::optional<VideoChunk>> Lease::next_chunk() {
  Reply reply;
  IE_TRY(std::optional<ChunkInSlot> found, next<ChunkInSlot>(reply));
  if (found) return std::move(found->chunk);
  IE_TRY(summary_, std::move(reply.video));
  return std::nullopt;
}

Status Lease::start_sound(const Task& task, int media_fd) {
  sound_ = {};
  return start(task, kSound, media_fd);
}

Result<std::optional<SoundChunk>> Lease::next_sound() {
  Reply reply;
  IE_TRY(const std::optional<SoundInSlot> found, next<SoundInSlot>(reply));
  if (found) return found->chunk;
  IE_TRY(sound_, std::move(reply.sound));
  return std::nullopt;
}

std::span<const float> Lease::samples(const SoundChunk& chunk) const {
  const auto all = process_->memory().subspan(chunk.offset, chunk.samples * sizeof(float));
  return {reinterpret_cast<const float*>(all.data()), chunk.samples};
}

Status Lease::start_cut(const Task& task, int media_fd) {
  cut_ = {};
  return start(task, kCut, media_fd);
}

Result<std::optional<WrittenPart>> Lease::next_part() {
  Reply reply;
  IE_TRY(const std::optional<PartInSlot> found, next<PartInSlot>(reply));
  if (found) return found->part;
  IE_TRY(cut_, std::move(reply.cut));
  return std::nullopt;
}

Status Lease::start_rewrite(const Task& task, int media_fd, int answers) {
  rewritten_ = {};
  return start(task, kRewrite, media_fd, answers);
}

Result<std::optional<RewriteStep>> Lease::next_step() {
  Reply reply;
  IE_TRY(std::optional<StepInSlot> found, next<StepInSlot>(reply));
  if (found) return std::move(found->step);
  IE_TRY(rewritten_, std::move(reply.rewritten));
  return std::nullopt;
}

std::span<const std::byte> Lease::bytes(const WrittenPart& part) const {
  return process_->memory().subspan(part.offset, part.bytes);
}

std::span<const std::uint8_t> Lease::small(const VideoChunk& chunk, std::size_t index) const {
  const std::size_t bytes = std::size_t{video_->video.small_width} * video_->video.small_height * 3;
  const auto all = process_->memory().subspan(chunk.small_offset + index * bytes, bytes);
  return {reinterpret_cast<const std::uint8_t*>(all.data()), bytes};
}

Result<Reply> Lease::run(const Task& task, int media_fd, int sidecar_fd) {
  const bool fresh = !process_ || process_->requests() == 0;
  bool worth_retry = false;
  Result<Reply> reply = try_once(task, media_fd, sidecar_fd, worth_retry);
  // An earlier file may have damaged the worker: retry once, in a new one.
  if (worth_retry && !fresh) reply = try_once(task, media_fd, sidecar_fd, worth_retry);
  return reply;
}

ImageView Lease::pixels(const Picture& picture) const {
  const auto all = process_->memory();
  const size_t size = size_t{picture.width} * picture.height * 3;
  return {picture.width, picture.height, {reinterpret_cast<const std::uint8_t*>(all.data()) + picture.offset, size}};
}

SharedPixels Lease::shared(const ImageView& picture) const {
  if (!process_) return {};
  const std::span<const std::byte> all = process_->memory();
  const auto* const begin = reinterpret_cast<const std::byte*>(picture.pixels.data());
  if (std::less<>()(begin, all.data()) || !std::less<>()(begin, all.data() + all.size())) return {};
  return {memory_descriptor(), static_cast<std::uint64_t>(begin - all.data())};
}

int Lease::memory_descriptor() const { return process_ ? process_->read_only_memory() : -1; }

std::span<const std::byte> Lease::bytes(const Thumbnail& thumbnail) const {
  return process_->memory().subspan(thumbnail.offset, thumbnail.bytes);
}

Pool::Pool(PoolOptions options) : options_(std::move(options)) {}
Pool::~Pool() = default;

Result<std::unique_ptr<Pool>> Pool::create(PoolOptions options) {
  options.workers = std::max(options.workers, 1);
  if (options.program.empty()) options.program = default_program();
  if (Result<UniqueFd> program = open_regular(options.program); !program)
    return fail(ErrorCode::kNotFound, options.program + " is missing: install both programs together");
  const bool is_strict = options.require_sandbox;
  std::unique_ptr<Pool> pool(new Pool(std::move(options)));
  if (is_strict) {
    IE_TRY(std::unique_ptr<Process> first, pool->start());
    pool->idle_.push_back(std::move(first));
  }
  return pool;
}

Lease Pool::lease() {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [&] { return leased_ < options_.workers; });
  ++leased_;
  std::unique_ptr<Process> process;
  if (!idle_.empty()) {
    process = std::move(idle_.back());
    idle_.pop_back();
  }
  return {*this, std::move(process)};
}

Result<std::unique_ptr<Process>> Pool::start() {
  ProcessLimits limits;
  limits.memory = options_.memory_limit;
  limits.decode_threads = options_.decode_threads;
  limits.niceness = options_.niceness;
  IE_TRY(std::unique_ptr<Process> process, Process::create(options_.program, limits));
  std::vector<std::string> missing = missing_layers(process->layers());
  if (options_.require_sandbox && !missing.empty())
    return fail(ErrorCode::kMachine,
                fmt::format("worker.sandbox is strict, and these sandbox layers do not hold here: {}; "
                            "image-engine doctor shows what each needs; worker.sandbox: auto runs without them",
                            fmt::join(missing, ", ")));
  const std::lock_guard lock(mutex_);
  missing_ = std::move(missing);
  ++starts_;
  running_.push_back(process->id());
  return process;
}

void Pool::give_back(std::unique_ptr<Process> process) {
  std::unique_ptr<Process> retired;
  {
    const std::lock_guard lock(mutex_);
    --leased_;
    if (process && process->requests() >= kRequestsPerWorker) {
      std::erase(running_, process->id());
      retired = std::move(process);
    } else if (process) {
      idle_.push_back(std::move(process));
    }
  }
  returned_.notify_one();
}

void Pool::forget(int process_id, bool has_died) {
  const std::lock_guard lock(mutex_);
  if (has_died) ++deaths_;
  std::erase(running_, process_id);
}

std::uint64_t Pool::deaths() const {
  const std::lock_guard lock(mutex_);
  return deaths_;
}

std::uint64_t Pool::starts() const {
  const std::lock_guard lock(mutex_);
  return starts_;
}

std::vector<std::string> Pool::missing() const {
  const std::lock_guard lock(mutex_);
  return missing_;
}

std::vector<int> Pool::process_ids() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

Result<std::string> probe(const std::string& program) {
  SpawnOptions options;
  options.arguments = {program.empty() ? default_program() : program, "--probe"};
  options.environment = worker_environment();
  options.alone = true;
  IE_TRY(Finished finished, run_program(options, {.timeout = std::chrono::seconds(20)}));
  if (finished.exit_code != 0) return fail(ErrorCode::kCrashed, options.arguments[0] + " does not start");
  return std::move(finished.output);
}

}  // namespace image_engine::worker
