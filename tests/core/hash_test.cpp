// SHA-256 of several sequences at once; ctest runs it with the CPU's SHA extensions and with OpenSSL alone.
#include "core/hash.h"

#include <gtest/gtest.h>

#include <random>

namespace image_engine {
namespace {

using Bytes = std::span<const std::byte>;

// Numerical Recipes' generator, its highest byte.
std::vector<std::byte> noise() {
  std::vector<std::byte> bytes(4096);
  std::uint32_t value = 1;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>((value = value * 1664525U + 1013904223U) >> 24);
  return bytes;
}

Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// The examples of FIPS 180-4 (NIST's "SHA-256" example file and the long message of its validation system) beside each
// other, of very different lengths.
TEST(SideBySide, ExamplesOfTheStandard) {
  const std::string million(1'000'000, 'a');
  const ByteSequence sequences[] = {{bytes_of(million)},
                                    {bytes_of("abc")},
                                    {},
                                    {bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")},
                                    {bytes_of(million)}};
  const std::vector<Hash128> hashes = hash_side_by_side(sequences);
  ASSERT_EQ(hashes.size(), 5U);
  EXPECT_EQ(hashes[0].hex(), "cdc76e5c9914fb9281a1c7e284d73e67");
  EXPECT_EQ(hashes[1].hex(), "ba7816bf8f01cfea414140de5dae2223");
  EXPECT_EQ(hashes[2].hex(), "e3b0c44298fc1c149afbf4c8996fb924");
  EXPECT_EQ(hashes[3].hex(), "248d6a61d20638b8e5c026930c3e6039");
  EXPECT_EQ(hashes[4], hashes[0]);
  EXPECT_TRUE(hash_side_by_side({}).empty());
}

// Python: the first 32 digits of hashlib.sha256() of every length from 0 to 299, joined, and the same of that text.
TEST(SideBySide, EveryLengthAroundTheBlocks) {
  const std::vector<std::byte> bytes = noise();
  std::vector<ByteSequence> sequences;
  for (std::size_t length = 0; length < 300; ++length) sequences.push_back({Bytes(bytes).subspan(length % 61, length)});
  std::string text;
  for (const Hash128& hash : hash_side_by_side(sequences)) text += hash.hex();
  EXPECT_EQ(content_hash(bytes_of(text)).hex(), "266ef00e5c8ecd353a380a7ebbe01cec");
  text.clear();
  for (const ByteSequence& sequence : sequences) text += hash_side_by_side({&sequence, 1}).front().hex();
  EXPECT_EQ(content_hash(bytes_of(text)).hex(), "266ef00e5c8ecd353a380a7ebbe01cec") << "one at a time";
}

// Python: hashlib.sha256() of the 4,096 bytes.
TEST(SideBySide, PiecesCountAsOne) {
  const std::vector<std::byte> bytes = noise();
  std::mt19937 random(1);
  for (int turn = 0; turn < 200; ++turn) {
    std::vector<ByteSequence> sequences(1 + random() % 4);
    for (ByteSequence& sequence : sequences) {
      const std::size_t longest = std::size_t{1} << random() % 13;
      for (Bytes rest = bytes; !rest.empty();) {
        const std::size_t length = std::min<std::size_t>(rest.size(), random() % (longest + 1));
        sequence.push_back(rest.first(length));
        rest = rest.subspan(length);
      }
      sequence.push_back({});
    }
    for (const Hash128& hash : hash_side_by_side(sequences))
      ASSERT_EQ(hash.hex(), "28c74f56d2c959955f64ec0e740be7d0") << "turn " << turn;
  }
}

}  // namespace
}  // namespace image_engine
