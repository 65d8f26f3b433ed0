#include "vision/closed_form.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "preprocess/plan.h"

namespace image_engine::vision {
namespace {

constexpr double kMattingRegular = 1e-5;  // ε of the paper, for colours of 0…1: below the noise of 8 bits
constexpr double kPrior = 1e-3;           // of the matte itself, where nothing is sure: thin things do not vanish
constexpr double kResidual = 1e-6;        // relative
constexpr int kMostSteps = 1000;
constexpr float kSureOutside = 0.05F, kSureInside = 0.95F;
constexpr std::size_t kWindow = 9;  // places
constexpr std::int32_t kKnown = -1;

using Colour3 = std::array<double, 3>;

// Marks all places of the squares around marked ones, up to `radius` away.
std::vector<std::uint8_t> spread(const std::vector<std::uint8_t>& marks, std::uint32_t width, std::uint32_t height,
                                 int radius) {
  const auto along = [radius](const std::vector<std::uint8_t>& from, std::size_t lines, std::size_t length,
                              std::size_t of_line, std::size_t of_place) {
    std::vector<std::uint8_t> to(from.size());
    for (std::size_t line = 0; line < lines; ++line) {
      std::ptrdiff_t last = -radius - 1;  // the last mark before or at the front of the window
      for (std::ptrdiff_t front = 0; front < static_cast<std::ptrdiff_t>(length) + radius; ++front) {
        if (front < static_cast<std::ptrdiff_t>(length) && from[line * of_line + front * of_place] != 0) last = front;
        const std::ptrdiff_t middle = front - radius;
        if (middle >= 0) to[line * of_line + middle * of_place] = last >= middle - radius ? 1 : 0;
      }
    }
    return to;
  };
  return along(along(marks, height, width, width, 1), width, height, 1, width);
}

// What is to be found, and where.
struct Unknowns {
  std::uint32_t width = 0, height = 0;
  std::vector<std::int32_t> index;  // of each place, among the unknown ones; kKnown
  std::vector<std::uint32_t> place;
  std::vector<double> known;  // of each place that is known: 0 or 1; else 0
};

Unknowns unknowns_of(const Matte& matte) {
  std::vector<std::uint8_t> inside(matte.alpha.size()), outside(matte.alpha.size()), edge(matte.alpha.size());
  for (std::size_t i = 0; i < matte.alpha.size(); ++i) {
    inside[i] = matte.alpha[i] > kSureOutside ? 1 : 0;
    outside[i] = matte.alpha[i] < kSureInside ? 1 : 0;
  }
  inside = spread(inside, matte.width, matte.height, 1), outside = spread(outside, matte.width, matte.height, 1);
  for (std::size_t i = 0; i < edge.size(); ++i) edge[i] = inside[i] & outside[i];
  edge = spread(edge, matte.width, matte.height, kMattingBand);
  Unknowns found{matte.width, matte.height, std::vector<std::int32_t>(edge.size(), kKnown), {}, {}};
  found.known.resize(edge.size());
  for (std::size_t i = 0; i < edge.size(); ++i) {
    if (edge[i] == 0) {
      found.known[i] = matte.alpha[i] >= kSureInside ? 1 : 0;
      continue;
    }
    found.index[i] = static_cast<std::int32_t>(found.place.size());
    found.place.push_back(static_cast<std::uint32_t>(i));
  }
  return found;
}

// A window around a place: what the least squares of alpha by colour in it need.
struct ColourWindow {
  std::uint32_t middle = 0;
  Colour3 mean{};
  std::array<double, 6> inverse{};  // of the regularised covariance: xx, xy, xz, yy, yz, zz
};

Colour3 times(const std::array<double, 6>& m, const Colour3& v) {
  return {m[0] * v[0] + m[1] * v[1] + m[2] * v[2], m[1] * v[0] + m[3] * v[1] + m[4] * v[2],
          m[2] * v[0] + m[4] * v[1] + m[5] * v[2]};
}

// The matting Laplacian of the unknown places, and its product with vectors, as in He, Sun, Tang: Fast Matting using
// Large Kernel Matting Laplacian Matrices, 2010.
class MattingLaplacian {
 public:
  MattingLaplacian(std::span<const float> colours, const Unknowns& unknowns) : colours_(colours), all_(unknowns) {
    for (std::uint32_t y = 1; y + 1 < all_.height; ++y)
      for (std::uint32_t x = 1; x + 1 < all_.width; ++x) {
        const std::uint32_t middle = y * all_.width + x;
        bool counts = false;
        around(middle, [&](std::uint32_t place) { counts |= all_.index[place] != kKnown; });
        if (counts) windows_.push_back(window_at(middle));
      }
  }

  // The unknown places' part of L · `values`, which are of all places.
  [[nodiscard]] std::vector<double> product(const std::vector<double>& values) const {
    std::vector<double> result(all_.place.size());
    for (const ColourWindow& window : windows_) {
      double sum = 0;
      Colour3 with{};
      around(window.middle, [&](std::uint32_t place) {
        sum += values[place];
        const Colour3 away = from_mean(window, place);
        for (std::size_t c = 0; c < 3; ++c) with[c] += away[c] * values[place];
      });
      for (double& part : with) part /= kWindow;
      const Colour3 slope = times(window.inverse, with);
      around(window.middle, [&](std::uint32_t place) {
        if (all_.index[place] == kKnown) return;
        const Colour3 away = from_mean(window, place);
        const double fitted = sum / kWindow + slope[0] * away[0] + slope[1] * away[1] + slope[2] * away[2];
        result[static_cast<std::size_t>(all_.index[place])] += values[place] - fitted;
      });
    }
    return result;
  }

