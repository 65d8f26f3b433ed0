// Which management library the next Nvml::open() finds, and what goes wrong in it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "gpu/nvml.h"

namespace image_engine::gpu {

// Of fake_nvml/fake_nvml.c.
class WithFakeDriver : public ::testing::Test {
 protected:
  ~WithFakeDriver() override {
    ::unsetenv("IMAGE_ENGINE_NVML");
    ::unsetenv("FAKE_NVML");
  }
  static Result<Nvml> open(const std::string& script = "", const std::string& library = IE_FAKE_NVML) {
    ::setenv("IMAGE_ENGINE_NVML", library.c_str(), 1);
    ::setenv("FAKE_NVML", script.c_str(), 1);
    return Nvml::open();
  }
};

}  // namespace image_engine::gpu
