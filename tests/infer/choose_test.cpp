#include "infer/choose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "infer/agreement.h"
#include "infer/choose_device.h"
#include "infer/precision_memory.h"
#include "models/calibrated.h"
#include "models/provenance.h"
#include "models/spec_file.h"
#include "models/tasks.h"
#include "tests/infer/support.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::infer {
namespace {

MakeCanaries give(std::vector<Tensor> canaries) {
  return [canaries = std::move(canaries)](const Session&) -> Result<std::vector<Tensor>> { return canaries; };
}

namespace fs = std::filesystem;
using models::Gate;
using models::Spec;
using testing::HasSubstr;

TEST(Agreement, IsTheWorstOfAllOutputs) {
  const std::vector a{floats({2}, {3, 4}), floats({2}, {1, 0})};
  const auto same = agreement(a, a);
  ASSERT_TRUE(same);
  EXPECT_DOUBLE_EQ(same->cosine, 1);
  EXPECT_DOUBLE_EQ(same->mean_error, 0);
  for (const bool first : {true, false}) {  // (3, 4)·(4, 3) = 24 of 25
    std::vector b = a, c = a;
    b[0] = floats({2}, {4, 3});
    if (!first) std::swap(b[0], b[1]), std::swap(c[0], c[1]);
    const auto found = agreement(c, b);
    ASSERT_TRUE(found);
    EXPECT_NEAR(found->cosine, 0.96, 1e-12);
    EXPECT_DOUBLE_EQ(found->mean_error, 1);
  }
}

TEST(Agreement, OfZerosAndWholeNumbers) {
  const auto zeros = agreement(std::vector{floats({2}, {0, 0})}, std::vector{floats({2}, {0, 0})});
  ASSERT_TRUE(zeros);
  EXPECT_DOUBLE_EQ(zeros->cosine, 1);
  const auto one_zero = agreement(std::vector{floats({2}, {1, 0})}, std::vector{floats({2}, {0, 0})});
  ASSERT_TRUE(one_zero);
  EXPECT_DOUBLE_EQ(one_zero->cosine, 0);
  Tensor a = Tensor::zeros(ElementType::kInt64, {2}), b = a;
  a.as<std::int64_t>()[0] = -7, b.as<std::int64_t>()[0] = 7;
  const auto opposite = agreement(std::vector{a}, std::vector{b});
  ASSERT_TRUE(opposite);
  EXPECT_DOUBLE_EQ(opposite->cosine, -1);
  EXPECT_DOUBLE_EQ(opposite->mean_error, 7);
  const auto empty = agreement(std::vector{floats({0}, {})}, std::vector{floats({0}, {})});
  ASSERT_TRUE(empty);
  EXPECT_DOUBLE_EQ(empty->cosine, 1);
}

TEST(Agreement, RefusesOtherShapesAndWhatIsNotFinite) {
  const std::vector a{floats({2}, {1, 2})};
  EXPECT_FALSE(agreement(a, {}));
  EXPECT_FALSE(agreement(a, std::vector{floats({1, 2}, {1, 2})}));
  EXPECT_FALSE(agreement(a, std::vector{Tensor::zeros(ElementType::kInt32, {2})}));
  for (const float x : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    EXPECT_FALSE(agreement(a, std::vector{floats({2}, {1, x})}));
}

TEST(Agreement, GatesHold) {
  EXPECT_TRUE(check_gate({0.5, 9}, {}));
  EXPECT_TRUE(check_gate({0.99, 9}, {.cosine = 0.99}));
  EXPECT_FALSE(check_gate({0.98, 0}, {.cosine = 0.99}));
  EXPECT_TRUE(check_gate({0, 0.1}, {.max_error = 0.1}));
  EXPECT_FALSE(check_gate({1, 0.2}, {.max_error = 0.1}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(check_gate({nan, 0}, {.cosine = 0.1}));
  EXPECT_FALSE(check_gate({1, nan}, {.max_error = 0.1}));
  Agreement worst;
  worst.take_worse({nan, nan});
  worst.take_worse({1, 0});
  EXPECT_FALSE(check_gate(worst, {.cosine = 0.1}));
}

class ChooseTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kFolder + "p_x.bin")) GTEST_SKIP() << "no infer_inputs: ctest makes them (infer_inputs)";
    canary_ = tensor_of(ElementType::kFloat32, {2, 64}, bytes_of(kFolder + "p_x.bin"));
  }

