// Text in pictures beside rapidocr-onnxruntime 1.4.4 (tools/reference/ocr.py), and what models can do wrong.
#include "vision/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "models/registry.h"
#include "models/store.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "tests/vision/fake_session.h"
#include "tests/vision/inputs.h"
#include "vision/text_boxes.h"
#include "vision/text_characters.h"
#include "vision/text_places.h"
#include "vision/text_spaces.h"

namespace image_engine::vision {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kSource = IE_SOURCE_DIR;

// A session whose answer depends on what it is asked.
class AnsweringSession : public FakeSession {
 public:
  std::function<Tensor(const Tensor&)> answer_;
  std::optional<std::string> characters_;

  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string>) const override {
    seen_.push_back(inputs[0]);
    return std::vector<Tensor>{answer_(inputs[0])};
  }
  [[nodiscard]] std::optional<std::string> metadata(const std::string& key) const override {
    return key == "character" ? characters_ : std::nullopt;
  }
};

// A reader of which each part can be spoilt: it finds nothing, turns nothing and reads "ab" in every line.
class FakeReader {
 public:
  std::shared_ptr<AnsweringSession> detect_ = session({-1, 3, -1, -1}, {-1, 1, -1, -1});
  std::shared_ptr<AnsweringSession> orient_ = session({-1, 3, -1, -1}, {-1, 2});
  std::shared_ptr<AnsweringSession> read_ = session({-1, 3, 48, -1}, {-1, -1, 4});
  models::Spec spec_;

  FakeReader() {
    spec_.name = "test";
    for (const char* name : {"detect", "orient", "read"}) {
      models::Part& part = spec_.parts[name];
      part.input.order = "bgr";
      part.input.mean = part.input.deviation = {127.5, 127.5, 127.5};
      part.input.width = name == std::string("orient") ? 192 : 320, part.input.height = 48;
    }
    spec_.parts["detect"].input.resize_edge = 736, spec_.parts["detect"].input.longest = 2000;
    detect_->answer_ = [](const Tensor& input) { return floats({1, 1, input.shape[2], input.shape[3]}); };
    orient_->answer_ = [](const Tensor& input) { return floats({input.shape[0], 2}, 0.5F); };
    read_->answer_ = [](const Tensor& input) {
      Tensor output = floats({input.shape[0], 4, 4}, 0.1F);
      for (std::int64_t i = 0; i < input.shape[0]; ++i)
        for (std::size_t step = 0; step < 4; ++step)  // a, a, blank, b
          output.as<float>()[static_cast<std::size_t>(i) * 16 + step * 4 + std::array{1U, 1U, 0U, 2U}[step]] = 0.75F;
      return output;
    };
    read_->characters_ = "a\nb";
  }

  Result<TextReader> create() { return TextReader::create(spec_, {detect_, orient_, read_}); }
  Error error() {
    const auto made = create();
    EXPECT_FALSE(made);
    return made ? Error{} : made.error();
  }

  // Ink where the rule says so, in the detector's input.
  void find(std::function<bool(std::int64_t x, std::int64_t y)> rule) {
    detect_->answer_ = [rule = std::move(rule)](const Tensor& input) {
      Tensor map = floats({1, 1, input.shape[2], input.shape[3]});
      for (std::int64_t y = 0; y < input.shape[2]; ++y)
        for (std::int64_t x = 0; x < input.shape[3]; ++x)
          map.as<float>()[static_cast<std::size_t>(y * input.shape[3] + x)] = rule(x, y) ? 0.9F : 0.0F;
      return map;
    };
  }

 private:
  static std::shared_ptr<AnsweringSession> session(std::vector<std::int64_t> input, std::vector<std::int64_t> output) {
    auto made = std::make_shared<AnsweringSession>();
    made->inputs_ = {{"x", ElementType::kFloat32, std::move(input)}};
    made->outputs_ = {{"y", ElementType::kFloat32, std::move(output)}};
    return made;
  }
};

// Strokes of two pixels everywhere, or only in a part.
void draw_stripes(Image& picture, std::uint32_t left = 0, std::uint32_t top = 0, std::uint32_t width = UINT32_MAX,
                  std::uint32_t height = UINT32_MAX) {
  for (std::uint32_t y = top; y - top < height && y < picture.height; ++y)
    for (std::uint32_t x = left; x - left < width && x < picture.width; ++x)
      std::fill_n(picture.pixels.begin() + (std::ptrdiff_t{y} * picture.width + x) * 3, 3,
                  std::uint8_t(x % 4 < 2 ? 40 : 200));
}

Image grey(std::uint32_t width, std::uint32_t height) {
  return {width, height, std::vector<std::uint8_t>(std::size_t{width} * height * 3, 128)};
}

