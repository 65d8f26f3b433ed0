// Scans that this file writes bit by bit; and photos, read by JpegScan and by libjpeg.
#include "media/jpeg_scan.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/media/inputs.h"

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

// The numbers of up to `largest` bits after up to 15 zeros; `first` symbols are those with the shortest codes.
ScanCodes codes_of(unsigned restart_interval, std::vector<std::uint8_t> first) {
  std::vector<std::uint8_t> dc, ac = std::move(first);
  for (int size = 0; size < 12; ++size) dc.push_back(static_cast<std::uint8_t>(size));
  for (int size = 1; size <= 10; ++size)
    for (int run = 0; run < 16; ++run)
      if (const auto symbol = static_cast<std::uint8_t>(run << 4 | size); std::ranges::find(ac, symbol) == ac.end())
        ac.push_back(symbol);
  ScanCodes codes;
  codes.dc = {codes_for(dc)}, codes.ac = {codes_for(ac)};
  codes.components = {{0, 0}};
  codes.restart_interval = restart_interval;
  return codes;
}
ScanCodes usual_codes(unsigned restart_interval = 0) { return codes_of(restart_interval, {0x01, 0, 0x02, 0xF0}); }

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
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
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

// Flat ones, full ones, and those with gaps of any length; small and large numbers.
std::vector<Values> some_blocks(std::size_t count) {
  std::mt19937 random(3);
  std::vector<Values> blocks(count);
  for (std::size_t i = 0; i < count; ++i) {
    blocks[i][0] = static_cast<int>(random() % 2047) - 1023;
    const unsigned rarity = std::array{1U, 2U, 9U, 30U, 1000U}[i % 5], smaller = i / 5 % 10;
    for (std::size_t k = 1; k < 64; ++k)
      if (random() % rarity == 0)
        blocks[i][k] = (static_cast<int>(random() % 2047) - 1023) >> (random() % 10 | smaller);
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

// The number of blocks that are read before the first irregularity; one more than all if there is none.
std::size_t read(const ScanCodes& codes, Bytes data, const std::vector<Values>& expected) {
  auto scan = JpegScan::create(codes, data);
  if (!scan) return 0;
  CoefficientBlock block;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!scan->begin_mcu() || !scan->read(0, block)) return i;
    EXPECT_EQ(block.is_flat, std::ranges::count(expected[i].begin() + 1, expected[i].end(), 0) == 63) << i;
    for (std::size_t k = 0; k < 64; ++k)
      EXPECT_EQ(block.values[static_cast<std::size_t>(kPlaces[k])], expected[i][k]) << "block " << i << ", " << k;
    if (testing::Test::HasFailure()) return i;
  }
  return expected.size() + (scan->ends() ? 1 : 0);
}

TEST(JpegScan, ReadsTheCoefficientsThatWereWritten) {
  const auto blocks = some_blocks(3000);  // longer than what is held at once
  for (const unsigned interval : {0U, 1U, 7U, 100U})
    for (const ScanCodes& codes : {usual_codes(interval), codes_of(interval, {0xA5, 0x33, 0x81, 0xF0, 0})})
      EXPECT_EQ(read(codes, written(codes, blocks), blocks), blocks.size() + 1) << interval;
}

// A code of 16 bits with a number of 10, then as many of the shortest as the reader may take before it fills again.
TEST(JpegScan, ReadsLongCodesBetweenShortOnes) {
  std::vector<Values> blocks(400);
  for (std::size_t i = 0; i < blocks.size(); ++i)
    for (std::size_t k = 1; k < 64; ++k) blocks[i][k] = (k + i) % (2 + i % 7) == 0 ? -1023 : (k + i) % 3 == 0 ? 1 : -3;
  EXPECT_EQ(read(usual_codes(), written(usual_codes(), blocks), blocks), blocks.size() + 1);
}