  // Installs the models (of make_inputs.py) as "fp32", "int8", "third".
  Spec install(const std::vector<std::string>& models, Gate gate = {.cosine = 0.99}) const {
    const char* names[] = {"fp32", "int8", "third"};
    Spec spec;
    spec.name = "model";
    models::Provenance provenance{.name = spec.name};
    fs::create_directories(store_.folder(spec));
    for (std::size_t i = 0; i < models.size(); ++i) {
      const std::string file = std::string(names[i]) + ".onnx";
      fs::copy_file(kFolder + "p_" + models[i] + ".onnx", store_.folder(spec) + "/" + file,
                    fs::copy_options::overwrite_existing);
      spec.files.push_back({.name = file});
      spec.variants.push_back({names[i], file, gate});
      provenance.files.push_back(
          {.name = file, .bytes = fs::file_size(store_.folder(spec) + "/" + file), .sha256 = models[i]});
    }
    provenance.spec = models::install_hash(spec);
    EXPECT_TRUE(models::write_provenance(store_.folder(spec), provenance));
    return spec;
  }
  [[nodiscard]] Result<Chosen> choose(const Spec& spec) const {
    return choose_precision(spec, store_, {}, give({canary_}), memory_);
  }
  [[nodiscard]] std::string chosen(const Spec& spec) const {
    const auto result = choose(spec);
    return result ? result->precision : result.error().message;
  }

  const Scratch scratch_;
  std::string root_ = scratch_.path();
  std::string memory_ = root_ + "/memory/deep", file_ = memory_ + "/precisions.json";
  models::Store store_{root_ + "/models"};
  Tensor canary_;
};

TEST_F(ChooseTest, TheFastestThatAgreesIsTaken) {
  const auto result = choose(install({"heavy", "int8"}));
  ASSERT_OK(result);
  EXPECT_EQ(result->precision, "int8");
  EXPECT_THAT(result->reason,
              testing::MatchesRegex("int8: [0-9.]+ times as fast as fp32, cosine 0\\.99.*|int8: .*cosine 1.*"));
  ASSERT_TRUE(result->session);
  EXPECT_TRUE(result->session->run(std::vector{canary_}));
}

TEST_F(ChooseTest, TheFirstStaysWhenItIsTheFastest) {
  const auto result = choose(install({"light", "heavy"}));
  ASSERT_OK(result);
  EXPECT_EQ(result->precision, "fp32");
  EXPECT_THAT(result->reason, HasSubstr("int8 0."));
}

TEST_F(ChooseTest, WhatDoesNotAgreeIsRefused) {
  const std::pair<const char*, const char*> bad[] = {{"wrong", "cosine"},
                                                     {"nan", "not finite"},
                                                     {"shape", "shape"},
                                                     {"garbage", "cannot be loaded"},
                                                     {"other_input", "float16"}};
  for (const auto& [model, says] : bad) {
    const auto result = choose(install({"heavy", model}));
    ASSERT_OK(result);
    EXPECT_EQ(result->precision, "fp32") << model;
    EXPECT_THAT(result->reason, HasSubstr("int8 refused"));
    EXPECT_THAT(result->reason, HasSubstr(says));
    ASSERT_TRUE(result->session->run(std::vector{canary_}));
  }
}

