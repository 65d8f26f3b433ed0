// The plugins that come with the program, with an engine that answers what a test says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <set>

#include "core/file.h"
#include "plugins/plugin.h"
#include "tests/support/ok.h"

namespace image_engine::plugins {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;
using Values = std::map<std::string, std::string>;

constexpr std::uint32_t kWide = 120, kHigh = 90;

std::unique_ptr<Plugin> shipped(const std::string& name) {
  Result<PluginFile> file = PluginFile::open(absolute_path(std::string(IE_SHIPPED_PLUGINS) + "/" + name + ".so"));
  return Plugin::load(std::move(file).value(), {}).value();
}

Bytes noise() {
  std::mt19937 random(7);
  Bytes pixels(std::size_t{kWide} * kHigh * 3);
  for (std::uint8_t& level : pixels) level = static_cast<std::uint8_t>(random() % 256);
  return pixels;
}

Result<RunResult> run(Plugin& plugin, const Bytes& photo, const Offers& offers, const Values& given = {},
                      const Bytes& other = {}) {
  std::vector<Input> inputs(plugin.description().inputs.size());
  inputs[0].picture = {3, kWide, kHigh, photo};
  if (!other.empty()) inputs[1].picture = {3, kWide, kHigh, other};
  return plugin.run(inputs, parameter_values(plugin.description(), given).value(), {{}, {}, offers});
}

Offers finding(std::vector<FoundRegion> regions) {
  Offers offers;
  offers.detect = [regions](const ImageView&, const std::string&) { return regions; };
  return offers;
}

Offers masking(const std::function<int(std::uint32_t x, std::uint32_t y)>& alpha) {
  Offers offers;
  offers.segment = [alpha](const ImageView& picture, const std::string&) -> Result<Bytes> {
    Bytes mask;
    for (std::uint32_t y = 0; y < picture.height; ++y)
      for (std::uint32_t x = 0; x < picture.width; ++x) mask.push_back(static_cast<std::uint8_t>(alpha(x, y)));
    return mask;
  };
  return offers;
}

std::array<int, 3> at(std::span<const std::uint8_t> pixels, std::uint32_t x, std::uint32_t y,
                      std::uint32_t width = kWide, std::uint32_t channels = 3) {
  const std::uint8_t* pixel = &pixels[(std::size_t{y} * width + x) * channels];
  return {pixel[0], pixel[1], pixel[2]};
}

// Whether exactly the pixels of these columns and rows differ from the photo's; of noise nearly each differs.
void expect_hidden(const Bytes& photo, std::span<const std::uint8_t> out, std::uint32_t left, std::uint32_t top,
                   std::uint32_t right, std::uint32_t bottom) {
  std::size_t same = 0, others = 0;
  for (std::uint32_t y = 0; y < kHigh; ++y)
    for (std::uint32_t x = 0; x < kWide; ++x) {
      const bool inside = x >= left && x < right && y >= top && y < bottom, equal = at(photo, x, y) == at(out, x, y);
      same += inside && equal ? 1 : 0;
      others += !inside && !equal ? 1 : 0;
    }
  EXPECT_LT(same, 3U);
  EXPECT_EQ(others, 0U);
}

TEST(PrivacyBlur, ReplacesWhatIsFoundWithItsMargin) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  const Offers offers = finding({{{50, 40, 20, 30}, 0.9F}});
  const Values margin{{"margin", "0.5"}};  // of 20: 10 pixels
  const auto result = run(*plugin, photo, offers, margin);
  ASSERT_OK(result);
  expect_hidden(photo, result->outputs[0].picture.pixels, 40, 30, 80, 80);
  EXPECT_EQ(result->messages.back(), "faces: 1 hidden, 0 kept");
}

TEST(PrivacyBlur, AtTheEdgesOfThePhoto) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  const auto result =
      run(*plugin, photo, finding({{{-5, -8, 15, 20}, 0.9F}, {{110, 80, 30, 30}, 0.3F}, {{500, 500, 9, 9}, 1}}),
          {{"margin", "0.2"}});
  ASSERT_OK(result);
  std::size_t changed = 0;
  for (std::uint32_t y = 0; y < kHigh; ++y)
    for (std::uint32_t x = 0; x < kWide; ++x)
      changed += at(photo, x, y) != at(result->outputs[0].picture.pixels, x, y) ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(changed), 13 * 15 + 16 * 16, 3);
}

