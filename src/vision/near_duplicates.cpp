#include "vision/near_duplicates.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <numeric>
#include <utility>

#include "core/cpu.h"
#include "vision/in_threads.h"

namespace image_engine::vision {
namespace {

constexpr int kParts = 4;
constexpr std::uint32_t kKeys = 1U << 16;
constexpr std::uint32_t kKeysPerTask = 256;

// Part 0…3 of a hash: bytes `part` and `part` + 4. A byte of a dHash is a row of the picture, and neighbouring rows are
// similar: two distant rows spread pictures over more keys.
constexpr std::uint32_t key_of(std::uint64_t hash, int part) {
  return static_cast<std::uint32_t>(hash >> (8 * part) & 0xff) |
         static_cast<std::uint32_t>(hash >> (8 * part + 24) & 0xff00);
}

// The r_i of the header, −1 for a part that need not be compared: the r_i + 1 sum to max_distance + 1.
constexpr int radius(int part, int max_distance) { return (max_distance + kParts - part) / kParts - 1; }

// All 16-bit masks of at most `bits` bits, 0 first.
std::vector<std::uint32_t> masks_within(int bits) {
  std::vector<std::uint32_t> masks;
  for (std::uint32_t mask = 0; mask < kKeys; ++mask)
    if (std::popcount(mask) <= bits) masks.push_back(mask);
  return masks;
}

// Each distinct hash once, with its first position.
struct Distinct {
  std::vector<std::uint64_t> hashes;
  std::vector<std::uint32_t> positions;
};

// Adds a pair for each repetition.
Distinct take_distinct(std::span<const std::uint64_t> hashes, std::vector<Pair>& repetitions) {
  std::vector<std::uint32_t> order(hashes.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return hashes[a] != hashes[b] ? hashes[a] < hashes[b] : a < b; });
  Distinct distinct;
  for (const std::uint32_t position : order) {
    if (!distinct.hashes.empty() && distinct.hashes.back() == hashes[position]) {
      repetitions.push_back({distinct.positions.back(), position, 0});
    } else {
      distinct.hashes.push_back(hashes[position]);
      distinct.positions.push_back(position);
    }
  }
  return distinct;
}

// Hashes in the order of one part's key: those of key k are at start[k] … start[k + 1].
struct Buckets {
  std::vector<std::uint32_t> start = std::vector<std::uint32_t>(kKeys + 1);
  std::vector<std::uint64_t> hashes;
  std::vector<std::uint32_t> positions;

  Buckets(const Distinct& distinct, int part) : hashes(distinct.hashes.size()), positions(distinct.hashes.size()) {
    for (const std::uint64_t hash : distinct.hashes) ++start[key_of(hash, part) + 1];
    std::partial_sum(start.begin(), start.end(), start.begin());
    std::vector<std::uint32_t> next(start.begin(), start.end() - 1);
    for (std::size_t i = 0; i < distinct.hashes.size(); ++i) {
      const std::uint32_t slot = next[key_of(distinct.hashes[i], part)]++;
      hashes[slot] = distinct.hashes[i];
      positions[slot] = distinct.positions[i];
    }
  }
};

// The number of pairs at each distance, and the largest distance kept so that they stay below the limit.
class Limit {
 public:
  Limit(int max_distance, std::size_t max_pairs) : max_pairs_(max_pairs), kept_distance_(max_distance) {}

  [[nodiscard]] int kept_distance() const { return kept_distance_.load(std::memory_order_relaxed); }
  // Reports how many pairs a task has found, by distance.
  void add(const std::array<std::size_t, 65>& found) {
    for (std::size_t d = 0; d < found.size(); ++d)
      if (found[d] > 0) counts_[d].fetch_add(found[d], std::memory_order_relaxed);
    int kept = kept_distance();
    while (kept > 0 && pairs_within(kept) > max_pairs_) {
      if (kept_distance_.compare_exchange_weak(kept, kept - 1)) --kept;
    }
  }

 private:
  [[nodiscard]] std::size_t pairs_within(int distance) const {
    std::size_t sum = 0;
    for (std::size_t d = 0; d <= static_cast<std::size_t>(distance); ++d)
      sum += counts_[d].load(std::memory_order_relaxed);
    return sum;
  }

