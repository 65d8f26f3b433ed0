// Sessions on a GPU, beside the CPU's on the same graphs. ctest runs these under the label gpu.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "gpu/cuda.h"
#include "infer/library.h"
#include "infer/made_graphs.h"
#include "infer/session.h"
#include "infer/sharing_session.h"
#include "tests/infer/support.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::infer {
namespace {

// A convolution, a product and a softmax: pixels [batch, 3, 16, 16] to [batch, 5], twice.
const std::string kNet = kFolder + "conv.onnx";
constexpr float kNear = 2e-3F;  // float32 with cuDNN's algorithms, of numbers around 1

SessionOptions on_gpu(int device = 0) {
  SessionOptions options;
  options.provider = Provider::kCuda;
  options.device = device;
  options.tf32 = false;
  return options;
}

Tensor pictures(std::int64_t rows, std::size_t first = 0) {
  Tensor tensor = Tensor::zeros(ElementType::kFloat32, {rows, 3, 16, 16});
  std::size_t i = first;
  for (float& value : tensor.as<float>()) value = static_cast<float>(++i * 7919 % 256) / 128 - 1;
  return tensor;
}

std::unique_ptr<Session> load(const SessionOptions& options) {
  auto session = Session::create(kNet, options);
  EXPECT_OK(session);
  return session ? std::move(*session) : nullptr;
}

void expect_near(const Session& session, const Session& reference, std::int64_t rows, std::size_t first = 0) {
  const Tensor input = pictures(rows, first);
  const auto made = session.run({&input, 1}), wanted = reference.run({&input, 1});
  ASSERT_OK(made);
  ASSERT_OK(wanted);
  ASSERT_EQ(made->front().shape, wanted->front().shape);
  for (std::size_t i = 0; i < made->front().count(); ++i)
    ASSERT_NEAR(made->front().as<float>()[i], wanted->front().as<float>()[i], kNear) << rows << " rows, element " << i;
}

struct UsedMemory {
  double host = 0, device = 0;  // bytes; of this process, of all programs
};
UsedMemory used_memory() {
  UsedMemory used;
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  used.host = pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (const auto memory = gpu::memory_info(0)) used.device = static_cast<double>(memory->total - memory->free);
  return used;
}
void expect_no_more(const UsedMemory& before) {
  constexpr double kGrowth = 1.01, kHostGrowth = 1.02, kMib = 1 << 20;
  const UsedMemory after = used_memory();
  EXPECT_GT(before.device, 0);
  std::printf("host %.1f to %.1f MiB, device %.1f to %.1f MiB\n", before.host / kMib, after.host / kMib,
              before.device / kMib, after.device / kMib);
  EXPECT_LT(after.host, before.host * kHostGrowth);
  EXPECT_LT(after.device, before.device * kGrowth);
}

SessionOptions recorded(std::int64_t rows) {
  SessionOptions options = on_gpu();
  options.cuda_graph = true;
  if (rows > 0) options.fixed_dimensions = {{"batch", rows}};
  return options;
}

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const Status usable = check_provider(Provider::kCuda); !usable) GTEST_SKIP() << usable.error().message;
    if (!std::filesystem::exists(kNet)) GTEST_SKIP() << "no infer_inputs: ctest makes them (infer_inputs)";
    cpu_ = load({});
    ASSERT_TRUE(cpu_);
  }
  std::unique_ptr<Session> cpu_;
};

TEST_F(GpuTest, ComputesWhatTheCpuDoes) {
  const auto gpu = load(on_gpu());
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->placement().provider, "CUDA");
  EXPECT_EQ(gpu->placement().device, "cuda:0");
  EXPECT_GT(gpu->placement().nodes.at("CUDA"), 0U);
  for (const std::int64_t rows : {1, 5, 1, 3, 2, 4, 6, 1}) expect_near(*gpu, *cpu_, rows);
}

TEST_F(GpuTest, SettingsChangeNoNumbers) {
  for (const bool nhwc : {false, true})
    for (const bool graph : {false, true}) {
      SessionOptions options = on_gpu();
      options.nhwc = options.fuse_convolutions = nhwc;
      options.cuda_graph = graph;
      options.fixed_dimensions = {{"batch", 4}};
      const auto gpu = load(options);
      ASSERT_TRUE(gpu);
      // Filled up, exactly, and in turns; the recorded work is replayed with new pictures.
      for (const std::int64_t rows : {4, 1, 3, 4, 9, 4}) expect_near(*gpu, *cpu_, rows);
    }
}