// Pixels that change places within a square are all the same afterwards: nothing else than means is left.
TEST(PrivacyBlur, KeepsNothingButMeansOfSquares) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  const Offers offers = finding({{{12, 12, 44, 44}, 0.9F}});  // with the least margin 10 to 58: squares of 12 pixels
  Bytes shuffled = photo;
  for (std::uint32_t y = 10; y < 58; ++y)  // turns each square upside down
    for (std::uint32_t x = 10; x < 58; ++x)
      for (std::size_t c = 0; c < 3; ++c)
        shuffled[(std::size_t{y} * kWide + x) * 3 + c] =
            photo[(std::size_t{10 + (y - 10) / 12 * 12 + 11 - (y - 10) % 12} * kWide + x) * 3 + c];
  ASSERT_NE(photo, shuffled);
  for (const char* style : {"mosaic", "blur", "solid"}) {
    const Values values{{"margin", "0"}, {"style", style}};
    const auto first = run(*plugin, photo, offers, values);
    ASSERT_OK(first);
    const auto pixels = first->outputs[0].picture.pixels;
    const Bytes before(pixels.begin(), pixels.end());
    const auto second = run(*plugin, shuffled, offers, values);
    ASSERT_OK(second);
    EXPECT_TRUE(std::ranges::equal(before, second->outputs[0].picture.pixels)) << style;
    expect_hidden(photo, before, 10, 10, 58, 58);
    std::set<std::array<int, 3>> colours;
    for (std::uint32_t y = 10; y < 58; ++y)
      for (std::uint32_t x = 10; x < 58; ++x) colours.insert(at(before, x, y));
    if (std::string(style) == "mosaic") {
      EXPECT_LE(colours.size(), 16U);
    }
    if (std::string(style) == "solid") {
      EXPECT_EQ(colours, (std::set<std::array<int, 3>>{{0, 0, 0}}));
    }
  }
}

TEST(PrivacyBlur, SquaresAreMeansOfThePixelsUnderThem) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  const auto result = run(*plugin, photo, finding({{{12, 12, 44, 44}, 0.9F}}), {{"margin", "0"}});  // 10 to 58
  ASSERT_OK(result);
  for (std::uint32_t row = 0; row < 4; ++row)
    for (std::uint32_t column = 0; column < 4; ++column) {
      double sum = 0;
      for (std::uint32_t y = 0; y < 12; ++y)
        for (std::uint32_t x = 0; x < 12; ++x) sum += at(photo, 10 + column * 12 + x, 10 + row * 12 + y)[2];
      for (const std::uint32_t inside : {0U, 11U})
        EXPECT_NEAR(at(result->outputs[0].picture.pixels, 10 + column * 12 + inside, 10 + row * 12 + inside)[2],
                    sum / 144, 0.51);
    }
}

TEST(PrivacyBlur, KeepsWhatIsToBeKept) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  const Offers offers = finding({{{10, 10, 20, 20}, 0.9F}, {{80, 50, 20, 20}, 0.8F}});
  const auto result = run(*plugin, photo, offers, {{"margin", "0.5"}, {"keep", " 15,15,10,10 ; 0,80,3,3;"}});
  ASSERT_OK(result);
  expect_hidden(photo, result->outputs[0].picture.pixels, 70, 40, 110, 80);
  EXPECT_EQ(result->messages.back(), "faces: 1 hidden, 1 kept");
  for (const char* wrong : {"1,2,3", "1,2,3,4,5", "1,2,3,x", "a", "1,2,0,4", "1,2,nan,4", "1 2 3 4"}) {
    const auto refused = run(*plugin, photo, offers, {{"keep", wrong}});
    ASSERT_FALSE(refused) << wrong;
    EXPECT_THAT(refused.error().message, HasSubstr("keep takes boxes")) << wrong;
  }
}

