// Two hashes of 128 bits: the first half of SHA-256 names the user's files; XXH3-128 names and checks the program's own
// data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace image_engine {

// 128 bits in canonical (big-endian) order. All zero means none.
struct Hash128 {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Hash128&) const = default;
  [[nodiscard]] bool empty() const { return *this == Hash128{}; }
  // 32 lower-case hexadecimal digits.
  [[nodiscard]] std::string hex() const;
  static std::optional<Hash128> from_hex(std::string_view hex);
};

// SHA-256 (FIPS 180-4) by OpenSSL, its first 128 bits: names files and assets. Unlike with XXH3, nobody can make
// another file with the same name.
class ContentHasher {
 public:
  ContentHasher();
  ~ContentHasher();
  ContentHasher(ContentHasher&&) noexcept;
  ContentHasher& operator=(ContentHasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  // Call once.
  [[nodiscard]] Hash128 digest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Hash128 content_hash(std::span<const std::byte> bytes);

// Bytes in pieces, hashed as if they were joined.
using ByteSequence = std::vector<std::span<const std::byte>>;

// content_hash() of each sequence, in their order. Sequences that share most of their bytes cost little more than one:
// they are hashed side by side, so that the bytes come from memory once, and two at a time by the CPU's SHA extensions
// where cpu_uses_sha(), else by OpenSSL. Thread-safe.
std::vector<Hash128> hash_side_by_side(std::span<const ByteSequence> sequences);

// XXH3-128 (xxHash 0.8 specification): for keys and checksums of trusted data.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  [[nodiscard]] Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Hash128 hash128(std::span<const std::byte> bytes);
Hash128 hash128(std::string_view bytes);

}  // namespace image_engine
