#include "plugins/plugin.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "core/file.h"
#include "tests/support/ok.h"

namespace image_engine::plugins {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AskingPlugin : public testing::Test {
 protected:
  void SetUp() override {
    Result<PluginFile> file = PluginFile::open(absolute_path(IE_ASKING_PLUGIN));
    ASSERT_OK(file);
    Result<std::unique_ptr<Plugin>> loaded = Plugin::load(std::move(*file), {});
    ASSERT_OK(loaded);
    plugin_ = std::move(*loaded);
    for (std::size_t i = 0; i < photo_.size(); ++i) photo_[i] = static_cast<std::uint8_t>(i * 7);
  }

  Result<RunResult> run(const Offers& offers, const std::map<std::string, std::string>& given = {}) {
    Input input;
    input.picture = {3, 5, 4, photo_};
    return plugin_->run({&input, 1}, parameter_values(plugin_->description(), given).value(), {{}, {}, offers});
  }

  std::unique_ptr<Plugin> plugin_;
  std::vector<std::uint8_t> photo_ = std::vector<std::uint8_t>(60);
};

TEST_F(AskingPlugin, WhatIsNotOfferedIsNotThere) {
  const Result<RunResult> result = run({});
  ASSERT_OK(result);
  EXPECT_THAT(result->messages, ElementsAre("cannot segment"));
  EXPECT_EQ(result->outputs[0].picture.channels, 0U);
}

TEST_F(AskingPlugin, TheEngineSegmentsForIt) {
  Offers offers;
  std::string asked;
  offers.segment = [&](const ImageView& picture, const std::string& target) -> Result<std::vector<std::uint8_t>> {
    asked = target;
    EXPECT_EQ(picture.width, 5U);
    EXPECT_EQ(picture.height, 4U);
    std::vector<std::uint8_t> mask;
    for (std::size_t i = 0; i < 20; ++i) mask.push_back(picture.pixels[i * 3 + 2]);  // the blue ones
    return mask;
  };
  const Result<RunResult> result = run(offers, {{"target", "dog"}});
  ASSERT_OK(result);
  EXPECT_EQ(asked, "dog");
  const PixelView& mask = result->outputs[0].picture;
  ASSERT_EQ(mask.pixels.size(), 20U);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(mask.pixels[i], photo_[i * 3 + 2]) << i;
}

TEST_F(AskingPlugin, AnEmptyAnswerIsAnError) {
  Offers offers;
  offers.segment = [](const ImageView&, const std::string& target) -> Result<std::vector<std::uint8_t>> {
    return fail(ErrorCode::kNotFound, "there is no " + target + " in it");
  };
  const Result<RunResult> result = run(offers, {{"target", "unicorn"}});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(result.error().message, HasSubstr("there is no unicorn in it"));
  ASSERT_OK(run({}));  // and it can be used again
}

TEST_F(AskingPlugin, TheEngineRunsModelsForIt) {
  Offers offers;
  offers.run_model = [](const std::string& model, std::span<const Tensor> inputs) -> Result<std::vector<Tensor>> {
    EXPECT_EQ(model, "adder");
    EXPECT_THAT(inputs[0].shape, ElementsAre(1, 3));
    const auto values = inputs[0].as<float>();
    Tensor out = Tensor::zeros(ElementType::kFloat32, {1, 2});
    out.as<float>()[0] = values[0] + values[1] + values[2];
    out.as<float>()[1] = 0.5F;
    return std::vector<Tensor>{out};
  };
  const Result<RunResult> result = run(offers, {{"model", "adder"}});
  ASSERT_OK(result);
  EXPECT_THAT(result->messages, ElementsAre("cannot segment", "1: 2x2 6 0.5"));
}

TEST_F(AskingPlugin, AMaskOfAnotherSizeIsNotBelieved) {
  Offers offers;
  offers.segment = [](const ImageView&, const std::string&) -> Result<std::vector<std::uint8_t>> {
    return std::vector<std::uint8_t>(7);
  };
  EXPECT_FALSE(run(offers));
}

// A decoder's memory, in which photo after photo lies.
struct DecoderMemory {
  UniqueFd writable{::memfd_create("photos", MFD_CLOEXEC)};
  UniqueFd readable{::open(("/proc/self/fd/" + std::to_string(writable.get())).c_str(), O_RDONLY | O_CLOEXEC)};

