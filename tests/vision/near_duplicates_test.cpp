#include "vision/near_duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <map>
#include <random>
#include <set>

namespace image_engine::vision {
namespace {

using Hashes = std::vector<std::uint64_t>;

// Random hashes, near copies of them up to `reach` bits away, clusters that share three quarters of their bits, equal
// ones.
Hashes make_hashes(size_t count, int reach) {
  std::mt19937_64 random(11);
  const auto flipped = [&](std::uint64_t hash, int flips) {
    for (; flips > 0; --flips) hash ^= std::uint64_t{1} << random() % 64;
    return hash;
  };
  Hashes hashes;
  while (hashes.size() < count) {
    const size_t i = hashes.size();
    if (i < count / 4) {
      hashes.push_back(random());
    } else if (i < count / 2) {
      hashes.push_back(flipped(hashes[random() % i], static_cast<int>(random() % static_cast<unsigned>(reach + 3))));
    } else if (i < count * 3 / 4) {
      hashes.push_back((random() & 0x00f0000000ff0f00) | (i % 50) * 0x1001000000000011);
    } else {
      hashes.push_back(hashes[random() % i]);
    }
  }
  std::shuffle(hashes.begin(), hashes.end(), random);
  return hashes;
}

// By its definition: each different hash at its first position with each other, and each repetition with its first.
std::vector<Pair> brute_force(const Hashes& hashes, int max_distance) {
  std::vector<Pair> pairs;
  std::map<std::uint64_t, std::uint32_t> first;
  for (std::uint32_t i = 0; i < hashes.size(); ++i) {
    const auto [found, is_new] = first.try_emplace(hashes[i], i);
    if (!is_new) pairs.push_back({found->second, i, 0});
  }
  std::vector<std::pair<std::uint64_t, std::uint32_t>> distinct(first.begin(), first.end());
  for (size_t i = 0; i < distinct.size(); ++i)
    for (size_t j = i + 1; j < distinct.size(); ++j) {
      const int bits = std::popcount(distinct[i].first ^ distinct[j].first);
      if (bits > max_distance) continue;
      const auto [a, b] = std::minmax(distinct[i].second, distinct[j].second);
      pairs.push_back({a, b, static_cast<std::uint8_t>(bits)});
    }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

TEST(AllPairs, AreThoseOfBruteForceOver50000) {
  const Hashes hashes = make_hashes(50'000 / IE_EACH_NTH, 8);
  const auto wanted = brute_force(hashes, 8);
  ASSERT_GT(wanted.size(), 20'000U / IE_EACH_NTH);
  const auto found = all_pairs(hashes, 8, 2);
  EXPECT_EQ(found.max_distance, 8);
  EXPECT_TRUE(found.pairs == wanted) << found.pairs.size() << " found, " << wanted.size() << " wanted";
}

TEST(AllPairs, AreThoseOfBruteForceAtEveryDistance) {
  const Hashes hashes = make_hashes(600, 20);
  for (const int distance : {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 16, 20, 63, 64})
    EXPECT_EQ(all_pairs(hashes, distance, 1).pairs, brute_force(hashes, distance)) << distance;
}

TEST(AllPairs, FindsTheMostUnevenlySpreadDifferences) {
  // Every way to put 8 differing bits into the eight bytes 0, 4 and 8 at a time, and one bit in each byte.
  Hashes hashes{0};
  for (int a = 0; a < 8; ++a)
    for (int b = 0; b < 8; ++b)
      if (a != b) hashes.push_back(std::uint64_t{0x0f} << (8 * a) | std::uint64_t{0xf0} << (8 * b));
  for (int a = 0; a < 8; ++a) hashes.push_back(std::uint64_t{0xff} << (8 * a));
  hashes.push_back(0x0101010101010101);
  const auto found = all_pairs(hashes, 8, 2);
  std::set<std::uint32_t> with_zero;
  for (const Pair& pair : found.pairs)
    if (pair.a == 0) with_zero.insert(pair.b);
  EXPECT_EQ(with_zero.size(), hashes.size() - 1);
}

TEST(AllPairs, ManyBlankPicturesMakeALineNotASquare) {
  Hashes hashes(100'000, 0);
  hashes.push_back(0b1011);
  const auto found = all_pairs(hashes, 8, 2);
  ASSERT_EQ(found.pairs.size(), 100'000U);
  EXPECT_EQ(found.pairs[0], (Pair{0, 1, 0}));
  EXPECT_EQ(found.pairs.back(), (Pair{0, 100'000, 3}));
  const auto grouped = groups(found, hashes);
  ASSERT_EQ(grouped.size(), 1U);
  EXPECT_EQ(grouped[0].size(), hashes.size());
}

TEST(AllPairs, TooManyShortenTheDistanceAndNothingElse) {
  const Hashes hashes = make_hashes(3000, 12);
  const auto wanted = brute_force(hashes, 12);
  std::array<size_t, 13> within{};
  for (const Pair& pair : wanted)
    for (size_t d = pair.distance; d < within.size() && pair.distance > 0; ++d) ++within[d];
  ASSERT_GT(within[12], within[5]);
  for (const int threads : {1, 3}) {
    const auto found = all_pairs(hashes, 12, threads, within[5]);
    int reach = 12;
    while (within[static_cast<size_t>(reach)] > within[5]) --reach;
    EXPECT_EQ(found.max_distance, reach);
    EXPECT_EQ(found.pairs, brute_force(hashes, reach)) << threads << " threads";
  }
}

TEST(AllPairs, OfNoneAndOne) {
  EXPECT_TRUE(all_pairs({}, 8, 2).pairs.empty());
  const Hashes one{5};
  EXPECT_TRUE(all_pairs(one, 8, 0).pairs.empty());
  EXPECT_EQ(all_pairs(one, 100, 1).max_distance, 64);
  EXPECT_EQ(all_pairs(one, -1, 1).max_distance, 0);
}

TEST(Groups, DoNotChain) {
  const Hashes hashes{0b0000, 0b0011, 0b1111};  // neighbours are 2 apart, the ends 4
  const auto grouped = groups(all_pairs(hashes, 2, 1), hashes);
  ASSERT_EQ(grouped.size(), 1U);
  EXPECT_EQ(grouped[0], (std::vector<std::uint32_t>{0, 1}));
}

TEST(Groups, TakeTheNearestFirst) {
  const Hashes hashes{0b000, 0b011, 0b111};  // 0–1: 2, 1–2: 1, 0–2: 3
  EXPECT_EQ(groups(all_pairs(hashes, 2, 1), hashes), (std::vector<std::vector<std::uint32_t>>{{1, 2}}));
  EXPECT_EQ(groups(all_pairs(hashes, 3, 1), hashes), (std::vector<std::vector<std::uint32_t>>{{0, 1, 2}}));
}

TEST(Groups, AreCliquesAndCannotBeJoined) {
  const Hashes hashes = make_hashes(5000, 8);
  const auto grouped = groups(all_pairs(hashes, 8, 2), hashes);
  ASSERT_GT(grouped.size(), 300U);
  std::set<std::uint32_t> seen;
  const auto fit = [&](const auto& one, const auto& other) {
    for (const auto a : one)
      for (const auto b : other)
        if (std::popcount(hashes[a] ^ hashes[b]) > 8) return false;
    return true;
  };
  for (size_t g = 0; g < grouped.size(); ++g) {
    EXPECT_GE(grouped[g].size(), 2U);
    EXPECT_TRUE(std::is_sorted(grouped[g].begin(), grouped[g].end()));
    EXPECT_TRUE(fit(grouped[g], grouped[g])) << "group " << g;
    for (const auto member : grouped[g]) EXPECT_TRUE(seen.insert(member).second) << member << " is in two groups";
    for (size_t h = g + 1; h < grouped.size(); ++h) ASSERT_FALSE(fit(grouped[g], grouped[h])) << g << " and " << h;
  }
}

TEST(Nearest, IsTheSortedListOfAll) {
  const Hashes hashes = make_hashes(4000, 8);
  const Hashes queries(hashes.begin(), hashes.begin() + 8);
  std::vector<std::pair<int, std::uint32_t>> wanted;
  for (std::uint32_t i = 0; i < hashes.size(); ++i) {
    int least = 64;
    for (const auto query : queries) least = std::min(least, std::popcount(query ^ hashes[i]));
    if (least <= 14) wanted.emplace_back(least, i);
  }
  std::sort(wanted.begin(), wanted.end());
  ASSERT_GT(wanted.size(), 20U);
  for (const size_t k : {size_t{0}, size_t{1}, size_t{20}, size_t{100'000}}) {
    const auto found = nearest(queries, hashes, k, 14);
    ASSERT_EQ(found.size(), std::min(k, wanted.size()));
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].distance, wanted[i].first);
      EXPECT_EQ(found[i].index, wanted[i].second);
    }
  }
  EXPECT_TRUE(nearest({}, hashes, 5, 64).empty());
}

}  // namespace
}  // namespace image_engine::vision
