#include "core/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "core/cpu.h"
#include "core/sha256.h"

namespace image_engine {
namespace {

Hash128 canonical(XXH128_hash_t hash) {
  XXH128_canonical_t big_endian;
  XXH128_canonicalFromHash(&big_endian, hash);
  Hash128 result;
  std::memcpy(result.bytes.data(), big_endian.digest, result.bytes.size());
  return result;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string Hash128::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(32);
  for (std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<Hash128> Hash128::from_hex(std::string_view hex) {
  Hash128 result;
  if (hex.size() != 2 * result.bytes.size()) return std::nullopt;
  for (size_t i = 0; i < result.bytes.size(); ++i) {
    const int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    result.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return result;
}

namespace {

// Ignores the machine's openssl.cnf, which may name missing providers. Throws when memory is short.
const EVP_MD* sha256() {
  static const EVP_MD* const kAlgorithm = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    return EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  }();
  if (kAlgorithm == nullptr) throw std::bad_alloc();
  return kAlgorithm;
}

}  // namespace

struct ContentHasher::State {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

ContentHasher::ContentHasher() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex2(state_->context.get(), sha256(), nullptr) != 1) throw std::bad_alloc();
}
ContentHasher::~ContentHasher() = default;
ContentHasher::ContentHasher(ContentHasher&&) noexcept = default;
ContentHasher& ContentHasher::operator=(ContentHasher&&) noexcept = default;

void ContentHasher::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1) throw std::bad_alloc();
}

Hash128 ContentHasher::digest() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> whole{};
  if (EVP_DigestFinal_ex(state_->context.get(), whole.data(), nullptr) != 1) throw std::bad_alloc();
  Hash128 half;
  std::copy_n(whole.begin(), half.bytes.size(), half.bytes.begin());
  return half;
}

Hash128 content_hash(std::span<const std::byte> bytes) {
  ContentHasher hasher;
  hasher.update(bytes);
  return hasher.digest();
}

namespace {

Hash128 first_half(const Sha256State& state) {
  Hash128 half;
  for (size_t i = 0; i < half.bytes.size(); ++i)
    half.bytes[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - i % 4 * 8));
  return half;
}

// What is left of a sequence.
struct Remainder {
  std::span<const std::span<const std::byte>> pieces;
  ContentHasher hasher;
  size_t at = 0;  // of the first piece

  void take(size_t most) {
    while (most > 0 && !pieces.empty()) {
      const std::span<const std::byte> part = pieces.front().subspan(at, std::min(most, pieces.front().size() - at));
      hasher.update(part);
      most -= part.size();
      at += part.size();
      if (at < pieces.front().size()) continue;
      pieces = pieces.subspan(1);
      at = 0;
    }
  }
};

std::vector<Hash128> hash_in_turns(std::span<const ByteSequence> sequences) {
  constexpr size_t kTurn = size_t{16} << 10;  // bytes: half of a CPU's first cache
  std::vector<Remainder> remainders;
  for (const ByteSequence& sequence : sequences) remainders.push_back({.pieces = sequence});
  const auto is_left = [](const Remainder& remainder) { return !remainder.pieces.empty(); };
  while (std::ranges::any_of(remainders, is_left))
    for (Remainder& remainder : remainders) remainder.take(kTurn);
  std::vector<Hash128> hashes;
  for (Remainder& remainder : remainders) hashes.push_back(remainder.hasher.digest());
  return hashes;
}

}  // namespace

std::vector<Hash128> hash_side_by_side(std::span<const ByteSequence> sequences) {
  if (!cpu_uses_sha()) return hash_in_turns(sequences);
  std::vector<Sha256State> states(sequences.size());
  sha256_in_pairs(sequences, states);
  std::vector<Hash128> hashes;
  for (const Sha256State& state : states) hashes.push_back(first_half(state));
  return hashes;
}

struct Hasher::State {
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> xxh{XXH3_createState()};
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->xxh.get()); }
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh.get(), bytes.data(), bytes.size());
}
Hash128 Hasher::digest() const { return canonical(XXH3_128bits_digest(state_->xxh.get())); }

Hash128 hash128(std::span<const std::byte> bytes) { return canonical(XXH3_128bits(bytes.data(), bytes.size())); }
Hash128 hash128(std::string_view bytes) { return canonical(XXH3_128bits(bytes.data(), bytes.size())); }

}  // namespace image_engine