std::size_t edits(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t before = row[0];
    row[0] = i + 1;
    for (std::size_t k = 0; k < b.size(); ++k) {
      const std::size_t here = before + (a[i] == b[k] ? 0 : 1);
      before = row[k + 1];
      row[k + 1] = std::min({here, row[k] + 1, before + 1});
    }
  }
  return row.back();
}

// PP-OCRv4 as `models pull` installs it in build/models.
class RealText : public testing::Test {
 protected:
  using Pictures = std::vector<std::pair<std::string, Image>>;

  static void SetUpTestSuite() {
    const auto registry = models::Registry::load(kSource + "/config/models.yaml", "");
    ASSERT_OK(registry);
    const models::Spec& spec = *registry->find("pp-ocrv4").value();
    const models::Store store(kSource + "/build/models", "");
    const auto session = [&](const char* part) -> std::shared_ptr<infer::Session> {
      const std::string file = store.variant_path(spec, spec.parts.at(part).variants.at(0));
      return file.empty() ? nullptr : infer::Session::create(file, {1, {}}).value();
    };
    const TextSessions sessions{session("detect"), session("orient"), session("read")};
    if (!sessions.detect) return;
    auto made = TextReader::create(spec, sessions);
    ASSERT_OK(made);
    reader_.emplace(std::move(*made));
    reference_ = json_of(kSource + "/tests/vision/text_reference.json").at("pictures");
    for (const auto& [name, entry] : reference_.items()) {
      if (pictures_seen_++ % IE_EACH_NTH != 0 && !name.starts_with("turned_") && name != "columns") continue;
      Image image = read_picture("../vision_text/" + name + ".ppm");
      // Drawn ones vary with Pillow's version: those that are the same pixels as the reference had.
      if (!image.pixels.empty() && crc32_z(0, image.pixels.data(), image.pixels.size()) == entry["crc32"])
        pictures_.emplace_back(name, std::move(image));
    }
  }
  static void TearDownTestSuite() {
    reader_.reset();
    pictures_.clear();
    lines_.clear();
  }
  void SetUp() override {
    if (!reader_) GTEST_SKIP() << "no pp-ocrv4 in build/models: image-engine models pull";
  }

  static const Pictures& pictures() { return pictures_; }
  // What is read in it, once for all tests.
  static const Result<std::vector<TextLine>>& lines_of(const std::string& name, const Image& image) {
    const auto known = lines_.find(name);
    if (known != lines_.end()) return known->second;
    return lines_.emplace(name, reader_->read(view(image), image.width, image.height)).first->second;
  }

  static std::optional<TextReader> reader_;
  static nlohmann::json reference_;

 private:
  static int pictures_seen_;
  static Pictures pictures_;
  static std::map<std::string, Result<std::vector<TextLine>>> lines_;
};
std::optional<TextReader> RealText::reader_;
nlohmann::json RealText::reference_;
int RealText::pictures_seen_ = 0;
RealText::Pictures RealText::pictures_;
std::map<std::string, Result<std::vector<TextLine>>> RealText::lines_;

TEST_F(RealText, SaysWhatRapidOcrSays) {
  std::size_t wrong = 0, of = 0, with_text = 0, same = 0, boxes_off = 0;
  for (const auto& [name, image] : pictures()) {
    SCOPED_TRACE(name);
    const auto& lines = lines_of(name, image);
    ASSERT_OK(lines);
    std::string wanted, got;
    for (const auto& line : reference_[name]["lines"]) wanted += line["text"].get<std::string>() + "\n";
    for (const TextLine& line : *lines) got += line.text + "\n";
    for (std::string* text : {&wanted, &got}) std::erase(*text, ' ');  // ours has more of them
    const std::size_t distance = edits(wanted, got);
    if (distance > 0) std::cout << name << ": " << distance << " of " << wanted.size() << " bytes differ\n";
    wrong += distance, of += wanted.size(), with_text += !wanted.empty(), same += wanted == got;
    EXPECT_EQ(wanted.empty(), got.empty());
    if (wanted != got) continue;
    // The same corners, turned to where the text begins. Larger pictures are searched at a short edge of 736 pixels, so
    // that a pixel there is several of theirs.
    const double reduced = std::min(image.width, image.height) / 736.0, most = reduced > 1 ? 4 * reduced : 3;
    for (std::size_t i = 0; i < lines->size(); ++i) {
      const auto& box = reference_[name]["lines"][i]["box"];
      double off = 0;  // of the corner that is farthest from all of the reference's
      for (const Point& at : (*lines)[i].polygon) {
        double nearest = 1e9;
        for (const nlohmann::json& corner : box)
          nearest = std::min(
              nearest, std::max(std::abs(corner[0].get<double>() - at.x), std::abs(corner[1].get<double>() - at.y)));
        off = std::max(off, nearest);
      }
      if (off <= most) continue;
      boxes_off += 1;
      std::cout << name << ": the box of line " << i << " (" << (*lines)[i].text << ") is off by " << off
                << " pixels of " << most << "\n";
    }
  }
  std::cout << wrong << " of " << of << " bytes differ, " << with_text << " pictures with text, " << same
            << " pictures exactly the same, " << boxes_off << " boxes off\n";
  ASSERT_GE(with_text, 8U) << "make_text.py finds too few of the samples";
  EXPECT_LE(static_cast<double>(wrong), 0.02 * static_cast<double>(of));
  EXPECT_EQ(boxes_off, 0U);
}

