#include "search/scan.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <system_error>
#include <thread>

namespace image_engine::search {
namespace {

constexpr std::size_t kBatch = 1024;       // rows whose dots fit the first-level cache
constexpr double kLengthTolerance = 0.01;  // of a query, which may have been binary16
constexpr float kRoundingError = 1e-5F;    // of float sums over numbers of length 1
constexpr std::int64_t kByteQueryMost = 16'383;
constexpr std::int64_t kByteMost = 127;

bool is_nearer(const Neighbour& a, const Neighbour& b) {
  return a.cosine != b.cosine ? a.cosine > b.cosine : a.id < b.id;
}

// NaN counts as farthest.
float cosine_of(float dot) { return std::isfinite(dot) ? std::clamp(dot, -1.0F, 1.0F) : -1.0F; }

// A query in the kernels' format.
struct Prepared {
  Prepared(std::span<const float> query, std::size_t stride)
      : halves(stride * sizeof(float)), bytes(stride * sizeof(std::int16_t)) {
    std::ranges::copy(query, halves.as<float>());
    std::int64_t room = std::numeric_limits<std::int32_t>::max() / (kByteMost * static_cast<std::int64_t>(stride));
    room = std::min(room, kByteQueryMost);
    float largest = 0;
    for (const float number : query) largest = std::max(largest, std::abs(number));
    byte_scale = largest / static_cast<float>(room);
    double error = 0;
    for (std::size_t i = 0; i < query.size(); ++i) {
      const float rounded = std::round(query[i] / byte_scale);
      bytes.as<std::int16_t>()[i] = static_cast<std::int16_t>(rounded);
      const double off = double{query[i]} - double{rounded} * double{byte_scale};
      error += off * off;
    }
    byte_error = static_cast<float>(std::sqrt(error));
  }

  AlignedBytes halves, bytes;
  float byte_scale = 0;
  float byte_error = 0;  // length of the difference
};

// What one thread has found.
class Scanner {
 public:
  Scanner(const VectorFile& file, const Prepared& query, std::size_t most, const store::IdSet* allowed,
          const Kernels& kernels)
      : file_(file), query_(query), most_(most), allowed_(allowed), kernels_(kernels) {}

  void scan(const VectorBlock& block) {
    std::size_t row = 0;
    while (row < block.ids.size()) {
      std::size_t count = 0;
      for (; row < block.ids.size() && count < kBatch; ++row)
        if (is_allowed(block.ids[row])) rows_[count++] = static_cast<std::uint32_t>(row);
      if (count == 0) continue;
      if (block.bytes == nullptr)
        take(block, count, true);
      else
        take(block, estimate(block, count), false);
    }
  }

  [[nodiscard]] std::vector<Neighbour>& best() { return best_; }
  [[nodiscard]] const CosineHistogram& all() const { return all_; }

 private:
  [[nodiscard]] bool is_allowed(std::int64_t id) const {
    return id > 0 && (allowed_ == nullptr || allowed_->contains(store::asset_of(id)));
  }

  // Moves those of the first `count` rows that may be among the best to the front; returns their number.
  std::size_t estimate(const VectorBlock& block, std::size_t count) {
    std::array<std::int32_t, kBatch> dots;
    kernels_.byte_dots(block.bytes, file_.stride(), {rows_.data(), count}, query_.bytes.as<std::int16_t>(),
                       dots.data());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const RowScale& scale = block.scales[rows_[i]];
      const float cosine = static_cast<float>(dots[i]) * scale.scale * query_.byte_scale;
      count_in(cosine_of(std::isfinite(scale.error) ? cosine : scale.error));
      const float off = scale.error + query_.byte_error * scale.length + kRoundingError;
      // Written so that NaN is kept.
      if (most_ > 0 && !(best_.size() == most_ && cosine + off * kLongest < best_.front().cosine))
        rows_[kept++] = rows_[i];
    }
    return kept;
  }

