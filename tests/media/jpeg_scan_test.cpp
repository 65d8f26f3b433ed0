// Scans that this file writes bit by bit, and blocks whose samples are computed by the definition of the transform.
#include "media/jpeg_scan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "media/block_pixels.h"
#include "media/ycc_planes.h"

namespace image_engine::media {
namespace {

using Values = std::array<int, 64>;  // in zigzag order

// Fifteen short codes, the rest as long as they come: 16 bits.
HuffmanCodes codes_for(const std::vector<std::uint8_t>& symbols) {
  HuffmanCodes codes;
  std::size_t used = 0;
  for (unsigned length = 2; length <= 16 && used < symbols.size(); ++length) {
    const std::size_t count = length < 16 ? 1 : symbols.size() - used;
    codes.counts[length - 1] = static_cast<std::uint8_t>(count);
    for (std::size_t i = 0; i < count; ++i, ++used) codes.symbols[used] = symbols[used];
  }
  return codes;
}

struct Code {
  unsigned bits = 0, length = 0;
};
Code code_of(const HuffmanCodes& codes, unsigned symbol) {
  unsigned code = 0;
  std::size_t used = 0;
  for (unsigned length = 1; length <= 16; ++length, code <<= 1U)
    for (unsigned i = 0; i < codes.counts[length - 1]; ++i, ++code)
      if (codes.symbols[used++] == symbol) return {code, length};
  ADD_FAILURE() << "no code for " << symbol;
  return {};
}

ScanCodes usual_codes(unsigned restart_interval = 0) {
  std::vector<std::uint8_t> dc, ac{0, 0xF0};
  for (int size = 0; size < 12; ++size) dc.push_back(static_cast<std::uint8_t>(size));
  for (int size = 1; size <= 10; ++size)
    for (int run = 0; run < 16; ++run) ac.push_back(static_cast<std::uint8_t>(run << 4 | size));
  ScanCodes codes;
  codes.dc = {codes_for(dc)}, codes.ac = {codes_for(ac)};
  codes.components = {{0, 0}};
  codes.restart_interval = restart_interval;
  return codes;
}

class ScanWriter {
 public:
  explicit ScanWriter(const ScanCodes& codes) : codes_(codes) {}

  void write(const Values& values) {
    write_number(codes_.dc[0], 0, values[0] - before_);
    before_ = values[0];
    unsigned run = 0;
    for (std::size_t k = 1; k < 64; ++k) {
      if (values[k] == 0) {
        ++run;
        continue;
      }
      for (; run > 15; run -= 16) write_symbol(codes_.ac[0], 0xF0);
      write_number(codes_.ac[0], run, values[k]);
      run = 0;
    }
    if (run > 0) write_symbol(codes_.ac[0], 0);
  }
  void write_marker(std::uint8_t marker) {
    while (count_ % 8 != 0) write_bits(1, 1);
    bytes_.push_back(std::byte{0xFF}), bytes_.push_back(std::byte{marker});
    before_ = 0;
  }
  void write_bits(unsigned bits, unsigned length) {
    while (length-- > 0) {
      byte_ = byte_ << 1 | (bits >> length & 1U);
      if (++count_ % 8 != 0) continue;
      bytes_.push_back(static_cast<std::byte>(byte_));
      if ((byte_ & 255U) == 255U) bytes_.push_back(std::byte{0});
    }
  }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  void write_symbol(const HuffmanCodes& codes, unsigned symbol) {
    const Code code = code_of(codes, symbol);
    write_bits(code.bits, code.length);
  }
  void write_number(const HuffmanCodes& codes, unsigned run, int value) {
    unsigned size = 0;
    while (std::abs(value) >> size != 0) ++size;
    write_symbol(codes, run << 4 | size);
    write_bits(static_cast<unsigned>(value < 0 ? value + (1 << size) - 1 : value), size);
  }