  [[nodiscard]] std::vector<double> diagonal() const {
    std::vector<double> result(all_.place.size());
    for (const ColourWindow& window : windows_)
      around(window.middle, [&](std::uint32_t place) {
        if (all_.index[place] == kKnown) return;
        const Colour3 away = from_mean(window, place), turned = times(window.inverse, away);
        const double square = away[0] * turned[0] + away[1] * turned[1] + away[2] * turned[2];
        result[static_cast<std::size_t>(all_.index[place])] += 1 - (1 + square) / kWindow;
      });
    return result;
  }

 private:
  template <typename Use>
  void around(std::uint32_t middle, const Use& use) const {
    for (std::uint32_t row = middle - all_.width; row <= middle + all_.width; row += all_.width)
      for (std::uint32_t place = row - 1; place <= row + 1; ++place) use(place);
  }

  [[nodiscard]] Colour3 from_mean(const ColourWindow& window, std::uint32_t place) const {
    const float* const colour = &colours_[std::size_t{place} * 3];
    return {double{colour[0]} - window.mean[0], double{colour[1]} - window.mean[1], double{colour[2]} - window.mean[2]};
  }

  [[nodiscard]] ColourWindow window_at(std::uint32_t middle) const {
    ColourWindow window{middle};
    Colour3 mean{};
    around(middle, [&](std::uint32_t place) {
      const Colour3 colour = from_mean(window, place);
      for (std::size_t c = 0; c < 3; ++c) mean[c] += colour[c] / kWindow;
    });
    window.mean = mean;
    std::array<double, 6> m{kMattingRegular / kWindow, 0, 0, kMattingRegular / kWindow, 0, kMattingRegular / kWindow};
    around(middle, [&](std::uint32_t place) {
      const auto [r, g, b] = from_mean(window, place);
      const double products[] = {r * r, r * g, r * b, g * g, g * b, b * b};
      for (std::size_t i = 0; i < m.size(); ++i) m[i] += products[i] / kWindow;
    });
    const double xx = m[3] * m[5] - m[4] * m[4], xy = m[2] * m[4] - m[1] * m[5], xz = m[1] * m[4] - m[2] * m[3];
    const double scale = 1 / (m[0] * xx + m[1] * xy + m[2] * xz);
    window.inverse = {xx * scale,
                      xy * scale,
                      xz * scale,
                      (m[0] * m[5] - m[2] * m[2]) * scale,
                      (m[1] * m[2] - m[0] * m[4]) * scale,
                      (m[0] * m[3] - m[1] * m[1]) * scale};
    return window;
  }

  std::span<const float> colours_;  // height × width × 3, 0…1
  const Unknowns& all_;
  std::vector<ColourWindow> windows_;  // those with an unknown place
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// The unknown values for which L · values + kPrior · (values − guess) is 0 there, by conjugate gradients from the guess
// on, with the diagonal as preconditioner; until a stop is requested.
void solve(const MattingLaplacian& laplacian, const Unknowns& all, const std::stop_token& stop,
           std::vector<double>& guess) {
  std::vector<double> values = all.known;  // of all places: those of a vector of the unknown ones, else zeros
  const auto fill = [&](const std::vector<double>& unknown) {
    for (std::size_t i = 0; i < unknown.size(); ++i) values[all.place[i]] = unknown[i];
  };
  fill(guess);
  std::vector<double> residual = laplacian.product(values);
  for (double& one : residual) one = -one;
  std::ranges::fill(values, 0);
  std::vector<double> scale = laplacian.diagonal();
  for (double& one : scale) one = 1 / (one + kPrior);
  const auto scaled = [&](const std::vector<double>& from) {
    std::vector<double> to(from.size());
    std::ranges::transform(from, scale, to.begin(), std::multiplies{});
    return to;
  };
  std::vector<double> direction = scaled(residual);
  double size = dot(residual, direction);
  const double least = size * kResidual * kResidual;
  for (int step = 0; step < kMostSteps && size > least && !stop.stop_requested(); ++step) {
    fill(direction);
    std::vector<double> turned = laplacian.product(values);
    for (std::size_t i = 0; i < turned.size(); ++i) turned[i] += kPrior * direction[i];
    const double curve = dot(direction, turned);
    if (!(curve > 0)) return;
    const double length = size / curve;
    for (std::size_t i = 0; i < guess.size(); ++i) {
      guess[i] += length * direction[i];
      residual[i] -= length * turned[i];
    }
    const std::vector<double> next = scaled(residual);
    const double next_size = dot(residual, next);
    for (std::size_t i = 0; i < guess.size(); ++i) direction[i] = next[i] + next_size / size * direction[i];
    size = next_size;
  }
}

}  // namespace

Result<Matte> closed_form_matte(const ImageView& picture, const Matte& matte, const std::stop_token& stop) {
  const Unknowns all = unknowns_of(matte);
  if (all.place.empty() || all.place.size() == matte.alpha.size()) return matte;
  preprocess::Plan plan{.width = matte.width, .height = matte.height};
  plan.layout = preprocess::Layout::kNhwc, plan.deviation = {255, 255, 255};
  IE_TRY(const preprocess::Prepared reduced_picture, preprocess::prepare(plan, picture));
  std::vector<double> alpha;
  for (const std::uint32_t place : all.place) alpha.push_back(static_cast<double>(matte.alpha[place]));
  solve(MattingLaplacian(reduced_picture.tensor.as<float>(), all), all, stop, alpha);
  if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "stopped while the edges were computed");
  Matte result{matte.width, matte.height, {all.known.begin(), all.known.end()}};
  for (std::size_t i = 0; i < alpha.size(); ++i)
    result.alpha[all.place[i]] = static_cast<float>(std::clamp(alpha[i], 0.0, 1.0));
  return result;
}

}  // namespace image_engine::vision
