// Luma statistics, quality, hashes and near duplicates. CPU time; bench/vision.py compares with Python.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "vision/hashes.h"
#include "vision/near_duplicates.h"
#include "vision/quality.h"

namespace {

using namespace image_engine;

constexpr std::uint32_t kWidth = 4000, kHeight = 3000;
constexpr int kThreads = 2;

// Smooth shapes with noise: entropy like a photo's, so that no branch is foreseen and no table row is hit alone.
std::vector<std::uint8_t> make_samples(std::size_t width, std::size_t height) {
  std::mt19937 random(1);
  std::vector<std::uint8_t> samples(width * height);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i] = static_cast<std::uint8_t>(40 + i % width * 160 / width + random() % 16);
  return samples;
}

void luma_12mp(benchmark::State& state) {
  const auto samples = make_samples(kWidth, kHeight);
  LumaAccumulator luma;
  for (auto _ : state) {
    luma.begin(kWidth, kHeight);
    for (std::size_t y = 0; y < kHeight; ++y) luma.add_row({samples.data() + y * kWidth, kWidth});
    benchmark::DoNotOptimize(luma.finish());
  }
}
BENCHMARK(luma_12mp)->Unit(benchmark::kMillisecond);

constexpr std::uint32_t kReducedWidth = 640, kReducedHeight = 480;

void quality_640(benchmark::State& state) {
  const auto pixels = make_samples(kReducedWidth * 3, kReducedHeight);
  const LumaStatistics luma;
  for (auto _ : state) benchmark::DoNotOptimize(vision::measure_quality(luma, {kReducedWidth, kReducedHeight, pixels}));
}
BENCHMARK(quality_640)->Unit(benchmark::kMicrosecond);

void hashes_640(benchmark::State& state) {
  const auto pixels = make_samples(kReducedWidth * 3, kReducedHeight);
  for (auto _ : state) benchmark::DoNotOptimize(vision::perceptual_hashes({kReducedWidth, kReducedHeight, pixels}));
}
BENCHMARK(hashes_640)->Unit(benchmark::kMicrosecond);

// Random hashes, one in ten of them a near duplicate of another.
std::vector<std::uint64_t> make_hashes(std::size_t count) {
  std::mt19937_64 random(2);
  std::vector<std::uint64_t> hashes(count);
  for (std::size_t i = 0; i < count; ++i) {
    hashes[i] = random();
    if (i % 10 != 9) continue;
    hashes[i] = hashes[i - 5];
    for (auto flips = random() % 9; flips > 0; --flips) hashes[i] ^= std::uint64_t{1} << random() % 64;
  }
  return hashes;
}

// Wall time of two threads; process CPU time beside it.
void all_pairs_within_8(benchmark::State& state) {
  const auto hashes = make_hashes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(vision::all_pairs(hashes, 8, kThreads));
}
BENCHMARK(all_pairs_within_8)->Arg(20'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void groups_of_1m(benchmark::State& state) {
  const auto hashes = make_hashes(1'000'000);
  const auto pairs = vision::all_pairs(hashes, 8, kThreads);
  for (auto _ : state) benchmark::DoNotOptimize(vision::groups(pairs, hashes));
}
BENCHMARK(groups_of_1m)->Unit(benchmark::kMillisecond);

// As `similar` asks: the eight variants against every hash of a catalogue.
void nearest_of_1m(benchmark::State& state) {
  const auto hashes = make_hashes(1'000'000);
  const std::vector<std::uint64_t> queries(hashes.begin(), hashes.begin() + 8);
  for (auto _ : state) benchmark::DoNotOptimize(vision::nearest(queries, hashes, 20, 12));
}
BENCHMARK(nearest_of_1m)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
