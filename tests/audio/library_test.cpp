#include "audio/library.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/ok.h"

namespace image_engine::audio {
namespace {

using testing::HasSubstr;

TEST(SoundLibrary, BothAreFound) {
  const auto speech = load_sound_library(kSherpaOnnxLibrary), sounds = load_sound_library(kOmniVadLibrary);
  ASSERT_OK(speech);
  ASSERT_OK(sounds);
  for (const char* name : {"SherpaOnnxCreateOfflineRecognizer", "SherpaOnnxDecodeOfflineStream"})
    EXPECT_NE(::dlsym(*speech, name), nullptr) << name;
  for (const char* name : {"omni_aed_create", "omni_aed_detect"}) EXPECT_NE(::dlsym(*sounds, name), nullptr) << name;
}

TEST(SoundLibrary, OneThatIsNotThere) {
  const auto library = load_sound_library("libnothing-of-ours.so");
  ASSERT_FALSE(library);
  EXPECT_EQ(library.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(library.error().message, HasSubstr("libnothing-of-ours.so"));
  EXPECT_THAT(library.error().message, HasSubstr("tools/setup.sh"));
}

}  // namespace
}  // namespace image_engine::audio