  void take(const VectorBlock& block, std::size_t count, bool counted) {
    std::array<float, kBatch> dots;
    kernels_.half_dots(block.halves, file_.stride(), {rows_.data(), count}, query_.halves.as<float>(), dots.data());
    for (std::size_t i = 0; i < count; ++i) {
      const float cosine = cosine_of(dots[i]);
      if (counted) count_in(cosine);
      if (best_.size() == most_ && (most_ == 0 || cosine < best_.front().cosine)) continue;
      keep({block.ids[rows_[i]], cosine});
    }
  }

  void count_in(float cosine) { ++all_.counts[CosineHistogram::bin_of(cosine)]; }

  // `best_` is a heap with the farthest on top.
  void keep(const Neighbour& found) {
    if (best_.size() == most_) {
      if (!is_nearer(found, best_.front())) return;
      std::ranges::pop_heap(best_, is_nearer);
      best_.pop_back();
    }
    best_.push_back(found);
    std::ranges::push_heap(best_, is_nearer);
  }

  static constexpr float kLongest = 1 + static_cast<float>(kLengthTolerance);
  const VectorFile& file_;
  const Prepared& query_;
  std::size_t most_;
  const store::IdSet* allowed_;
  const Kernels& kernels_;
  std::array<std::uint32_t, kBatch> rows_{};
  std::vector<Neighbour> best_;
  CosineHistogram all_;
};

Status check_query(std::span<const float> query, std::size_t dimensions) {
  if (query.size() != dimensions)
    return fail(ErrorCode::kInvalidArgument, "a query of " + std::to_string(query.size()) +
                                                 " numbers cannot be compared with vectors of " +
                                                 std::to_string(dimensions));
  double length = 0;
  for (const float number : query) length += double{number} * double{number};
  if (!(std::abs(std::sqrt(length) - 1) < kLengthTolerance))
    return fail(ErrorCode::kInvalidArgument, "a query needs length 1");
  return {};
}

constexpr std::size_t kBinsOfOne = CosineHistogram::kBins / 2;  // cosines are −1…1
}  // namespace

std::size_t CosineHistogram::bin_of(float cosine) {
  return std::min(kBins - 1, static_cast<std::size_t>(std::max(0.0F, (cosine + 1) * kBinsOfOne)));
}

double CosineHistogram::middle_of(std::size_t bin) { return (static_cast<double>(bin) + 0.5) / kBinsOfOne - 1; }

Result<ScanResult> scan_file(const VectorFile& file, std::span<const float> query, std::size_t most,
                             const store::IdSet* allowed, int threads, const Kernels& kernels) {
  IE_CHECK(check_query(query, file.kind().dimensions));
  most = std::min(most, file.rows());
  const std::size_t wanted = std::clamp<std::size_t>(static_cast<std::size_t>(std::max(threads, 1)), 1,
                                                     std::max<std::size_t>(file.blocks(), 1));
  const Prepared prepared(query, file.stride());
  std::vector<Scanner> scanners(wanted, Scanner(file, prepared, most, allowed, kernels));
  std::atomic<std::size_t> next = 0;
  const auto work = [&](Scanner& scanner) {
    for (std::size_t number = next++; number < file.blocks(); number = next++) scanner.scan(file.block(number));
  };
  {
    std::vector<std::jthread> helpers;
    try {
      for (std::size_t i = 1; i < wanted; ++i) helpers.emplace_back(work, std::ref(scanners[i]));
    } catch (const std::system_error&) {
      // If threads are missing, fewer do the same work.
    }
    work(scanners[0]);
  }
  ScanResult result;
  for (Scanner& scanner : scanners) {
    result.best.insert(result.best.end(), scanner.best().begin(), scanner.best().end());
    for (std::size_t bin = 0; bin < CosineHistogram::kBins; ++bin) {
      result.all.counts[bin] += scanner.all().counts[bin];
      result.all.total += scanner.all().counts[bin];
    }
  }
  std::ranges::sort(result.best, is_nearer);
  if (result.best.size() > most) result.best.resize(most);
  return result;
}

}  // namespace image_engine::search