  // Puts a photo of 5 pixels a row there, and lets a plugin find its blue.
  void expect_read(Plugin& plugin, std::uint64_t offset, std::uint32_t height, std::uint8_t shade) const {
    std::vector<std::uint8_t> pixels(std::size_t{15} * height, shade);
    ASSERT_EQ(::pwrite(writable.get(), pixels.data(), pixels.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(pixels.size()));
    Input input;
    input.picture = {3, 5, height, pixels};
    input.descriptor = readable.get(), input.offset = offset;
    Offers offers;
    offers.segment = [](const ImageView& picture, const std::string&) -> Result<std::vector<std::uint8_t>> {
      std::vector<std::uint8_t> mask;
      for (std::size_t i = 2; i < picture.pixels.size(); i += 3) mask.push_back(picture.pixels[i]);
      return mask;
    };
    const auto values = parameter_values(plugin.description(), {}).value();
    const Result<RunResult> result = plugin.run({&input, 1}, values, {{}, {}, offers});
    ASSERT_OK(result);
    const auto& mask = result->outputs[0].picture.pixels;
    EXPECT_EQ(std::vector<std::uint8_t>(mask.begin(), mask.end()), std::vector<std::uint8_t>(5 * height, shade))
        << offset << " " << height;
  }
};

TEST_F(AskingPlugin, PhotosAreReadFromTheMemoryThatTheyLieIn) {
  const DecoderMemory memory;
  memory.expect_read(*plugin_, 8 << 20, 4, 1);
  memory.expect_read(*plugin_, 8 << 20, 4, 2);             // another photo at the same place
  memory.expect_read(*plugin_, 8 << 20, 2000, 3);          // larger than what is mapped
  memory.expect_read(*plugin_, (8 << 20) + 20'000, 4, 4);  // within
  memory.expect_read(*plugin_, 4096 + 7, 30, 5);           // before, not at a page's begin
  DecoderMemory().expect_read(*plugin_, 4096 + 7, 30, 6);  // other memories, that come and go
  DecoderMemory().expect_read(*plugin_, 4096 + 7, 30, 7);
  ASSERT_OK(run({}));  // one that is copied
  memory.expect_read(*plugin_, 4096 + 7, 30, 8);
}

TEST_F(AskingPlugin, AStopEndsIt) {
  std::stop_source source;
  source.request_stop();
  Input input;
  input.picture = {3, 5, 4, photo_};
  const auto values = parameter_values(plugin_->description(), {}).value();
  Offers offers;
  offers.segment = [&](const ImageView&, const std::string&) -> Result<std::vector<std::uint8_t>> {
    return std::vector<std::uint8_t>(20);
  };
  // It may be done before the stop is seen; else it is interrupted, and the next run has a new process.
  const Result<RunResult> result = plugin_->run({&input, 1}, values, {source.get_token(), {}, offers});
  EXPECT_TRUE(result || result.error().code == ErrorCode::kInterrupted);
  ASSERT_OK(run(offers));
}

TEST(ParameterValues, AreCheckedByTypeAndRange) {
  Description about;
  about.name = "test";
  about.parameters = {{ParameterType::kNumber, "strength", "", 0, 1, 0.5, "", {}},
                      {ParameterType::kInteger, "count", "", -3, 9, 2, "", {}},
                      {ParameterType::kBool, "flip", "", 0, 0, 0, "", {}},
                      {ParameterType::kChoice, "mode", "", 0, 0, 0, "a", {"a", "b"}},
                      {ParameterType::kText, "note", "", 0, 0, 0, "x", {}}};
  const auto values = parameter_values(about, {{"count", "-3"}, {"flip", "true"}, {"mode", "b"}, {"note", ""}}).value();
  EXPECT_EQ(values[0].number, 0.5);
  EXPECT_EQ(values[1].number, -3);
  EXPECT_EQ(values[2].number, 1);
  EXPECT_EQ(values[3].text, "b");
  EXPECT_EQ(values[4].text, "");
  const std::pair<const char*, const char*> wrong[] = {
      {"strength", "1.01"}, {"strength", "nan"}, {"strength", "1x"}, {"strength", ""}, {"count", "2.5"},
      {"count", "10"},      {"flip", "maybe"},   {"mode", "c"},      {"note", "\xff"}, {"strenght", "1"}};
  for (const auto& [name, text] : wrong)
    EXPECT_EQ(parameter_values(about, {{name, text}}).error().code, ErrorCode::kInvalidArgument) << name << "=" << text;
}

}  // namespace
}  // namespace image_engine::plugins
