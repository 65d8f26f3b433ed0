// Vectors from outputs that are known; with a real architecture: clip_test.cpp.
#include "vision/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

#include "tests/support/ok.h"
#include "tests/vision/answering.h"
#include "tests/vision/fake_session.h"
#include "types/half.h"

namespace image_engine::vision {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::FloatEq;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// By its definition: the value of a binary16 in exact arithmetic.
double value_of(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                            : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

std::vector<std::uint16_t> all_halves() {
  std::vector<std::uint16_t> halves(65'536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  return halves;
}

TEST(Half, EveryOneIsItsValueAndComesBack) {
  const auto halves = all_halves();
  // All at once takes the CPU's instructions where there are some, one by one does not.
  const auto values = from_half(halves);
  const auto back = to_half(values);
  for (const std::uint16_t half : halves) {
    const float one = from_half(std::span(&half, 1))[0];
    const std::uint16_t one_back = to_half(std::span(&one, 1))[0];
    const double wanted = value_of(half);
    if (std::isnan(wanted)) {
      ASSERT_TRUE(std::isnan(values[half]) && std::isnan(one)) << half;
      ASSERT_TRUE(std::isnan(value_of(back[half])) && std::isnan(value_of(one_back))) << half;
    } else {
      ASSERT_TRUE(values[half] == wanted && one == wanted) << half;
      ASSERT_TRUE(back[half] == half && one_back == half) << half;
    }
  }
}

// Between two neighbours the nearer one, of two as near the even one.
TEST(Half, RoundsToNearestEven) {
  std::vector<float> values;
  std::vector<std::uint16_t> wanted;
  for (std::uint16_t half = 0; half < 0x7c00; ++half) {
    const auto low = static_cast<float>(value_of(half));
    const auto high = half == 0x7bff ? 65'536.0F : static_cast<float>(value_of(static_cast<std::uint16_t>(half + 1)));
    const float middle = (low + high) / 2;  // exact
    const auto next = static_cast<std::uint16_t>(half + 1);
    const std::uint16_t even = half % 2 == 0 ? half : next;
    for (const auto& [value, expected] : {std::pair(std::nextafter(middle, 0.0F), half), std::pair(middle, even),
                                          std::pair(std::nextafter(middle, 1e9F), next)})
      for (const bool negative : {false, true}) {
        values.push_back(negative ? -value : value);
        wanted.push_back(static_cast<std::uint16_t>(expected | (negative ? 0x8000 : 0)));
      }
  }
  EXPECT_EQ(to_half(values), wanted);
  for (std::size_t i = 0; i < values.size(); i += 7)
    ASSERT_EQ(to_half(std::span(values).subspan(i, 1))[0], wanted[i]) << values[i];
  for (const std::size_t copies : {1, 8}) {
    EXPECT_THAT(to_half(std::vector<float>(copies, 1e30F)), Each(0x7c00));
    EXPECT_THAT(to_half(std::vector<float>(copies, -kInfinity)), Each(0xfc00));
    EXPECT_THAT(to_half(std::vector<float>(copies, 1e-30F)), Each(0));
    EXPECT_THAT(to_half(std::vector<float>(copies, -std::numeric_limits<float>::denorm_min())), Each(0x8000));
    for (const std::uint32_t nan : {0x7fc00000U, 0x7f800001U, 0xffffffffU})
      EXPECT_TRUE(std::isnan(value_of(to_half(std::vector<float>(copies, std::bit_cast<float>(nan)))[0])));
  }
  EXPECT_TRUE(to_half(std::span<const float>{}).empty() && from_half(std::span<const std::uint16_t>{}).empty());
}

models::Spec spec_of(int dimensions) {
  models::Spec spec;
  spec.name = "test", spec.task = "embedding";
  spec.input.width = spec.input.height = 4;
  spec.head_options["dimensions"] = std::to_string(dimensions);
  spec.text.context = 8;
  return spec;
}

// The first two values of each picture, so that order shows.
Tensor first_two(std::span<const Tensor> inputs) {
  const std::int64_t n = inputs[0].shape[0];
  Tensor output = floats({n, 2});
  const std::size_t step = inputs[0].count() / static_cast<std::size_t>(n);
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i)
    for (std::size_t k = 0; k < 2; ++k) output.as<float>()[2 * i + k] = inputs[0].as<float>()[i * step + k];
  return output;
}

std::vector<preprocess::Prepared> prepared(const ImageEmbedder& embedder, std::span<const ImageView> views) {
  std::vector<preprocess::Prepared> pictures;
  for (const ImageView& view : views) pictures.push_back(embedder.prepare(view).value());
  return pictures;
}

TEST(ImageEmbedder, RunsABatchWhereTheGraphTakesOne) {
  const std::vector<std::uint8_t> black(48, 0), grey(48, 50);
  std::vector<std::uint8_t> edge(48, 0);
  edge[0] = 30, edge[3] = 40;  // red of the first two pixels
  const std::vector<ImageView> views{{4, 4, grey}, {4, 4, edge}, {4, 4, grey}};
  for (const bool free : {true, false}) {
    auto session = std::make_unique<Answering>(
        std::vector<infer::TensorInfo>{{"x", ElementType::kFloat32, {free ? -1 : 1, 3, 4, 4}}}, first_two);
    const auto* watched = session.get();
    const auto embedder = ImageEmbedder::create(spec_of(2), std::move(session));
    ASSERT_OK(embedder);
    const std::size_t before = watched->seen_.size();
    const auto embeddings = embedder->embed(prepared(*embedder, views));
    ASSERT_TRUE(embeddings);
    EXPECT_EQ(watched->seen_.size() - before, free ? 1U : 3U);
    ASSERT_THAT(*embeddings, SizeIs(3));
    EXPECT_THAT((*embeddings)[0], ElementsAre(FloatEq(std::sqrt(0.5F)), FloatEq(std::sqrt(0.5F))));
    EXPECT_THAT((*embeddings)[1], ElementsAre(FloatEq(0.6F), FloatEq(0.8F)));
    EXPECT_EQ((*embeddings)[2], (*embeddings)[0]);
    EXPECT_EQ(embedder->embed({4, 4, edge}).value(), (*embeddings)[1]);
    EXPECT_THAT(embedder->embed({4, 4, black}).error().message, HasSubstr("model test: its vector has length 0"));
  }
}

// A graph that says [?,3,4,4] and fails on two: a shape of one is baked in.
TEST(ImageEmbedder, GoesOneByOneWhereABatchFails) {
  auto session = std::make_unique<FakeSession>();
  session->inputs_ = {{"x", ElementType::kFloat32, {-1, 3, 4, 4}}};
  session->give("y", floats({1, 4}, 3));
  const auto embedder = ImageEmbedder::create(spec_of(4), std::move(session));
  ASSERT_OK(embedder);
  const std::vector<std::uint8_t> grey(48, 50);
  const std::vector<ImageView> views{{4, 4, grey}, {4, 4, grey}};
  EXPECT_THAT(embedder->embed(prepared(*embedder, views)).value(), ElementsAre(Each(0.5F), Each(0.5F)));
}

TEST(ImageEmbedder, RefusesWhatDoesNotFit) {
  struct Case {
    std::function<void(models::Spec&, FakeSession&)> change;
    ErrorCode code;
    const char* message;
  };
  const Case cases[] = {
      {[](auto&, auto& s) { s.values_[0].template as<float>()[1] = kNan; }, ErrorCode::kCorrupt, "NaN or infinite"},
      {[](auto&, auto& s) { s.values_[0].template as<float>()[1] = -kInfinity; }, ErrorCode::kCorrupt,
       "NaN or infinite"},
      {[](auto&, auto& s) {
         s.values_[0] = floats({1, 4}, 0);
       },
       ErrorCode::kCorrupt, "length 0"},
      {[](auto&, auto& s) {
         s.values_[0] = floats({1, 5}, 1);
       },
       ErrorCode::kCorrupt, "holds no vectors of 4"},
      {[](auto&, auto& s) { s.values_[0] = floats({4}, 1); }, ErrorCode::kCorrupt, "not one for each"},
      {[](auto&, auto& s) {
         s.values_[0] = floats({2, 4}, 1);
       },
       ErrorCode::kCorrupt, "not one for each of 1"},
      {[](auto&, auto& s) {
         s.values_[0] = floats({1, 0, 4}, 1);
       },
       ErrorCode::kCorrupt, "holds no vectors"},
      {[](auto&, auto& s) {
         s.values_[0] = Tensor::zeros(ElementType::kInt64, {1, 4});
       },
       ErrorCode::kCorrupt, "not of float32"},
      {[](auto& spec, auto&) { spec.input.name = "pixels"; }, ErrorCode::kCorrupt, "'x' that is not in its spec"},
      {[](auto& spec, auto&) { spec.input.width = 8; }, ErrorCode::kCorrupt, "is [1,3,4,4], its spec's is [1,3,4,8]"},
      {[](auto& spec, auto&) { spec.input.layout = "nhwc"; }, ErrorCode::kCorrupt, "its spec's is [1,4,4,3]"},
      {[](auto& spec, auto&) { spec.input.type = "uint8"; }, ErrorCode::kCorrupt, "another type"},
      {[](auto& spec, auto&) { spec.outputs = {"image_embeds"}; }, ErrorCode::kCorrupt,
       "no output 'image_embeds'; it has: y"},
      {[](auto&, auto& s) {
         s.give("z", floats({1, 4}, 1));
       },
       ErrorCode::kCorrupt, "must name one of its graph's: y, z"},
      {[](auto&, auto& s) {
         s.inputs_.push_back({"pixel_mask", ElementType::kInt64, {1, 4, 4}});
       },
       ErrorCode::kCorrupt, "'pixel_mask' that is not in its spec"},
      {[](auto&, auto& s) { s.inputs_.clear(); }, ErrorCode::kCorrupt, "no input"},
      {[](auto& spec, auto&) { spec.head_options.clear(); }, ErrorCode::kInvalidArgument, "option dimensions"},
      {[](auto& spec, auto&) { spec.head_options["dimensions"] = "3.5"; }, ErrorCode::kInvalidArgument,
       "option dimensions"},
      {[](auto& spec, auto&) { spec.head_options["dimensions"] = "many"; }, ErrorCode::kInvalidArgument, "\"many\""},
      {[](auto& spec, auto&) { spec.head_options["dimensions"] = "1e300"; }, ErrorCode::kInvalidArgument, "dimensions"},
      {[](auto& spec, auto&) { spec.input.fit = "squeeze"; }, ErrorCode::kInvalidArgument, "'squeeze'"},
  };
  for (const Case& wrong : cases) {
    models::Spec spec = spec_of(4);
    auto session = std::make_unique<FakeSession>();
    session->inputs_ = {{"x", ElementType::kFloat32, {1, 3, 4, 4}}};
    session->give("y", floats({1, 4}, 1));
    wrong.change(spec, *session);
    const auto embedder = ImageEmbedder::create(spec, std::move(session));
    ASSERT_FALSE(embedder) << wrong.message;
    EXPECT_EQ(embedder.error().code, wrong.code) << embedder.error().message;
    EXPECT_THAT(embedder.error().message, HasSubstr(wrong.message));
    EXPECT_THAT(embedder.error().message, HasSubstr("model test"));
  }
}

// A letter an id, 1 and 2 around them; 9 fills up.
class Letters : public preprocess::Tokenizer {
 public:
  [[nodiscard]] std::vector<std::int64_t> encode(std::string_view text, std::size_t most) const override {
    std::vector<std::int64_t> ids{1};
    for (const char c : text) ids.push_back(c);
    ids.resize(std::min(ids.size(), most - 1));
    ids.push_back(2);
    return ids;
  }
  [[nodiscard]] std::int64_t padding() const override { return 9; }
  [[nodiscard]] std::size_t size() const override { return 256; }
};

std::vector<std::int64_t> numbers_of(const Tensor& tensor) {
  std::vector<std::int64_t> numbers;
  if (tensor.type == ElementType::kInt64)
    for (const auto n : tensor.as<std::int64_t>()) numbers.push_back(n);
  else
    for (const auto n : tensor.as<std::int32_t>()) numbers.push_back(n);
  return numbers;
}

// [n, tokens, 2]: of each token (id, 1).
Tensor each_token(std::span<const Tensor> inputs) {
  const auto ids = numbers_of(inputs[0]);
  Tensor output = floats({inputs[0].shape[0], inputs[0].shape[1], 2}, 1);
  for (std::size_t i = 0; i < ids.size(); ++i) output.as<float>()[2 * i] = static_cast<float>(ids[i]);
  return output;
}

std::vector<infer::TensorInfo> text_graph(ElementType type, std::int64_t n, std::int64_t tokens) {
  return {
      {"input_ids", type, {n, tokens}}, {"attention_mask", type, {n, tokens}}, {"token_type_ids", type, {n, tokens}}};
}

TEST(TextEmbedder, MeansOverTheTextsOwnTokens) {
  const std::vector<std::string> texts{"ab", "", "abcdefghijk"};
  // (1 + 97 + 98 + 2) / 4, (1 + 2) / 2, cut to 8: (1 + 97 … 102 + 2) / 8
  const double means[] = {49.5, 1.5, 75};
  struct Case {
    ElementType type;
    std::int64_t n, tokens;
    bool fixed;
    std::size_t runs, length;
  };
  for (const Case& graph :
       {Case{ElementType::kInt64, -1, -1, false, 1, 8}, Case{ElementType::kInt32, 1, -1, false, 3, 4},
        Case{ElementType::kInt64, 1, 8, false, 3, 8}, Case{ElementType::kInt64, 1, -1, true, 3, 8}}) {
    auto session = std::make_unique<Answering>(text_graph(graph.type, graph.n, graph.tokens), each_token);
    const auto* watched = session.get();
    models::Spec spec = spec_of(2);
    spec.text.fixed = graph.fixed;
    const auto embedder = TextEmbedder::create(spec, std::move(session), std::make_unique<Letters>());
    ASSERT_OK(embedder);
    const auto embeddings = embedder->embed(texts);
    ASSERT_OK(embeddings);
    EXPECT_EQ(watched->seen_.size(), graph.runs);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const double length = std::hypot(means[i], 1);
      EXPECT_NEAR((*embeddings)[i][0], means[i] / length, 1e-6);
      EXPECT_NEAR((*embeddings)[i][1], 1 / length, 1e-6);
    }
    const auto& first = watched->seen_[0];
    ASSERT_THAT(first, SizeIs(3));
    EXPECT_EQ(static_cast<std::size_t>(first[0].shape[1]), graph.length);
    EXPECT_EQ(first[1].type, graph.type);
    const auto ids = numbers_of(first[0]), mask = numbers_of(first[1]);
    for (std::size_t i = 0; i < graph.length; ++i) {
      EXPECT_EQ(mask[i], i < 4 ? 1 : 0);
      EXPECT_EQ(ids[i] == 9, i >= 4);
    }
    EXPECT_THAT(numbers_of(first[2]), Each(0));
    EXPECT_EQ(embedder->embed("ab").value(), (*embeddings)[0]);
  }
}

TEST(TextEmbedder, ManyTextsGoInSeveralRuns) {
  auto session = std::make_unique<Answering>(text_graph(ElementType::kInt64, -1, -1), each_token);
  const auto* watched = session.get();
  const auto embedder = TextEmbedder::create(spec_of(2), std::move(session), std::make_unique<Letters>()).value();
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back(std::string(1, static_cast<char>(20 + i)));
  const auto embeddings = embedder.embed(texts).value();
  ASSERT_THAT(embeddings, SizeIs(100));
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(embeddings[i], embedder.embed(texts[i]).value());
  EXPECT_GT(watched->seen_.size(), 101U);
  EXPECT_TRUE(embedder.embed(std::span<const std::string>{}).value().empty());
}

TEST(TextEmbedder, RefusesWhatDoesNotFit) {
  const auto error = [](const models::Spec& spec, std::vector<infer::TensorInfo> inputs,
                        const Answering::Answer& answer) {
    const auto embedder =
        TextEmbedder::create(spec, std::make_unique<Answering>(std::move(inputs), answer), std::make_unique<Letters>());
    if (!embedder) return embedder.error().message;
    const auto embedding = embedder->embed("abc");
    return embedding ? std::string("accepted") : embedding.error().message;
  };
  const auto good = text_graph(ElementType::kInt64, -1, -1);
  const models::Spec spec = spec_of(2);
  EXPECT_EQ(error(spec, good, each_token), "accepted");
  EXPECT_THAT(error(spec_of(3), good, each_token), HasSubstr("holds no vectors of 3"));
  EXPECT_THAT(error(spec, good, [](auto) { return floats({1, 2}, kNan); }), HasSubstr("NaN or infinite"));
  EXPECT_THAT(error(spec, good, [](auto) { return floats({1, 2}, 0); }), HasSubstr("length 0"));
  EXPECT_THAT(error(spec, good, [](auto) { return floats({1, 3, 2}, 1); }), HasSubstr("holds no vectors"));  // of 5 ids
  EXPECT_THAT(error(spec, good, [](auto) { return floats({2, 2}, 1); }), HasSubstr("not one for each"));
  EXPECT_THAT(error(spec, {good[1]}, each_token), HasSubstr("no input 'input_ids'"));
  auto odd = good;
  odd[2].name = "position_ids";
  EXPECT_THAT(error(spec, odd, each_token), HasSubstr("'position_ids', which is not a text input"));
  EXPECT_THAT(error(spec, text_graph(ElementType::kFloat32, -1, -1), each_token), HasSubstr("not integers"));
  EXPECT_THAT(error(spec, text_graph(ElementType::kInt64, -1, 77), each_token),
              HasSubstr("[?,77], not integers [?,8]"));
  EXPECT_THAT(error(spec, text_graph(ElementType::kInt64, 4, -1), each_token), HasSubstr("[4,?]"));
  models::Spec without = spec;
  without.text.context = 0;
  EXPECT_THAT(error(without, good, each_token), HasSubstr("no context"));
  without = spec;
  without.text.outputs = {"text_embeds"};
  EXPECT_THAT(error(without, good, each_token), HasSubstr("no output 'text_embeds'"));
}

TEST(TextTower, IsTheSpecOfTheOtherHalf) {
  models::Spec spec = spec_of(2);
  spec.variants = {{"fp32", "vision.onnx", {}}};
  spec.outputs = {"image_embeds"};
  spec.text.outputs = {"text_embeds"};
  EXPECT_EQ(text_tower(spec).variants[0].file, "vision.onnx");  // a model of texts only has one list
  EXPECT_EQ(text_tower(spec).outputs, spec.text.outputs);
  spec.text.variants = {{"fp32", "text.onnx", {}}, {"int8", "text_int8.onnx", {}}};
  ASSERT_EQ(text_tower(spec).variants.size(), 2U);
  EXPECT_EQ(text_tower(spec).variants[1].file, "text_int8.onnx");
}

TEST(TextTower, CanariesAreRunsOfItsInputs) {
  for (const bool fixed : {false, true}) {
    models::Spec spec = spec_of(2);
    spec.text.fixed = fixed;
    spec.text.context = 40;
    const Answering session(text_graph(ElementType::kInt64, -1, -1), each_token);
    const auto canaries = text_canaries(spec, session, Letters());
    ASSERT_OK(canaries);
    ASSERT_GE(canaries->size(), 9U);
    ASSERT_EQ(canaries->size() % 3, 0U);
    EXPECT_EQ((*canaries)[0].shape[1] == 40, fixed);  // a short text
    for (std::size_t i = 0; i < canaries->size(); i += 3) {
      EXPECT_THAT(numbers_of((*canaries)[i]), Not(Each(1)));
      for (std::size_t k = 0; k < 3; ++k) {
        EXPECT_EQ((*canaries)[i + k].shape, (*canaries)[i].shape);
        EXPECT_EQ((*canaries)[i + k].shape[0], 1);
        EXPECT_LE((*canaries)[i + k].shape[1], 40);
      }
    }
  }
}

}  // namespace
}  // namespace image_engine::vision
