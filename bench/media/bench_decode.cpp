// One thread's time for a photo's headers, hashes and pixels. The picture is the file that IE_BENCH_PICTURE names, else
// a 12-megapixel JPEG made here. bench/decode.py runs this beside Pillow.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdlib>

#include "core/file.h"
#include "media/media.h"

namespace image_engine {
namespace {

std::vector<std::byte> make_picture() {
  Image image{4032, 3024, {}};
  image.pixels.resize(image.height * image.row_bytes());
  std::uint32_t noise = 1;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    noise = noise * 1664525U + 1013904223U;  // Numerical Recipes' generator: grain, so that the size is a camera's
    const double wave = 100 * std::sin(static_cast<double>(i % image.row_bytes()) / 400) + 120;
    image.pixels[i] = static_cast<std::uint8_t>(wave + static_cast<double>(noise >> 27));
  }
  auto jpeg = media::encode_jpeg({image.width, image.height, image.pixels}, 90);
  return jpeg ? std::move(*jpeg) : std::vector<std::byte>();
}

media::Bytes picture() {
  static const auto bytes = [] {
    const char* path = std::getenv("IE_BENCH_PICTURE");
    if (!path) return make_picture();
    const auto text = read_file(path).value_or(std::string());
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return std::vector<std::byte>(begin, begin + text.size());
  }();
  return bytes;
}

void metadata(benchmark::State& state) {
  const auto file = picture();
  for (auto _ : state)
    if (!media::read_metadata(file, {})) return state.SkipWithError("cannot be read");
}
BENCHMARK(metadata)->Unit(benchmark::kMicrosecond);

void hashes(benchmark::State& state) {
  const auto file = picture();
  for (auto _ : state) benchmark::DoNotOptimize(media::content_hashes(file));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(file.size()));
}
BENCHMARK(hashes)->Unit(benchmark::kMillisecond);

void decode(benchmark::State& state) {
  const auto file = picture();
  const media::DecodeOptions options{.max_edge = static_cast<std::uint32_t>(state.range(0))};
  for (auto _ : state)
    if (!media::decode(file, options)) return state.SkipWithError("cannot be decoded");
}
BENCHMARK(decode)->Arg(256)->Arg(640)->Arg(1024)->Arg(0)->Unit(benchmark::kMillisecond);

// As for the quality of a photo: with the statistics of luma.
void decode_and_measure(benchmark::State& state) {
  const auto file = picture();
  LumaAccumulator luma;
  const media::DecodeOptions options{.max_edge = static_cast<std::uint32_t>(state.range(0)), .luma = &luma};
  for (auto _ : state) {
    if (!media::decode(file, options)) return state.SkipWithError("cannot be decoded");
    benchmark::DoNotOptimize(luma.finish());
  }
}
BENCHMARK(decode_and_measure)->Arg(640)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace image_engine

int main(int argc, char** argv) {
  if (!image_engine::media::init(1)) return 1;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
