#include "benchmark/synthetic_photos.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <numbers>
#include <span>
#include <string_view>
#include <system_error>

#include "core/file.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/parallel.h"

namespace image_engine::benchmark {
namespace {

// What catalogue and thumbnail of one photo take, bytes.
constexpr std::uint64_t kAnalysisBytes = 60'000;

// The tables of JPEG's Annex K for luma, which serve for the colours, too.
constexpr std::array<std::uint8_t, 16> kDcCounts = {0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0};
constexpr std::array<std::uint8_t, 12> kDcValues = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
constexpr std::array<std::uint8_t, 16> kAcCounts = {0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125};
constexpr std::array<std::uint8_t, 162> kAcValues = {
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa};

constexpr int kDcStep = 4;       // the quantiser of a block's mean; the others grow with the frequency
constexpr int kBlocksOfMcu = 6;  // 2 × 2 of luma, one of each colour
constexpr int kLevels = 64;      // of the stock, from flat to full of detail
constexpr int kBlocksOfLevel = 64;

// SplitMix64.
struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    std::uint64_t value = state += 0x9E3779B97F4A7C15ULL;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // 0…1
};

struct Code {
  std::uint32_t bits = 0, length = 0;
};

template <std::size_t Count>
std::array<Code, 256> codes_of(const std::array<std::uint8_t, 16>& counts,
                               const std::array<std::uint8_t, Count>& values) {
  std::array<Code, 256> codes{};
  std::uint32_t code = 0;
  std::size_t next = 0;
  for (std::uint32_t length = 1; length <= 16; ++length, code <<= 1)
    for (int i = 0; i < counts[length - 1]; ++i) codes[values[next++]] = {code++, length};
  return codes;
}

// Bits, the first one highest, without JPEG's stuffing.
class BitWriter {
 public:
  void put(std::uint32_t bits, std::uint32_t length) {  // at most 32
    pending_ = pending_ << length | bits;
    count_ += length;
    if (count_ < 32) return;
    count_ -= 32;
    const std::uint32_t word = __builtin_bswap32(static_cast<std::uint32_t>(pending_ >> count_));
    if (used_ + sizeof word > bytes_.size()) bytes_.resize(2 * bytes_.size() + kMostSyntheticBytes);
    std::memcpy(bytes_.data() + used_, &word, sizeof word);
    used_ += sizeof word;
  }
  // Fills the last byte with ones.
  std::vector<std::uint8_t> finish() {
    while (count_ % 8 != 0) put(1, 1);
    bytes_.resize(used_);
    for (; count_ > 0; count_ -= 8) bytes_.push_back(static_cast<std::uint8_t>(pending_ >> (count_ - 8)));
    return std::move(bytes_);
  }

 private:
  std::uint64_t pending_ = 0;
  std::uint32_t count_ = 0;
  std::vector<std::uint8_t> bytes_;
  std::size_t used_ = 0;  // of bytes_, which finish() cuts to it
};

// A value as JPEG codes it: the code of (zeros before, its length), then its bits.
Code value_bits(int value) {
  const auto length = static_cast<std::uint32_t>(std::bit_width(static_cast<unsigned>(std::abs(value))));
  const int bits = value < 0 ? value + (1 << length) - 1 : value;
  return {static_cast<std::uint32_t>(bits), length};
}

// The coded coefficients of a block but the first.
using BlockBits = std::vector<Code>;

// Blocks of each level of detail, with their coefficients already coded.
class Stock {
 public:
  Stock() {
    Random random{2020};
    for (int level = 0; level < kLevels; ++level)
      for (int i = 0; i < kBlocksOfLevel; ++i) blocks_.push_back(make(1.75 * (level + 1) / kLevels, random));
  }
  [[nodiscard]] const BlockBits& block(int level, std::uint64_t number) const {
    return blocks_[static_cast<std::size_t>(std::clamp(level, 0, kLevels - 1) * kBlocksOfLevel) +
                   number % kBlocksOfLevel];
  }
  [[nodiscard]] Code dc(std::uint32_t length) const { return dc_[length]; }

 private:
  // `detail`: the share of coefficients that are not 0, before it falls with the frequency.
  BlockBits make(double detail, Random& random) {
    BlockBits bits;
    int zeros = 0;
    for (int k = 1; k < 64; ++k) {
      const double share = std::min(detail * std::exp(-k / 24.0), 0.95);
      if (random.unit() >= share) {
        ++zeros;
        continue;
      }
      for (; zeros > 15; zeros -= 16) bits.push_back(ac_[0xf0]);
      const int size = 1 + static_cast<int>(-std::log(1 - random.unit()) * 1.4 * std::exp(-k / 16.0));
      const int value = random.next() % 2 == 0 ? std::min(size, 100) : -std::min(size, 100);
      const Code extra = value_bits(value), code = ac_[static_cast<std::size_t>(zeros) * 16 + extra.length];
      bits.push_back({code.bits << extra.length | extra.bits, code.length + extra.length});
      zeros = 0;
    }
    if (zeros > 0) bits.push_back(ac_[0]);
    return joined(bits);
  }
  // Few long codes are faster to write than many short ones.
  static BlockBits joined(const BlockBits& bits) {
    BlockBits all;
    for (const Code& code : bits)
      if (!all.empty() && all.back().length + code.length <= 32)
        all.back() = {all.back().bits << code.length | code.bits, all.back().length + code.length};
      else
        all.push_back(code);
    return all;
  }

