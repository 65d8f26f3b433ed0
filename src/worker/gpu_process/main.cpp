// image-engine-gpu-worker: decodes JPEGs from outside on a GPU for image-engine, which starts it. Not meant to be run
// by hand.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/file.h"
#include "core/hash.h"
#include "core/text.h"
#include "media/jpeg_segments.h"
#include "types/asset_name.h"
#include "worker/archive.h"
#include "worker/gpu_process/lanes.h"
#include "worker/process.h"
#include "worker/process/sandbox.h"

namespace image_engine::worker {
namespace {

struct Arguments {
  LaneOptions lanes;
  std::uint64_t slot_bytes = 0;
  int readers = 4;  // threads that read, hash and route files
};

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
    if (flag == "--folder")
      arguments.lanes.folders.push_back(value);
    else if (flag == "--device")
      arguments.lanes.device = static_cast<int>(number());
    else if (flag == "--threads")
      arguments.lanes.threads = static_cast<int>(number());
    else if (flag == "--readers")
      arguments.readers = static_cast<int>(number());
    else if (flag == "--device-bytes")
      arguments.lanes.device_bytes = number();
    else if (flag == "--sharers")
      arguments.lanes.sharers = std::max<std::uint64_t>(number(), 1);
    else if (flag == "--pinned-bytes")
      arguments.lanes.pinned_bytes = number();
    else if (flag == "--slot-bytes")
      arguments.slot_bytes = number();
    else
      return false;
  }
  return argc % 2 == 1 && arguments.slot_bytes > kReplyRoom;
}

// The shared memory and the socket.
class Outbox : public Answers {
 public:
  Outbox(std::span<std::byte> memory, std::uint64_t slot_bytes) : memory_(memory), slot_bytes_(slot_bytes) {}

  std::span<std::byte> slot(std::uint32_t number) override {
    return memory_.subspan(number * slot_bytes_, slot_bytes_);
  }
  [[nodiscard]] bool has_slot(std::uint32_t number) const { return number < memory_.size() / slot_bytes_; }

