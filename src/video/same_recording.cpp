#include "video/same_recording.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "video/fingerprint.h"

namespace image_engine::video {
namespace {

// Of lengths, in steps of a fingerprint.
constexpr int kSecond = 2;  // steps
static_assert(kSecond * kPrintStep == 1);
constexpr int kLeastSteps = 5 * kSecond;
constexpr int kTolerance = kSecond;      // by which the shorter one may reach beyond the longer one, at each end
constexpr int kWindow = 2 * kSecond;     // compared as one
constexpr int kStepOfWindows = kSecond;  // from one window to the next
constexpr int kLag = kSecond;            // between the pictures whose difference makes a key

// Of what moves. Energy: the mean square of luma's distance from the window's mean, in levels of 255.
constexpr double kTellingEnergy = 4;     // from here on, movement tells one recording from another; people who are a
                                         // twentieth of the picture high make 5 (opencv-doc's vtest.avi)
constexpr double kNoiseEnergy = 0.35;    // of coding at low bit rates
constexpr double kLeastAgreement = 0.9;  // correlation of what moves in a window. Of copies: 0.93 and more
constexpr double kMostLevels =
    10;  // by which what stays may differ anywhere, after brightness and contrast are matched
constexpr double kLeastContrastRatio = 0.6, kMostContrastRatio = 1.6;  // of contrast
constexpr double kMostFailing = 0.03;                                  // share of windows
constexpr double kLeastTelling = 0.5;  // share of windows: what stands still for long may be a cover with any sound
constexpr double kLeastLikely = 0.5;   // correlation of all that moves, for a closer look
constexpr double kRepeats = 0.7;       // correlation with itself some time later: a loop
constexpr double kMostDrift = 0.01;    // of speed
constexpr double kSureOffset = 0.08;   // steps: to what an offset is known
constexpr int kLongestPeriod = 120 * kSecond;

// Keys: signs of random sums of what changes, in four tables.
constexpr int kPooled = kPrintCells / 2;
constexpr int kTables = 4, kKeyBits = 16, kBits = kTables * kKeyBits;
constexpr std::size_t kKeys = std::size_t{1} << kKeyBits;
constexpr std::size_t kMostOfKey = 1000;  // a key of more steps says nothing
constexpr int kLeastChange = 1;           // mean square, in levels
constexpr int kLeastVotes = 3;
constexpr int kStepsAVote = 10;  // at most, of the shorter one; copies have a vote a step
constexpr std::size_t kOffsetsTried = 2;

struct Series {
  const std::uint8_t* cells = nullptr;
  int steps = 0;
  [[nodiscard]] const std::uint8_t* at(int step) const {
    return cells + static_cast<std::ptrdiff_t>(step) * kPrintCells;
  }
};

// +1 or −1 by cell and bit, always the same. As floats, which are multiplied fast everywhere; all sums are exact.
const std::array<std::array<float, kBits>, kPooled>& signs() {
  static const auto kSigns = [] {
    std::array<std::array<float, kBits>, kPooled> all{};
    std::uint64_t state = 0x9e3779b97f4a7c15;
    for (auto& row : all)
      for (float& sign : row) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;  // xorshift64 (Marsaglia 2003)
        sign = (state >> 32) % 2 == 0 ? 1.0F : -1.0F;
      }
    return all;
  }();
  return kSigns;
}

using Keys = std::array<std::uint16_t, kTables>;

// Of the change from `step` to kLag steps later; `half`: from half a step later. Without the change of the whole
// picture's brightness. None where too little changes.
std::optional<Keys> keys_at(const Series& series, int step, bool half) {
  const std::uint8_t* from = series.at(step);
  const std::uint8_t* to = series.at(step + kLag);
  const int next = half ? kPrintCells : 0;
  std::array<std::int32_t, kPooled> change{};
  std::int32_t sum = 0;
  for (int i = 0; i < kPooled; ++i) {
    const int at = 2 * i;
    const auto value = [&](const std::uint8_t* cells) {
      return cells[at] + cells[at + 1] + cells[at + next] + cells[at + next + 1];
    };
    change[static_cast<std::size_t>(i)] = value(to) - value(from);  // four times the mean
    sum += change[static_cast<std::size_t>(i)];
  }
  std::int64_t squares = 0;
  for (std::int32_t& value : change) {
    value -= sum / kPooled;
    squares += std::int64_t{value} * value;
  }
  if (squares < std::int64_t{16} * kLeastChange * kPooled) return std::nullopt;
  std::array<float, kBits> sums{};
  for (int i = 0; i < kPooled; ++i) {
    const auto& row = signs()[static_cast<std::size_t>(i)];
    const auto value = static_cast<float>(change[static_cast<std::size_t>(i)]);
    for (int bit = 0; bit < kBits; ++bit)
      sums[static_cast<std::size_t>(bit)] += value * row[static_cast<std::size_t>(bit)];
  }
  Keys keys{};
  for (int bit = 0; bit < kBits; ++bit)
    if (sums[static_cast<std::size_t>(bit)] > 0)
      keys[static_cast<std::size_t>(bit / kKeyBits)] |= static_cast<std::uint16_t>(1U << (bit % kKeyBits));
  return keys;
}

// Where each key occurs.
class Index {
 public:
  struct Entry {
    std::uint32_t video = 0;
    std::int32_t step = 0;
  };