  const std::array<Code, 256> dc_ = codes_of(kDcCounts, kDcValues), ac_ = codes_of(kAcCounts, kAcValues);
  std::vector<BlockBits> blocks_;
};

const Stock& stock() {
  static const Stock kMade;
  return kMade;
}

// A smooth picture: a sum of waves along each side.
class Waves {
 public:
  Waves(Random& random, double mean, double height) : mean_(mean), height_(height) {
    for (double& part : parts_) part = random.unit();
  }
  [[nodiscard]] double at(double x, double y) const {  // 0…1
    const auto wave = [](double turns) { return std::sin(2 * std::numbers::pi * turns); };
    return mean_ + height_ * (wave((1 + 2 * parts_[0]) * x + parts_[1]) + wave((1 + 2 * parts_[2]) * y + parts_[3]));
  }

 private:
  double mean_, height_;
  std::array<double, 4> parts_{};
};

std::vector<std::uint8_t> coded_picture(Random& random) {
  constexpr int kAcross = (kSyntheticWidth + 15) / 16, kDown = (kSyntheticHeight + 15) / 16;
  const Stock& blocks = stock();
  const double detail = 22.6 + 6 * random.unit();
  const Waves light(random, 128, 45), detailed(random, detail, 12), blue(random, 128, 15), red(random, 128, 15);
  std::array<int, 3> last{};
  BitWriter out;
  const auto put_block = [&](std::size_t component, double mean, int level) {
    const std::uint64_t chance = random.next();
    const int value =
        static_cast<int>((mean - 128) * 8 / kDcStep) + (component == 0 ? static_cast<int>(chance >> 60) - 8 : 0);
    const Code extra = value_bits(value - last[component]), code = blocks.dc(extra.length);
    last[component] = value;
    out.put(code.bits << extra.length | extra.bits, code.length + extra.length);
    for (const Code& part : blocks.block(level, chance)) out.put(part.bits, part.length);
  };
  for (int row = 0; row < kDown; ++row)
    for (int column = 0; column < kAcross; ++column) {
      const double x = static_cast<double>(column) / kAcross, y = static_cast<double>(row) / kDown;
      const double mean = light.at(x, y);
      const int level = static_cast<int>(detailed.at(x, y));
      for (int block = 0; block < kBlocksOfMcu; ++block)
        if (block < 4)
          put_block(0, mean, level);
        else
          put_block(static_cast<std::size_t>(block) - 3, block == 4 ? blue.at(x, y) : red.at(x, y), level / 3);
    }
  return out.finish();
}

// A file's bytes, numbers with the highest byte first.
class Bytes {
 public:
  void number(std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) all_.push_back(static_cast<std::byte>(value >> (8 * i)));
  }
  void text(std::string_view text) {
    for (const char c : text) all_.push_back(static_cast<std::byte>(c));
  }
  void values(std::span<const std::uint8_t> values) {
    for (const std::uint8_t value : values) number(value, 1);
  }
  void segment(std::uint8_t marker, const Bytes& body) {
    number(0xff00U | marker, 2);
    number(body.all_.size() + 2, 2);
    all_.insert(all_.end(), body.all_.begin(), body.all_.end());
  }
  // With a 0 after each 0xff, as in the coded data of a JPEG.
  void stuffed(std::span<const std::uint8_t> coded) {
    all_.reserve(all_.size() + coded.size() + coded.size() / 64);
    const auto bytes = std::as_bytes(coded);
    for (auto from = bytes.begin(); from != bytes.end();) {
      auto to = std::find(from, bytes.end(), std::byte{0xff});
      const bool found = to != bytes.end();
      all_.insert(all_.end(), from, found ? to + 1 : to);
      if (found) all_.push_back(std::byte{0});
      from = found ? to + 1 : to;
    }
  }
  std::vector<std::byte> take() { return std::move(all_); }

 private:
  std::vector<std::byte> all_;
};

