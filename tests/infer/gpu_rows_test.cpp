// Rows on several GPUs, here in two whose memory is the host's (tests/gpu/fake_cuda).
#include "infer/gpu_rows.h"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "gpu/cuda.h"
#include "tests/infer/support.h"
#include "tests/support/ok.h"

namespace image_engine::infer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

GpuRow row_on(int device, std::vector<float> values) {
  const auto kept = std::make_shared<std::vector<float>>(std::move(values));
  return {{kept, kept->data()}, device};
}

// Five rows of two numbers: two on the host, two on cuda:1, one on cuda:0.
Tensor spread_out() {
  Tensor tensor = floats({5, 2}, {30, 31, 50, 51});
  tensor.gpu_rows = {row_on(1, {10, 11}), row_on(0, {20, 21}), {}, row_on(1, {40, 41}), {}};
  return tensor;
}

TEST(GpuRows, AreAtHomeWhereMostOfThemAre) {
  const Tensor plain = floats({1}, {1}), spread = spread_out();
  EXPECT_FALSE(home_of({&plain, 1}));
  EXPECT_FALSE(has_rows_elsewhere({&plain, 1}, 0));
  EXPECT_EQ(home_of({&spread, 1}), 1);
  EXPECT_TRUE(has_rows_elsewhere({&spread, 1}, 1));
  Tensor all = floats({2, 1}, {});
  all.gpu_rows = {row_on(1, {1}), row_on(1, {2})};
  EXPECT_FALSE(has_rows_elsewhere({&all, 1}, 1));
  EXPECT_TRUE(has_rows_elsewhere({&all, 1}, 0));
  const std::vector<Tensor> both{spread, all, plain};
  EXPECT_EQ(home_of(both), 1);
}

class FakeGpus : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("IMAGE_ENGINE_CUDA") == nullptr) GTEST_SKIP() << "ctest names the fake GPUs (infer_fake_gpus)";
    ASSERT_OK(gpu::load_cuda_libraries());
    void* library = ::dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    ASSERT_NE(library, nullptr);
    copies_ = reinterpret_cast<int (*)(int)>(::dlsym(library, "fake_copies"));
    lose_ = reinterpret_cast<void (*)(int, int)>(::dlsym(library, "fake_lose"));
    ASSERT_TRUE(copies_ != nullptr && lose_ != nullptr) << "these GPUs are real";
  }
  int (*copies_)(int) = nullptr;
  void (*lose_)(int, int) = nullptr;
};

TEST_F(FakeGpus, AllRowsComeToTheHostInTheirOrder) {
  const int before[] = {copies_(0), copies_(1)};
  const std::vector<Tensor> inputs{spread_out(), floats({1, 1}, {7})};
  const auto here = on_host(inputs);
  ASSERT_OK(here);
  EXPECT_TRUE(here->front().gpu_rows.empty());
  EXPECT_THAT(here->front().as<float>(), ElementsAre(10, 11, 20, 21, 30, 31, 40, 41, 50, 51));
  EXPECT_THAT(here->back().as<float>(), ElementsAre(7));
  EXPECT_EQ(copies_(0) - before[0], 1) << "each GPU copies what is its own";
  EXPECT_EQ(copies_(1) - before[1], 2);
}

TEST_F(FakeGpus, RowsOfTheGpuThatRunsStayThere) {
  const Tensor input = spread_out();
  const int before = copies_(1);
  const auto near = on_host({&input, 1}, 1);
  ASSERT_OK(near);
  const Tensor& made = near->front();
  EXPECT_EQ(made.shape, input.shape);
  EXPECT_THAT(made.as<float>(), ElementsAre(20, 21, 30, 31, 50, 51));
  ASSERT_EQ(made.gpu_rows.size(), 5U);
  for (const std::size_t row : {0U, 3U}) EXPECT_EQ(made.gpu_rows[row].address, input.gpu_rows[row].address) << row;
  for (const std::size_t row : {1U, 2U, 4U}) EXPECT_FALSE(made.gpu_rows[row]) << row;
  EXPECT_FALSE(has_rows_elsewhere(*near, 1));
  EXPECT_EQ(copies_(1), before);
}

TEST_F(FakeGpus, RowsOfAGpuThatIsLostAreToBeMadeAgain) {
  const Tensor input = spread_out();
  lose_(1, 1);
  const auto lost = on_host({&input, 1}), others = on_host({&input, 1}, 1);
  lose_(1, 0);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, ErrorCode::kKilled);
  EXPECT_THAT(lost.error().message, HasSubstr("the GPU is lost"));
  EXPECT_TRUE(others) << "nothing is copied from there";
}

}  // namespace
}  // namespace image_engine::infer
