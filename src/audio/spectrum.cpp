#include "audio/spectrum.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/cpu.h"

namespace image_engine::audio {
namespace {

using Lanes = float __attribute__((vector_size(kFramesTogether * sizeof(float))));
constexpr std::size_t kMostHalf = kLongestTransform / 2;

struct Complex {
  Lanes re, im;
};

// Discrete Fourier transforms of as many numbers as the radix.
[[gnu::always_inline]] inline void transform_few(const Complex (&x)[2], Complex (&y)[2]) {
  y[0].re = x[0].re + x[1].re, y[0].im = x[0].im + x[1].im;
  y[1].re = x[0].re - x[1].re, y[1].im = x[0].im - x[1].im;
}

[[gnu::always_inline]] inline void transform_few(const Complex (&x)[4], Complex (&y)[4]) {
  const Complex even_sum{x[0].re + x[2].re, x[0].im + x[2].im}, even_difference{x[0].re - x[2].re, x[0].im - x[2].im};
  const Complex odd_sum{x[1].re + x[3].re, x[1].im + x[3].im}, odd_difference{x[1].re - x[3].re, x[1].im - x[3].im};
  y[0].re = even_sum.re + odd_sum.re, y[0].im = even_sum.im + odd_sum.im;
  y[1].re = even_difference.re + odd_difference.im, y[1].im = even_difference.im - odd_difference.re;
  y[2].re = even_sum.re - odd_sum.re, y[2].im = even_sum.im - odd_sum.im;
  y[3].re = even_difference.re - odd_difference.im, y[3].im = even_difference.im + odd_difference.re;
}

[[gnu::always_inline]] inline void transform_few(const Complex (&x)[5], Complex (&y)[5]) {
  constexpr float kCos1 = 0.30901699437F, kCos2 = -0.80901699437F;  // of 2π/5 and 4π/5
  constexpr float kSin1 = 0.95105651630F, kSin2 = 0.58778525229F;
  const Complex sum1{x[1].re + x[4].re, x[1].im + x[4].im}, sum2{x[2].re + x[3].re, x[2].im + x[3].im};
  const Complex difference1{x[1].re - x[4].re, x[1].im - x[4].im}, difference2{x[2].re - x[3].re, x[2].im - x[3].im};
  const Complex a{x[0].re + kCos1 * sum1.re + kCos2 * sum2.re, x[0].im + kCos1 * sum1.im + kCos2 * sum2.im};
  const Complex b{x[0].re + kCos2 * sum1.re + kCos1 * sum2.re, x[0].im + kCos2 * sum1.im + kCos1 * sum2.im};
  const Complex c{kSin1 * difference1.re + kSin2 * difference2.re, kSin1 * difference1.im + kSin2 * difference2.im};
  const Complex d{kSin2 * difference1.re - kSin1 * difference2.re, kSin2 * difference1.im - kSin1 * difference2.im};
  y[0].re = x[0].re + sum1.re + sum2.re, y[0].im = x[0].im + sum1.im + sum2.im;
  y[1].re = a.re + c.im, y[1].im = a.im - c.re;
  y[2].re = b.re + d.im, y[2].im = b.im - d.re;
  y[3].re = b.re - d.im, y[3].im = b.im + d.re;
  y[4].re = a.re - c.im, y[4].im = a.im + c.re;
}

// One pass of Stockham's transform, which sorts as it goes.
template <std::size_t kRadix>
[[gnu::always_inline]] inline void run_pass(const MelSpectrum::Pass& pass, const Complex* from, Complex* to) {
  for (std::size_t p = 0; p < pass.groups; ++p) {
    const float* cosines = pass.cosines.data() + p * (kRadix - 1);
    const float* sines = pass.sines.data() + p * (kRadix - 1);
    for (std::size_t q = 0; q < pass.stride; ++q) {
      Complex x[kRadix], y[kRadix];
      for (std::size_t j = 0; j < kRadix; ++j) x[j] = from[q + pass.stride * (p + pass.groups * j)];
      transform_few(x, y);
      Complex* result = to + q + pass.stride * kRadix * p;
      result[0] = y[0];
      for (std::size_t k = 1; k < kRadix; ++k) {
        const float c = cosines[k - 1], s = sines[k - 1];
        result[pass.stride * k].re = y[k].re * c - y[k].im * s;
        result[pass.stride * k].im = y[k].re * s + y[k].im * c;
      }
    }
  }
}

using Frames = std::array<const float*, kFramesTogether>;

// The windowed samples of all frames, pairs of them as complex numbers, followed by zeros.
[[gnu::always_inline]] inline void load(const MelSpectrum::Tables& tables, const Frames& frames, Complex* pairs) {
  auto* samples = reinterpret_cast<Lanes*>(pairs);
  const std::size_t count = tables.window.size();
  for (std::size_t n = 0; n < count; ++n)
    for (std::size_t lane = 0; lane < kFramesTogether; ++lane) samples[n][lane] = frames[lane][n];
  if (tables.preemphasis > 0) {
    Lanes mean{};
    for (std::size_t n = 0; n < count; ++n) mean += samples[n];
    mean /= static_cast<float>(count);
    for (std::size_t n = count; n-- > 0;)
      samples[n] = (samples[n] - mean) - tables.preemphasis * (samples[n == 0 ? 0 : n - 1] - mean);
  }
  for (std::size_t n = 0; n < count; ++n) samples[n] *= tables.window[n];
  std::fill(samples + count, samples + 2 * tables.half, Lanes{});
}

// Power of bin `k` from the transform of pairs, in which the even samples are real and the odd ones imaginary.
[[gnu::always_inline]] inline void store_powers(const MelSpectrum::Tables& tables, const Complex* z, Lanes* powers) {
  for (std::size_t k = 0; k <= tables.half; ++k) {
    const Complex &here = z[k % tables.half], &there = z[(tables.half - k) % tables.half];
    const Lanes even_re = here.re + there.re, even_im = here.im - there.im;
    const Lanes odd_re = here.im + there.im, odd_im = there.re - here.re;
    const Lanes re = even_re + tables.cosines[k] * odd_re - tables.sines[k] * odd_im;
    const Lanes im = even_im + tables.cosines[k] * odd_im + tables.sines[k] * odd_re;
    powers[k] = 0.25F * (re * re + im * im);
  }
  if (!tables.magnitudes) return;
  for (std::size_t k = 0; k <= tables.half; ++k)
    for (std::size_t lane = 0; lane < kFramesTogether; ++lane) powers[k][lane] = std::sqrt(powers[k][lane]);
}

[[gnu::always_inline]] inline void compute(const MelSpectrum::Tables& tables, const Frames& frames, float* energies) {
  Complex first[kMostHalf], second[kMostHalf];
  Complex *from = first, *to = second;
  load(tables, frames, from);
  for (const MelSpectrum::Pass& pass : tables.passes) {
    if (pass.radix == 5)
      run_pass<5>(pass, from, to);
    else if (pass.radix == 4)
      run_pass<4>(pass, from, to);
    else
      run_pass<2>(pass, from, to);
    std::swap(from, to);
  }
  Lanes powers[kMostHalf + 1];
  store_powers(tables, from, powers);
  for (const MelFilter& filter : tables.filters) {
    Lanes sum{};
    for (std::size_t i = 0; i < filter.weights.size(); ++i) sum += filter.weights[i] * powers[filter.first + i];
    for (std::size_t lane = 0; lane < kFramesTogether; ++lane) *energies++ = sum[lane];
  }
}

using Compute = void (*)(const MelSpectrum::Tables&, const Frames&, float*);

void compute_anywhere(const MelSpectrum::Tables& tables, const Frames& frames, float* energies) {
  compute(tables, frames, energies);
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void compute_avx2(const MelSpectrum::Tables& tables, const Frames& frames,
                                              float* energies) {
  compute(tables, frames, energies);
}
Compute choose_compute() { return cpu_uses(CpuLevel::kAvx2) ? compute_avx2 : compute_anywhere; }
#else
Compute choose_compute() { return compute_anywhere; }
#endif

void add_turn(std::vector<float>& cosines, std::vector<float>& sines, std::size_t step, std::size_t of) {
  const double angle = -2 * std::numbers::pi * static_cast<double>(step) / static_cast<double>(of);
  cosines.push_back(static_cast<float>(std::cos(angle)));
  sines.push_back(static_cast<float>(std::sin(angle)));
}

std::vector<MelSpectrum::Pass> passes_for(std::size_t count) {
  std::vector<MelSpectrum::Pass> passes;
  for (std::size_t stride = 1; count > 1;) {
    const std::size_t radix = count % 5 == 0 ? 5 : count % 4 == 0 ? 4 : 2;
    MelSpectrum::Pass& pass = passes.emplace_back(radix, count / radix, stride);
    for (std::size_t p = 0; p < pass.groups; ++p)
      for (std::size_t k = 1; k < radix; ++k) add_turn(pass.cosines, pass.sines, p * k, count);
    count /= radix;
    stride *= radix;
  }
  return passes;
}

}  // namespace

MelSpectrum::MelSpectrum(std::size_t transform, std::vector<float> window, float preemphasis,
                         std::vector<MelFilter> filters, bool magnitudes)
    : tables_{transform / 2,      std::move(window), preemphasis, passes_for(transform / 2), {}, {},
              std::move(filters), magnitudes} {
  for (std::size_t k = 0; k <= tables_.half; ++k) add_turn(tables_.cosines, tables_.sines, k, transform);
}

void MelSpectrum::energies(const std::array<const float*, kFramesTogether>& frames, float* energies) const {
  static const Compute kComputeHere = choose_compute();
  kComputeHere(tables_, frames, energies);
}

}  // namespace image_engine::audio
