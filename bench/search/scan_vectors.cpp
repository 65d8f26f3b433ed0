// scan_vectors HALVES DIMENSIONS FILE: makes FILE of HALVES (rows of binary16, asset 1 the first; with bytes from a
// million rows on, as the product does) and answers a line for each line on stdin, with the seconds that it took:
//   scan THREADS PERCENT QUERY   the 50 nearest of every (100 / PERCENT)th asset, by id; QUERY: a file of floats
//   floor                        reads all halves
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/file.h"
#include "search/scan.h"

namespace {

using namespace image_engine;
using namespace image_engine::search;

// The least that any scan of this memory does.
#if defined(__x86_64__)
[[gnu::target("avx2")]]
#endif
std::uint64_t
sum_of_bytes(const std::uint16_t* halves, std::size_t count) {
#if defined(__x86_64__)
  __m256i sums[4] = {};
  const auto* at = reinterpret_cast<const __m256i*>(halves);
  constexpr std::size_t kAhead = 4096 / sizeof(__m256i);
  for (std::size_t i = 0; i + 4 <= count / 16; i += 4) {
    _mm_prefetch(at + i + kAhead, _MM_HINT_T0);
    _mm_prefetch(at + i + kAhead + 2, _MM_HINT_T0);
    for (std::size_t k = 0; k < 4; ++k)
      sums[k] = _mm256_add_epi64(sums[k], _mm256_sad_epu8(_mm256_load_si256(at + i + k), _mm256_setzero_si256()));
  }
  const __m256i sum = _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  std::uint64_t parts[4];
  std::memcpy(parts, &sum, sizeof(parts));
  return parts[0] + parts[1] + parts[2] + parts[3];
#else
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += halves[i];
  return sum;
#endif
}

template <typename F>
double seconds(F&& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Result<VectorFile> make_file(const char* halves, std::size_t dimensions, const char* path) {
  IE_TRY(const UniqueFd fd, open_regular(halves));
  IE_TRY(const MappedFile mapped, MappedFile::create(fd.get()));
  const auto* numbers = reinterpret_cast<const std::uint16_t*>(mapped.bytes().data());
  const std::size_t rows = mapped.bytes().size() / 2 / dimensions;
  return VectorFile::make(
      path, {hash128("bench"), dimensions, rows >= 1'000'000}, 1, [&](const VectorFile::Add& add) -> Status {
        for (std::size_t row = 0; row < rows; ++row)
          IE_CHECK(add(static_cast<store::AssetId>(row) + 1, {numbers + row * dimensions, dimensions}));
        return {};
      });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: scan_vectors HALVES DIMENSIONS FILE\n");
    return 2;
  }
  const std::size_t dimensions = std::stoul(argv[2]);
  const auto file = make_file(argv[1], dimensions, argv[3]);
  if (!file) {
    std::fprintf(stderr, "scan_vectors: %s\n", file.error().message.c_str());
    return 1;
  }
  std::printf("ready: %s\n", usable_kernels().front().name);
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what, query_path;
    int threads = 1, percent = 100;
    words >> what >> threads >> percent >> query_path;
    if (what == "floor") {
      std::uint64_t sum = 0;
      const double taken = seconds([&] {
        for (std::size_t number = 0; number < file->blocks(); ++number) {
          const VectorBlock block = file->block(number);
          sum += sum_of_bytes(block.halves, block.ids.size() * file->stride());
        }
      });
      std::printf("%.9f %llu\n", taken, static_cast<unsigned long long>(sum));
    } else {
      const auto bytes = read_file(query_path);
      std::vector<float> query(dimensions);
      if (!bytes || bytes->size() != dimensions * sizeof(float) || percent < 1) return 1;
      std::memcpy(query.data(), bytes->data(), bytes->size());
      store::IdSet allowed(static_cast<store::AssetId>(file->rows()) + 1);
      for (std::size_t id = 1; id <= file->rows(); id += static_cast<std::size_t>(100 / percent))
        allowed.insert(static_cast<store::AssetId>(id));
      Result<ScanResult> result;
      const double taken = seconds([&] {
        result = scan_file(*file, query, 50, percent == 100 ? nullptr : &allowed, threads, usable_kernels().front());
      });
      if (!result) return 1;
      std::printf("%.9f", taken);
      for (const Neighbour& found : result->best) std::printf(" %lld", static_cast<long long>(found.id));
      std::printf("\n");
    }
    std::fflush(stdout);
  }
  return 0;
}
