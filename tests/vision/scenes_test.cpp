#include "vision/scenes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/file.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"
#include "tests/vision/fake_session.h"

namespace image_engine::vision {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class Scenes : public testing::Test {
 protected:
  std::string write(const std::string& text) { return scratch_.write("labels.yaml", text); }
  // The error, which must name file and line.
  std::string refused(const std::string& text, int line) {
    const auto labels = SceneLabels::read(write(text));
    if (labels) return "accepted";
    EXPECT_EQ(labels.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(labels.error().message, StartsWith(folder_ + "/labels.yaml:" + std::to_string(line) + ": "));
    return labels.error().message;
  }

  const Scratch scratch_;
  const std::string folder_ = scratch_.path();
};

json numbers() { return json_of("vision_scenes/scenes.json"); }

// The labels by confidence, as numpy has them.
void expect_best(const std::vector<SceneGuess>& guesses, const json& expected, std::size_t most) {
  const auto confidences = expected.get<std::vector<double>>();
  std::vector<std::size_t> order(confidences.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](auto a, auto b) { return confidences[a] > confidences[b]; });
  ASSERT_EQ(guesses.size(), most);
  for (std::size_t i = 0; i < most; ++i) {
    EXPECT_EQ(guesses[i].label, "scene " + std::to_string(order[i]));
    EXPECT_NEAR(double{guesses[i].confidence}, confidences[order[i]], 1e-5);
  }
}

SceneLabels labels_of(const json& zero_shot) {
  SceneLabels labels{zero_shot["prompts"], {}};
  for (const auto& label : zero_shot["labels"]) labels.labels.push_back({label["name"], label["phrases"]});
  return labels;
}

// Texts' vectors as they were planned; counts how often it is asked.
SceneScorer::EmbedTexts planned(const json& texts, int* asked = nullptr) {
  return [&texts, asked](std::span<const std::string> wanted) -> Result<std::vector<Embedding>> {
    if (asked != nullptr) ++*asked;
    std::vector<Embedding> vectors;
    for (const std::string& text : wanted) vectors.push_back(texts.at(text).get<Embedding>());
    return vectors;
  };
}

TEST_F(Scenes, ZeroShotIsNumpys) {
  const json all = numbers();
  if (all.is_null()) GTEST_SKIP() << "no vision_scenes: ctest makes them (vision_scenes)";
  const json& zero_shot = all["zero_shot"];
  const auto scorer = SceneScorer::create(labels_of(zero_shot), zero_shot["scale"], planned(zero_shot["texts"]));
  ASSERT_OK(scorer);
  for (const auto& entry : zero_shot["cases"])
    expect_best(scorer->score(entry["embedding"].get<Embedding>()).value(), entry["confidences"], kTopScenes);
  // With a scale that is not the model's, it would show.
  const auto other = SceneScorer::create(labels_of(zero_shot), 50, planned(zero_shot["texts"])).value();
  const auto& first = zero_shot["cases"][0];
  EXPECT_GT(std::abs(other.score(first["embedding"].get<Embedding>()).value()[0].confidence -
                     scorer->score(first["embedding"].get<Embedding>()).value()[0].confidence),
            1e-3F);
}

TEST_F(Scenes, KeptVectorsAreAskedOnce) {
  const json all = numbers();
  if (all.is_null()) GTEST_SKIP() << "no vision_scenes: ctest makes them (vision_scenes)";
  const json& zero_shot = all["zero_shot"];
  const SceneLabels labels = labels_of(zero_shot);
  int asked = 0;
  const auto top = [&](const SceneLabels& wanted) {
    const auto scorer = SceneScorer::create_kept(wanted, 100, planned(zero_shot["texts"], &asked), folder_, "abc");
    return scorer.value().score(zero_shot["cases"][3]["embedding"].get<Embedding>()).value()[0];
  };
  const SceneGuess first = top(labels);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(top(labels).confidence, first.confidence);
  EXPECT_EQ(asked, 1);

  const std::string file = folder_ + "/scenes-abc.bin";
  const std::string sound = read_file(file).value();
  for (const std::string& damaged :
       {std::string(), std::string("x"), sound.substr(0, sound.size() - 4), sound + "1234", [&] {
          std::string flipped = sound;
          flipped[sound.size() / 2] = static_cast<char>(flipped[sound.size() / 2] ^ 1);
          return flipped;
        }()}) {
    std::ofstream(file, std::ios::binary) << damaged;
    asked = 0;
    EXPECT_EQ(top(labels).confidence, first.confidence);
    EXPECT_EQ(asked, 1) << damaged.size() << " bytes";
    EXPECT_EQ(read_file(file).value(), sound);
  }
  // Other labels' vectors under the same name are none.
  SceneLabels fewer = labels;
  fewer.labels.pop_back();
  asked = 0;
  top(fewer);
  EXPECT_EQ(asked, 1);
  // That they cannot be kept is no fault.
  const auto nowhere = SceneScorer::create_kept(labels, 100, planned(zero_shot["texts"]), file + "/folder", "abc");
  EXPECT_TRUE(nowhere);
}

TEST_F(Scenes, TextTowersFaultsAreFaults) {
  const SceneLabels labels{{"{}"}, {{"beach", {"beach"}}, {"forest", {"forest"}}}};
  const auto error = [&](const SceneLabels& wanted, double scale, std::vector<Embedding> vectors) {
    const auto scorer =
        SceneScorer::create(wanted, scale, [&](auto) -> Result<std::vector<Embedding>> { return vectors; });
    return scorer ? std::string("accepted") : scorer.error().message;
  };
  EXPECT_EQ(error(labels, 100, {{1, 0}, {0, 1}}), "accepted");
  EXPECT_THAT(error(labels, 100, {{1, 0}}), HasSubstr("not every"));
  EXPECT_THAT(error(labels, 100, {{1, 0}, {0, 1, 0}}), HasSubstr("differ in length"));
  EXPECT_THAT(error(labels, 100, {{1, 0}, {0, 0}}), HasSubstr("length 0"));
  EXPECT_THAT(error(labels, 0, {{1, 0}, {0, 1}}), HasSubstr("logit_scale"));
  EXPECT_THAT(error({{"{}"}, {}}, 100, {}), HasSubstr("no scenes' labels"));
  EXPECT_THAT(error({{"{}"}, {{"beach", {}}}}, 100, {}), HasSubstr("no scenes' labels"));

  const auto scorer = SceneScorer::create(labels, 100, [](auto) -> Result<std::vector<Embedding>> {
    return std::vector<Embedding>{{1, 0}, {0, 1}};
  });
  EXPECT_EQ(scorer->score(Embedding{1, 0}).value().size(), 2U);  // there are no more
  EXPECT_EQ(scorer->score(Embedding{1, 0, 0}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(scorer->score(Embedding{std::numeric_limits<float>::quiet_NaN(), 0}));
  const auto failing = SceneScorer::create(
      labels, 100, [](auto) -> Result<std::vector<Embedding>> { return fail(ErrorCode::kIo, "gone"); });
  EXPECT_EQ(failing.error().message, "gone");
}

TEST_F(Scenes, TheBackgroundTakesItsShareAndIsNeverNamed) {
  const SceneLabels labels{{"{}"}, {{"beach", {"beach"}}, {"forest", {"forest"}}}, {"nothing"}};
  const auto scorer = SceneScorer::create(labels, 100, [](auto texts) -> Result<std::vector<Embedding>> {
    EXPECT_EQ(texts.back(), "nothing");
    return std::vector<Embedding>{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
  });
  ASSERT_OK(scorer);
  const auto sure = scorer->score(Embedding{1, 0, 0}).value(), unsure = scorer->score(Embedding{0, 0, 1}).value();
  ASSERT_EQ(sure.size(), 2U);
  EXPECT_EQ(sure[0].label, "beach");
  EXPECT_GT(sure[0].confidence, 0.99);
  ASSERT_EQ(unsure.size(), 2U);
  EXPECT_LT(unsure[0].confidence, 0.01);
  EXPECT_NE(labels.hash(), SceneLabels({labels.prompts, labels.labels}).hash());
}

TEST_F(Scenes, ReadsABackground) {
  const auto labels = SceneLabels::read(write("prompts: ['{}']\nlabels: [run]\nbackground: [a wall, the sky]\n"));
  ASSERT_OK(labels);
  EXPECT_EQ(labels->background, (std::vector<std::string>{"a wall", "the sky"}));
  EXPECT_THAT(refused("prompts: ['{}']\nlabels: [run]\nbackground: sky\n", 3), HasSubstr("expected a list"));
}

TEST_F(Scenes, ShippedActionsAreSound) {
  const auto labels = SceneLabels::read(IE_SOURCE_DIR "/config/actions.yaml");
  ASSERT_OK(labels);
  EXPECT_GE(labels->labels.size(), 60U);
  EXPECT_GE(labels->background.size(), 10U);
  EXPECT_TRUE(std::ranges::any_of(labels->labels, [](const auto& label) { return label.name == "riding a bike"; }));
}

TEST_F(Scenes, ReadsLabels) {
  const auto labels =
      SceneLabels::read(write("# mine\nprompts: [\"a photo of {}.\", '{} and {}']\n"
                              "labels:\n  - beach\n  - bar: a pub\n  - Café: [a café, an espresso bar]\n"));
  ASSERT_OK(labels);
  EXPECT_EQ(labels->prompts, (std::vector<std::string>{"a photo of {}.", "{} and {}"}));
  ASSERT_EQ(labels->labels.size(), 3U);
  EXPECT_EQ(labels->labels[0].name, "beach");
  EXPECT_EQ(labels->labels[0].phrases, std::vector<std::string>{"beach"});
  EXPECT_EQ(labels->labels[1].phrases, std::vector<std::string>{"a pub"});
  EXPECT_EQ(labels->labels[2].name, "Café");
  EXPECT_EQ(labels->labels[2].phrases, (std::vector<std::string>{"a café", "an espresso bar"}));
}

TEST_F(Scenes, ShippedLabelsAreSound) {
  const auto labels = SceneLabels::read(IE_SOURCE_DIR "/config/scenes.yaml");
  ASSERT_OK(labels);
  EXPECT_GE(labels->labels.size(), 100U);
  EXPECT_GE(labels->prompts.size(), 4U);
  EXPECT_TRUE(std::ranges::any_of(labels->labels, [](const auto& label) { return label.name == "beach"; }));
}

TEST_F(Scenes, HashFollowsWhatIsCompared) {
  const SceneLabels labels{{"a {}"}, {{"x", {"p", "q"}}, {"y", {"r"}}}};
  const std::string hash = labels.hash();
  EXPECT_EQ(SceneLabels(labels).hash(), hash);
  const std::vector<SceneLabels> others{
      {{"the {}"}, labels.labels},
      {{"a {}", "b {}"}, labels.labels},
      {{"a {}"}, {{"x", {"p", "q"}}}},
      {{"a {}"}, {{"y", {"r"}}, {"x", {"p", "q"}}}},
      {{"a {}"}, {{"z", {"p", "q"}}, {"y", {"r"}}}},
      {{"a {}"}, {{"x", {"p"}}, {"q", {"y", "r"}}}},
      {{"a {}"}, {{"x", {"pq"}}, {"y", {"r"}}}},
  };
  for (std::size_t i = 0; i < others.size(); ++i) EXPECT_NE(others[i].hash(), hash) << i;
}

TEST_F(Scenes, RefusesLabelsThatAreWrong) {
  const std::string head = "prompts: ['{}']\nlabels:\n";
  EXPECT_THAT(refused(head + "  - beach\n  - sea\n  - Beach\n", 5), HasSubstr("\"Beach\" is there twice"));
  EXPECT_THAT(refused(head + "  - ''\n", 3), HasSubstr("label is empty"));
  EXPECT_THAT(refused(head + "  - '  '\n", 3), HasSubstr("label is empty"));
  EXPECT_THAT(refused(head + "  - sea\n  -\n", 5), HasSubstr("right above is empty"));
  EXPECT_THAT(refused(head + "  - [sea]\n", 3), HasSubstr("must be text"));
  EXPECT_THAT(refused(head + "  - \"a\\nb\"\n", 3), HasSubstr("one line"));
  EXPECT_THAT(refused(head + "  - \"a\\eb\"\n", 3), HasSubstr("one line"));
  EXPECT_THAT(refused(head + "  - " + std::string(301, 'x') + "\n", 3), HasSubstr("300 bytes"));
  EXPECT_THAT(refused(head + "  - sea: []\n", 3), HasSubstr("empty list of phrases"));
  EXPECT_THAT(refused(head + "  - {sea: a, lake: b}\n", 3), HasSubstr("one name"));
  EXPECT_THAT(refused(head + "  - sea: {a: b}\n", 3), HasSubstr("phrase must be text"));
  EXPECT_THAT(refused("prompts: ['{}']\nlabels: []\n", 1), HasSubstr("no labels"));
  EXPECT_THAT(refused("prompts: ['{}']\nlabels: {sea: a}\n", 2), HasSubstr("must be a list"));
  EXPECT_THAT(refused("labels: [sea]\n", 1), HasSubstr("no prompts"));
  EXPECT_THAT(refused("prompts:\n  - 'a {}'\n  - a photo\nlabels: [sea]\n", 3), HasSubstr("\"a photo\" lacks {}"));
  EXPECT_THAT(refused("prompts: ['{}']\nlabel: [sea]\n", 2), HasSubstr("unknown key \"label\""));
  EXPECT_THAT(refused(head + "  - sea\nlabels: [lake]\n", 4), HasSubstr("`labels` is there twice"));
  EXPECT_THAT(refused("prompts: ['{}'\nlabels: [sea]\n", 2), HasSubstr("invalid YAML"));
  EXPECT_THAT(refused("", 1), HasSubstr("must hold"));
  EXPECT_THAT(refused("- sea\n", 1), HasSubstr("must hold"));
  std::string many = head, deep = head + "  - ";
  for (std::size_t i = 0; i <= kMostLabels; ++i) many += "  - l" + std::to_string(i) + "\n";
  EXPECT_THAT(refused(many, 3), HasSubstr("more than 10000 labels"));
  EXPECT_THAT(refused(deep + std::string(100'000, '['), 3), HasSubstr("invalid YAML"));
  std::string prompts = "prompts:\n", each = "labels:\n";
  for (int i = 0; i < 100; ++i) prompts += "  - p" + std::to_string(i) + " {}\n";
  for (int i = 0; i < 2001; ++i) each += "  - l" + std::to_string(i) + "\n";
  EXPECT_THAT(refused(prompts + each, 1), HasSubstr("more than 200000 texts"));

  EXPECT_EQ(SceneLabels::read(folder_ + "/none.yaml").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(SceneLabels::read(write("labels: [\xff]\n")).error().message, HasSubstr("not UTF-8"));
  EXPECT_EQ(SceneLabels::read(write(std::string(2 << 20, '#'))).error().code, ErrorCode::kTooLarge);
}

models::Spec classifier_spec(const std::string& head, std::size_t classes) {
  models::Spec spec;
  spec.name = "test", spec.task = "scene", spec.head = head;
  spec.input.width = spec.input.height = 8;
  for (std::size_t i = 0; i < classes; ++i) spec.labels.push_back("scene " + std::to_string(i));
  return spec;
}

std::unique_ptr<FakeSession> giving(std::vector<float> values) {
  auto session = std::make_unique<FakeSession>();
  session->inputs_ = {{"x", ElementType::kFloat32, {-1, 3, 8, 8}}};
  Tensor output = floats({1, static_cast<std::int64_t>(values.size())});
  std::ranges::copy(values, output.as<float>().begin());
  session->give("y", std::move(output));
  return session;
}

TEST_F(Scenes, ClassifiersAreNumpys) {
  const json all = numbers();
  if (all.is_null()) GTEST_SKIP() << "no vision_scenes: ctest makes them (vision_scenes)";
  const std::vector<std::uint8_t> pixels(std::size_t{10} * 10 * 3, 99);
  for (const auto& entry : all["classifiers"]) {
    models::Spec spec = classifier_spec(entry["head"], entry["confidences"].size());
    if (entry["background"]) spec.head_options["background"] = "true";
    for (const std::size_t top : {kTopScenes, std::size_t{2}}) {
      if (top != kTopScenes) spec.head_options["top"] = std::to_string(top);
      const auto classifier = SceneClassifier::create(spec, giving(entry["outputs"]));
      ASSERT_OK(classifier);
      expect_best(classifier->classify({10, 10, pixels}).value(), entry["confidences"], top);
    }
  }
}

TEST_F(Scenes, RefusesClassifiersThatAreWrong) {
  const auto error = [](const models::Spec& spec, std::unique_ptr<FakeSession> session, ErrorCode code) {
    const auto classifier = SceneClassifier::create(spec, std::move(session));
    if (classifier) return std::string("accepted");
    EXPECT_EQ(classifier.error().code, code) << classifier.error().message;
    return classifier.error().message;
  };
  const models::Spec spec = classifier_spec("softmax", 3);
  EXPECT_EQ(error(spec, giving({1, 2, 3}), ErrorCode::kInternal), "accepted");
  EXPECT_THAT(error(spec, giving({1, 2, 3, 4}), ErrorCode::kCorrupt), HasSubstr("is not of 3 classes"));
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error(spec, giving({1, kNan, 3}), ErrorCode::kCorrupt), HasSubstr("NaN or infinite"));
  EXPECT_THAT(error(spec, giving({1, kInfinity, 3}), ErrorCode::kCorrupt), HasSubstr("NaN or infinite"));
  EXPECT_THAT(error(classifier_spec("yolo", 3), giving({1, 2, 3}), ErrorCode::kInvalidArgument), HasSubstr("'yolo'"));
  EXPECT_THAT(error(classifier_spec("softmax", 0), giving({1}), ErrorCode::kInvalidArgument), HasSubstr("no labels"));
  models::Spec odd = spec;
  odd.head_options["threshold"] = "0.5";
  EXPECT_THAT(error(odd, giving({1, 2, 3}), ErrorCode::kInvalidArgument), HasSubstr("no option 'threshold"));
  odd = spec;
  odd.head_options["background"] = "maybe";
  EXPECT_THAT(error(odd, giving({1, 2, 3}), ErrorCode::kInvalidArgument), HasSubstr("maybe"));
  odd = spec;
  odd.input.width = 16;
  EXPECT_THAT(error(odd, giving({1, 2, 3}), ErrorCode::kCorrupt), HasSubstr("[?,3,8,8]"));
  odd = spec;
  odd.outputs = {"z"};
  EXPECT_THAT(error(odd, giving({1, 2, 3}), ErrorCode::kCorrupt), HasSubstr("no output 'z'"));
}

}  // namespace
}  // namespace image_engine::vision