// A line of text becomes one colour: letters can be tried until their mosaic fits.
TEST(PrivacyBlur, TextBecomesOneColour) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  std::string asked;
  Offers offers;
  offers.detect = [&](const ImageView&, const std::string& what) {
    asked = what;
    return std::vector<FoundRegion>{{{10, 20, 100, 10}, 1}};
  };
  const auto result = run(*plugin, photo, offers, {{"target", "text"}, {"margin", "0.3"}});
  ASSERT_OK(result);
  EXPECT_EQ(asked, "text");
  std::set<std::array<int, 3>> colours;
  for (std::uint32_t y = 17; y < 33; ++y)
    for (std::uint32_t x = 7; x < 113; ++x) colours.insert(at(result->outputs[0].picture.pixels, x, y));
  EXPECT_EQ(colours.size(), 1U);
}

// A small region over a large one must not bring its finer squares back.
TEST(PrivacyBlur, TheCoarsestSquaresWin) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  const auto both =
      run(*plugin, photo, finding({{{0, 0, 120, 90}, 0.5F}, {{30, 30, 20, 20}, 0.9F}}), {{"margin", "0"}});
  ASSERT_OK(both);
  std::set<std::array<int, 3>> colours;
  for (std::uint32_t y = 0; y < kHigh; ++y)
    for (std::uint32_t x = 0; x < kWide; ++x) colours.insert(at(both->outputs[0].picture.pixels, x, y));
  EXPECT_LE(colours.size(), 12U);  // 4 × 3 of 30 pixels
}

TEST(PrivacyBlur, HidesAllButThePeople) {
  const auto plugin = shipped("privacy-blur");
  const Bytes photo = noise();
  const Offers offers = masking([](auto x, auto) { return x < 40 ? 0 : x < 50 ? 100 : x < 60 ? 200 : 255; });
  const auto result = run(*plugin, photo, offers, {{"target", "background"}});
  ASSERT_OK(result);
  expect_hidden(photo, result->outputs[0].picture.pixels, 0, 0, 50, kHigh);  // no pixel is mixed of both
}

