#include "worker/process/lifetime.h"

#include <poll.h>
#include <unistd.h>

#include <system_error>
#include <thread>

#include "worker/protocol.h"

namespace image_engine::worker {

std::string end_with_the_engine() {
  try {
    std::thread([] {
      pollfd hang_up{kSocketFd, 0, 0};
      while (::poll(&hang_up, 1, -1) <= 0 || (hang_up.revents & (POLLHUP | POLLERR)) == 0) continue;
      ::_exit(0);
    }).detach();
    return "";
  } catch (const std::system_error&) {
    return "no thread can be started: raise the limits (ulimit -u, ulimit -v), or use fewer processing.workers";
  }
}

}  // namespace image_engine::worker
