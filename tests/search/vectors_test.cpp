#include "search/vectors.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "search/scan.h"
#include "search/vector_file.h"
#include "search/vector_kernels.h"
#include "store/maintenance.h"
#include "vision/embedder.h"

namespace image_engine::search {
namespace {

using Half = std::vector<std::uint16_t>;
using store::AssetId;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

#define ASSERT_OK(expression)                                        \
  do {                                                               \
    const auto& ok_result = (expression);                            \
    ASSERT_TRUE(ok_result.has_value()) << ok_result.error().message; \
  } while (false)

// ---- The plain reference: halves read by the definition of binary16, sums in double.

double number_of(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

double reference_cosine(const Half& row, const std::vector<float>& query) {
  double sum = 0;
  for (std::size_t i = 0; i < query.size(); ++i) sum += number_of(row[i]) * query[i];
  return std::isfinite(sum) ? sum : -1;
}

std::vector<float> random_direction(std::mt19937& random, std::size_t dimensions) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimensions);
  double length = 0;
  for (float& number : vector) {
    number = normal(random);
    length += double{number} * double{number};
  }
  for (float& number : vector) number = static_cast<float>(number / std::sqrt(length));
  return vector;
}

Half random_half(std::mt19937& random, std::size_t dimensions) {
  return vision::to_half(random_direction(random, dimensions));
}

constexpr std::uint16_t kNaN = 0x7e00, kInfinity = 0x7c00;

// ---- Kernels

class KernelsTest : public testing::TestWithParam<std::size_t> {};

TEST_P(KernelsTest, EqualTheReference) {
  const std::size_t stride = GetParam();
  std::mt19937 random(7);
  constexpr std::size_t kRows = 11;
  AlignedBytes halves(kRows * stride * 2), bytes(kRows * stride), query(stride * 4), byte_query(stride * 2);
  std::vector<Half> rows;
  const auto direction = random_direction(random, stride);
  std::ranges::copy(direction, query.as<float>());
  for (std::size_t i = 0; i < stride; ++i)
    byte_query.as<std::int16_t>()[i] = static_cast<std::int16_t>(static_cast<int>(random() % 4001) - 2000);
  for (std::size_t row = 0; row < kRows; ++row) {
    rows.push_back(random_half(random, stride));
    std::ranges::copy(rows.back(), halves.as<std::uint16_t>() + row * stride);
    for (std::size_t i = 0; i < stride; ++i)
      bytes.as<std::int8_t>()[row * stride + i] = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
  }
  ASSERT_STREQ(usable_kernels().back().name, "plain");
  for (const Kernels& kernels : usable_kernels()) {
    for (std::size_t count = 1; count <= kRows; ++count) {
      std::vector<std::uint32_t> chosen(count);
      for (std::size_t i = 0; i < count; ++i) chosen[i] = static_cast<std::uint32_t>((i * 3 + count) % kRows);
      std::vector<float> dots(count, 99);
      kernels.half_dots(halves.as<std::uint16_t>(), stride, chosen, query.as<float>(), dots.data());
      std::vector<std::int32_t> byte_dots(count, 99);
      kernels.byte_dots(bytes.as<std::int8_t>(), stride, chosen, byte_query.as<std::int16_t>(), byte_dots.data());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_NEAR(dots[i], reference_cosine(rows[chosen[i]], direction), 1e-5) << kernels.name;
        std::int64_t sum = 0;
        for (std::size_t k = 0; k < stride; ++k)
          sum += std::int64_t{bytes.as<std::int8_t>()[chosen[i] * stride + k]} * byte_query.as<std::int16_t>()[k];
        EXPECT_EQ(byte_dots[i], sum) << kernels.name;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Strides, KernelsTest, testing::Values(64, 128, 192, 512, 1152));

// ---- Scans of files

struct Expected {
  AssetId asset;
  double cosine;
};

std::vector<Expected> brute_force(const std::map<AssetId, Half>& rows, const std::vector<float>& query,
                                  const store::IdSet* allowed) {
  std::vector<Expected> all;
  for (const auto& [asset, row] : rows)
    if (allowed == nullptr || allowed->contains(asset)) all.push_back({asset, reference_cosine(row, query)});
  std::ranges::stable_sort(all, [](const Expected& a, const Expected& b) { return a.cosine > b.cosine; });
  return all;
}

class ScanTest : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::size_t kDimensions = 40;
  static constexpr std::size_t kRows = 9'000;

  Result<VectorFile> file_of(const std::map<AssetId, Half>& rows) const {
    return VectorFile::make({}, {hash128("x"), kDimensions, GetParam()}, 1, [&](const VectorFile::Add& add) -> Status {
      for (const auto& [asset, row] : rows) IE_CHECK(add(asset, row));
      return {};
    });
  }
  std::map<AssetId, Half> random_rows(std::size_t count) {
    std::map<AssetId, Half> rows;
    for (std::size_t i = 0; i < count; ++i) rows[static_cast<AssetId>(3 * i + 1)] = random_half(random_, kDimensions);
    return rows;
  }
  static void expect_brute_force(const ScanResult& result, const std::map<AssetId, Half>& rows,
                                 const std::vector<float>& query, std::size_t most, const store::IdSet* allowed) {
    const auto expected = brute_force(rows, query, allowed);
    EXPECT_EQ(result.all.total, expected.size());
    ASSERT_EQ(result.best.size(), std::min(most, expected.size()));
    for (std::size_t i = 0; i < result.best.size(); ++i) {
      ASSERT_NEAR(result.best[i].cosine, expected[i].cosine, 1e-5) << i;
      const bool is_clear = (i == 0 || expected[i - 1].cosine - expected[i].cosine > 1e-5) &&
                            (i + 1 >= expected.size() || expected[i].cosine - expected[i + 1].cosine > 1e-5);
      if (is_clear) {
        ASSERT_EQ(result.best[i].asset, expected[i].asset) << i;
      }
    }
    // As many at or above each bin's begin as there are, give or take those at its edge.
    std::size_t above = 0;
    for (std::size_t bin = CosineHistogram::kBins; bin-- > 0;) {
      above += result.all.counts[bin];
      const double edge = CosineHistogram::middle_of(bin) - 1.0 / CosineHistogram::kBins;
      constexpr double kOff = 3e-3;  // of bytes
      const auto at_least = [&](double least) {
        return static_cast<std::size_t>(
            std::ranges::count_if(expected, [&](const Expected& one) { return one.cosine >= least; }));
      };
      if (bin % 64 != 0) continue;
      EXPECT_GE(above, at_least(edge + kOff)) << bin;
      EXPECT_LE(above, at_least(edge - kOff)) << bin;
    }
  }
  std::mt19937 random_{3};
};

TEST_P(ScanTest, EqualsBruteForce) {
  const auto rows = random_rows(kRows);
  const auto file = file_of(rows);
  ASSERT_OK(file);
  EXPECT_EQ(file->kind().with_bytes, GetParam());
  store::IdSet tenth(3 * kRows + 1), none(3 * kRows + 1), few(3 * kRows + 1), short_set(100);
  for (const auto& [asset, row] : rows)
    if (asset % 10 == 1) tenth.insert(asset);
  few.insert(1);
  few.insert(3 * 5000 + 1);
  short_set.insert_all();
  const store::IdSet* filters[] = {nullptr, &tenth, &none, &few, &short_set};
  for (const Kernels& kernels : usable_kernels())
    for (const store::IdSet* allowed : filters)
      for (const std::size_t most : {std::size_t{0}, std::size_t{1}, std::size_t{50}, 2 * kRows}) {
        const auto query = random_direction(random_, kDimensions);
        const auto result = scan_file(*file, query, most, allowed, most == 50 ? 3 : 1, kernels);
        ASSERT_OK(result);
        expect_brute_force(*result, rows, query, most, allowed);
      }
}

TEST_P(ScanTest, TheNearestIsFoundWhereverItIs) {
  auto rows = random_rows(kRows);
  const auto query = random_direction(random_, kDimensions);
  for (const std::size_t at : {0, 1, 1023, 1024, 4095, 4096, 8191, 8192, 8999}) {
    const AssetId asset = static_cast<AssetId>(3 * at + 1);
    auto changed = rows;
    changed[asset] = vision::to_half(query);
    const auto file = file_of(changed);
    ASSERT_OK(file);
    for (const Kernels& kernels : usable_kernels()) {
      const auto result = scan_file(*file, query, 1, nullptr, 2, kernels);
      ASSERT_THAT(result->best, SizeIs(1));
      EXPECT_EQ(result->best[0].asset, asset) << kernels.name;
      EXPECT_NEAR(result->best[0].cosine, 1, 1e-3);
    }
  }
}

// Bytes alone cannot tell these apart.
TEST_P(ScanTest, TheNearestOfAlmostEquals) {
  const auto query = random_direction(random_, kDimensions);
  std::map<AssetId, Half> rows;
  for (AssetId asset = 1; asset <= 9000; ++asset) {
    auto row = random_direction(random_, kDimensions);
    double length = 0;
    for (std::size_t i = 0; i < kDimensions; ++i) {
      row[i] = query[i] + 0.1F * row[i];
      length += double{row[i]} * double{row[i]};
    }
    for (float& number : row) number = static_cast<float>(number / std::sqrt(length));
    rows[asset] = vision::to_half(row);
  }
  const auto file = file_of(rows);
  ASSERT_OK(file);
  for (const Kernels& kernels : usable_kernels()) {
    const auto result = scan_file(*file, query, 50, nullptr, 1, kernels);
    ASSERT_OK(result);
    expect_brute_force(*result, rows, query, 50, nullptr);
  }
}

TEST_P(ScanTest, WhatIsNoNumberNeverWins) {
  auto rows = random_rows(30);
  Half bad(kDimensions, kNaN), worse(kDimensions, 0);
  worse[5] = kInfinity;
  rows[1] = bad;
  rows[4] = worse;
  const auto file = file_of(rows);
  ASSERT_OK(file);
  const auto query = random_direction(random_, kDimensions);
  for (const Kernels& kernels : usable_kernels()) {
    const auto result = scan_file(*file, query, 30, nullptr, 1, kernels);
    ASSERT_OK(result);
    ASSERT_THAT(result->best, SizeIs(30));
    EXPECT_EQ(result->best[28].asset, 1);
    EXPECT_EQ(result->best[29].asset, 4);
    EXPECT_EQ(result->best[28].cosine, -1);
    EXPECT_EQ(result->best[29].cosine, -1);
    EXPECT_EQ(result->all.counts[0], 2U) << kernels.name;
  }
}

TEST_P(ScanTest, EqualsAreOrderedByAsset) {
  std::map<AssetId, Half> rows;
  const Half one = random_half(random_, kDimensions);
  for (AssetId asset = 1; asset <= 9000; ++asset) rows[asset] = one;
  const auto file = file_of(rows);
  ASSERT_OK(file);
  const auto result = scan_file(*file, random_direction(random_, kDimensions), 5, nullptr, 3, usable_kernels()[0]);
  ASSERT_THAT(result->best, SizeIs(5));
  for (AssetId asset = 1; asset <= 5; ++asset)
    EXPECT_EQ(result->best[static_cast<std::size_t>(asset - 1)].asset, asset);
}

TEST_P(ScanTest, AQueryIsADirection) {
  const auto file = file_of(random_rows(3));
  ASSERT_OK(file);
  const auto& kernels = usable_kernels()[0];
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::vector<float>& query :
       {std::vector<float>(), std::vector<float>(kDimensions, 0.F), std::vector<float>(kDimensions, nan),
        std::vector<float>(kDimensions, 1.F), random_direction(random_, kDimensions + 1)})
    EXPECT_EQ(scan_file(*file, query, 1, nullptr, 1, kernels).error().code, ErrorCode::kInvalidArgument);
  ASSERT_OK(scan_file(*file, random_direction(random_, kDimensions), 1, nullptr, -3, kernels));
  const auto empty = file_of({});
  ASSERT_OK(empty);
  EXPECT_THAT(scan_file(*empty, random_direction(random_, kDimensions), 1, nullptr, 8, kernels)->best, IsEmpty());
}
INSTANTIATE_TEST_SUITE_P(HalvesAndBytes, ScanTest, testing::Bool());

// ---- The side file of a catalogue

class VectorIndexTest : public testing::Test {
 protected:
  static constexpr std::size_t kDimensions = 24;