  explicit Index(std::span<const Series> videos) {
    std::vector<std::pair<Entry, Keys>> all;
    for (std::uint32_t video = 0; video < videos.size(); ++video)
      for (int step = 0; step + kLag < videos[video].steps; ++step)
        if (const auto keys = keys_at(videos[video], step, false)) all.push_back({{video, step}, *keys});
    for (std::size_t table = 0; table < kTables; ++table) {
      std::vector<std::uint32_t>& starts = starts_[table];
      starts.assign(kKeys + 1, 0);
      for (const auto& [entry, keys] : all) ++starts[keys[table] + std::size_t{1}];
      for (std::size_t key = 0; key < kKeys; ++key) starts[key + 1] += starts[key];
      std::vector<std::uint32_t> next(starts.begin(), starts.end() - 1);
      entries_[table].resize(all.size());
      for (const auto& [entry, keys] : all) entries_[table][next[keys[table]]++] = entry;
    }
  }

  // Those of videos behind `video`, in order.
  [[nodiscard]] std::span<const Entry> find(std::size_t table, std::uint16_t key, std::uint32_t video) const {
    const std::vector<std::uint32_t>& starts = starts_[table];
    const std::span<const Entry> all(entries_[table].data() + starts[key], starts[key + std::size_t{1}] - starts[key]);
    if (all.size() > kMostOfKey) return {};
    const auto first = std::ranges::upper_bound(all, video, {}, &Entry::video);
    return {first, all.end()};
  }

 private:
  std::array<std::vector<std::uint32_t>, kTables> starts_;
  std::array<std::vector<Entry>, kTables> entries_;
};

// A video behind the one that is asked about, and by how many half steps later the same seems to be in it.
struct Guess {
  std::uint32_t video = 0;
  std::int32_t half_steps = 0;
  int votes = 0;
};

// From sorted votes (video, then offset): of each video the offsets that have most, counting those beside them.
std::vector<Guess> guesses_of(std::span<const std::pair<std::uint32_t, std::int32_t>> votes) {
  std::vector<Guess> counted, best;
  for (const auto& [video, offset] : votes) {
    if (counted.empty() || counted.back().video != video || counted.back().half_steps != offset)
      counted.push_back({video, offset, 0});
    ++counted.back().votes;
  }
  const auto votes_beside = [&](std::size_t i, std::ptrdiff_t way) {
    const auto other = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(i) + way);
    const bool is_beside = other < counted.size() && counted[other].video == counted[i].video &&
                           counted[other].half_steps == counted[i].half_steps + way;
    return is_beside ? counted[other].votes : 0;
  };
  for (std::size_t begin = 0; begin < counted.size();) {
    std::vector<Guess> of_video;
    std::size_t end = begin;
    for (; end < counted.size() && counted[end].video == counted[begin].video; ++end) {
      Guess guess = counted[end];
      guess.votes += votes_beside(end, -1) + votes_beside(end, 1);
      if (guess.votes >= kLeastVotes) of_video.push_back(guess);
    }
    std::ranges::stable_sort(of_video, std::ranges::greater{}, &Guess::votes);
    std::size_t taken = 0;
    for (std::size_t i = 0; i < of_video.size() && taken < kOffsetsTried; ++i) {
      const auto is_near = [&](const Guess& other) {
        return std::abs(other.half_steps - of_video[i].half_steps) <= kSecond;
      };
      if (std::any_of(of_video.begin(), of_video.begin() + static_cast<std::ptrdiff_t>(i), is_near)) continue;
      best.push_back(of_video[i]);
      ++taken;
    }
    begin = end;
  }
  return best;
}