  ScanCodes codes_;
  std::vector<std::byte> bytes_;
  unsigned byte_ = 0;
  std::size_t count_ = 0;
  int before_ = 0;
};

// As in T.81, figure A.6.
constexpr std::array<int, 64> kPlaces = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                         12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                         35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                         58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// Flat ones, full ones, and those with gaps of any length.
std::vector<Values> some_blocks(std::size_t count) {
  std::mt19937 random(3);
  std::vector<Values> blocks(count);
  for (std::size_t i = 0; i < count; ++i) {
    blocks[i][0] = static_cast<int>(random() % 2047) - 1023;
    const unsigned rarity = std::array{1U, 2U, 9U, 30U, 1000U}[i % 5];
    for (std::size_t k = 1; k < 64; ++k)
      if (random() % rarity == 0) blocks[i][k] = (static_cast<int>(random() % 2047) - 1023) >> random() % 10;
  }
  return blocks;
}

std::vector<std::byte> written(const ScanCodes& codes, const std::vector<Values>& blocks) {
  ScanWriter writer(codes);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (codes.restart_interval > 0 && i > 0 && i % codes.restart_interval == 0)
      writer.write_marker(static_cast<std::uint8_t>(0xD0 + (i / codes.restart_interval - 1) % 8));
    writer.write(blocks[i]);
  }
  writer.write_marker(0xD9);
  return writer.bytes();
}

// The number of blocks that are read before something is not as it should be; all and one more if nothing is.
std::size_t read(const ScanCodes& codes, Bytes data, const std::vector<Values>& expected) {
  auto scan = JpegScan::create(codes, data);
  if (!scan) return 0;
  CoefficientBlock block;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!scan->begin_mcu() || !scan->read(0, block)) return i;
    bool is_flat = true;
    for (std::size_t k = 0; k < 64; ++k) {
      EXPECT_EQ(block.values[static_cast<std::size_t>(kPlaces[k])], expected[i][k]) << "block " << i << ", " << k;
      is_flat &= k == 0 || expected[i][k] == 0;
    }
    EXPECT_EQ(block.is_flat, is_flat) << i;
    if (testing::Test::HasFailure()) return i;
  }
  return expected.size() + (scan->ends() ? 1 : 0);
}

TEST(JpegScan, ReadsTheCoefficientsThatWereWritten) {
  const auto blocks = some_blocks(2000);  // longer than what is held at once
  for (const unsigned interval : {0U, 1U, 7U, 100U}) {
    const ScanCodes codes = usual_codes(interval);
    EXPECT_EQ(read(codes, written(codes, blocks), blocks), blocks.size() + 1) << interval;
  }
}

TEST(JpegScan, RefusesWhatIsNotAsItShouldBe) {
  const auto blocks = some_blocks(300);
  const ScanCodes codes = usual_codes(10);
  const auto whole = written(codes, blocks);
  const auto changed = [&](auto change) {
    auto data = whole;
    change(data);
    std::size_t seen = 0;
    auto scan = JpegScan::create(codes, data);
    CoefficientBlock block;
    while (seen < blocks.size() && scan->begin_mcu() && scan->read(0, block)) ++seen;
    return seen == blocks.size() && scan->ends();
  };
  EXPECT_TRUE(changed([](auto&) {}));
  EXPECT_FALSE(changed([](auto& data) { data.resize(data.size() - 2); })) << "no end";
  EXPECT_FALSE(changed([](auto& data) { data.resize(data.size() / 2); })) << "cut";
  EXPECT_FALSE(changed([](auto& data) { data.clear(); })) << "empty";
  EXPECT_FALSE(changed([](auto& data) { data.insert(data.end() - 2, 3, std::byte{0x55}); })) << "data left over";
  EXPECT_FALSE(changed([](auto& data) { data.end()[-1] = std::byte{0xC4}; })) << "another marker at the end";
  EXPECT_FALSE(changed([](auto& data) {
    for (std::size_t i = 0; i + 1 < data.size(); ++i)
      if (data[i] == std::byte{0xFF} && data[i + 1] == std::byte{0xD3}) data[i + 1] = std::byte{0xD4};
  })) << "restart markers out of order";
  EXPECT_FALSE(changed([](auto& data) {
    data[data.size() / 3] = std::byte{0xFF}, data[data.size() / 3 + 1] = std::byte{0xDA};
  })) << "a marker within the data";
}

