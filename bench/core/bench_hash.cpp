// Two SHA-256 of a photo, of all its bytes and of those after 20,000 (a header's length): one after the other by
// OpenSSL's EVP, and side by side. IMAGE_ENGINE_CPU=baseline: side by side by OpenSSL. CPU time.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <random>

#include "core/hash.h"

namespace {

using namespace image_engine;

constexpr std::size_t kHeader = 20'000;

std::vector<std::byte> make_bytes(const benchmark::State& state) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

void by_evp(benchmark::State& state) {
  const std::vector<std::byte> bytes = make_bytes(state);
  unsigned char digest[EVP_MAX_MD_SIZE];
  for (auto _ : state)
    for (const std::size_t skipped : {std::size_t{0}, kHeader})
      benchmark::DoNotOptimize(
          EVP_Digest(bytes.data() + skipped, bytes.size() - skipped, digest, nullptr, EVP_sha256(), nullptr));
}

void side_by_side(benchmark::State& state) {
  const std::vector<std::byte> bytes = make_bytes(state);
  const ByteSequence sequences[] = {{bytes}, {std::span(bytes).subspan(kHeader)}};
  for (auto _ : state) benchmark::DoNotOptimize(hash_side_by_side(sequences));
}

BENCHMARK(by_evp)->Arg(2'900'000)->Unit(benchmark::kMillisecond);
BENCHMARK(side_by_side)->Arg(2'900'000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
