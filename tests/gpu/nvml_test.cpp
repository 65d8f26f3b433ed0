#include "gpu/nvml.h"

#include <gmock/gmock.h>

#include "tests/gpu/support.h"
#include "tests/support/ok.h"

namespace image_engine::gpu {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NvmlTest : public WithFakeDriver {};

TEST_F(NvmlTest, TellsOfTheDriverAndItsGpus) {
  const Result<Nvml> nvml = open();
  ASSERT_OK(nvml);
  EXPECT_EQ(nvml->driver().version, "580.82.07");
  ASSERT_TRUE(nvml->driver().cuda);
  EXPECT_EQ(nvml->driver().cuda->text(), "13.2");
  ASSERT_EQ(nvml->devices().size(), 2U);
  const Device& first = nvml->devices()[0];
  EXPECT_EQ(first.index, 0U);
  EXPECT_EQ(first.name, "NVIDIA GeForce RTX 9090");
  EXPECT_EQ(first.uuid, "GPU-00000000-aaaa");
  EXPECT_EQ(first.memory, 24'000'000'000U);
  EXPECT_EQ(first.compute_capability.value().text(), "12.0");
  EXPECT_EQ(nvml->devices()[1].index, 1U);
  EXPECT_EQ(nvml->devices()[1].compute_capability.value().text(), "7.5");
}

TEST_F(NvmlTest, ReadsInUnitsOfOurs) {
  const Result<Nvml> nvml = open();
  ASSERT_TRUE(nvml);
  ASSERT_TRUE(nvml->read(0));
  const Result<Reading> second = nvml->read(0);
  ASSERT_TRUE(second);
  EXPECT_DOUBLE_EQ(second->utilisation.value(), 0.35);
  EXPECT_EQ(second->memory_used, 1'500'000'000U);
  EXPECT_DOUBLE_EQ(second->power.value(), 200);
  EXPECT_DOUBLE_EQ(second->power_limit.value(), 350);
  EXPECT_DOUBLE_EQ(second->temperature.value(), 52);
  EXPECT_THAT(reasons(second->held_back), ElementsAre("power-cap"));
  EXPECT_DOUBLE_EQ(nvml->read(1)->utilisation.value(), 0.05);  // each card has its own
}

TEST_F(NvmlTest, IdleIsNoReason) {
  EXPECT_TRUE(reasons(0x1).empty());
  EXPECT_TRUE(reasons(0).empty());
  EXPECT_THAT(reasons(0x1 | 0x20 | 0x80), ElementsAre("thermal", "power-brake"));
}

TEST_F(NvmlTest, WhatAnOldDriverLacksIsAbsent) {
  const Result<Nvml> nvml = open("", IE_OLD_NVML);
  ASSERT_OK(nvml);
  EXPECT_EQ(nvml->driver().cuda.value().text(), "10.1");
  EXPECT_FALSE(nvml->devices()[0].compute_capability);
  ASSERT_TRUE(nvml->read(0));
  const Result<Reading> reading = nvml->read(0);
  ASSERT_TRUE(reading);
  EXPECT_FALSE(reading->power_limit);
  EXPECT_TRUE(reading->power);
  EXPECT_EQ(reading->memory_used,
            2'000'000'000U);  // with what the driver keeps for itself, which it does not tell apart
  EXPECT_THAT(reasons(reading->held_back), ElementsAre("power-cap"));  // under its former name
}

TEST_F(NvmlTest, WhatAGpuDoesNotTellIsAbsent) {
  const Result<Nvml> nvml = open("unsupported");
  ASSERT_OK(nvml);
  EXPECT_FALSE(nvml->devices()[0].memory);
  const Result<Reading> reading = nvml->read(0);
  ASSERT_OK(reading);
  EXPECT_FALSE(reading->utilisation);
  EXPECT_FALSE(reading->memory_used);
  EXPECT_FALSE(reading->power);
  EXPECT_FALSE(reading->power_limit);
  EXPECT_FALSE(reading->temperature);
  EXPECT_EQ(reading->held_back, 0U);
}

TEST_F(NvmlTest, ALostGpuIsAnErrorOfThatReadingAlone) {
  const Result<Nvml> nvml = open("lost=1@1:2");
  ASSERT_TRUE(nvml);
  EXPECT_TRUE(nvml->read(1));
  const Result<Reading> lost = nvml->read(1);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::kIo);
  EXPECT_THAT(lost.error().message, HasSubstr("GPU 1"));
  EXPECT_THAT(lost.error().message, HasSubstr("GPU is lost"));
  EXPECT_TRUE(nvml->read(0));
  EXPECT_TRUE(nvml->read(1));
}

TEST_F(NvmlTest, AGpuOutOfReachIsLeftOut) {
  const Result<Nvml> nvml = open("handle=15");
  ASSERT_OK(nvml);
  ASSERT_EQ(nvml->devices().size(), 1U);
  EXPECT_EQ(nvml->devices()[0].name, "NVIDIA GeForce RTX 9090");
}

TEST_F(NvmlTest, NonsenseIsHarmless) {
  const Result<Nvml> nvml = open("garbage count=4000000000");
  ASSERT_OK(nvml);
  EXPECT_LE(nvml->devices().size(), 256U);
  EXPECT_THAT(nvml->devices()[0].name, HasSubstr("\xEF\xBF\xBD"));  // U+FFFD for each byte that is no text
  EXPECT_TRUE(nvml->read(nvml->devices().size() - 1));
}

struct Failure {
  const char* library;
  const char* script;
  ErrorCode code;
  const char* words;
};

class NvmlFailures : public WithFakeDriver, public ::testing::WithParamInterface<Failure> {};

TEST_P(NvmlFailures, SayWhyInOneLine) {
  const auto& [library, script, code, words] = GetParam();
  const Result<Nvml> nvml = open(script, library);
  ASSERT_FALSE(nvml);
  EXPECT_EQ(nvml.error().code, code);
  EXPECT_THAT(nvml.error().message, HasSubstr(words));
  EXPECT_EQ(nvml.error().message.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Each, NvmlFailures,
    ::testing::Values(
        Failure{"/nowhere/libnvidia-ml.so.1", "", ErrorCode::kNotFound, "IMAGE_ENGINE_NVML names /nowhere"},
        Failure{"libm.so.6", "", ErrorCode::kUnsupported, "lacks nvmlInit_v2"},
        Failure{IE_FAKE_NVML, "init=9", ErrorCode::kUnsupported, "kernel module is not loaded"},
        Failure{IE_FAKE_NVML, "init=18", ErrorCode::kUnsupported, "restart the machine"},
        Failure{IE_FAKE_NVML, "init=4", ErrorCode::kUnsupported, "may not use"},
        Failure{IE_FAKE_NVML, "init=999", ErrorCode::kUnsupported, "the NVIDIA driver reports: Some other error"},
        Failure{IE_OLD_NVML, "init=999", ErrorCode::kUnsupported, "error 999"},
        Failure{IE_FAKE_NVML, "count=0", ErrorCode::kNotFound, "but no GPU"},
        Failure{IE_FAKE_NVML, "handles=15", ErrorCode::kUnsupported, "GPU is lost"}));

}  // namespace
}  // namespace image_engine::gpu