TEST_F(GpuTest, OperatorsOfOursChangeNoNumbers) {
  if (operators_library().empty())
    GTEST_SKIP() << "no libimage-engine-gpu-ops.so beside the test: IMAGE_ENGINE_GPU_OPS";
  const Scratch scratch;
  for (const Chained chained : {Chained::kChannelsFirst, Chained::kChannelsLast}) {
    const auto graph =
        made_graph({.source = kNet, .precision = "fp32", .folder = scratch / "graphs", .chained = chained});
    ASSERT_OK(graph);
    SessionOptions options = recorded(4);
    options.own_operators = true;
    options.nhwc = chained == Chained::kChannelsLast;
    const auto gpu = Session::create(*graph, options);
    ASSERT_OK(gpu);
    for (const std::int64_t rows : {4, 1, 9}) expect_near(**gpu, *cpu_, rows);
  }
}

TEST_F(GpuTest, TakesRunsOfManyThreads) {
  SessionOptions options = on_gpu();
  options.lanes = 2;
  options.cuda_graph = true;
  options.fixed_dimensions = {{"batch", 4}};
  const auto gpu = load(options);
  ASSERT_TRUE(gpu);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 20; ++k) expect_near(*gpu, *cpu_, 1 + (i + k) % 6);
    });
}

TEST_F(GpuTest, EachBatchGivesItsOwnResults) {
  for (const std::int64_t rows : {0, 4}) {
    const auto gpu = load(recorded(rows));
    ASSERT_TRUE(gpu);
    for (std::size_t i = 0; i < 8; ++i) expect_near(*gpu, *cpu_, 4, i * 1000);
  }
}

TEST_F(GpuTest, RebuiltSessionsLeaveNoMemoryBehind) {
  UsedMemory before;
  for (int i = 0; i < 130; ++i) {
    if (i == 30) before = used_memory();
    const auto gpu = load(recorded(4));
    ASSERT_TRUE(gpu);
    expect_near(*gpu, *cpu_, 4, static_cast<std::size_t>(i));
  }
  expect_no_more(before);
}

TEST_F(GpuTest, ManySizesLeaveNoMemoryBehind) {
  const auto gpu = load(recorded(0));
  ASSERT_TRUE(gpu);
  UsedMemory before;
  std::uint32_t random = 1;
  for (int i = 0; i < 10'500; ++i) {
    if (i == 500) before = used_memory();
    random = random * 1664525 + 1013904223;
    const std::int64_t rows = 1 + (random >> 16) % 64;
    const Tensor input = pictures(rows);
    ASSERT_OK(gpu->run({&input, 1}));
  }
  expect_no_more(before);
  expect_near(*gpu, *cpu_, 7);
}

TEST_F(GpuTest, SessionsComeAndGoWhileOthersRecord) {
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (std::size_t k = 0; k < 10; ++k) {
        const auto gpu = load(recorded(i % 2 == 0 ? 4 : 0));
        ASSERT_TRUE(gpu);
        for (std::size_t rows = 1; rows <= 8; ++rows)  // more sizes than are kept
          expect_near(*gpu, *cpu_, static_cast<std::int64_t>(rows), i * 100 + k);
      }
    });
}

TEST_F(GpuTest, SharesWorkWithOthersOfItsKind) {
  const auto devices = gpu::cuda_devices();
  ASSERT_TRUE(devices);
  std::vector<std::unique_ptr<Session>> sessions;
  for (std::size_t i = 0; i < devices->size(); ++i) sessions.push_back(load(on_gpu(static_cast<int>(i))));
  if (sessions.size() < 2) GTEST_SKIP() << "there is one GPU only";
  const auto all = make_sharing(std::move(sessions), 1);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 20; ++k) expect_near(*all, *cpu_, 1 + k % 6);
    });
}

TEST_F(GpuTest, TellsWhenMemoryIsShort) {
  const auto gpu = load(on_gpu());
  ASSERT_TRUE(gpu);
  const auto memory = gpu::memory_info(0);
  ASSERT_TRUE(memory);
  const auto hog = gpu::DeviceBuffer::create(0, memory->free - (std::size_t{300} << 20));
  ASSERT_OK(hog);
  const Tensor many = pictures(400'000);  // 1.2 GB
  const auto made = gpu->run({&many, 1});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kOutOfMemory) << made.error().message;
  expect_near(*gpu, *cpu_, 2);  // and goes on
}

TEST_F(GpuTest, AGpuThatIsNotThereIsAnError) {
  const auto devices = gpu::cuda_devices();
  ASSERT_TRUE(devices);
  const auto session = Session::create(kNet, on_gpu(static_cast<int>(devices->size())));
  ASSERT_FALSE(session);
  EXPECT_FALSE(session.error().message.empty());
}

}  // namespace
}  // namespace image_engine::infer