  std::size_t max_pairs_;
  std::array<std::atomic<std::size_t>, 65> counts_{};
  std::atomic<int> kept_distance_;
};

using Counts = std::array<std::size_t, 65>;

// Compares the buckets of one part and keeps pairs that no earlier part found.
struct Join {
  const Buckets& buckets;
  int part;
  int max_distance;  // as requested: it determines the radii
  std::vector<std::uint32_t> masks;
  Limit& limit;

  [[nodiscard]] bool found_earlier(std::uint64_t difference) const {
    for (int earlier = 0; earlier < part; ++earlier)
      if (std::popcount(key_of(difference, earlier)) <= radius(earlier, max_distance)) return true;
    return false;
  }

  // `i` with the hashes at begin … end.
  [[gnu::always_inline]] inline void compare(std::uint32_t i, std::uint32_t begin, std::uint32_t end, int kept,
                                             std::vector<Pair>& pairs, Counts& found) const {
    const std::uint64_t hash = buckets.hashes[i];
    const std::uint64_t* others = buckets.hashes.data();
    for (std::uint32_t j = begin; j < end; ++j) {
      const std::uint64_t difference = hash ^ others[j];
      const int bits = std::popcount(difference);
      if (bits > kept || found_earlier(difference)) continue;
      const auto [a, b] = std::minmax(buckets.positions[i], buckets.positions[j]);
      pairs.push_back({a, b, static_cast<std::uint8_t>(bits)});
      ++found[static_cast<std::size_t>(bits)];
    }
  }

  // All pairs whose lower key is one of kKeysPerTask keys from first_key on.
  [[gnu::always_inline]] inline void run_here(std::uint32_t first_key, std::vector<Pair>& pairs) const {
    Counts found{};
    int kept = limit.kept_distance();
    for (std::uint32_t key = first_key; key < first_key + kKeysPerTask; ++key) {
      const std::uint32_t end = buckets.start[key + 1];
      for (std::uint32_t i = buckets.start[key]; i < end; ++i) {
        const std::size_t before = pairs.size();
        compare(i, i + 1, end, kept, pairs, found);
        for (const std::uint32_t mask : masks)
          if (const std::uint32_t other = key ^ mask; other > key)
            compare(i, buckets.start[other], buckets.start[other + 1], kept, pairs, found);
        if (pairs.size() == before) continue;
        limit.add(std::exchange(found, {}));
        if (const int now = limit.kept_distance(); now < kept) {
          kept = now;
          std::erase_if(pairs, [&](const Pair& pair) { return pair.distance > kept; });
        }
      }
    }
  }
};

using Run = void (*)(const Join&, std::uint32_t, std::vector<Pair>&);
using Nearest = void (*)(std::span<const std::uint64_t>, std::span<const std::uint64_t>, int, std::vector<Neighbour>&);

[[gnu::always_inline]] inline void nearest_here(std::span<const std::uint64_t> queries,
                                                std::span<const std::uint64_t> hashes, int max_distance,
                                                std::vector<Neighbour>& found) {
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    int least = 65;
    for (const std::uint64_t query : queries) least = std::min(least, std::popcount(query ^ hashes[i]));
    if (least <= max_distance) found.push_back({static_cast<std::uint32_t>(i), static_cast<std::uint8_t>(least)});
  }
}

// Both loops, compiled for POPCNT if the CPU has it: a tenth of the time.
struct Loops {
  Run run = [](const Join& join, std::uint32_t key, std::vector<Pair>& pairs) { join.run_here(key, pairs); };
  Nearest nearest = nearest_here;
};

#if defined(__x86_64__)
[[gnu::target("popcnt")]] void run_popcnt(const Join& join, std::uint32_t key, std::vector<Pair>& pairs) {
  join.run_here(key, pairs);
}
[[gnu::target("popcnt")]] void nearest_popcnt(std::span<const std::uint64_t> queries,
                                              std::span<const std::uint64_t> hashes, int max_distance,
                                              std::vector<Neighbour>& found) {
  nearest_here(queries, hashes, max_distance, found);
}
Loops choose_loops() { return cpu_uses_popcnt() ? Loops{run_popcnt, nearest_popcnt} : Loops{}; }
#else
Loops choose_loops() { return {}; }
#endif

void join_part(const Join& join, int threads, std::vector<std::vector<Pair>>& found) {
  std::atomic<std::uint32_t> next_key{0};
  const Run run = choose_loops().run;
  in_threads(threads, [&](std::size_t thread) {
    for (std::uint32_t key = next_key.fetch_add(kKeysPerTask); key < kKeys; key = next_key.fetch_add(kKeysPerTask))
      run(join, key, found[thread]);
  });
}

}  // namespace

