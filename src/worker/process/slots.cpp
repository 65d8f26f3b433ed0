#include "worker/process/slots.h"

#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace image_engine::worker {

std::uint32_t Slots::take() {
  constexpr std::uint32_t kAll = (1U << kVideoSlots) - 1;
  while (in_use_ != 0) {
    const std::uint32_t before = in_use_;
    take_release(in_use_ == kAll);
    if (in_use_ == before) break;
  }
  return static_cast<std::uint32_t>(std::countr_one(in_use_));
}

void Slots::send(std::uint32_t slot, std::span<const std::byte> archive) {
  std::memcpy(memory_.data() + range(slot).begin, archive.data(), archive.size());
  ReplyHeader header;
  header.reply_bytes = static_cast<std::uint32_t>(archive.size());
  header.number = number_;
  header.slot = slot;
  in_use_ |= 1U << slot;
  ::send(kSocketFd, &header, sizeof header, MSG_NOSIGNAL);
}

void Slots::await(std::uint32_t slot) {
  while ((in_use_ & (1U << slot)) != 0) take_release(true);
}

void Slots::take_release(bool wait) {
  Release release;
  ssize_t count = 0;
  do count = ::recv(kSocketFd, &release, sizeof release, wait ? 0 : MSG_DONTWAIT);
  while (count < 0 && errno == EINTR);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (count != sizeof release || release.number != number_ || release.slot >= kVideoSlots) ::_exit(2);
  in_use_ &= ~(1U << release.slot);
}

}  // namespace image_engine::worker