TEST(JpegScan, RefusesWhatIsIrregular) {
  const auto blocks = some_blocks(300);
  const ScanCodes codes = usual_codes(10);
  const auto whole = written(codes, blocks);
  const auto is_read = [&](auto change) {
    auto data = whole;
    change(data);
    auto scan = JpegScan::create(codes, data);
    CoefficientBlock block;
    std::size_t seen = 0;
    while (seen < blocks.size() && scan->begin_mcu() && scan->read(0, block)) ++seen;
    return seen == blocks.size() && scan->ends();
  };
  EXPECT_TRUE(is_read([](auto&) {}));
  EXPECT_FALSE(is_read([](auto& data) { data.resize(data.size() - 2); })) << "no end";
  EXPECT_FALSE(is_read([](auto& data) { data.resize(data.size() / 2); })) << "cut";
  EXPECT_FALSE(is_read([](auto& data) { data.clear(); })) << "empty";
  EXPECT_FALSE(is_read([](auto& data) { data.insert(data.end() - 2, 3, std::byte{0x55}); })) << "data left over";
  EXPECT_FALSE(is_read([](auto& data) { data.end()[-1] = std::byte{0xC4}; })) << "another marker at the end";
  EXPECT_FALSE(is_read([](auto& data) {
    for (std::size_t i = 0; i + 1 < data.size(); ++i)
      if (data[i] == std::byte{0xFF} && data[i + 1] == std::byte{0xD3}) data[i + 1] = std::byte{0xD4};
  })) << "restart markers out of order";
  EXPECT_FALSE(is_read([](auto& data) {
    data[data.size() / 3] = std::byte{0xFF}, data[data.size() / 3 + 1] = std::byte{0xDA};
  })) << "a marker within the data";
}

TEST(JpegScan, RefusesBlocksThatAreTooLong) {
  const ScanCodes codes = usual_codes();
  for (const int zeros : {60, 61, 62, 63}) {  // before a coefficient, of the 63 that there are
    ScanWriter writer(codes);
    writer.write_number(codes.dc[0], 0, 5);
    for (int i = 0; i < zeros / 16; ++i) writer.write_symbol(codes.ac[0], 0xF0);
    writer.write_number(codes.ac[0], static_cast<unsigned>(zeros % 16), 9);
    if (zeros < 62) writer.write_symbol(codes.ac[0], 0);
    writer.write_marker(0xD9);
    auto scan = JpegScan::create(codes, writer.bytes());
    CoefficientBlock block;
    ASSERT_TRUE(scan && scan->begin_mcu());
    EXPECT_EQ(scan->read(0, block) && scan->ends(), zeros < 63) << zeros;
  }
}

TEST(JpegScan, RefusesInvalidCodes) {
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
  ScanCodes absent = codes;
  absent.components[0].ac = 1;
  EXPECT_FALSE(JpegScan::create(absent, ones));
}

// Bytes behind the scan's data leave the file to libjpeg, which skips them.
std::vector<std::byte> for_libjpeg(std::vector<std::byte> jpeg) {
  jpeg.insert(jpeg.end() - 2, 3, std::byte{0x55});
  return jpeg;
}

// What libjpeg makes of a file, without and with reading its codes.
void expect_the_same(const std::vector<std::byte>& jpeg, std::uint32_t edge, const std::string& name) {
  struct Read {
    Decoded decoded;
    LumaStatistics luma;
  };
  const auto read = [&](const std::vector<std::byte>& file) {
    LumaAccumulator luma;
    auto decoded = decode(file, {.max_edge = edge, .luma = &luma});
    EXPECT_TRUE(decoded) << name;
    return decoded ? Read{std::move(*decoded), luma.finish()} : Read{};
  };
  const Read ours = read(jpeg), libjpegs = read(for_libjpeg(jpeg));
  EXPECT_EQ(ours.decoded.image.pixels, libjpegs.decoded.image.pixels) << name;
  EXPECT_EQ(ours.luma, libjpegs.luma) << name;
  EXPECT_FALSE(ours.decoded.partial || libjpegs.decoded.partial) << name;
  EXPECT_EQ(ours.decoded.warnings, libjpegs.decoded.warnings) << name;
}

TEST(JpegScan, PicturesAreThoseOfLibjpeg) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto& files = manifest()["plain_jpegs"];
  ASSERT_GE(files.size(), 100U);
  for (const std::string file : files)
    for (const std::uint32_t edge : {10U, 20U}) expect_the_same(load(file), edge, file);
}

}  // namespace
}  // namespace image_engine::media