  void send(const Job& job, GpuRoute route) override {
    GpuAnswer answer;
    answer.slot = job.request.slot;
    answer.number = job.request.request.number;
    answer.route = route;
    answer.has_inputs = route != GpuRoute::kNone && job.has_inputs ? 1 : 0;
    if (route != GpuRoute::kNone) {
      ArchiveWriter writer;
      writer(job.reply);
      if (writer.bytes().size() <= kReplyRoom) {
        std::memcpy(slot(answer.slot).data(), writer.bytes().data(), writer.bytes().size());
        answer.reply_bytes = static_cast<std::uint32_t>(writer.bytes().size());
      } else {
        answer.route = GpuRoute::kNone;
      }
    }
    while (::send(kSocketFd, &answer, sizeof answer, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
  }

 private:
  std::span<std::byte> memory_;
  std::uint64_t slot_bytes_;
};

// What the engine sends: a picture, or the inputs that models need.
struct Message {
  JobPointer job;
  std::optional<GpuInputs> inputs;
};

// The next message; none when the engine has closed the socket.
std::optional<Message> receive() {
  alignas(std::max_align_t) std::array<std::byte, std::max(sizeof(GpuRequest), sizeof(GpuInputs))> bytes;
  Result<Packet> packet = receive_packet(kSocketFd, bytes);
  if (!packet) return std::nullopt;
  Message message;
  if (packet->bytes == sizeof(GpuInputs)) {
    std::memcpy(&message.inputs.emplace(), bytes.data(), sizeof(GpuInputs));
    return message;
  }
  if (packet->bytes != sizeof(GpuRequest) || !packet->descriptor) return std::nullopt;
  message.job = std::make_unique<Job>();
  message.job->file = std::move(packet->descriptor);
  std::memcpy(&message.job->request, bytes.data(), sizeof(GpuRequest));
  return message;
}

constexpr std::array kStartOfJpeg = {std::byte{0xFF}, std::byte{0xD8}};

// Reads a whole JPEG into page-locked memory; a copy of our own, so that nobody changes it while it is decoded.
bool read_input(Lanes& lanes, Job& job) {
  struct stat info {};
  if (::fstat(job.file.get(), &info) != 0 || info.st_size <= 0) return false;
  std::array<std::byte, 2> start{};
  if (::pread(job.file.get(), start.data(), start.size(), 0) != static_cast<ssize_t>(start.size()) ||
      start != kStartOfJpeg)
    return false;
  std::optional<MemoryArena::Part> part = lanes.take_input(static_cast<std::size_t>(info.st_size));
  if (!part) return false;
  job.input = std::move(*part);
  for (std::size_t at = 0; at < job.input.size();) {
    const ssize_t count = ::pread(job.file.get(), job.input.data() + at, job.input.size() - at, static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    at += static_cast<std::size_t>(count);
  }
  return true;
}

void take_in(Lanes& lanes, Outbox& outbox, JobPointer job) {
  const bool is_read = read_input(lanes, *job);
  const media::Bytes bytes(job->input.data(), job->input.size());
  job->file = {};
  std::optional<RoutedJpeg> routed = is_read ? route_jpeg(bytes) : std::nullopt;
  const Request& request = job->request.request;
  if (!routed || std::uint64_t{routed->width} * routed->height > request.max_pixels)
    return outbox.send(*job, GpuRoute::kNone);
  job->jpeg = std::move(*routed);
  if (request.orientation != 0) job->jpeg.orientation = request.orientation;
  if ((request.operations & kHash) != 0) {
    const ByteSequence sequences[] = {{bytes}, std::move(job->jpeg.coded)};
    const std::vector<Hash128> hashes = hash_side_by_side(sequences);
    job->reply.hashes = Hashes{hashes[0], asset_name(hashes[1], job->jpeg.orientation), hashes[1], {}};
    if ((request.operations & kFormerHash) != 0) job->reply.hashes->former = media::jpeg_former_coded_hash(bytes);
  }
  lanes.push(std::move(job));
}

// Where there is no memory for them, the engine makes the inputs.
bool answer_inputs(Lanes& lanes, const GpuInputs& inputs) {
  if (inputs.version != kGpuProtocolVersion) return false;
  Result<ExportedAreas> areas = lanes.make_areas(inputs);
  if (!areas) areas = ExportedAreas{};
  const int handle = areas->handle.get();
  return send_packet(kSocketFd, &areas->layout, sizeof areas->layout, std::span(&handle, areas->handle ? 1 : 0))
      .has_value();
}

// Open descriptors of devices: the driver's.
std::vector<int> open_devices() {
  constexpr int kMost = 1024;
  std::vector<int> devices;
  for (int fd = 3; fd < kMost; ++fd) {
    struct stat info {};
    if (::fstat(fd, &info) == 0 && S_ISCHR(info.st_mode)) devices.push_back(fd);
  }
  return devices;
}

std::size_t thread_count() {
  std::error_code error;
  const auto threads = std::filesystem::directory_iterator("/proc/self/task", error);
  return error ? 2 : static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

int serve(const Arguments& arguments) {
  GpuHello hello;
  enter_early(hello.layers);
  const auto say = [&](const std::string& problem) {
    problem.copy(hello.problem, sizeof hello.problem - 1);
    return ::send(kSocketFd, &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello && problem.empty();
  };
  struct stat info {};
  const auto size = static_cast<std::size_t>(::fstat(kMemoryFd, &info) == 0 ? info.st_size : 0);
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, kMemoryFd, 0);
  if (memory == MAP_FAILED) return say("the memory that it shares cannot be mapped (ulimit -v)") ? 0 : 2;
  (void)content_hash({});  // OpenSSL sets itself up before the sandbox is entered
  Result<std::unique_ptr<Lanes>> lanes = Lanes::create(arguments.lanes);
  if (!lanes) hello.is_refused = lanes.error().code == ErrorCode::kPermission ? 1 : 0;
  if (!lanes) return say(lanes.error().message) ? 0 : 2;
  Outbox outbox({static_cast<std::byte*>(memory), size}, arguments.slot_bytes);
  hello.has_engine = (*lanes)->has_engine() ? 1 : 0;
  const bool has_threads = thread_count() > 1;
  enter_late(hello.layers, {.descriptors = 2048, .devices = open_devices()});
  // It holds for the calling thread only; the driver's and nvJPEG's have begun before.
  if (has_threads) hello.layers.landlock = 0;
  TaskThreads readers(arguments.readers);
  (*lanes)->start(outbox);
  if (!say("")) return 2;
  while (std::optional<Message> message = receive()) {
    if (message->inputs) {
      if (!answer_inputs(**lanes, *message->inputs)) return 2;
      continue;
    }
    JobPointer job = std::move(message->job);
    if (job->request.request.version != kProtocolVersion || !outbox.has_slot(job->request.slot)) return 2;
    readers.add([&lanes = **lanes, &outbox, shared = std::make_shared<JobPointer>(std::move(job))] {
      take_in(lanes, outbox, std::move(*shared));
    });
  }
  return 0;
}

}  // namespace
}  // namespace image_engine::worker

int main(int argc, char** argv) try {
  image_engine::worker::Arguments arguments;
  if (!image_engine::worker::parse(argc, argv, arguments) || ::fcntl(image_engine::worker::kSocketFd, F_GETFD) < 0) {
    std::fputs("image-engine-gpu-worker is started by image-engine\n", stderr);
    return 2;
  }
  // Skips the libraries' exit handlers in the sandbox.
  ::_exit(image_engine::worker::serve(arguments));
} catch (const std::exception& error) {
  std::fprintf(stderr, "image-engine-gpu-worker: %s\n", error.what());
  return 2;
}