TEST_F(RealText, PolygonsBeginWhereTheTextDoes) {
  // What is drawn at the left of a line, at each turn against the clock, seen from the picture's centre.
  const std::map<std::string, std::pair<int, int>> begins{
      {"turned_90", {0, 1}}, {"turned_180", {1, 0}}, {"turned_270", {0, -1}}};
  for (const auto& [name, image] : pictures()) {
    const auto entry = begins.find(name);
    if (entry == begins.end()) continue;
    SCOPED_TRACE(name);
    const auto& lines = lines_of(name, image).value();
    ASSERT_FALSE(lines.empty());
    for (const TextLine& line : lines) {
      const double dx = line.polygon[0].x - line.polygon[1].x, dy = line.polygon[0].y - line.polygon[1].y;
      EXPECT_GT(dx * entry->second.first + dy * entry->second.second, 0) << line.text;
    }
  }
}

TEST_F(RealText, PointsAreThePhotos) {
  for (const auto& [name, image] : pictures()) {
    if (name != "columns") continue;
    const auto lines = reader_->read(view(image), image.width * 2, image.height * 3).value();
    const auto& own = lines_of(name, image).value();
    ASSERT_EQ(lines.size(), own.size());
    for (std::size_t i = 0; i < lines.size(); ++i)
      for (std::size_t k = 0; k < 4; ++k) {
        EXPECT_FLOAT_EQ(lines[i].polygon[k].x, 2 * own[i].polygon[k].x);
        EXPECT_FLOAT_EQ(lines[i].polygon[k].y, 3 * own[i].polygon[k].y);
      }
  }
}

TEST_F(RealText, ALookLosesLittle) {
  std::size_t lost = 0, with_text = 0, idle = 0, without = 0;
  for (const auto& [name, image] : pictures()) {
    // What counts is text that a person could read, not single strokes that look like a letter.
    const bool says = std::ranges::any_of(reference_[name]["lines"], [](const nlohmann::json& line) {
      return line["text"].get<std::string>().size() >= 4 && line["confidence"] >= 0.6;
    });
    const bool may = reader_->may_have_text(view(image)).value();
    if (says && !may) std::cout << "lost: " << name << "\n";
    lost += says && !may, with_text += says;
    if (reference_[name]["lines"].empty()) idle += may, ++without;
  }
  std::cout << lost << " of " << with_text << " pictures with text lost, " << idle << " of " << without
            << " without text read for nothing\n";
  EXPECT_EQ(lost, 0U);
}

TEST_F(RealText, OddPictures) {
  for (const auto& [width, height] : std::vector<std::pair<std::uint32_t, std::uint32_t>>{
           {1, 1}, {2, 300}, {4000, 1}, {1, 4000}, {2000, 100}, {31, 31}, {33, 1500}}) {
    SCOPED_TRACE(std::to_string(width) + "x" + std::to_string(height));
    const Image image = grey(width, height);
    const auto lines = reader_->read(view(image), width, height);
    ASSERT_OK(lines);
    EXPECT_THAT(*lines, IsEmpty());
    EXPECT_TRUE(reader_->may_have_text(view(image)));
  }
}

