// Work that several threads share.
#pragma once

#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace image_engine::vision {

// Calls work(i) in this thread with 0 and in up to `threads` − 1 others with 1 and so on, fewer if the system refuses
// more; returns when all have returned. `work` must not throw.
template <typename Work>
void in_threads(int threads, const Work& work) {
  std::vector<std::jthread> helpers;
  try {
    for (int t = 1; t < threads; ++t) helpers.emplace_back([&work, t] { work(static_cast<std::size_t>(t)); });
  } catch (const std::system_error&) {
  }
  work(0);
}

}  // namespace image_engine::vision
