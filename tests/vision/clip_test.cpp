// CLIP from a photo's file to its vector, beside transformers: tests/vision/clip_reference.* is what
// tools/reference/clip_pixels.py wrote, with the model that the ctest entry vision_clip makes again.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/file.h"
#include "models/spec_file.h"
#include "vision/embedder.h"
#include "vision/graph_checks.h"
#include "worker/decode_file.h"

namespace image_engine::vision {
namespace {

const std::string kModel = "vision_clip/";
const std::string kReference = IE_SOURCE_DIR "/tests/vision/clip_reference";
const std::string kSamples = IE_SOURCE_DIR "/build/samples/";
constexpr std::size_t kEdge = 224;

double cosine(std::span<const float> a, std::span<const float> b) {
  const double lengths =
      std::inner_product(a.begin(), a.end(), a.begin(), 0.0) * std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0) / std::sqrt(lengths);
}

class Clip : public testing::Test {
 protected:
  static void SetUpTestSuite() { pool_ = worker::Pool::create({}).value().release(); }
  static void TearDownTestSuite() { delete pool_; }

  void SetUp() override {
    if (!std::filesystem::exists(kModel + "spec.yaml"))
      GTEST_SKIP() << "no model in vision_clip: ctest makes it (vision_clip)";
    reference_ = nlohmann::json::parse(read_file(kReference + ".json").value());
    rows_ = read_file(kReference + ".u8").value();
    const std::string bytes = read_file(kReference + ".f32").value();
    vectors_.resize(bytes.size() / sizeof(float));
    std::memcpy(vectors_.data(), bytes.data(), bytes.size());
    spec_ = models::read_specs(kModel + "spec.yaml", {}, false).value().at("random-clip");
    dimensions_ = 512;
    ASSERT_EQ(vectors_.size(), (photos() + reference_["texts"].size()) * dimensions_);
  }

  [[nodiscard]] std::size_t photos() const { return reference_["photos"].size(); }
  [[nodiscard]] std::string photo(std::size_t i) const {
    return kSamples + "photos/" + reference_["photos"][i]["file"].get<std::string>();
  }
  [[nodiscard]] std::span<const float> vector(std::size_t i) const {
    return std::span(vectors_).subspan(i * dimensions_, dimensions_);
  }

  // As the pipeline has it; 0: at full size.
  static Image decode(const std::string& path, std::uint32_t max_edge) {
    const worker::DecodedFile decoded = worker::decode_file(*pool_, path, {.max_edge = max_edge}).value();
    const ImageView pixels = decoded.pixels();
    return {pixels.width, pixels.height, {pixels.pixels.begin(), pixels.pixels.end()}};
  }

  [[nodiscard]] ImageEmbedder embedder(const models::Spec& spec, const std::string& precision = "fp32") const {
    auto session = infer::Session::create(kModel + "clip_vision_" + precision + ".onnx", {});
    return ImageEmbedder::create(spec, std::move(session).value()).value();
  }
  [[nodiscard]] Embedding embed(const ImageEmbedder& embedder, const std::string& path, std::uint32_t max_edge) const {
    const Image picture = decode(path, max_edge);
    return embedder.embed({picture.width, picture.height, picture.pixels}).value();
  }
  // The least cosine to the reference's vectors, of all photos at full size.
  [[nodiscard]] double least(const ImageEmbedder& embedder) const {
    double worst = 1;
    for (std::size_t i = 0; i < photos(); ++i) worst = std::min(worst, cosine(embed(embedder, photo(i), 0), vector(i)));
    return worst;
  }

  nlohmann::json reference_;
  std::string rows_;
  std::vector<float> vectors_;
  std::size_t dimensions_ = 0;
  models::Spec spec_;
  static inline worker::Pool* pool_ = nullptr;
};

TEST_F(Clip, PixelsAreTheReferences) {
  const preprocess::Plan plan = plan_of(spec_).value();
  const std::size_t step = reference_["step"], row_bytes = kEdge * 3, rows = kEdge / step;
  ASSERT_GE(photos(), 20U);
  ASSERT_EQ(rows_.size(), photos() * rows * row_bytes);
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < photos(); ++i) {
    const Image picture = decode(photo(i), 0);
    const auto prepared = preprocess::prepare(plan, {picture.width, picture.height, picture.pixels}).value();
    const auto values = prepared.tensor.as<float>();
    double sum = 0;
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t at = 0; at < row_bytes; ++at) {
        const std::size_t channel = at % 3, x = at / 3;
        const float value = values[(channel * kEdge + row * step) * kEdge + x];
        const double level = double{value} * double{plan.deviation[channel]} + double{plan.mean[channel]};
        const double off = std::abs(level - static_cast<std::uint8_t>(rows_[(i * rows + row) * row_bytes + at]));
        sum += off;
        largest = std::max(largest, off);
      }
    const double mean = sum / static_cast<double>(rows * row_bytes);
    EXPECT_LE(mean, 1) << photo(i);  // of 255
    worst = std::max(worst, mean);
  }
  std::cout << "  " << photos() << " photos: worst mean difference " << worst << " of 255, largest of all " << largest
            << '\n';
}

