#include "vision/colour_signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <complex>
#include <utility>

namespace image_engine::vision {
namespace {

constexpr std::size_t kParts = kColourParts;

// By how much one version may be less colourful than the other, and what may differ beyond that: a root mean square in
// levels, and a share of the less colourful one's chroma.
constexpr double kLeastGain = 0.7, kLevels = 2.5, kShare = 0.15;

struct Colour {
  std::uint64_t red = 0, green = 0, blue = 0, pixels = 0;
};

void add_row(const std::uint8_t* rgb, std::size_t width, Colour* parts) {
  for (std::size_t part = 0; part < kParts; ++part) {
    const std::size_t from = part * width / kParts, to = (part + 1) * width / kParts;
    std::uint32_t red = 0, green = 0, blue = 0;
    for (std::size_t x = from; x < to; ++x) red += rgb[x * 3], green += rgb[x * 3 + 1], blue += rgb[x * 3 + 2];
    parts[part].red += red, parts[part].green += green, parts[part].blue += blue;
    parts[part].pixels += to - from;
  }
}

std::int8_t rounded(double level) { return static_cast<std::int8_t>(std::lround(std::clamp(level, -128.0, 127.0))); }

using Chroma = std::array<std::complex<double>, kParts * kParts>;

Chroma chroma_of(const ColourSignature& signature) {
  Chroma chroma;
  for (std::size_t i = 0; i < chroma.size(); ++i)
    chroma[i] = {static_cast<double>(signature.chroma[i * 2]), static_cast<double>(signature.chroma[i * 2 + 1])};
  return chroma;
}

double energy(const Chroma& chroma) {
  double sum = 0;
  for (const std::complex<double>& value : chroma) sum += std::norm(value);
  return sum / static_cast<double>(chroma.size());
}

}  // namespace

namespace {

ColourSignature signature_of(const std::array<Colour, kParts * kParts>& parts) {
  ColourSignature signature;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].pixels == 0) continue;
    const auto n = static_cast<double>(parts[i].pixels);
    const double red = static_cast<double>(parts[i].red) / n, green = static_cast<double>(parts[i].green) / n,
                 blue = static_cast<double>(parts[i].blue) / n;
    signature.chroma[i * 2] = rounded(-0.168736 * red - 0.331264 * green + 0.5 * blue);
    signature.chroma[i * 2 + 1] = rounded(0.5 * red - 0.418688 * green - 0.081312 * blue);
  }
  return signature;
}

}  // namespace

ColourSignature colour_signature(const ImageView& image) {
  const std::size_t width = image.width, height = image.height;
  if (width * height == 0 || image.pixels.size() / 3 < width * height) return {};
  std::array<Colour, kParts * kParts> parts;
  for (std::size_t y = 0; y < height; ++y)
    add_row(image.pixels.data() + y * width * 3, width, parts.data() + y * kParts / height * kParts);
  return signature_of(parts);
}

ColourSignature colour_signature(const CondensedPicture& picture) {
  const std::uint64_t width = picture.width, height = picture.height;
  const auto column = [&](std::uint64_t k) { return k * width / kParts; };
  const auto row = [&](std::uint64_t k) { return (k * height + kParts - 1) / kParts; };  // the first with this part
  std::array<Colour, kParts * kParts> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t x = i % kParts, y = i / kParts;
    parts[i] = {picture.parts[i * 3], picture.parts[i * 3 + 1], picture.parts[i * 3 + 2],
                (column(x + 1) - column(x)) * (row(y + 1) - row(y))};
  }
  return signature_of(parts);
}

bool have_same_colours(const ColourSignature& a, const ColourSignature& b) {
  Chroma more = chroma_of(a), less = chroma_of(b);
  if (energy(more) < energy(less)) std::swap(more, less);
  if (energy(more) == 0) return true;
  double product = 0;
  for (std::size_t i = 0; i < more.size(); ++i) product += (std::conj(more[i]) * less[i]).real();
  const double gain = std::clamp(product / static_cast<double>(more.size()) / energy(more), kLeastGain, 1.0);
  Chroma rest;
  for (std::size_t i = 0; i < more.size(); ++i) rest[i] = less[i] - gain * more[i];
  return std::sqrt(energy(rest)) <= kLevels + kShare * std::sqrt(energy(less));
}

std::string to_hex(const ColourSignature& signature) {
  std::string hex;
  for (const std::int8_t value : signature.chroma) hex += fmt::format("{:02x}", static_cast<std::uint8_t>(value));
  return hex;
}

std::optional<ColourSignature> colours_from_hex(std::string_view hex) {
  ColourSignature signature;
  if (hex.size() != signature.chroma.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < signature.chroma.size(); ++i) {
    std::uint8_t value = 0;
    const char* begin = hex.data() + i * 2;
    const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
    if (error != std::errc{} || end != begin + 2) return std::nullopt;
    signature.chroma[i] = static_cast<std::int8_t>(value);
  }
  return signature;
}

}  // namespace image_engine::vision