TEST(PrivacyBlur, GivesNoPictureWhereItCannotLook) {
  const auto plugin = shipped("privacy-blur");
  Offers missing;
  missing.detect = [](const ImageView&, const std::string&) -> Result<std::vector<FoundRegion>> {
    return fail(ErrorCode::kNotFound, "no model is installed: image-engine models pull centerface");
  };
  const auto result = run(*plugin, noise(), missing);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(result.error().message, HasSubstr("models pull centerface"));
  for (const char* target : {"faces", "background"}) {
    const auto refused = run(*plugin, noise(), {}, {{"target", target}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(refused.error().message, HasSubstr("is not offered"));
  }
}

// A red subject before a blue background; the mask is soft between columns 40 and 60.
struct Composed {
  static int alpha(std::uint32_t x, std::uint32_t) {
    return x <= 40 ? 255 : x >= 60 ? 0 : 255 - static_cast<int>((x - 40) * 255 / 20);
  }
  Bytes photo;
  Composed() {
    for (std::uint32_t y = 0; y < kHigh; ++y)
      for (std::uint32_t x = 0; x < kWide; ++x) {
        const double a = alpha(x, y) / 255.0;
        photo.push_back(static_cast<std::uint8_t>(std::lround(200 * a)));
        photo.push_back(20);
        photo.push_back(static_cast<std::uint8_t>(std::lround(220 * (1 - a))));
      }
  }
};

TEST(BackgroundRemoval, LeavesNoRimOfTheBackground) {
  const auto plugin = shipped("background-removal");
  const Composed made;
  const auto result = run(*plugin, made.photo, masking(Composed::alpha));
  ASSERT_OK(result);
  const PixelView& out = result->outputs[0].picture;
  ASSERT_EQ(out.channels, 4U);
  double worst = 0;  // of blue, where there is none in the subject; 220 × (1 − alpha) if it were left as it is
  for (std::uint32_t y = 0; y < kHigh; ++y)
    for (std::uint32_t x = 0; x < kWide; ++x) {
      const auto pixel = at(out.pixels, x, y, kWide, 4);
      const int alpha = out.pixels[(std::size_t{y} * kWide + x) * 4 + 3];
      ASSERT_EQ(alpha, Composed::alpha(x, y));
      if (alpha == 0) {
        EXPECT_EQ(pixel, (std::array<int, 3>{0, 0, 0}));
      }
      if (alpha == 255) {
        EXPECT_EQ(pixel, at(made.photo, x, y));
      }
      if (alpha > 0) worst = std::max(worst, pixel[2] * alpha / 255.0);
    }
  EXPECT_LT(worst, 28);  // naively 55, at alpha ½
}

TEST(BackgroundRemoval, PutsTheSubjectBeforeAnother) {
  const auto plugin = shipped("background-removal");
  const Composed made;
  const Offers offers = masking(Composed::alpha);
  const auto colour = run(*plugin, made.photo, offers, {{"background", "colour"}, {"colour", "#00ff80"}});
  ASSERT_OK(colour);
  ASSERT_EQ(colour->outputs[0].picture.channels, 3U);
  EXPECT_EQ(at(colour->outputs[0].picture.pixels, 90, 50), (std::array<int, 3>{0, 255, 128}));
  EXPECT_EQ(at(colour->outputs[0].picture.pixels, 10, 50), (std::array<int, 3>{200, 20, 0}));
  const auto blurred = run(*plugin, made.photo, offers, {{"background", "blur"}});
  ASSERT_OK(blurred);
  const auto beside = at(blurred->outputs[0].picture.pixels, 62, 50);  // no red of the subject in it
  EXPECT_LT(beside[0], 25);
  EXPECT_GT(beside[2], 195);
  Bytes other(made.photo.size(), 99);
  for (const Values& values : {Values{}, Values{{"background", "picture"}}}) {
    const auto before = run(*plugin, made.photo, offers, values, other);
    ASSERT_OK(before);
    EXPECT_EQ(at(before->outputs[0].picture.pixels, 100, 80), (std::array<int, 3>{99, 99, 99}));
  }
  const std::pair<Values, const char*> wrong[] = {{{{"background", "picture"}}, "--input background=FILE"},
                                                  {{{"background", "colour"}, {"colour", "red"}}, "#rrggbb"},
                                                  {{{"background", "colour"}, {"colour", "#12345g"}}, "#rrggbb"}};
  for (const auto& [values, words] : wrong) {
    const auto refused = run(*plugin, made.photo, offers, values);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr(words));
  }
  EXPECT_THAT(run(*plugin, made.photo, {}).error().message, HasSubstr("is not offered"));
}

TEST(SubjectIsolation, CropsToTheSubject) {
  const auto plugin = shipped("subject-isolation");
  const Bytes photo = noise();
  const Offers offers =
      masking([](auto x, auto y) { return x >= 20 && x < 60 && y >= 70 ? 255 : 0; });  // 40 × 20, at the lower edge
  const auto result = run(*plugin, photo, offers, {{"margin", "0.1"}, {"mask", "true"}});
  ASSERT_OK(result);
  const PixelView& out = result->outputs[0].picture;
  EXPECT_EQ(out.width, 48U);
  EXPECT_EQ(out.height, 24U);
  EXPECT_EQ(at(out.pixels, 4, 4, 48, 4), at(photo, 20, 70));
  EXPECT_EQ(at(out.pixels, 3, 4, 48, 4), (std::array<int, 3>{0, 0, 0}));
  EXPECT_EQ(result->outputs[1].picture.channels, 1U);
  EXPECT_EQ(result->outputs[2].record, R"({"box": [20, 70, 40, 20], "cut": [16, 66, 48, 24]})");
  const auto without = run(*plugin, photo, offers);
  ASSERT_OK(without);
  EXPECT_EQ(without->outputs[1].picture.channels, 0U);
  const auto nothing = run(*plugin, photo, masking([](auto, auto) { return 0; }));
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace image_engine::plugins
