// What the wall costs: a 12-MP JPEG decoded by a worker process, and in this one, in turns.
// Counters: medians of both in milliseconds, and `overhead` = their ratio less one, in percent.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "core/file.h"
#include "media/media.h"
#include "worker/decode_file.h"

namespace {

using namespace image_engine;
using Clock = std::chrono::steady_clock;

constexpr char kPhoto[] = IE_SAMPLES "/12mp/DSC00001.jpg";

// One byte of every page, as any consumer would at least: pages of shared memory are mapped when first read.
std::uint64_t touch(std::span<const std::uint8_t> pixels) {
  std::uint64_t sum = 0;
  for (size_t at = 0; at < pixels.size(); at += 4096) sum += pixels[at];
  return sum;
}

Result<std::uint64_t> by_worker(worker::Pool& pool, std::uint32_t edge) {
  IE_TRY(const worker::DecodedFile decoded, worker::decode_file(pool, kPhoto, {.max_edge = edge}));
  return touch(decoded.pixels().pixels);
}

Result<std::uint64_t> in_process(std::uint32_t edge) {
  IE_TRY(const UniqueFd file, open_regular(kPhoto));
  IE_TRY(const MappedFile bytes, MappedFile::create(file.get()));
  media::DecodeOptions options;
  options.max_edge = edge;
  IE_TRY(const media::Decoded decoded, media::decode(bytes.bytes(), options));
  return touch(decoded.image.pixels);
}

template <typename Work>
double timed(std::vector<double>& seconds, Result<std::uint64_t>& sum, Work work) {
  const auto begin = Clock::now();
  sum = work();
  seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  return seconds.back();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void decode(benchmark::State& state) {
  const auto edge = static_cast<std::uint32_t>(state.range(0));
  auto pool = worker::Pool::create({});
  Status ready = media::init(1);
  Result<std::uint64_t> walled = 0, open = 0;
  // Both warm: the worker started, libraries and the file in memory.
  if (pool) walled = by_worker(**pool, edge), open = in_process(edge);
  if (!pool || !ready || !walled || !open) {
    state.SkipWithError("cannot decode the sample photo: run tools/setup.sh and build image-engine-worker");
    return;
  }
  std::vector<double> there, here;
  for ([[maybe_unused]] auto step : state) {
    state.SetIterationTime(timed(there, walled, [&] { return by_worker(**pool, edge); }));
    timed(here, open, [&] { return in_process(edge); });
    if (!walled || !open || *walled != *open) {
      state.SkipWithError("the two decoded different pixels");
      return;
    }
  }
  state.counters["worker_ms"] = median(there) * 1000;
  state.counters["in_process_ms"] = median(here) * 1000;
  state.counters["overhead_percent"] = (median(there) / median(here) - 1) * 100;
}
BENCHMARK(decode)
    ->ArgName("edge")
    ->Arg(256)
    ->Arg(640)
    ->Arg(0)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->MinTime(3);

// Hash and decode of one photo in two requests and in one, in turns; medians.
void hash_and_decode(benchmark::State& state) {
  const auto edge = static_cast<std::uint32_t>(state.range(0));
  auto pool = worker::Pool::create({});
  constexpr std::uint32_t kBoth = worker::kHash | worker::kDecode;
  Result<std::uint64_t> sum = 0;
  const auto ask = [&](bool at_once) -> Result<std::uint64_t> {
    IE_TRY(worker::DecodedFile file,
           worker::decode_file(**pool, kPhoto, {.operations = at_once ? kBoth : worker::kHash, .max_edge = edge}));
    if (!at_once) IE_CHECK(file.decode_again({.max_edge = edge}));
    return touch(file.pixels().pixels);
  };
  if (!pool || !ask(true)) {
    state.SkipWithError("cannot decode the sample photo: run tools/setup.sh and build image-engine-worker");
    return;
  }
  std::vector<double> two, one;
  for ([[maybe_unused]] auto step : state) {
    timed(two, sum, [&] { return ask(false); });
    state.SetIterationTime(timed(one, sum, [&] { return ask(true); }));
  }
  state.counters["two_requests_ms"] = median(two) * 1000;
  state.counters["one_request_ms"] = median(one) * 1000;
}
BENCHMARK(hash_and_decode)
    ->ArgName("edge")
    ->Arg(256)
    ->Arg(640)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->MinTime(3);

}  // namespace

BENCHMARK_MAIN();
