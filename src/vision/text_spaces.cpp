#include "vision/text_spaces.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace image_engine::vision {
namespace {

// Of 270 drawn lines in six faces these restore all spaces that the model left out but one, and add none
// (docs/accuracy.md).
constexpr double kOfHeight = 0.16;     // least width of a gap, of the line's height
constexpr double kOfGaps = 2.5;        // … of the median gap
constexpr double kOfPitch = 1.15;      // least distance of the glyphs beside it, of the median one
constexpr double kOfContrast = 0.35;   // of the line's contrast: columns with less have no ink
constexpr double kMargin = 0.15;       // of the height, above and below, that is left out
constexpr std::size_t kLeastGaps = 4;  // fewer have no median

bool is_latin_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

// Columns without ink, whatever the colours of paper and ink.
std::vector<bool> blank_columns(const ImageView& line) {
  const auto top = static_cast<std::size_t>(line.height * kMargin);
  const auto bottom = std::max(static_cast<std::size_t>(line.height * (1 - kMargin)), top + 1);
  std::vector<int> least(line.width, 255), most(line.width, 0);
  for (std::size_t y = top; y < std::min<std::size_t>(bottom, line.height); ++y)
    for (std::size_t x = 0; x < line.width; ++x) {
      const std::uint8_t* pixel = line.pixels.data() + (y * line.width + x) * 3;
      const int luma = (pixel[0] + pixel[1] + pixel[2]) / 3;
      least[x] = std::min(least[x], luma), most[x] = std::max(most[x], luma);
    }
  std::vector<int> ranges(line.width);
  for (std::size_t x = 0; x < line.width; ++x) ranges[x] = most[x] - least[x];
  std::vector<int> sorted = ranges;
  std::ranges::sort(sorted);
  const double contrast = sorted[sorted.size() * 9 / 10];
  std::vector<bool> blank(line.width);
  for (std::size_t x = 0; x < line.width; ++x) blank[x] = ranges[x] < kOfContrast * contrast;
  return blank;
}

// The longest run of blank columns between two centres.
double gap_between(const std::vector<bool>& blank, double from, double to) {
  const auto column = [&](double at) {
    return static_cast<std::size_t>(std::clamp(at, 0.0, static_cast<double>(blank.size() - 1)));
  };
  std::size_t longest = 0, run = 0;
  for (std::size_t x = column(from); x <= column(to); ++x) {
    run = blank[x] ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return static_cast<double>(longest);
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

void add_spaces(const ImageView& line, Decoded& decoded) {
  const std::vector<Glyph>& glyphs = decoded.glyphs;
  if (glyphs.size() <= kLeastGaps || line.width == 0 || line.height == 0) return;
  const std::vector<bool> blank = blank_columns(line);
  const auto is_word = [&](std::size_t i) { return is_latin_or_digit(decoded.text[glyphs[i].at]); };
  const auto is_space = [&](std::size_t i) { return decoded.text[glyphs[i].at] == ' '; };
  std::vector<double> gaps, letters, pitches;
  for (std::size_t i = 0; i + 1 < glyphs.size(); ++i) {
    gaps.push_back(gap_between(blank, glyphs[i].centre, glyphs[i + 1].centre));
    pitches.push_back(glyphs[i + 1].centre - glyphs[i].centre);
    if (!is_space(i) && !is_space(i + 1)) letters.push_back(gaps.back());
  }
  if (letters.size() < kLeastGaps) return;
  const double gap = std::max(kOfHeight * line.height, kOfGaps * std::max(median_of(letters), 1.0));
  const double pitch = kOfPitch * median_of(pitches);
  std::string spaced;
  for (std::size_t i = 0; i < glyphs.size(); ++i) {
    const std::size_t end = i + 1 < glyphs.size() ? glyphs[i + 1].at : decoded.text.size();
    spaced.append(decoded.text, glyphs[i].at, end - glyphs[i].at);
    if (i < gaps.size() && is_word(i) && is_word(i + 1) && gaps[i] >= gap && pitches[i] >= pitch) spaced += ' ';
  }
  decoded.text = std::move(spaced);
}

}  // namespace image_engine::vision
