// Workers that misbehave, for the pool's tests: what it does is in the name that it is started by.
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "worker/archive.h"
#include "worker/protocol.h"

using namespace image_engine::worker;

namespace {

void reply_with(std::span<const std::byte> bytes, ReplyHeader header) {
  void* memory = ::mmap(nullptr, kMaxReplyBytes, PROT_READ | PROT_WRITE, MAP_SHARED, kMemoryFd, 0);
  if (!bytes.empty()) std::memcpy(memory, bytes.data(), bytes.size());
  ::send(kSocketFd, &header, sizeof header, 0);
}

void reply_outside_memory() {
  Reply reply;
  reply.picture = Picture{60000, 60000, 60000, 60000, ~0ULL - 100, false, false, {}};
  ArchiveWriter writer;
  writer(reply);
  reply_with(writer.bytes(), {kProtocolVersion, static_cast<std::uint32_t>(writer.bytes().size())});
}

void eat_memory() {
  for (;;) {
    auto* block = static_cast<volatile char*>(std::malloc(16 << 20));
    for (size_t i = 0; i < (16 << 20); i += 4096) block[i] = 1;
    ::usleep(2000);
  }
}

}  // namespace

int main(int, char** argv) {
  const std::string name = std::strrchr(argv[0], '/') + 1;
  Request request;
  char garbage[4096];
  std::memset(garbage, 0xA5, sizeof garbage);
  while (::recv(kSocketFd, &request, sizeof request, 0) > 0) {
    if (name == "hang") ::pause();
    if (name == "crash") std::raise(SIGSEGV);
    if (name == "exit") return 5;
    if (name == "eat") eat_memory();
    if (name == "garbage") reply_with(std::as_bytes(std::span(garbage)), {kProtocolVersion, sizeof garbage});
    if (name == "huge") reply_with({}, {kProtocolVersion, 0xFFFFFFFF});
    if (name == "version") reply_with({}, {kProtocolVersion + 1, 0});
    if (name == "outside") reply_outside_memory();
  }
  return 0;
}
