#include "infer/ops/pictures_steps.h"

namespace image_engine::infer {
namespace {

template <std::uint32_t kChannels>
struct HostTurns {
  static const char* run(const LastChannels& work, void*) {
    for (std::uint32_t i = 0; i < turns_of(work); ++i) run_turn<kChannels>(work, i);
    return nullptr;
  }
};

}  // namespace

const char* run_last_on_host(const LastChannels& work, void* stream) { return run_turns<HostTurns>(work, stream); }

const char* run_window_on_host(const WindowMax& work, void*) {
  for (std::uint32_t i = 0; i < work.words; ++i) work.is_half ? run_window<Half>(work, i) : run_window<float>(work, i);
  return nullptr;
}

}  // namespace image_engine::infer
