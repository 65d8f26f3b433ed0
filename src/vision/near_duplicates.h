// Finds which of many 64-bit hashes are close to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace image_engine::vision {

// Two positions in the list of hashes, a < b.
struct Pair {
  std::uint32_t a = 0, b = 0;
  std::uint8_t distance = 0;
  auto operator<=>(const Pair&) const = default;
};

struct Pairs {
  // Sorted by a, then b. Of equal hashes, the first is paired with each other one at distance 0, and only the first
  // appears in other pairs. Thus n blank pictures make n − 1 pairs, and the omitted pairs follow from these.
  std::vector<Pair> pairs;
  // The list contains exactly the pairs up to this distance: the requested one, or the largest at which there are at
  // most `max_pairs` pairs of different hashes.
  int max_distance = 0;
};

// All pairs within `max_distance` (0…64), none missed: of four 16-bit parts of two hashes that differ in d bits, part i
// differs in at most r_i where the r_i + 1 sum to d + 1 (Norouzi et al. 2012, multi-index hashing), so only hashes with
// a similar part are compared. At most 2³² hashes. Memory: about 50 bytes per hash and 50 per pair. The result does not
// depend on `threads`. Time grows with the number of pairs that share a part: a million different hashes that are all
// close together cost minutes, not memory.
Pairs all_pairs(std::span<const std::uint64_t> hashes, int max_distance, int threads,
                std::size_t max_pairs = 10'000'000);

// Groups without chaining: any two hashes of a group are within pairs.max_distance. Greedy complete link: pairs are
// taken by distance, then a, then b; the groups of both ends are joined if that holds for the whole. Every position is
// in at most one group; a group has at least two. Positions ascend within a group, groups by their first. `pairs` is
// the result of all_pairs() for the same `hashes`.
std::vector<std::vector<std::uint32_t>> groups(const Pairs& pairs, std::span<const std::uint64_t> hashes);

struct Neighbour {
  std::uint32_t index = 0;
  std::uint8_t distance = 0;  // the smallest over all queries
  auto operator<=>(const Neighbour&) const = default;
};

// The k hashes nearest to any of `queries` (one hash, or the eight variants of a picture) within `max_distance`,
// nearest first, then by index. Reads every hash.
std::vector<Neighbour> nearest(std::span<const std::uint64_t> queries, std::span<const std::uint64_t> hashes,
                               std::size_t k, int max_distance);

}  // namespace image_engine::vision