TEST(Text, ReadsWhatTheDetectorFinds) {
  FakeReader fake;
  fake.find([](std::int64_t x, std::int64_t y) {
    return (x >= 100 && x < 300 && y >= 100 && y < 120) || (x >= 400 && x < 600 && y >= 98 && y < 118) ||
           (x >= 100 && x < 300 && y >= 300 && y < 320);
  });
  const auto reader = fake.create();
  ASSERT_OK(reader);
  EXPECT_EQ(reader->wanted_edge(), 2000U);
  const Image image = grey(800, 736);
  EXPECT_TRUE(reader->may_have_text(view(image)).value());
  const auto lines = reader->read(view(image), 800, 736).value();
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].text, "ab");
  EXPECT_NEAR(lines[0].confidence, 0.75, 1e-6);
  // By area · 1.6 / length wider and higher on each side: 200 × 20 → 14.5. The second is 2 pixels higher and further
  // right.
  EXPECT_NEAR(lines[0].polygon[0].x, 100 - 14.5, 1.5);
  EXPECT_NEAR(lines[0].polygon[0].y, 100 - 14.5, 1.5);
  EXPECT_NEAR(lines[0].polygon[2].x, 300 + 14.5, 1.5);
  EXPECT_NEAR(lines[0].polygon[2].y, 120 + 14.5, 1.5);
  EXPECT_GT(lines[1].polygon[0].x, 350);
  EXPECT_GT(lines[2].polygon[0].y, 250);
}

TEST(Text, NothingFoundAsksNobody) {
  FakeReader fake;
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  const std::size_t before = fake.read_->seen_.size();
  const Image image = grey(300, 200);
  EXPECT_THAT(reader->read(view(image), 300, 200).value(), IsEmpty());
  EXPECT_FALSE(reader->may_have_text(view(image)).value());
  EXPECT_EQ(fake.read_->seen_.size(), before);
}

TEST(Text, ALookTriesWhatItFinds) {
  FakeReader fake;
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  Image image = grey(448, 448);
  draw_stripes(image);  // so that all of it is looked at
  const auto looks = [&](std::int64_t height, std::size_t boxes, float confidence, std::size_t letters = 2) {
    fake.find([=](std::int64_t x, std::int64_t y) {
      return x >= 40 && x < 400 && (boxes == 1 ? y < height : y % 100 < height && y / 100 < std::int64_t(boxes));
    });
    fake.read_->answer_ = [=](const Tensor& input) {
      Tensor output = floats({input.shape[0], 2, 4}, 0.0F);
      output.as<float>()[1] = confidence;
      output.as<float>()[letters == 2 ? 6 : 5] = confidence;
      return output;
    };
    return reader->may_have_text(view(image)).value();
  };
  EXPECT_FALSE(looks(40, 1, 0.2F)) << "no letters";
  EXPECT_FALSE(looks(6, 1, 0.2F)) << "small, and no letters";
  EXPECT_TRUE(looks(40, 1, 0.5F));
  EXPECT_TRUE(looks(6, 1, 0.5F));
  EXPECT_FALSE(looks(40, 1, 0.5F, 1)) << "a round thing";
  EXPECT_TRUE(looks(40, 1, 0.9F, 1)) << "a number on a door";
  EXPECT_TRUE(looks(400, 1, 0.2F)) << "what is in it cannot be seen";
  EXPECT_TRUE(looks(40, 4, 0.2F)) << "so much is text";
}

// The heights and widths of what the detector got since `before`.
std::vector<std::pair<std::int64_t, std::int64_t>> sizes_seen(const FakeReader& fake, std::size_t before) {
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes;
  for (std::size_t i = before; i < fake.detect_->seen_.size(); ++i)
    sizes.emplace_back(fake.detect_->seen_[i].shape[2], fake.detect_->seen_[i].shape[3]);
  return sizes;
}

TEST(Text, ALookIsCloseWhereStrokesAre) {
  FakeReader fake;
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  const auto sizes = [&](const Image& image, bool only_large = false) {
    const std::size_t before = fake.detect_->seen_.size();
    EXPECT_FALSE(reader->may_have_text(view(image), only_large).value());
    return sizes_seen(fake, before);
  };
  Image image = grey(640, 480);
  EXPECT_THAT(sizes(image), ElementsAre(std::pair(224, 288))) << "large letters only: half of 448";
  draw_stripes(image, 320, 160, 32, 32);  // one cell and those around it, 96 pixels a side
  EXPECT_THAT(sizes(image), ElementsAre(std::pair(224, 288), std::pair(96, 96)));
  EXPECT_THAT(sizes(image, true), ElementsAre(std::pair(224, 288)));
  draw_stripes(image);
  EXPECT_THAT(sizes(image), ElementsAre(std::pair(448, 608))) << "all of it, once";
}

TEST(Text, PlacesOfStrokes) {
  Image image = grey(640, 480);
  std::fill_n(image.pixels.begin(), image.pixels.size() / 2, std::uint8_t{0});
  EXPECT_THAT(stroke_places(view(image)), IsEmpty()) << "an edge is no stroke";
  draw_stripes(image, 600, 440);
  const auto places = stroke_places(view(image));
  ASSERT_EQ(places.size(), 1U);
  EXPECT_EQ(std::pair(places[0].x, places[0].y), std::pair(544U, 384U));
  EXPECT_EQ(std::pair(places[0].x + places[0].width, places[0].y + places[0].height), std::pair(640U, 480U));
  for (const auto& [width, height] : {std::pair(1U, 1U), std::pair(3U, 40U), std::pair(40U, 3U), std::pair(33U, 33U)}) {
    Image small = grey(width, height);
    draw_stripes(small);
    EXPECT_LE(stroke_places(view(small)).size(), 1U) << width << "x" << height;
  }
}

