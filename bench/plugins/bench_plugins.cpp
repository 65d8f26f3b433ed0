// What a call of a plugin costs for a photo of 12 megapixels: from run() to its result, less the time that the plugin
// itself says it took. `attached`: the photo is in another process's shared memory, as after decoding; else it is
// copied. Counters: medians in milliseconds, and the first call's.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/file.h"
#include "plugins/plugin.h"

namespace {

using namespace image_engine;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kWidth = 4000, kHeight = 3000;
constexpr std::size_t kBytes = std::size_t{kWidth} * kHeight * 3;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void call(benchmark::State& state) {
  const UniqueFd memory(::memfd_create("photo", MFD_CLOEXEC));
  std::vector<std::uint8_t> pixels(kBytes, 77);
  if (::write(memory.get(), pixels.data(), pixels.size()) != static_cast<ssize_t>(kBytes))
    return state.SkipWithError("no memory");
  const UniqueFd read_only(::open(("/proc/self/fd/" + std::to_string(memory.get())).c_str(), O_RDONLY | O_CLOEXEC));
  Result<plugins::PluginFile> file = plugins::PluginFile::open(IE_COPYING_PLUGIN);
  if (!file) return state.SkipWithError(file.error().message.c_str());
  Result<std::unique_ptr<plugins::Plugin>> plugin = plugins::Plugin::load(std::move(*file), {});
  if (!plugin) return state.SkipWithError(plugin.error().message.c_str());
  plugins::Input input;
  input.picture = {3, kWidth, kHeight, pixels};
  if (state.range(0) != 0) input.descriptor = read_only.get();
  std::vector<double> total, own, overhead;
  for (auto _ : state) {
    const auto begin = Clock::now();
    const Result<plugins::RunResult> result = (*plugin)->run({&input, 1}, {});
    total.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    if (!result || std::memcmp(result->outputs[0].picture.pixels.data(), pixels.data(), 100) != 0)
      return state.SkipWithError(result ? "another picture came back" : result.error().message.c_str());
    own.push_back(std::strtod(result->messages.at(0).c_str(), nullptr) / 1000);
    overhead.push_back(total.back() - own.back());
  }
  state.counters["total_ms"] = median(total);
  state.counters["plugin_ms"] = median(own);
  state.counters["overhead_ms"] = median(overhead);
  state.counters["first_overhead_ms"] = overhead.front();
}

BENCHMARK(call)->ArgName("attached")->Arg(1)->Arg(0)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2);

}  // namespace

BENCHMARK_MAIN();
