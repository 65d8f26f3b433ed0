#include "core/sha256.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace image_engine {
namespace {

constexpr std::size_t kBlock = 64;
constexpr std::size_t kLengthBytes = 8;  // at the end of the last block: the message's length in bits

// FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
alignas(16) constexpr std::uint32_t kRoundConstants[] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// FIPS 180-4, 5.3.3, in the order of sha256rnds2: F, E, B, A and H, G, D, C from the lowest lane up.
struct Registers {
  __m128i abef, cdgh;
};
Registers initial() {
  return {_mm_set_epi32(0x6a09e667, static_cast<int>(0xbb67ae85), 0x510e527f, static_cast<int>(0x9b05688c)),
          _mm_set_epi32(0x3c6ef372, static_cast<int>(0xa54ff53a), 0x1f83d9ab, 0x5be0cd19)};
}

Sha256State state_of(const Registers& registers) {
  std::array<std::uint32_t, 4> feba{}, hgdc{};
  std::memcpy(feba.data(), &registers.abef, sizeof feba);
  std::memcpy(hgdc.data(), &registers.cdgh, sizeof hgdc);
  return {feba[3], feba[2], hgdc[3], hgdc[2], feba[1], feba[0], hgdc[1], hgdc[0]};
}

// Whole blocks that lie side by side.
struct Blocks {
  const std::byte* data = nullptr;
  std::size_t count = 0;
};

// Both loops are unrolled, so that all is in registers.
template <std::size_t kStreams>
[[gnu::target("sha,sse4.1,ssse3")]] void compress(std::array<Registers*, kStreams> streams,
                                                  std::array<const std::byte*, kStreams> data, std::size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  std::array<Registers, kStreams> now;
  for (std::size_t s = 0; s < kStreams; ++s) now[s] = *streams[s];
  for (; blocks > 0; --blocks) {
    const std::array<Registers, kStreams> before = now;
    __m128i words[kStreams][4];  // the last 16 of the message schedule
#pragma GCC unroll 16
    for (std::size_t group = 0; group < 16; ++group) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(kRoundConstants) + group);
#pragma GCC unroll 2
      for (std::size_t s = 0; s < kStreams; ++s) {
        auto& w = words[s];
        __m128i& four = w[group % 4];
        if (group < 4) {
          four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data[s]) + group);
          four = _mm_shuffle_epi8(four, big_endian);
        } else {
          const __m128i &second = w[(group + 1) % 4], &third = w[(group + 2) % 4], &last = w[(group + 3) % 4];
          four = _mm_add_epi32(_mm_sha256msg1_epu32(four, second), _mm_alignr_epi8(last, third, 4));
          four = _mm_sha256msg2_epu32(four, last);
        }
        const __m128i sum = _mm_add_epi32(four, constants);
        now[s].cdgh = _mm_sha256rnds2_epu32(now[s].cdgh, now[s].abef, sum);
        now[s].abef = _mm_sha256rnds2_epu32(now[s].abef, now[s].cdgh, _mm_shuffle_epi32(sum, 0x0E));
      }
    }
    for (std::size_t s = 0; s < kStreams; ++s) {
      now[s].abef = _mm_add_epi32(now[s].abef, before[s].abef);
      now[s].cdgh = _mm_add_epi32(now[s].cdgh, before[s].cdgh);
      data[s] += kBlock;
    }
  }
  for (std::size_t s = 0; s < kStreams; ++s) *streams[s] = now[s];
}

// A sequence as blocks: those of its pieces in place; those over a border, and the padded end, in a buffer.
class BlockReader {
 public:
  explicit BlockReader(const ByteSequence& sequence) : pieces_(sequence) {
    for (const std::span<const std::byte> piece : sequence) length_ += piece.size();
  }