TEST(JpegScan, RefusesCodesThatAreNone) {
  const ScanCodes codes = usual_codes();
  const std::vector<std::byte> ones(200, std::byte{0xFE});
  CoefficientBlock block;
  auto scan = JpegScan::create(codes, ones);
  ASSERT_TRUE(scan && scan->begin_mcu());
  bool is_read = true;
  for (int i = 0; i < 50 && is_read; ++i) is_read = scan->read(0, block) && scan->begin_mcu();
  EXPECT_FALSE(is_read);

  ScanCodes crowded = codes;
  crowded.ac[0].counts[0] = 3;  // of one bit there are two
  EXPECT_FALSE(JpegScan::create(crowded, ones));
  ScanCodes odd = codes;
  odd.ac[0].symbols[3] = 0x20;  // a run without a number
  EXPECT_FALSE(JpegScan::create(odd, ones));
}

std::array<double, 64> by_definition(const CoefficientBlock& block, const std::array<std::uint16_t, 64>& quantizers) {
  std::array<double, 64> samples{};
  const auto share = [](std::size_t u, std::size_t x) {
    const double angle = static_cast<double>((2 * x + 1) * u) * std::numbers::pi / 16;
    return (u == 0 ? std::sqrt(0.5) : 1) / 2 * std::cos(angle);
  };
  for (std::size_t y = 0; y < 8; ++y)
    for (std::size_t x = 0; x < 8; ++x) {
      double sum = 128;
      for (std::size_t v = 0; v < 8; ++v)
        for (std::size_t u = 0; u < 8; ++u)
          sum += share(u, x) * share(v, y) * block.values[v * 8 + u] * quantizers[v * 8 + u];
      samples[y * 8 + x] = sum;
    }
  return samples;
}

TEST(BlockTransform, IsTheDefinition) {
  std::mt19937 random(4);
  std::array<std::uint16_t, 64> quantizers{};
  for (auto& quantizer : quantizers) quantizer = static_cast<std::uint16_t>(1 + random() % 20);
  const BlockTransform transform(quantizers);
  for (int round = 0; round < 500; ++round) {
    CoefficientBlock block;
    block.is_flat = round % 10 == 0;
    block.values[0] = static_cast<std::int16_t>(static_cast<int>(random() % 100) - 50);
    for (std::size_t i = 1; i < 64 && !block.is_flat; ++i)
      if (random() % 4 == 0) block.values[i] = static_cast<std::int16_t>(static_cast<int>(random() % 21) - 10);
    const auto expected = by_definition(block, quantizers);
    std::array<std::uint8_t, 8 * 10> all{};
    std::array<std::uint8_t, 4 * 10> means{};
    transform.write_all(block, all.data(), 10);
    transform.write_means(block, means.data(), 10);
    bool is_clipped = false;
    for (std::size_t y = 0; y < 8; ++y)
      for (std::size_t x = 0; x < 8; ++x) {
        const double sample = expected[y * 8 + x];
        is_clipped |= sample < 0 || sample > 255;
        ASSERT_NEAR(all[y * 10 + x], std::clamp(sample, 0.0, 255.0), 0.502) << round;
      }
    for (std::size_t y = 0; y < 4 && !is_clipped; ++y)
      for (std::size_t x = 0; x < 4; ++x) {
        const std::size_t at = y * 16 + x * 2;
        const double mean = (expected[at] + expected[at + 1] + expected[at + 8] + expected[at + 9]) / 4;
        ASSERT_NEAR(means[y * 10 + x], mean, 0.502) << round;
      }
  }
}

TEST(YccPlanes, AreInterleaved) {
  std::array<std::uint8_t, 100> a{}, b{}, c{};
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<std::uint8_t>(i), b[i] = static_cast<std::uint8_t>(i + 100),
    c[i] = static_cast<std::uint8_t>(255 - i);
  for (const std::size_t count : {0U, 1U, 15U, 16U, 17U, 64U, 99U}) {
    std::vector<std::uint8_t> out(count * 3 + 1, 7);
    interleave(a.data(), b.data(), c.data(), out.data(), count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(out[i * 3], a[i]) << count;
      ASSERT_EQ(out[i * 3 + 1], b[i]) << count;
      ASSERT_EQ(out[i * 3 + 2], c[i]) << count;
    }
    EXPECT_EQ(out.back(), 7) << count;
  }
}

}  // namespace
}  // namespace image_engine::media