// The same steps of two videos, one behind the other.
struct Aligned {
  std::vector<float> a, b;
  int steps = 0;
};

// b's step s with a's step s + offset. Both are read between steps, each half of the way, so that both are blurred
// alike.
Aligned align(const Series& a, const Series& b, double offset) {
  const int whole = static_cast<int>(std::floor(offset));
  const auto half = static_cast<float>((offset - whole) / 2);
  const int between = half > 0 ? 1 : 0;
  const int first = std::max(between, -whole), end = std::min(b.steps, a.steps - whole - between);
  Aligned aligned;
  aligned.steps = std::max(end - first, 0);
  const auto size = static_cast<std::size_t>(aligned.steps) * kPrintCells;
  aligned.a.resize(size), aligned.b.resize(size);
  std::size_t out = 0;
  for (int step = first; step < end; ++step) {
    const std::uint8_t *in_a = a.at(step + whole), *after_a = a.at(step + whole + between);
    const std::uint8_t *in_b = b.at(step), *before_b = b.at(step - between);
    for (int i = 0; i < kPrintCells; ++i, ++out) {
      aligned.a[out] = (1 - half) * static_cast<float>(in_a[i]) + half * static_cast<float>(after_a[i]);
      aligned.b[out] = (1 - half) * static_cast<float>(in_b[i]) + half * static_cast<float>(before_b[i]);
    }
  }
  return aligned;
}

double correlation(double products, double a, double b) { return products / std::sqrt(a * b + 1e-9); }

// Of what changes from step to step.
double agreement(const Aligned& aligned) {
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = kPrintCells; i < aligned.a.size(); ++i) {
    const float a = aligned.a[i] - aligned.a[i - kPrintCells], b = aligned.b[i] - aligned.b[i - kPrintCells];
    aa += static_cast<double>(a * a), bb += static_cast<double>(b * b), ab += static_cast<double>(a * b);
  }
  return correlation(ab, aa, bb);
}

// b ≈ gain · a + shift.
struct LightChange {
  double gain = 1, shift = 0;
};

LightChange light_between(const Aligned& aligned) {
  double a = 0, b = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < aligned.a.size(); ++i) {
    const double x = aligned.a[i], y = aligned.b[i];
    a += x, b += y, aa += x * x, bb += y * y;
  }
  const double n = static_cast<double>(aligned.a.size());
  const double gain = std::sqrt(std::max(bb - b * b / n, 0.0) / std::max(aa - a * a / n, 1e-9));
  return {gain, (b - gain * a) / n};
}

struct WindowResult {
  bool telling = false, same = false;
};

WindowResult compare_window(const Aligned& aligned, int first, const LightChange& light) {
  double aa = 0, bb = 0, ab = 0, most = 0;
  for (std::size_t cell = 0; cell < kPrintCells; ++cell) {
    const std::size_t begin = static_cast<std::size_t>(first) * kPrintCells + cell;
    double mean_a = 0, mean_b = 0;
    for (std::size_t step = 0; step < kWindow; ++step) {
      mean_a += static_cast<double>(aligned.a[begin + step * kPrintCells]) / kWindow;
      mean_b += static_cast<double>(aligned.b[begin + step * kPrintCells]) / kWindow;
    }
    for (std::size_t step = 0; step < kWindow; ++step) {
      const double a = static_cast<double>(aligned.a[begin + step * kPrintCells]) - mean_a;
      const double b = static_cast<double>(aligned.b[begin + step * kPrintCells]) - mean_b;
      aa += a * a, bb += b * b, ab += a * b;
    }
    most = std::max(most, std::abs(mean_b - light.gain * mean_a - light.shift));
  }
  const double energy = std::max(aa, bb / (light.gain * light.gain)) / (kWindow * kPrintCells);
  const double least = kLeastAgreement * energy / (energy + kNoiseEnergy);
  return {energy >= kTellingEnergy, most <= kMostLevels && (energy < kNoiseEnergy || correlation(ab, aa, bb) >= least)};
}