  // Valid until the next call; none after the last.
  Blocks next() {
    if (is_ended_) return {};
    skip_empty();
    if (piece_.size() >= kBlock) {
      const Blocks whole{piece_.data(), piece_.size() / kBlock};
      piece_ = piece_.subspan(whole.count * kBlock);
      return whole;
    }
    std::size_t filled = 0;
    for (; filled < kBlock && !piece_.empty(); skip_empty()) {
      const std::size_t count = std::min(kBlock - filled, piece_.size());
      std::memcpy(buffer_.data() + filled, piece_.data(), count);
      piece_ = piece_.subspan(count);
      filled += count;
    }
    return filled == kBlock ? Blocks{buffer_.data(), 1} : pad(filled);
  }

 private:
  void skip_empty() {
    for (; piece_.empty() && !pieces_.empty(); pieces_ = pieces_.subspan(1)) piece_ = pieces_.front();
  }

  // FIPS 180-4, 5.1.1: a one bit, zeros, the length.
  Blocks pad(std::size_t filled) {
    is_ended_ = true;
    const std::size_t blocks = filled + 1 + kLengthBytes <= kBlock ? 1 : 2;
    std::fill(buffer_.begin() + static_cast<std::ptrdiff_t>(filled), buffer_.end(), std::byte{0});
    buffer_[filled] = std::byte{0x80};
    const std::uint64_t bits = __builtin_bswap64(length_ * 8);
    std::memcpy(buffer_.data() + blocks * kBlock - kLengthBytes, &bits, sizeof bits);
    return {buffer_.data(), blocks};
  }

  std::span<const std::span<const std::byte>> pieces_;  // those after piece_
  std::span<const std::byte> piece_;                    // what is left of the present one
  std::uint64_t length_ = 0;                            // bytes of all
  std::array<std::byte, 2 * kBlock> buffer_;
  bool is_ended_ = false;
};

// One of the sequences that are hashed at present. It stays where it is: `ahead` may lie in the reader's buffer.
class Lane {
 public:
  Lane(const ByteSequence& sequence, Sha256State& into) : reader_(sequence), into_(into) {}
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  [[nodiscard]] bool is_done() const { return ahead_.count == 0; }
  [[nodiscard]] const Blocks& ahead() const { return ahead_; }
  Registers& registers() { return registers_; }
  // Those blocks have been hashed.
  void advance(std::size_t blocks) {
    ahead_.data += blocks * kBlock;
    ahead_.count -= blocks;
    if (is_done()) ahead_ = reader_.next();
    if (is_done()) into_ = state_of(registers_);
  }

 private:
  BlockReader reader_;
  Sha256State& into_;
  Registers registers_ = initial();
  Blocks ahead_ = reader_.next();
};

template <std::size_t kStreams>
void advance(const std::array<Lane*, kStreams>& lanes) {
  std::array<Registers*, kStreams> registers;
  std::array<const std::byte*, kStreams> data;
  std::size_t blocks = lanes.front()->ahead().count;
  for (std::size_t i = 0; i < kStreams; ++i) {
    registers[i] = &lanes[i]->registers();
    data[i] = lanes[i]->ahead().data;
    blocks = std::min(blocks, lanes[i]->ahead().count);
  }
  compress<kStreams>(registers, data, blocks);
  for (Lane* lane : lanes) lane->advance(blocks);
}

}  // namespace

void sha256_in_pairs(std::span<const ByteSequence> sequences, std::span<Sha256State> states) {
  std::array<std::optional<Lane>, 2> lanes;
  std::size_t begun = 0;
  while (true) {
    for (std::optional<Lane>& lane : lanes) {
      if (lane && lane->is_done()) lane.reset();
      if (lane || begun == sequences.size()) continue;
      lane.emplace(sequences[begun], states[begun]);
      ++begun;
    }
    if (lanes[0] && lanes[1])
      advance<2>({&*lanes[0], &*lanes[1]});
    else if (lanes[0] || lanes[1])
      advance<1>({lanes[0] ? &*lanes[0] : &*lanes[1]});
    else
      return;
  }
}

}  // namespace image_engine
#else
namespace image_engine {
void sha256_in_pairs(std::span<const ByteSequence>, std::span<Sha256State>) {}  // cpu_uses_sha() is false
}  // namespace image_engine
#endif