Pairs all_pairs(std::span<const std::uint64_t> hashes, int max_distance, int threads, std::size_t max_pairs) {
  max_distance = std::clamp(max_distance, 0, 64);
  threads = std::clamp(threads, 1, 256);
  Pairs result;
  const Distinct distinct = take_distinct(hashes, result.pairs);
  Limit limit(max_distance, max_pairs);
  std::vector<std::vector<Pair>> found(static_cast<std::size_t>(threads));
  for (int part = 0; part < kParts && max_distance > 0; ++part) {
    const int bits = radius(part, max_distance);
    if (bits < 0) continue;
    const Buckets buckets(distinct, part);
    join_part({buckets, part, max_distance, masks_within(bits), limit}, threads, found);
  }
  result.max_distance = limit.kept_distance();
  for (auto& list : found) {
    for (const Pair& pair : list)
      if (pair.distance <= result.max_distance) result.pairs.push_back(pair);
    list = {};
  }
  std::sort(result.pairs.begin(), result.pairs.end());
  return result;
}

std::vector<Neighbour> nearest(std::span<const std::uint64_t> queries, std::span<const std::uint64_t> hashes,
                               std::size_t k, int max_distance) {
  std::vector<Neighbour> found;
  choose_loops().nearest(queries, hashes, std::min(max_distance, 64), found);
  const auto nearer = [](const Neighbour& a, const Neighbour& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.index < b.index;
  };
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(std::min(k, found.size()));
  std::partial_sort(found.begin(), end, found.end(), nearer);
  found.erase(end, found.end());
  return found;
}

namespace {

// Groups under construction. Each other position is its own group.
class Grouping {
 public:
  explicit Grouping(std::span<const std::uint64_t> hashes)
      : hashes_(hashes), group_of_(hashes.size()), members_(hashes.size()) {
    std::iota(group_of_.begin(), group_of_.end(), 0U);
  }

  // Joins the groups of `a` and `b` unless two of their hashes differ by more than `max_distance`.
  void join(std::uint32_t a, std::uint32_t b, int max_distance) {
    std::uint32_t into = group_of_[a], from = group_of_[b];
    if (into == from) return;
    for (const std::uint32_t group : {into, from})
      if (members_[group].empty()) members_[group].push_back(group);
    if (members_[into].size() < members_[from].size()) std::swap(into, from);
    for (const std::uint32_t first : members_[into])
      for (const std::uint32_t second : members_[from])
        if (std::popcount(hashes_[first] ^ hashes_[second]) > max_distance) return;
    for (const std::uint32_t member : members_[from]) group_of_[member] = into;
    members_[into].insert(members_[into].end(), members_[from].begin(), members_[from].end());
    members_[from] = {};
  }

  [[nodiscard]] std::uint32_t group_of(std::uint32_t position) const { return group_of_[position]; }

 private:
  std::span<const std::uint64_t> hashes_;
  std::vector<std::uint32_t> group_of_;              // a group's name is one of its members
  std::vector<std::vector<std::uint32_t>> members_;  // by group; empty for a group of one that was never compared
};

}  // namespace

std::vector<std::vector<std::uint32_t>> groups(const Pairs& pairs, std::span<const std::uint64_t> hashes) {
  std::vector<Pair> ordered;
  std::vector<std::uint32_t> stands_for(hashes.size());  // the first position with the same hash
  std::iota(stands_for.begin(), stands_for.end(), 0U);
  for (const Pair& pair : pairs.pairs) {
    if (pair.distance == 0)
      stands_for[pair.b] = pair.a;
    else
      ordered.push_back(pair);
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const Pair& a, const Pair& b) { return a.distance < b.distance; });
  Grouping grouping(hashes);
  for (const Pair& pair : ordered) grouping.join(pair.a, pair.b, pairs.max_distance);

  std::vector<std::vector<std::uint32_t>> by_name(hashes.size());
  for (std::uint32_t i = 0; i < hashes.size(); ++i) by_name[grouping.group_of(stands_for[i])].push_back(i);
  std::erase_if(by_name, [](const auto& group) { return group.size() < 2; });
  std::sort(by_name.begin(), by_name.end());
  return by_name;
}

}  // namespace image_engine::vision