TEST_F(ChooseTest, EitherGateDecides) {  // the outputs are 1.5 times what they should be: cosine 1, mean error not 0
  EXPECT_EQ(chosen(install({"heavy", "scaled"}, {.cosine = 0.999})), "int8");
  EXPECT_EQ(chosen(install({"heavy", "scaled"}, {.cosine = 0.999, .max_error = 0.01})), "fp32");
  EXPECT_EQ(chosen(install({"heavy", "scaled"}, {.max_error = 1000})), "int8");
  EXPECT_EQ(chosen(install({"heavy", "wrong"}, {})), "int8");  // a spec that checks nothing
}

TEST_F(ChooseTest, EveryCanaryCounts) {
  const Spec spec = install({"heavy", "nan"});
  Tensor fine = canary_;
  const std::vector two{fine, canary_};
  const auto result = choose_precision(spec, store_, {}, give(two), memory_);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->precision, "fp32");
}

TEST_F(ChooseTest, OneRefusedLeavesTheOthers) {
  const auto result = choose(install({"heavy", "wrong", "light"}));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->precision, "third");
  EXPECT_THAT(result->reason, HasSubstr("int8 refused"));
}

TEST_F(ChooseTest, OneVariantIsNotMeasured) {
  const auto result = choose_precision(install({"light"}), store_, {}, give({}), memory_);
  ASSERT_OK(result);
  EXPECT_EQ(result->precision, "fp32");
  EXPECT_FALSE(fs::exists(file_));
}

TEST(PrecisionMemoryTest, WhatWasTriedIsKeptUntilAllIs) {
  const Scratch scratch;
  const PrecisionMemory memory(scratch.path());
  const GpuSettings first{16, "batch", false, false, true, true}, second{32, "batch", true, true, true, false, true};
  Remembered some{"fp16", "the fastest so far", first, {}};
  some.tried.push_back({"fp16", first, 0.001, 0.9999, std::nullopt});
  some.tried.push_back({"fp16", second, 0, 0, Error{ErrorCode::kInvalidArgument, "cosine 0.5"}});
  ASSERT_OK(memory.keep("key", "model", some));
  const auto known = memory.find("key");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->settings, first);
  ASSERT_EQ(known->tried.size(), 2U);
  EXPECT_EQ(known->tried[0].settings, first);
  EXPECT_EQ(known->tried[0].seconds, 0.001);
  EXPECT_EQ(known->tried[0].cosine, 0.9999);
  EXPECT_FALSE(known->tried[0].error);
  EXPECT_EQ(known->tried[1].settings, second);
  ASSERT_TRUE(known->tried[1].error);
  EXPECT_EQ(known->tried[1].error->code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(known->tried[1].error->message, "cosine 0.5");

  // Of a damaged file only what says something counts; if nothing is left, it is as if nothing had been measured.
  const std::string file = scratch / "precisions.json";
  std::ofstream(file)
      << R"({"key": {"precision": "fp16", "tried": [{"precision": "fp16"}, 7, {"precision": "fp16", "seconds": 0.5}]},
                            "other": {"precision": "fp16", "tried": [{"precision": "fp16"}, {"error": "interrupted"}]}})";
  ASSERT_TRUE(memory.find("key"));
  EXPECT_EQ(memory.find("key")->tried.size(), 1U);
  EXPECT_FALSE(memory.find("other"));

  ASSERT_OK(memory.keep("key", "model", {"fp16", "the fastest", second, {}}));
  const auto best = memory.find("key");
  ASSERT_TRUE(best);
  EXPECT_EQ(best->settings, second);
  EXPECT_TRUE(best->tried.empty());
  EXPECT_FALSE(memory.find("another"));
}

