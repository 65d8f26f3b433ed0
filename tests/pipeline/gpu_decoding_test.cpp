#include "pipeline/gpu_decoding.h"

#include <gtest/gtest.h>

#include "gpu/cuda.h"

namespace image_engine::pipeline {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

struct DecodersRow {
  int major;
  std::uint64_t memory;
  std::int64_t configured, memory_mb;
  int workers, decoders;
};

// Two only on GPUs on which they were measured to be faster, with the memory and the threads that they need.
TEST(GpuDecodingTest, DecodersOnAGpu) {
  const DecodersRow rows[] = {
      {9, 141 * kGiB, 0, 0, 16, 2},     {9, 141 * kGiB, 0, 0, 4, 1}, {9, 141 * kGiB, 0, 1600, 16, 1},
      {9, 24 * kGiB, 0, 0, 16, 1},      {7, 11 * kGiB, 0, 0, 16, 1}, {8, 80 * kGiB, 0, 0, 16, 1},
      {9, 141 * kGiB, 0, 16000, 16, 2}, {7, 11 * kGiB, 2, 0, 4, 2},  {9, 141 * kGiB, 1, 0, 16, 1},
  };
  for (const DecodersRow& row : rows) {
    Config config;
    config.inference.gpu_decoders = row.configured;
    config.inference.gpu_memory_mb = row.memory_mb;
    EXPECT_EQ(decoders_on(config, {0, "", row.major, 0, row.memory}, row.workers), row.decoders)
        << row.major << " " << row.memory << " " << row.configured << " " << row.memory_mb << " " << row.workers;
  }
}

}  // namespace
}  // namespace image_engine::pipeline