TEST_F(Clip, VectorsAreTheReferences) {
  const double exact = least(embedder(spec_)), small = least(embedder(spec_, "int8"));
  EXPECT_GE(exact, 0.9999);
  EXPECT_GE(small, 0.99);
  std::cout << "  " << photos() << " photos: least cosine " << exact << " (fp32), " << small << " (int8)\n";
}

// The limit would show the usual mistakes.
TEST_F(Clip, MistakesShow) {
  const std::map<std::string, void (*)(models::InputSpec&)> mistakes{
      {"order of channels", [](auto& input) { input.order = "bgr"; }},
      {"no normalisation",
       [](auto& input) {
         input.mean = {0, 0, 0}, input.deviation = {255, 255, 255};
       }},
      {"bilinear", [](auto& input) { input.filter = "bilinear"; }},
      {"stretched", [](auto& input) { input.fit = "stretch"; }},
  };
  for (const auto& [what, make] : mistakes) {
    models::Spec wrong = spec_;
    make(wrong.input);
    EXPECT_LT(least(embedder(wrong)), 0.9999) << what;
  }
}

TEST_F(Clip, ReducedDecodingKeepsTheVector) {
  const ImageEmbedder embedder = this->embedder(spec_);
  const std::uint32_t edge = preprocess::wanted_edge(embedder.plan());
  std::vector<std::string> files;
  for (std::size_t i = 0; i < photos(); ++i) files.push_back(photo(i));
  for (const auto& entry : std::filesystem::directory_iterator(kSamples + "12mp"))
    if (entry.path().extension() == ".jpg") files.push_back(entry.path().string());
  double worst = 1;
  int reduced = 0;
  for (const std::string& file : files) {
    const Image full = decode(file, 0), small = decode(file, edge);
    reduced += small.width < full.width ? 1 : 0;
    const double same =
        cosine(embedder.embed({full.width, full.height, full.pixels}).value(),
               embedder.embed({small.width, small.height, small.pixels}, {full.width, full.height}).value());
    EXPECT_GE(same, 0.995) << file << ", reduced to " << small.width << " × " << small.height;
    worst = std::min(worst, same);
  }
  EXPECT_GE(reduced, 10);
  std::cout << "  " << reduced << " reduced photos: least cosine to full decoding " << worst << '\n';
}

TEST_F(Clip, SeveralAtOnceAreAsOneByOne) {
  const ImageEmbedder embedder = this->embedder(spec_);
  std::vector<preprocess::Prepared> prepared;
  for (std::size_t i = 8; i < 13; ++i) {
    const Image picture = decode(photo(i), 0);
    prepared.push_back(embedder.prepare({picture.width, picture.height, picture.pixels}).value());
  }
  const auto together = embedder.embed(prepared).value();
  ASSERT_EQ(together.size(), prepared.size());
  for (std::size_t i = 0; i < prepared.size(); ++i) EXPECT_GE(cosine(together[i], vector(8 + i)), 0.9999) << i;
  EXPECT_TRUE(embedder.embed(std::span<const preprocess::Prepared>{}).value().empty());
}

TEST_F(Clip, TextsAreTheReferences) {
  const auto texts = reference_["texts"].get<std::vector<std::string>>();
  ASSERT_GE(texts.size(), 50U);
  for (const auto& [precision, limit] : {std::pair("fp32", 0.9999), std::pair("int8", 0.99)})
    for (const bool fixed : {false, true}) {
      models::Spec spec = spec_;
      spec.text.fixed = fixed;
      const auto embedder =
          TextEmbedder::create(
              spec, infer::Session::create(kModel + "clip_text_" + precision + ".onnx", {}).value(),
              preprocess::Tokenizer::create(spec.text.tokenizer, kModel + spec.text.vocabulary).value())
              .value();
      const auto embeddings = embedder.embed(texts).value();
      double worst = 1;
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const double same = cosine(embeddings[i], vector(photos() + i));
        EXPECT_GE(same, limit) << '"' << texts[i].substr(0, 60) << "\", " << precision;
        worst = std::min(worst, same);
      }
      EXPECT_GE(cosine(embedder.embed(texts[3]).value(), vector(photos() + 3)), limit);
      std::cout << "  " << texts.size() << " texts, " << precision << (fixed ? ", filled up" : "") << ": least cosine "
                << worst << '\n';
    }
}

}  // namespace
}  // namespace image_engine::vision