TEST_F(ChooseTest, TheChoiceIsRemembered) {
  const Spec spec = install({"heavy", "int8"});
  ASSERT_EQ(chosen(spec), "int8");
  auto memory = nlohmann::json::parse(bytes_of(file_));
  ASSERT_EQ(memory.size(), 1U);
  EXPECT_EQ(memory.begin().value()["model"], "model");
  EXPECT_EQ(memory.begin().value()["precision"], "int8");

  memory.begin().value() = {{"precision", "fp32"}, {"reason", "somebody said so"}};
  std::ofstream(file_) << memory;
  const auto result = choose(spec);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->precision, "fp32");
  EXPECT_EQ(result->reason, "somebody said so");
}

TEST_F(ChooseTest, OtherFilesGatesOrThreadsAreMeasuredAnew) {
  EXPECT_EQ(chosen(install({"heavy", "int8"})), "int8");
  EXPECT_EQ(chosen(install({"heavy", "wrong"})), "fp32");
  EXPECT_EQ(chosen(install({"heavy", "int8"}, {.max_error = 1e-9})), "fp32");
  const Spec spec = install({"heavy", "int8"});
  EXPECT_TRUE(choose_precision(spec, store_, {.threads = 2}, give({canary_}), memory_));
  EXPECT_EQ(nlohmann::json::parse(bytes_of(file_)).size(), 4U);
}

TEST_F(ChooseTest, ADamagedMemoryIsNone) {
  const Spec spec = install({"heavy", "int8"});
  ASSERT_EQ(chosen(spec), "int8");
  const auto sound = nlohmann::json::parse(bytes_of(file_));
  const std::string key = sound.begin().key();
  const nlohmann::json others[] = {{{key, {{"precision", "int4"}, {"reason", "?"}}}},
                                   {{key, {{"precision", 8}}}},
                                   {{key, "int8"}},
                                   nlohmann::json::array({1}),
                                   nullptr};
  std::vector<std::string> texts{"", "{", sound.dump().substr(0, 40), std::string(1000, '\xff')};
  for (const auto& other : others) texts.push_back(other.dump());
  for (const std::string& text : texts) {
    std::ofstream(file_) << text;
    EXPECT_EQ(chosen(spec), "int8") << text;
    EXPECT_EQ(nlohmann::json::parse(bytes_of(file_), nullptr, false)[key]["precision"], "int8") << text;
  }
}

TEST_F(ChooseTest, ARememberedVariantThatDoesNotLoadIsMeasuredAnew) {
  const Spec spec = install({"heavy", "int8"});
  ASSERT_EQ(chosen(spec), "int8");
  const std::string file = store_.folder(spec) + "/int8.onnx";
  const auto size = fs::file_size(file);
  std::ofstream(file, std::ios::binary) << std::string(size, 'x');
  EXPECT_EQ(chosen(spec), "fp32");
}

TEST_F(ChooseTest, AMemoryThatCannotBeWrittenDoesNotMatter) {
  fs::create_directories(root_);
  std::ofstream(root_ + "/memory") << "a file";
  EXPECT_EQ(chosen(install({"heavy", "int8"})), "int8");
}

TEST_F(ChooseTest, TheFirstsErrorIsTheResult) {
  const auto broken = choose(install({"garbage", "light"}));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::kCorrupt);
}

