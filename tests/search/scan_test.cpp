// Kernels and scans beside a plain reference.
#include "search/scan.h"

#include <gmock/gmock.h>

#include "core/cpu.h"
#include "search/vector_file.h"
#include "search/vector_kernels.h"
#include "tests/search/halves.h"
#include "tests/support/catalogue.h"
#include "types/half.h"

namespace image_engine::search {
namespace {

using store::AssetId;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint16_t kNaN = 0x7e00, kInfinity = 0x7c00;

// ---- Kernels

class KernelsTest : public testing::TestWithParam<std::size_t> {};

TEST_P(KernelsTest, AreThoseOfTheLevelsInUse) {
  std::vector<std::string> names;
  if (cpu_uses(CpuLevel::kAvx512)) names.emplace_back("avx512");
  if (cpu_uses(CpuLevel::kAvx2)) names.emplace_back("avx2");
  names.emplace_back("plain");
  ASSERT_EQ(usable_kernels().size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(usable_kernels()[i].name, names[i]);
}

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
        ASSERT_EQ(result.best[i].id, expected[i].asset) << i;
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
    changed[asset] = to_half(query);
    const auto file = file_of(changed);
    ASSERT_OK(file);
    for (const Kernels& kernels : usable_kernels()) {
      const auto result = scan_file(*file, query, 1, nullptr, 2, kernels);
      ASSERT_THAT(result->best, SizeIs(1));
      EXPECT_EQ(result->best[0].id, asset) << kernels.name;
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
    rows[asset] = to_half(row);
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
    EXPECT_EQ(result->best[28].id, 1);
    EXPECT_EQ(result->best[29].id, 4);
    EXPECT_EQ(result->best[28].cosine, -1);
    EXPECT_EQ(result->best[29].cosine, -1);
    EXPECT_EQ(result->all.counts[0], 2U) << kernels.name;
  }
}

TEST_P(ScanTest, EqualsAreOrderedById) {
  std::map<AssetId, Half> rows;
  const Half one = random_half(random_, kDimensions);
  for (AssetId asset = 1; asset <= 9000; ++asset) rows[asset] = one;
  const auto file = file_of(rows);
  ASSERT_OK(file);
  const auto result = scan_file(*file, random_direction(random_, kDimensions), 5, nullptr, 3, usable_kernels()[0]);
  ASSERT_THAT(result->best, SizeIs(5));
  for (AssetId asset = 1; asset <= 5; ++asset) EXPECT_EQ(result->best[static_cast<std::size_t>(asset - 1)].id, asset);
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

}  // namespace
}  // namespace image_engine::search
