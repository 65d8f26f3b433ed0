// Pictures into model inputs. CPU time; bench/vision/preprocess/compare.py compares with Pillow and numpy.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

#include "preprocess/plan.h"

namespace {

using namespace image_engine;

std::vector<std::uint8_t> make_pixels(std::size_t count) {
  std::vector<std::uint8_t> pixels(count);
  for (std::size_t i = 0; i < count; ++i) pixels[i] = static_cast<std::uint8_t>(40 + i * 7 % 160 + i / 977 % 16);
  return pixels;
}

void measure(benchmark::State& state, const preprocess::Plan& plan, std::uint32_t width, std::uint32_t height) {
  const auto pixels = make_pixels(std::size_t{width} * height * 3);
  for (auto _ : state) {
    auto made = preprocess::prepare(plan, {width, height, pixels});
    if (!made) std::abort();
    benchmark::DoNotOptimize(made->tensor.data.data());
  }
}

const preprocess::Plan kNanodet{.width = 416,
                                .height = 416,
                                .fit = preprocess::Fit::kLetterbox,
                                .order = preprocess::ChannelOrder::kBgr,
                                .mean = {103.53F, 116.28F, 123.675F},
                                .deviation = {57.375F, 57.12F, 58.395F}};
const preprocess::Plan kClip{.width = 224,
                             .height = 224,
                             .fit = preprocess::Fit::kCentreCrop,
                             .filter = preprocess::Filter::kBicubic,
                             .mean = {122.77F, 116.75F, 104.09F},
                             .deviation = {68.5F, 66.63F, 70.32F}};

BENCHMARK_CAPTURE(measure, letterbox_640x480, kNanodet, 640, 480)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(measure, letterbox_4000x3000, kNanodet, 4000, 3000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(measure, clip_640x480, kClip, 640, 480)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(measure, clip_4000x3000, kClip, 4000, 3000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