TEST_F(ChooseTest, BadCanariesAreErrors) {
  const Spec spec = install({"heavy", "int8"});
  for (const std::vector<Tensor>& canaries : {std::vector<Tensor>{}, std::vector{floats({1, 3}, {1, 2, 3})}}) {
    const auto result = choose_precision(spec, store_, {}, give(canaries), memory_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(ChooseTest, WhatIsNotInstalledSaysHow) {
  Spec spec = install({"heavy", "int8"});
  fs::remove_all(store_.folder(spec));
  const auto result = choose(spec);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(result.error().message, HasSubstr("models pull model"));
  spec.variants.clear();
  EXPECT_FALSE(choose(spec));
}

// A graph (of make_inputs.py) where `models calibrate` would have put it.
class CalibratedTest : public ChooseTest {
 protected:
  void calibrate(const Spec& spec, const std::string& model) {
    place_ = models::calibrated_path(store_.variant_path(spec, spec.variants.front()), graphs_folder(memory_));
    ASSERT_TRUE(place_.starts_with(memory_));
    fs::create_directories(fs::path(place_).parent_path());
    fs::copy_file(kFolder + "p_" + model + ".onnx", place_, fs::copy_options::overwrite_existing);
  }
  std::string place_;
};

TEST_F(CalibratedTest, IsAmongThoseThatAreMeasured) {
  const Spec spec = install({"heavy"});
  EXPECT_FALSE(choose(spec)->calibrated);
  calibrate(spec, "int8");
  const auto faster = choose(spec);
  ASSERT_OK(faster);
  EXPECT_EQ(faster->precision, "int8");
  EXPECT_TRUE(faster->calibrated);
  EXPECT_THAT(faster->reason, HasSubstr("int8 (calibrated): "));
  ASSERT_TRUE(faster->session->run(std::vector{canary_}));
  const auto again = choose(spec);
  EXPECT_TRUE(again && again->calibrated && again->reason == faster->reason);

  calibrate(spec, "wrong");  // another file in its place is measured anew
  const auto wrong = choose(spec);
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->precision, "fp32");
  EXPECT_THAT(wrong->reason, HasSubstr("int8 (calibrated) refused (cosine"));

  fs::remove(place_);
  EXPECT_EQ(choose(spec)->reason, "fp32: it is the only one");
}

TEST_F(CalibratedTest, IsNotTakenWhereItIsSlower) {
  const Spec spec = install({"light"});
  calibrate(spec, "heavy");
  const auto chosen = choose(spec);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->precision, "fp32");
  EXPECT_FALSE(chosen->calibrated);
  EXPECT_THAT(chosen->reason, HasSubstr("int8 (calibrated) 0."));
}

TEST_F(CalibratedTest, IsOfOneSource) {
  const Spec spec = install({"heavy"});
  calibrate(spec, "int8");
  const std::string file = store_.folder(spec) + "/fp32.onnx";
  fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(5));  // the model was installed again
  EXPECT_EQ(chosen(spec), "fp32");
}

TEST_F(CalibratedTest, PrecisionsAskedFor) {
  const auto at = [&](const Spec& spec, const char* precision) {
    return choose_precision(spec, store_, {}, give({canary_}), memory_, precision);
  };
  const Spec spec = install({"light"});
  const auto none = at(spec, "int8");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(none.error().message, HasSubstr("no int8"));
  calibrate(spec, "heavy");
  const auto slower = at(spec, "int8");
  ASSERT_OK(slower);
  EXPECT_TRUE(slower->calibrated);
  EXPECT_EQ(slower->precision, "int8");
  EXPECT_FALSE(at(spec, "fp32")->calibrated);
}

TEST_F(CalibratedTest, ComparedWithTheFirst) {
  const Spec spec = install({"heavy"});
  const std::string int8 = kFolder + "p_int8.onnx";
  const auto found = compare_calibrated(spec, store_, {}, give({canary_}), int8);
  ASSERT_OK(found);
  EXPECT_GE(found->found.cosine, 0.99);
  EXPECT_GT(found->speed, 1);
  const auto wrong = compare_calibrated(spec, store_, {}, give({canary_}), kFolder + "p_wrong.onnx");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("cosine"));
  EXPECT_FALSE(compare_calibrated(spec, store_, {}, give({canary_}), root_ + "/none.onnx"));
}

TEST_F(CalibratedTest, GatesAreTheSpecsOrTheTasks) {
  Spec spec = install({"heavy", "int8"}, {.cosine = 0.5});
  EXPECT_EQ(gate_of(spec, "int8").cosine, 0.5);
  spec.variants.pop_back();
  EXPECT_EQ(gate_of(spec, "int8").cosine, models::default_gate("", "int8").cosine);
}

}  // namespace
}  // namespace image_engine::infer