TEST(Text, LettersTooSmallToBeSeenAreLookedForInALargerPicture) {
  FakeReader fake;
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  Image small = grey(640, 480);
  draw_stripes(small, 300, 200, 120, 5);  // a low band, as letters of 15 pixels in one of 2000 make
  Image large = grey(2000, 1500);
  std::vector<std::uint32_t> edges;
  const auto larger = [&](std::uint32_t edge) -> Result<ImageView> {
    edges.push_back(edge);
    fake.find([](std::int64_t x, std::int64_t y) { return x > 40 && x < 240 && y > 40 && y < 60; });
    return view(large);
  };
  const std::size_t before = fake.detect_->seen_.size();
  EXPECT_TRUE(reader->may_have_text(view(small), false, larger).value());
  EXPECT_THAT(edges, ElementsAre(2000));
  const auto [height, width] = sizes_seen(fake, before).back();
  EXPECT_LT(width * height, std::int64_t{2000} * 1500 / 8) << "only its places";
  fake.find([](auto, auto) { return false; });
  EXPECT_FALSE(reader->may_have_text(view(small)).value()) << "without a larger one in this, enlarged";
  const auto broken = [](std::uint32_t) -> Result<ImageView> { return fail(ErrorCode::kCorrupt, "cut"); };
  EXPECT_EQ(reader->may_have_text(view(small), false, broken).error().code, ErrorCode::kCorrupt);
  Image plain = grey(640, 480);
  edges.clear();
  EXPECT_FALSE(reader->may_have_text(view(plain), false, larger).value());
  EXPECT_THAT(edges, IsEmpty());
}

TEST(Text, WithoutALookAllIsRead) {
  FakeReader fake;
  fake.spec_.parts["detect"].options["look"] = "0";
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  EXPECT_TRUE(reader->may_have_text(view(grey(64, 48))).value());
}

TEST(Text, WhatIsReadSurelyIsTheRightWayUp) {
  FakeReader fake;
  fake.find([](std::int64_t x, std::int64_t y) { return x > 50 && x < 200 && y > 50 && y < 90; });
  fake.orient_->answer_ = [](const Tensor& input) {
    Tensor output = floats({input.shape[0], 2});
    output.as<float>()[1] = 1;
    return output;
  };
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  const Image image = grey(640, 480);
  const auto left = [&] { return reader->read(view(image), 640, 480).value().at(0).polygon[0].x; };
  EXPECT_GT(left(), 100) << "begins at the right: it is upside down";
  fake.read_->answer_ = [](const Tensor& input) {
    Tensor output = floats({input.shape[0], 1, 4}, 0.0F);
    output.as<float>()[1] = 0.95F;
    return output;
  };
  EXPECT_LT(left(), 100);
}

TEST(Text, TenThousandBoxesAreCut) {
  FakeReader fake;
  fake.find([](std::int64_t x, std::int64_t y) { return x % 14 < 6 && y % 14 < 6; });
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  const Image image = grey(1500, 1500);
  const auto lines = reader->read(view(image), 1500, 1500);
  ASSERT_TRUE(lines);
  EXPECT_GT(lines->size(), 500U);
  EXPECT_LE(lines->size(), kMostLines);
}

TEST(Text, InkEverywhere) {
  FakeReader fake;
  fake.find([](auto, auto) { return true; });
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  const Image image = grey(640, 480);
  EXPECT_EQ(reader->read(view(image), 640, 480).value().size(), 1U);
  fake.find([](std::int64_t x, std::int64_t y) { return (x + y) % 2 == 0; });
  EXPECT_TRUE(reader->read(view(image), 640, 480));
}