enum class Sameness { kNone, kButForSome, kAll };

Sameness sameness(const Aligned& aligned) {
  const LightChange light = light_between(aligned);
  if (!(light.gain >= kLeastContrastRatio && light.gain <= kMostContrastRatio)) return Sameness::kNone;
  int windows = 0, telling = 0, failing = 0;
  for (int first = 0; first + kWindow <= aligned.steps; first += kStepOfWindows) {
    const WindowResult result = compare_window(aligned, first, light);
    ++windows;
    telling += result.telling ? 1 : 0;
    failing += result.same ? 0 : 1;
  }
  const bool same = windows > 0 && telling >= kLeastTelling * windows && failing <= kMostFailing * windows;
  if (!same) return Sameness::kNone;
  return failing == 0 ? Sameness::kAll : Sameness::kButForSome;
}

// Whether it shows the same again after a while: then where a part belongs is not known, nor whether it is one.
bool repeats(const Series& series) {
  const int longest = std::min(series.steps - kLeastSteps + kSecond, kLongestPeriod);
  std::vector<std::int16_t> change;
  for (int i = kPrintCells; i < series.steps * kPrintCells; ++i)
    change.push_back(static_cast<std::int16_t>(series.cells[i] - series.cells[i - kPrintCells]));
  for (int shift = kSecond; shift < longest; ++shift) {
    const std::size_t distance = static_cast<std::size_t>(shift) * kPrintCells;
    std::int64_t aa = 0, bb = 0, ab = 0;
    for (std::size_t i = distance; i < change.size(); ++i) {
      const std::int32_t a = change[i], b = change[i - distance];
      aa += a * a, bb += b * b, ab += a * b;
    }
    if (correlation(static_cast<double>(ab), static_cast<double>(aa), static_cast<double>(bb)) >= kRepeats) return true;
  }
  return false;
}

// The offset (in steps) near `about` at which a and b agree most; none where they hardly do.
std::optional<double> best_offset(const Series& a, const Series& b, double about) {
  double best = about, most = -1;
  const auto look = [&](double around, double reach, double step) {
    const auto steps = static_cast<int>(std::lround(2 * reach / step));
    for (int i = 0; i <= steps; ++i) {
      const double offset = around - reach + i * step;
      const Aligned aligned = align(a, b, offset);
      if (aligned.steps < kLeastSteps - 2) continue;
      if (const double here = agreement(aligned); here > most) best = offset, most = here;
    }
  };
  look(about, 0.5, 0.5);
  if (most < kLeastLikely) return std::nullopt;
  look(best, 0.375, 0.125);
  return best;
}

// Where the part of b agrees best with a, between the offsets that best_offset() tries.
double fine_offset(const Series& a, const Series& part, double about) {
  constexpr double kBeside = 0.25;
  const double before = agreement(align(a, part, about - kBeside)), here = agreement(align(a, part, about)),
               after = agreement(align(a, part, about + kBeside));
  const double bend = before - 2 * here + after;
  return bend < 0 ? about + std::clamp(kBeside * (before - after) / (2 * bend), -2 * kBeside, 2 * kBeside) : about;
}

// Whether both halves of b are at one offset in a: at another speed they are not.
bool is_at_one_speed(const Series& a, const Series& b, double offset) {
  const int half = b.steps / 2;
  const Series first{b.cells, half}, second{b.at(half), b.steps - half};
  const double drift = fine_offset(a, second, offset + half) - half - fine_offset(a, first, offset);
  return std::abs(drift) <= kMostDrift * half + kSureOffset;
}

