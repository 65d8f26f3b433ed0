// image-engine-plugin-host: runs one plugin for image-engine, which starts it. Not meant to be run by hand.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <string>

#include "plugins/process/loader.h"
#include "plugins/process/running_call.h"
#include "plugins/protocol.h"
#include "worker/process/lifetime.h"
#include "worker/process/sandbox.h"

namespace image_engine::plugins {
namespace {

struct Incoming {
  Packet packet;
  UniqueFd photo;
};

// Nothing when the engine has closed the socket.
std::optional<Incoming> receive() {
  Incoming incoming;
  iovec part{&incoming.packet, sizeof incoming.packet};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count = 0;
  do count = ::recvmsg(worker::kSocketFd, &message, MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count != sizeof incoming.packet) return std::nullopt;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return incoming;
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  incoming.photo.reset(descriptor);
  return incoming;
}

// The memory of another process that photos' pixels lie in, which cannot be written to. A decoder puts photo after
// photo into the same memory, and mapping 12 megapixels takes milliseconds: so it stays mapped until a photo lies
// elsewhere.
class AttachedMemory {
 public:
  AttachedMemory() = default;
  AttachedMemory(const AttachedMemory&) = delete;
  ~AttachedMemory() { unmap(); }

  // Empty where they cannot be mapped. Valid until the next call.
  std::span<const std::byte> pixels(int file, const Pixels& pixels) {
    struct stat info {};
    if (file < 0 || pixels.bytes() == 0 || ::fstat(file, &info) != 0) return {};
    const std::uint64_t end = pixels.offset + pixels.bytes();
    // While it is mapped no other memory gets its number.
    const bool is_mapped = mapped_ != nullptr && info.st_dev == device_ && info.st_ino == inode_ &&
                           pixels.offset >= begin_ && end <= begin_ + bytes_;
    if (!is_mapped && !map(file, info, pixels.offset, end)) return {};
    return {static_cast<const std::byte*>(mapped_) + (pixels.offset - begin_), pixels.bytes()};
  }

 private:
  bool map(int file, const struct stat& info, std::uint64_t from, std::uint64_t to) {
    unmap();
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    begin_ = from / page * page, bytes_ = to - begin_;
    void* mapped = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED | MAP_POPULATE, file, static_cast<off_t>(begin_));
    if (mapped == MAP_FAILED) return false;
    mapped_ = mapped, device_ = info.st_dev, inode_ = info.st_ino;
    return true;
  }
  void unmap() {
    if (mapped_ != nullptr) ::munmap(mapped_, bytes_);
    mapped_ = nullptr;
  }

  void* mapped_ = nullptr;
  std::uint64_t begin_ = 0, bytes_ = 0;  // of the part that is mapped
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

class Host {
 public:
  Host(LoadedPlugin plugin, std::span<std::byte> memory) : plugin_(std::move(plugin)), memory_(memory) {}

  // False: the engine has gone, or makes no sense.
  bool answer(const Incoming& incoming) {
    Call call;
    if (incoming.packet.kind != PacketKind::kCall ||
        !read_message(std::span<const std::byte>(memory_), incoming.packet, call) || call.inputs.empty())
      return false;
    std::span<const std::byte> photo;
    if (call.is_attached) photo = attached_.pixels(incoming.photo.get(), call.inputs[0].pixels);
    if (call.is_attached && photo.empty()) return false;
    return send_message(memory_, PacketKind::kDone, incoming.packet.number,
                        run(std::move(call), incoming.packet.number, photo));
  }

  void stop() {
    if (is_started_ && plugin_.table.stop != nullptr) plugin_.table.stop(state_);
  }

 private:
  Done run(Call call, std::uint64_t number, std::span<const std::byte> photo) {
    RunningCall running(plugin_.description, std::move(call), number, memory_, photo);
    try {
      if (!is_started_ && plugin_.table.start != nullptr)
        if (const ie_status status = plugin_.table.start(&state_); status != IE_OK) {
          running.message("its start() failed");
          return running.done(status);
        }
      is_started_ = true;
      return running.done(plugin_.table.run(state_, &running.table()));
    } catch (const std::exception& error) {
      return {Outcome::kThrew, IE_FAILED, error.what(), {}, {}};
    } catch (...) {
      return {Outcome::kThrew, IE_FAILED, "an exception of an unknown type", {}, {}};
    }
  }

  LoadedPlugin plugin_;
  std::span<std::byte> memory_;
  AttachedMemory attached_;
  void* state_ = nullptr;
  bool is_started_ = false;
};

// Why no plugin can be run here; "": it can.
std::string enter_the_wall(worker::Layers& layers, std::uint64_t memory_limit) {
  worker::enter_early(layers);
  std::string problem = worker::lacking_memory(memory_limit);
  if (const Status prepared = prepare_loader(); !prepared) problem = prepared.error().message;
  worker::enter_late(layers, {.memory_limit = memory_limit, .code = kPluginFd});
  return problem.empty() ? worker::end_with_the_engine() : problem;
}

int serve(std::uint64_t memory_limit) {
  struct stat info {};
  const auto size = static_cast<std::size_t>(::fstat(worker::kMemoryFd, &info) == 0 ? info.st_size : 0);
  void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, worker::kMemoryFd, 0);
  worker::Hello hello;
  hello.version = kPluginProtocolVersion;
  std::string problem = enter_the_wall(hello.layers, memory_limit);
  if (mapped == MAP_FAILED || size < kPictures) problem = "the memory that it shares cannot be mapped (ulimit -v)";
  problem.copy(hello.problem, sizeof hello.problem - 1);
  if (!worker::send_packet(worker::kSocketFd, &hello, sizeof hello, {}) || !problem.empty()) return 2;

  const std::span<std::byte> memory(static_cast<std::byte*>(mapped), size);
  Result<LoadedPlugin> plugin = load_plugin(hello.layers.seccomp != 0);
  const Result<Description> description = plugin ? Result<Description>(plugin->description) : fail(plugin.error());
  if (!send_message(memory, PacketKind::kLoaded, 0, description) || !plugin) return 2;
  Host host(std::move(*plugin), memory);
  while (const std::optional<Incoming> incoming = receive()) {
    if (incoming->packet.kind == PacketKind::kEnd) return host.stop(), 0;
    if (!host.answer(*incoming)) return 2;
  }
  return 0;
}

}  // namespace
}  // namespace image_engine::plugins

int main(int argc, char** argv) {
  if (argc != 2 || ::fcntl(image_engine::worker::kSocketFd, F_GETFD) < 0) {
    std::fputs("image-engine-plugin-host is started by image-engine\n", stderr);
    return 2;
  }
  // Skips exit handlers behind the wall, the plugin's too.
  ::_exit(image_engine::plugins::serve(std::strtoull(argv[1], nullptr, 10)));
}