// Camera and capture time: each photo has its own, as in a library.
Bytes exif(std::uint32_t number) {
  const std::time_t taken = 1'577'836'800 + static_cast<std::time_t>(number) * 61;  // from 2020-01-01 on
  std::tm parts{};
  ::gmtime_r(&taken, &parts);
  const std::string time = fmt::format("{:04}:{:02}:{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  constexpr std::uint32_t kAscii = 2, kShort = 3, kLong = 4;
  constexpr std::uint32_t kTextAt = 8 + 2 + 4 * 12 + 4, kSecondAt = kTextAt + 10 + 10, kTimeAt = kSecondAt + 2 + 12 + 4;
  Bytes out;
  const auto entry = [&](std::uint32_t tag, std::uint32_t type, std::uint32_t count, std::uint32_t value) {
    out.number(tag, 2);
    out.number(type, 2);
    out.number(count, 4);
    out.number(value, 4);
  };
  out.text(std::string_view("Exif\0\0MM\0*\0\0\0\x08", 14));
  out.number(4, 2);
  entry(0x010f, kAscii, 10, kTextAt);       // make
  entry(0x0110, kAscii, 10, kTextAt + 10);  // model
  entry(0x0112, kShort, 1, 1U << 16);       // orientation
  entry(0x8769, kLong, 1, kSecondAt);       // the second list
  out.number(0, 4);
  out.text(std::string_view("Synthetic\0", 10));
  out.text(std::string_view("Benchmark\0", 10));
  out.number(1, 2);
  entry(0x9003, kAscii, 20, kTimeAt);  // time of capture
  out.number(0, 4);
  out.text(time);
  out.number(0, 1);
  return out;
}

Bytes quantisers() {
  Bytes out;
  out.number(0, 1);
  for (int k = 0; k < 64; ++k) out.number(static_cast<std::uint64_t>(kDcStep + k / 3), 1);
  return out;
}

Bytes frame() {
  Bytes out;
  out.number(8, 1);
  out.number(kSyntheticHeight, 2);
  out.number(kSyntheticWidth, 2);
  out.values(std::array<std::uint8_t, 10>{3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0});
  return out;
}

Bytes huffman_tables() {
  Bytes out;
  out.number(0x00, 1);
  out.values(kDcCounts);
  out.values(kDcValues);
  out.number(0x10, 1);
  out.values(kAcCounts);
  out.values(kAcValues);
  return out;
}

constexpr std::size_t kNumberAt = 10;  // in a name
std::string name_of(std::uint32_t number) { return fmt::format("synthetic_{:07}.jpg", number); }

// Writes it unless it is there. Gives its bytes.
Result<std::uint64_t> make_one(const std::string& folder, std::uint32_t number) {
  const std::vector<std::byte> photo = synthetic_photo(number);
  const std::string path = join_path(folder, name_of(number));
  const Result<std::string> there = read_file(path, photo.size());
  if (!there || there->size() != photo.size() || std::memcmp(there->data(), photo.data(), photo.size()) != 0)
    IE_CHECK(write_file_atomically(path, photo));
  return photo.size();
}

}  // namespace

std::vector<std::byte> synthetic_photo(std::uint32_t number) {
  Random random{(static_cast<std::uint64_t>(number) + 1) * 0xD1B54A32D192ED03ULL};
  Bytes file;
  file.number(0xffd8, 2);
  file.segment(0xe1, exif(number));
  file.segment(0xdb, quantisers());
  file.segment(0xc0, frame());
  file.segment(0xc4, huffman_tables());
  Bytes scan;
  scan.values(std::array<std::uint8_t, 10>{3, 1, 0, 2, 0, 3, 0, 0, 63, 0});
  file.segment(0xda, scan);
  file.stuffed(coded_picture(random));
  file.number(0xffd9, 2);
  return file.take();
}

Result<SyntheticSpace> check_synthetic_space(const SyntheticRequest& request) {
  IE_CHECK(make_folders(request.folder));
  std::uint64_t there = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(request.folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    const auto number =
        static_cast<std::uint32_t>(std::strtoul(name.c_str() + std::min(name.size(), kNumberAt), nullptr, 10));
    if (name != name_of(number))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} holds other files, such as {}: name a new or an empty folder",
                              printable(request.folder), printable(name)));
    if (number >= request.count)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} holds more synthetic photos than {}: ask for more of them, or name another folder",
                              printable(request.folder), human_count(request.count)));
    ++there;
  }
  if (error) return fail(errno_error(printable(request.folder), error.value()));
  struct statvfs disk {};
  if (::statvfs(request.folder.c_str(), &disk) != 0) return fail(errno_error(printable(request.folder)));
  SyntheticSpace space;
  space.needed = (request.count - there) * kMostSyntheticBytes;
  space.free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (space.needed + request.count * kAnalysisBytes > space.free)
    return fail(ErrorCode::kNoSpace,
                fmt::format("{} and their analysis take up to {} in {}, where {} are free: make fewer, or keep them on "
                            "another disk with --keep DIR",
                            human_count(request.count, "synthetic photo"),
                            human_bytes(space.needed + request.count * kAnalysisBytes), printable(request.folder),
                            human_bytes(space.free)));
  return space;
}

Result<std::uint64_t> make_synthetic_photos(const SyntheticRequest& request) {
  Progress progress("Synthetic photos", request.count, request.progress);
  std::uint64_t bytes = 0;
  IE_CHECK(pipeline::parallel_files(
      request.count, request.threads,
      [&](std::size_t number) { return make_one(request.folder, static_cast<std::uint32_t>(number)); },
      [&](std::size_t, const Result<std::uint64_t>& made) -> Status {
        if (!made) return fail(made.error());
        bytes += *made;
        progress.add();
        return {};
      },
      request.stop));
  if (request.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
  return bytes;
}

}  // namespace image_engine::benchmark