class Comparison {
 public:
  explicit Comparison(std::span<const Series> videos) : videos_(videos), index_(videos), repeats_(videos.size()) {}

  // Pairs of that video with those behind it.
  std::vector<SameRecording> pairs_of(std::uint32_t video) {
    const Series& series = videos_[video];
    std::vector<std::pair<std::uint32_t, std::int32_t>> votes;
    for (int step = 0; step + kLag < series.steps; ++step)
      for (const bool half : {false, true}) {
        if (half && step + kLag + 1 >= series.steps) continue;
        const auto keys = keys_at(series, step, half);
        if (!keys) continue;
        for (std::size_t table = 0; table < kTables; ++table)
          for (const Index::Entry& entry : index_.find(table, (*keys)[table], video))
            votes.emplace_back(entry.video, 2 * (entry.step - step) - (half ? 1 : 0));
      }
    std::ranges::sort(votes);
    std::vector<SameRecording> pairs;
    for (const Guess& guess : guesses_of(votes)) {
      if (!pairs.empty() && (pairs.back().longer == guess.video || pairs.back().shorter == guess.video)) continue;
      if (const auto pair = verify(video, guess)) pairs.push_back(*pair);
    }
    return pairs;
  }

 private:
  std::optional<SameRecording> verify(std::uint32_t video, const Guess& guess) {
    const bool is_longer = videos_[video].steps >= videos_[guess.video].steps;
    SameRecording pair{is_longer ? video : guess.video, is_longer ? guess.video : video, 0};
    const Series &a = videos_[pair.longer], &b = videos_[pair.shorter];
    if (guess.votes * kStepsAVote < b.steps) return std::nullopt;
    const double about = (is_longer ? -1 : 1) * guess.half_steps / 2.0;
    if (about < -kTolerance - 1 || about + b.steps > a.steps + kTolerance + 1) return std::nullopt;
    const std::optional<double> offset = best_offset(a, b, about);
    if (!offset || *offset < -kTolerance || *offset + b.steps > a.steps + kTolerance) return std::nullopt;
    const Sameness same = sameness(align(a, b, *offset));
    if (same == Sameness::kNone || !is_at_one_speed(a, b, *offset) || is_loop(pair.longer) || is_loop(pair.shorter))
      return std::nullopt;
    pair.differs = same == Sameness::kButForSome;
    pair.offset = *offset * kPrintStep;
    return pair;
  }

  bool is_loop(std::uint32_t video) {
    std::atomic<int>& known = repeats_[video];  // 0: unknown; several threads may find the same
    if (known == 0) known = repeats(videos_[video]) ? 1 : 2;
    return known == 1;
  }

  std::span<const Series> videos_;
  Index index_;
  std::vector<std::atomic<int>> repeats_;
};

}  // namespace

std::vector<SameRecording> same_recordings(std::span<const std::string_view> fingerprints, int threads) {
  std::vector<Series> videos;
  for (const std::string_view cells : fingerprints) {
    const bool is_good = cells.size() % kPrintCells == 0 && cells.size() >= std::size_t{kLeastSteps} * kPrintCells &&
                         cells.size() <= static_cast<std::size_t>(kLongestPrint / kPrintStep + 1) * kPrintCells;
    videos.push_back({reinterpret_cast<const std::uint8_t*>(cells.data()),
                      is_good ? static_cast<int>(cells.size() / kPrintCells) : 0});
  }
  Comparison comparison(videos);
  std::vector<SameRecording> all;
  std::mutex mutex;
  std::atomic<std::uint32_t> next = 0;
  const auto work = [&] {
    for (std::uint32_t video = next++; video < videos.size(); video = next++) {
      const std::vector<SameRecording> pairs = comparison.pairs_of(video);
      const std::lock_guard lock(mutex);
      all.insert(all.end(), pairs.begin(), pairs.end());
    }
  };
  {
    std::vector<std::jthread> helpers;
    try {
      for (int thread = 1; thread < std::clamp(threads, 1, 64); ++thread) helpers.emplace_back(work);
    } catch (const std::system_error&) {  // fewer threads do as well
    }
    work();
  }
  std::ranges::sort(all);
  return all;
}

}  // namespace image_engine::video