TEST(Text, OutputsThatAreWrong) {
  FakeReader fake;
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  const Image image = grey(640, 480);
  const auto error_of = [&] {
    const auto lines = reader->read(view(image), 640, 480);
    EXPECT_FALSE(lines);
    if (lines) return std::string("no error");
    EXPECT_EQ(lines.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(lines.error().message, HasSubstr("model test"));
    return lines.error().message;
  };
  const auto detect = fake.detect_->answer_;
  fake.detect_->answer_ = [](const Tensor& input) {
    return floats({1, 1, input.shape[2], input.shape[3]}, std::numeric_limits<float>::quiet_NaN());
  };
  EXPECT_THAT(error_of(), HasSubstr("NaN or infinite"));
  EXPECT_FALSE(reader->may_have_text(view(image)));
  fake.detect_->answer_ = [](const Tensor& input) { return floats({1, 1, input.shape[3], input.shape[2]}); };
  EXPECT_THAT(error_of(), HasSubstr("no map"));
  fake.find([](std::int64_t x, std::int64_t y) { return x > 50 && x < 200 && y > 50 && y < 90; });
  const auto orient = fake.orient_->answer_;
  fake.orient_->answer_ = [](const Tensor& input) { return floats({input.shape[0], 3}); };
  EXPECT_THAT(error_of(), HasSubstr("two directions"));
  fake.orient_->answer_ = orient;
  fake.read_->answer_ = [](const Tensor& input) { return floats({input.shape[0], 4, 5}); };
  EXPECT_THAT(error_of(), HasSubstr("4 classes"));
  fake.read_->answer_ = [](const Tensor& input) { return floats({input.shape[0], 0, 4}); };
  EXPECT_THAT(reader->read(view(image), 640, 480).value(), IsEmpty());
}

TEST(Text, PicturesThatAreNone) {
  FakeReader fake;
  const auto reader = fake.create();
  ASSERT_TRUE(reader);
  const Image image = grey(64, 48);
  EXPECT_EQ(reader->read({0, 0, {}}, 1, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(reader->read({64, 49, image.pixels}, 64, 49).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(reader->read(view(image), 0, 48).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(reader->may_have_text({64, 49, image.pixels}).error().code, ErrorCode::kInvalidArgument);
}

TEST(Text, ModelsThatAreWrong) {
  const auto spoilt = [](auto spoil) {
    FakeReader fake;
    spoil(fake);
    return fake.error();
  };
  const auto is = [](const Error& error, ErrorCode code, const char* words) {
    EXPECT_EQ(error.code, code) << error.message;
    EXPECT_THAT(error.message, HasSubstr(words));
  };
  is(spoilt([](FakeReader& f) { f.read_->characters_.reset(); }), ErrorCode::kCorrupt, "no characters");
  is(spoilt([](FakeReader& f) { f.read_->characters_ = "a\nb\nc"; }), ErrorCode::kCorrupt, "5 classes");
  is(spoilt([](FakeReader& f) { f.read_->characters_ = "\xff\xfe"; }), ErrorCode::kCorrupt, "UTF-8");
  is(spoilt([](FakeReader& f) { f.read_->characters_ = ""; }), ErrorCode::kCorrupt, "characters");
  is(spoilt([](FakeReader& f) { f.spec_.parts["read"].options["characters"] = "/nonexistent"; }),
     ErrorCode::kInvalidArgument, "/nonexistent");
  is(spoilt([](FakeReader& f) { f.spec_.parts.erase("orient"); }), ErrorCode::kInvalidArgument, "no part orient");
  is(spoilt([](FakeReader& f) { f.spec_.parts["detect"].options["threshold"] = "much"; }), ErrorCode::kInvalidArgument,
     "much");
  is(spoilt([](FakeReader& f) { f.spec_.parts["detect"].options["unclip"] = "-1"; }), ErrorCode::kInvalidArgument,
     "unclip");
  is(spoilt([](FakeReader& f) { f.spec_.parts["detect"].input.resize_edge = 0; }), ErrorCode::kInvalidArgument,
     "resize_edge");
  is(spoilt([](FakeReader& f) { f.spec_.parts["detect"].options["look"] = "-1"; }), ErrorCode::kInvalidArgument,
     "option look");
  is(spoilt([](FakeReader& f) { f.spec_.parts["read"].input.height = 0; }), ErrorCode::kInvalidArgument, "8 to 1024");
  is(spoilt([](FakeReader& f) {
       f.spec_.parts["read"].input.deviation = {0, 1, 1};
     }),
     ErrorCode::kInvalidArgument, "deviations");
  is(spoilt([](FakeReader& f) { f.detect_.reset(); }), ErrorCode::kInvalidArgument, "no session");
  is(spoilt([](FakeReader& f) { f.read_->inputs_[0].shape = {-1, 3, 32, -1}; }), ErrorCode::kCorrupt, "[?,3,32,?]");
  is(spoilt([](FakeReader& f) {
       f.detect_->inputs_[0].shape = {1, 3, 640, 640};
     }),
     ErrorCode::kCorrupt, "[1,3,640,640]");
}

TEST(Text, CharactersOfAFile) {
  FakeReader fake;
  const std::string file = testing::TempDir() + "characters.txt";
  std::ofstream(file, std::ios::binary) << "a\r\n\xc3\xa9\r\n";
  fake.read_->characters_.reset();
  fake.spec_.parts["read"].options["characters"] = file;
  fake.find([](std::int64_t x, std::int64_t y) { return x > 50 && x < 200 && y > 50 && y < 90; });
  const auto reader = fake.create();
  ASSERT_OK(reader);
  const Image image = grey(640, 480);
  const auto lines = reader->read(view(image), 640, 480).value();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].text, "a\xc3\xa9");
}

TEST(Text, Ctc) {
  const std::vector<std::string> characters{"", "a", "b", " "};
  const auto decode = [&](const std::vector<std::size_t>& classes) {
    std::vector<float> steps(classes.size() * 4, 0.1F);
    for (std::size_t i = 0; i < classes.size(); ++i) steps[i * 4 + classes[i]] = 0.5F;
    return decode_ctc(steps, characters).text;
  };
  EXPECT_EQ(decode({}), "");
  EXPECT_EQ(decode({0, 0}), "");
  EXPECT_EQ(decode({1, 1, 0, 1, 2, 3, 3, 2}), "aab b");
}

TEST(Text, GlyphsHaveTheirPlaces) {
  const std::vector<std::string> characters{"", "a", "\u00e9"};
  std::vector<float> steps(8 * 3, 0.1F);
  for (const auto& [step, index] : {std::pair(1U, 1U), std::pair(2U, 1U), std::pair(5U, 2U)})
    steps[step * 3 + index] = 0.9F;
  const Decoded decoded = decode_ctc(steps, characters);
  ASSERT_EQ(decoded.text, "a\u00e9");
  ASSERT_EQ(decoded.glyphs.size(), 2U);
  EXPECT_EQ(decoded.glyphs[1].at, 1U);
  EXPECT_DOUBLE_EQ(decoded.glyphs[0].centre, 1.5 / 8);
  EXPECT_DOUBLE_EQ(decoded.glyphs[1].centre, 5.5 / 8);
}

// Letters as bars of `width` columns; a gap before each.
std::pair<Image, Decoded> bars(const std::string& text, const std::vector<std::uint32_t>& gaps,
                               std::uint32_t width = 12) {
  Decoded decoded{text, 1, {}};
  std::uint32_t end = 6;
  for (const std::uint32_t gap : gaps) end += gap + width;
  Image line = grey(end, 48);
  std::uint32_t x = 0;
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    x += gaps[i];
    for (std::uint32_t y = 10; y < 38; ++y)
      std::fill_n(line.pixels.begin() + (std::ptrdiff_t{y} * line.width + x) * 3, width * 3, std::uint8_t{0});
    decoded.glyphs.push_back({i, x + width / 2.0});
    x += width;
  }
  return {std::move(line), std::move(decoded)};
}

TEST(Text, WideGapsAreSpaces) {
  const auto spaced = [](const std::string& text, const std::vector<std::uint32_t>& gaps, std::uint32_t width = 12) {
    auto [line, decoded] = bars(text, gaps, width);
    add_spaces(view(line), decoded);
    return decoded.text;
  };
  EXPECT_EQ(spaced("FIREEXIT", {4, 3, 4, 3, 14, 4, 3, 4}), "FIRE EXIT");
  EXPECT_EQ(spaced("STATIONS", {4, 3, 4, 5, 6, 4, 3, 4}), "STATIONS");
  EXPECT_EQ(spaced("SLOWDOWN", {14, 14, 14, 14, 14, 14, 14, 14}), "SLOWDOWN") << "spaced letters";
  EXPECT_EQ(spaced("A.B,C-D:", {4, 14, 4, 14, 4, 4, 4, 4}), "A.B,C-D:") << "no letters";
  EXPECT_EQ(spaced("NOPE", {4, 3, 14, 3}), "NOPE") << "too few to tell";
}

TEST(Text, TextureOfSmallLetters) {
  Image photo = grey(640, 480);
  EXPECT_THAT(text_texture(view(photo)), IsEmpty());
  // Three lines of strokes 1 pixel wide and 4 high.
  for (std::uint32_t line = 0; line < 3; ++line)
    for (std::uint32_t y = 200 + line * 10; y < 204 + line * 10; ++y)
      for (std::uint32_t x = 300; x < 420; x += 3)
        std::fill_n(photo.pixels.begin() + (std::ptrdiff_t{y} * 640 + x) * 3, 3, std::uint8_t{30});
  const auto places = text_texture(view(photo));
  ASSERT_EQ(places.size(), 1U);
  EXPECT_LE(places[0].x, 300U);
  EXPECT_LE(places[0].y, 200U);
  EXPECT_GE(places[0].x + places[0].width, 420U);
  EXPECT_GE(places[0].y + places[0].height, 224U);
  EXPECT_LT(places[0].width * places[0].height, 640U * 480 / 8);
  // A checkerboard alternates everywhere, and has no quiet rows.
  for (std::size_t i = 0; i < photo.pixels.size(); ++i) photo.pixels[i] = (i / 3 + i / (640 * 3)) % 2 == 0 ? 40 : 200;
  EXPECT_THAT(text_texture(view(photo)), IsEmpty());
}

TEST(Text, AreasThatOverlapAreJoined) {
  const Image photo = grey(400, 300);
  const auto apart = joined({{0, 0, 50, 50}, {100, 100, 50, 50}, {40, 40, 70, 70}}, view(photo));
  ASSERT_EQ(apart.size(), 1U);
  EXPECT_EQ(apart[0].width, 150U);
  EXPECT_EQ(joined({{0, 0, 50, 50}, {100, 100, 50, 50}}, view(photo)).size(), 2U);
  const auto whole = joined({{0, 0, 400, 160}}, view(photo));
  ASSERT_EQ(whole.size(), 1U);
  EXPECT_EQ(whole[0].height, 300U) << "most of it";
}

TEST(Text, ReadingOrder) {
  const auto at = [](float x, float y) { return Quad{{{x, y}, {x + 10, y}, {x + 10, y + 5}, {x, y + 5}}}; };
  std::vector<Quad> boxes{at(300, 100), at(10, 108), at(10, 300), at(150, 95), at(400, 40)};
  sort_for_reading(boxes);
  std::vector<float> lefts;
  for (const Quad& box : boxes) lefts.push_back(box[0].x);
  EXPECT_THAT(lefts, ElementsAre(400, 150, 10, 300, 10));
}

TEST(Text, ASmallTiltIsTheMapsOwn) {
  constexpr std::uint32_t kWidth = 400, kHeight = 100;
  std::vector<float> map(std::size_t{kWidth} * kHeight);
  for (std::uint32_t y = 40; y < 60; ++y)
    for (std::uint32_t x = 100; x < 300; ++x) map[(y + (x - 100) / 50) * kWidth + x] = 0.8F;  // 3 lower at its end
  BoxOptions options;
  const auto box = [&] { return find_boxes({kWidth, kHeight, map}, options, kWidth, kHeight).at(0); };
  EXPECT_NE(box()[0].y, box()[1].y);
  options.least_tilt = 6;
  const Quad level = box();
  const double by = 200.0 * 23 * 1.6 / 446;
  EXPECT_EQ(level[0].y, level[1].y);
  EXPECT_EQ(level[0].x, level[3].x);
  EXPECT_NEAR(level[0].y, 40 - by, 1);
  EXPECT_NEAR(level[2].y, 63 + by, 1);
}

TEST(Text, BoxesOfATurnedRectangle) {
  // 120 × 30 at 30 degrees about (200, 150), as pixels.
  constexpr std::uint32_t kWidth = 400, kHeight = 300;
  std::vector<float> map(std::size_t{kWidth} * kHeight);
  const double c = std::cos(0.5236), s = std::sin(0.5236);
  for (std::uint32_t y = 0; y < kHeight; ++y)
    for (std::uint32_t x = 0; x < kWidth; ++x) {
      const double u = (x - 200.0) * c + (y - 150.0) * s, v = -(x - 200.0) * s + (y - 150.0) * c;
      if (std::abs(u) < 60 && std::abs(v) < 15) map[std::size_t{y} * kWidth + x] = 0.8F;
    }
  const auto boxes = find_boxes({kWidth, kHeight, map}, {}, kWidth, kHeight);
  ASSERT_EQ(boxes.size(), 1U);
  const double by = 120.0 * 30 * 1.6 / 300;  // 19.2
  const CutSize size = cut_size(boxes[0]);
  EXPECT_NEAR(size.width, 120 + 2 * by, 4);
  EXPECT_NEAR(size.height, 30 + 2 * by, 4);
  EXPECT_NEAR(boxes[0][0].x, 200 - (60 + by) * c + (15 + by) * s, 3);
  EXPECT_NEAR(boxes[0][0].y, 150 - (60 + by) * s - (15 + by) * c, 3);
  // A frame has an outline and a hole; neither's inside is likely enough when it is thin.
  EXPECT_THAT(find_boxes({kWidth, kHeight, std::vector<float>(map.size(), 0.2F)}, {}, kWidth, kHeight), IsEmpty());
}

}  // namespace
}  // namespace image_engine::vision