  void SetUp() override {
    std::string pattern = testing::TempDir() + "ie_vectors_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/catalog.db";
    open_writer();
    run_ = *writer_->start_run("analyze");
    space_ = writer_->open_space({"embedding", "clip", "1", ""}, kDimensions)->id;
    ASSERT_OK(writer_->begin());
    for (int i = 0; i < 5000; ++i) add();
    ASSERT_OK(writer_->commit());
  }
  void TearDown() override {
    writer_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void open_writer() {
    auto lock = store::WriterLock::acquire(path_, "test");
    ASSERT_OK(lock);
    auto opened = store::CatalogueWriter::open(path_, std::move(*lock));
    ASSERT_OK(opened);
    writer_ = std::make_unique<store::CatalogueWriter>(std::move(*opened));
  }
  AssetId add() {
    const std::string name = std::to_string(++added_);
    store::FileObservation seen;
    seen.path = "/p/" + name;
    seen.kind = MediaKind::kPhoto;
    seen.format = MediaFormat::kJpeg;
    const auto file = *writer_->upsert_file(seen, run_);
    const AssetId asset = writer_->set_content(file.id, hash128(name), hash128(name))->asset;
    put(asset);
    return asset;
  }
  void put(AssetId asset) { ASSERT_OK(writer_->put_vector(asset, space_, random_half(random_, kDimensions))); }
  // Removes the pictures of all files whose number is below `below`.
  void remove_files(int below) {
    const store::RunId run = *writer_->start_run("analyze");
    const auto files = writer_->known_files("/p");
    for (const auto& file : *files)
      if (std::stoi(file.seen.path.substr(3)) >= below) ASSERT_OK(writer_->touch_files(std::array{file.id}, run));
    ASSERT_OK(writer_->mark_missing("/p", run));
    writer_.reset();
    {
      auto lock = store::WriterLock::acquire(path_, "prune");
      ASSERT_OK(store::prune(path_, *lock, {}));
    }
    open_writer();
  }

  store::CatalogueReader reader() const { return std::move(*store::CatalogueReader::open(path_)); }
  store::Space space() const { return reader().spaces("embedding")->front(); }
  std::string side_file() const { return path_ + ".vectors-" + std::to_string(space_); }
  ino_t inode() const {
    struct stat file {};
    return ::stat(side_file().c_str(), &file) == 0 ? file.st_ino : 0;
  }
  Result<VectorIndex> open() {
    notes_.clear();
    return VectorIndex::open(reader(), path_, space(), &notes_);
  }
  std::map<AssetId, Half> truth() const {
    std::map<AssetId, Half> rows;
    const Status read = reader().changed_vectors(space_, 0, [&](AssetId asset, auto vector) -> Status {
      rows[asset] = {vector.begin(), vector.end()};
      return {};
    });
    EXPECT_TRUE(read.has_value());
    return rows;
  }
  static std::map<AssetId, Half> held(const VectorIndex& index) {
    std::map<AssetId, Half> rows;
    std::size_t count = 0;
    index.for_each([&](AssetId asset, std::span<const std::uint16_t> vector) {
      rows[asset] = {vector.begin(), vector.end()};
      ++count;
    });
    EXPECT_EQ(count, rows.size()) << "an asset stands in several rows";
    EXPECT_EQ(count, index.size());
    return rows;
  }
  void expect_right() {
    const auto index = open();
    ASSERT_OK(index);
    EXPECT_EQ(index->dimensions(), kDimensions);
    EXPECT_TRUE(held(*index) == truth());
  }
  std::string read_side_file() const {
    std::ifstream file(side_file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write_side_file(const std::string& bytes) const {
    std::ofstream(side_file(), std::ios::binary | std::ios::trunc) << bytes;
  }
  // Makes the first block's checksum right again.
  static void seal(std::string& bytes, std::size_t block_size) {
    const Hash128 check = hash128(std::string_view(bytes).substr(4096 + 64, block_size - 64));
    std::ranges::copy(check.bytes, bytes.begin() + 4096);
  }
  static void seal_header(std::string& bytes) {
    const Hash128 check = hash128(std::string_view(bytes).substr(0, 56));
    std::ranges::copy(check.bytes, bytes.begin() + 56);
  }

  std::mt19937 random_{11};
  std::string folder_, path_;
  std::unique_ptr<store::CatalogueWriter> writer_;
  store::RunId run_ = 0;
  store::SpaceId space_ = 0;
  int added_ = 0;
  std::vector<std::string> notes_;
};

TEST_F(VectorIndexTest, IsMadeOnceForItsOwnerOnly) {
  EXPECT_EQ(VectorIndex::check(path_, space()).error().code, ErrorCode::kNotFound);
  expect_right();
  struct stat file {};
  ASSERT_EQ(::stat(side_file().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
  EXPECT_FALSE(std::filesystem::exists(side_file() + ".new"));
  const auto before = inode();
  expect_right();
  EXPECT_EQ(inode(), before);
  EXPECT_THAT(notes_, IsEmpty());
  ASSERT_OK(VectorIndex::check(path_, space()));
}

TEST_F(VectorIndexTest, ScansWhatTheCatalogueHas) {
  const auto index = open();
  ASSERT_OK(index);
  const auto query = random_direction(random_, kDimensions);
  const auto result = index->scan(query, 10, nullptr, 2);
  ASSERT_OK(result);
  const auto expected = brute_force(truth(), query, nullptr);
  ASSERT_THAT(result->best, SizeIs(10));
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(result->best[i].asset, expected[i].asset);
}

TEST_F(VectorIndexTest, ChangesAreMadeInPlace) {
  expect_right();
  const auto before = inode();
  put(17);
  put(4999);
  ASSERT_OK(writer_->begin());
  for (int i = 0; i < 4000; ++i) add();  // into the third block
  ASSERT_OK(writer_->commit());
  expect_right();
  remove_files(300);
  expect_right();
  put(700);
  add();
  expect_right();
  EXPECT_EQ(inode(), before);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(VectorIndexTest, ReadersKeepWhatTheyOpened) {
  const auto old = open();
  ASSERT_OK(old);
  const auto before = truth();
  const auto first = inode();
  put(17);
  add();
  expect_right();
  EXPECT_NE(inode(), first) << "changed under a reader";
  EXPECT_TRUE(held(*old) == before);
}

TEST_F(VectorIndexTest, ManyRemovedRowsAreGivenBack) {
  expect_right();
  remove_files(4900);
  const auto size = std::filesystem::file_size(side_file());
  expect_right();
  expect_right();
  EXPECT_LT(std::filesystem::file_size(side_file()), size);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(VectorIndexTest, DamageIsSeenAndMendedWithANote) {
  expect_right();
  const std::string sound = read_side_file();
  const std::size_t block = 64 + 4096 * 8 + 4096 * 64 * 2;
  ASSERT_EQ(sound.size(), 4096 + 2 * block);
  for (int round = 0; round < 30; ++round) {
    std::string bytes = sound;
    std::size_t at = round < 10 ? static_cast<std::size_t>(random_() % 72) : 4096 + random_() % (2 * block);
    // What lies between a block's checksum and its ids is of no use.
    if (at >= 4096 && (at - 4096) % block >= 16 && (at - 4096) % block < 64) at += 64;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random_() % 8));
    write_side_file(bytes);
    EXPECT_EQ(VectorIndex::check(path_, space()).error().code, ErrorCode::kCorrupt) << at;
    expect_right();
    EXPECT_THAT(notes_, SizeIs(1)) << at;
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{10}, std::size_t{4096}, sound.size() - 1, sound.size() / 2}) {
    write_side_file(sound.substr(0, size));
    expect_right();
    EXPECT_THAT(notes_, SizeIs(1)) << size;
  }
  write_side_file(sound + "more");
  expect_right();
  EXPECT_THAT(notes_, SizeIs(1));
  expect_right();
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(VectorIndexTest, AnotherSpacesFileIsNotTaken) {
  expect_right();
  const auto other = writer_->open_space({"embedding", "clip", "2", ""}, kDimensions);
  ASSERT_OK(other);
  ASSERT_OK(writer_->put_vector(1, other->id, random_half(random_, kDimensions)));
  std::filesystem::copy_file(side_file(), path_ + ".vectors-" + std::to_string(other->id));
  const auto index = VectorIndex::open(reader(), path_, *other, &notes_);
  ASSERT_OK(index);
  EXPECT_EQ(index->size(), 1U);
  ASSERT_THAT(notes_, SizeIs(1));
  EXPECT_THAT(notes_[0], HasSubstr("another model"));
  store::Space gone = space();
  gone.id = 77;
  EXPECT_EQ(VectorIndex::open(reader(), path_, gone).error().code, ErrorCode::kNotFound);
}

TEST_F(VectorIndexTest, ARestoredCatalogueIsNotBelievedToBeTheOldOne) {
  const std::string backup = folder_ + "/backup.db";
  ASSERT_OK(store::backup(path_, backup, false));
  for (int i = 0; i < 5; ++i) add();
  expect_right();
  writer_.reset();
  std::filesystem::remove(path_ + "-wal");
  std::filesystem::remove(path_ + "-shm");
  std::filesystem::copy_file(backup, path_, std::filesystem::copy_options::overwrite_existing);
  open_writer();
  expect_right();  // generations went back
  expect_right();
  for (int i = 0; i < 5; ++i) add();
  const std::string side = read_side_file();
  expect_right();
  // The same number of generations and vectors as the file has, but others.
  writer_.reset();
  std::filesystem::copy_file(backup, path_, std::filesystem::copy_options::overwrite_existing);
  open_writer();
  for (int i = 0; i < 5; ++i) add();
  expect_right();
  EXPECT_THAT(notes_, SizeIs(1));
}

// Sound checksums over ids and a header that our program never writes.
TEST_F(VectorIndexTest, WhatAFileSaysIsNotTrusted) {
  expect_right();
  const std::string sound = read_side_file();
  const VectorFileKind kind = [&] {
    VectorFileKind read;
    std::copy_n(sound.begin() + 16, 16, read.identity.bytes.begin());
    read.dimensions = kDimensions;
    return read;
  }();
  const std::size_t block = 64 + 4096 * 8 + 4096 * 64 * 2;
  std::string bytes = sound;
  const std::int64_t ids[] = {-1, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), 9,
                              9};
  std::memcpy(bytes.data() + 4096 + 64, ids, sizeof(ids));
  seal(bytes, block);
  write_side_file(bytes);
  store::IdSet allowed(100);
  allowed.insert_all();
  {
    const auto file = VectorFile::open(side_file(), kind);
    ASSERT_OK(file);
    const auto result =
        scan_file(*file, random_direction(random_, kDimensions), 6000, &allowed, 1, usable_kernels()[0]);
    ASSERT_OK(result);
    for (const Neighbour& found : result->best) EXPECT_TRUE(allowed.contains(found.asset));
    ASSERT_OK(scan_file(*file, random_direction(random_, kDimensions), 6000, nullptr, 1, usable_kernels()[0]));
  }
  put(9);  // a change of an id that stands there twice
  expect_right();
  for (const auto& [at, value] :
       {std::pair<std::size_t, std::uint64_t>{40, ~0ULL}, {40, 1ULL << 40}, {48, 1}, {12, 1ULL << 31}}) {
    bytes = sound;
    std::memcpy(bytes.data() + at, &value, at == 12 ? 4 : 8);
    seal_header(bytes);
    write_side_file(bytes);
    EXPECT_EQ(VectorFile::open(side_file(), kind).error().code, ErrorCode::kCorrupt) << at;
  }
}

TEST_F(VectorIndexTest, WhereItCannotBeWrittenVectorsAreInMemory) {
  std::filesystem::create_directory(side_file() + ".new");
  expect_right();
  EXPECT_FALSE(std::filesystem::exists(side_file()));
  std::filesystem::remove(side_file() + ".new");
  expect_right();
  EXPECT_TRUE(std::filesystem::exists(side_file()));
  // Neither through a link to another file.
  std::filesystem::remove(side_file());
  std::ofstream(folder_ + "/mine") << "mine";
  std::filesystem::create_symlink(folder_ + "/mine", side_file() + ".new");
  expect_right();
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/mine"), 4U);
}

TEST_F(VectorIndexTest, AKilledWriterLeavesNothingWrong) {
  expect_right();
  for (int round = 0; round < 25; ++round) {
    for (int i = 0; i < 3; ++i) put(1 + static_cast<AssetId>(random_() % 5000));
    add();
    if (round % 5 == 4) std::filesystem::remove(side_file());
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGALRM, SIG_DFL);
      ::ualarm(static_cast<useconds_t>(300 + random_() % 8000 + static_cast<unsigned>(round)), 0);
      (void)open();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    expect_right();
  }
}

TEST_F(VectorIndexTest, SeveralProgramsAtOnce) {
  for (int round = 0; round < 5; ++round) {
    put(1 + static_cast<AssetId>(random_() % 5000));
    add();
    if (round == 3) std::filesystem::remove(side_file());
    const auto expected = truth();
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        const auto index = open();
        ::_exit(index && held(*index) == expected && notes_.empty() ? 0 : 1);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << round;
    }
  }
}

}  // namespace
}  // namespace image_engine::search
