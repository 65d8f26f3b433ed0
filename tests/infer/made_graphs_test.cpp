// Graphs made for a GPU: cached, and refused once. What is in them: tests/models_tools/test_optimise.py.
#include "infer/made_graphs.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/file.h"
#include "infer/session.h"
#include "tests/infer/support.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::infer {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const std::string& folder, std::string_view end) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().string().ends_with(end)) found.push_back(entry.path().string());
  return found;
}

class MadeGraphsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kModel)) GTEST_SKIP() << "no infer_inputs: ctest makes them (infer_inputs)";
  }

  [[nodiscard]] GraphRequest request(const std::string& source) const {
    return {.source = source, .precision = "fp16", .folder = scratch_ / "graphs"};
  }

  const std::string kModel = kFolder + "p_light.onnx";
  Scratch scratch_;
};

TEST_F(MadeGraphsTest, IsMadeOnceForEachSource) {
  const std::string source = scratch_ / "m.onnx";
  fs::copy_file(kModel, source);
  const auto first = made_graph(request(source));
  ASSERT_OK(first);
  ASSERT_OK(Session::create(*first, {}));
  const auto written = fs::last_write_time(*first);
  EXPECT_EQ(made_graph(request(source)).value_or(""), *first);
  EXPECT_EQ(fs::last_write_time(*first), written);
  GraphRequest full = request(source);
  full.precision = "fp32";
  EXPECT_NE(made_graph(full).value_or(*first), *first);
  fs::last_write_time(source, fs::last_write_time(source) + std::chrono::seconds(5));
  EXPECT_NE(made_graph(request(source)).value_or(*first), *first);
}

TEST_F(MadeGraphsTest, RefusesAModelOnce) {
  const std::string source = scratch_.write("m.onnx", "no model at all");
  const auto first = made_graph(request(source));
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, ErrorCode::kCorrupt);
  const std::vector<std::string> kept = names_in(scratch_ / "graphs", ".refused.json");
  ASSERT_EQ(kept.size(), 1U);
  // The reason that is kept is the one returned: nothing is tried again.
  std::ofstream(kept[0]) << R"({"error": "unsupported", "reason": "kept"})";
  const auto second = made_graph(request(source));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(second.error().message, "kept");
  // A file of another time is another model, and a damaged refusal is none.
  std::ofstream(kept[0]) << "{";
  EXPECT_EQ(made_graph(request(source)).error().code, ErrorCode::kCorrupt);
  fs::copy_file(kModel, source, fs::copy_options::overwrite_existing);
  EXPECT_OK(made_graph(request(source)));
}

TEST_F(MadeGraphsTest, AMissingFileIsNotHeldAgainstTheModel) {
  const std::string source = scratch_ / "absent.onnx";
  EXPECT_EQ(made_graph(request(source)).error().code, ErrorCode::kNotFound);
  fs::copy_file(kModel, source);
  // A folder that cannot be written: the machine's fault.
  GraphRequest nowhere = request(source);
  nowhere.folder = scratch_.write("file", "") + "/graphs";
  EXPECT_FALSE(made_graph(nowhere));
  EXPECT_OK(made_graph(request(source)));
  EXPECT_TRUE(names_in(scratch_ / "graphs", ".refused.json").empty());
}

// As a full disk does: ONNX Runtime cannot write what it has folded.
TEST_F(MadeGraphsTest, AFullDiskIsNotHeldAgainstTheModel) {
  struct sigaction ignored {
  }, before{};
  ignored.sa_handler = SIG_IGN;
  ASSERT_EQ(::sigaction(SIGXFSZ, &ignored, &before), 0);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  rlimit small = limit;
  small.rlim_cur = 400;  // a refusal would fit
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto made = made_graph(request(kModel));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  ASSERT_EQ(::sigaction(SIGXFSZ, &before, nullptr), 0);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kIo) << made.error().message;
  EXPECT_OK(made_graph(request(kModel)));
}

// What is in them: tests/models_tools/test_chains.py.
TEST_F(MadeGraphsTest, ChainedGraphsAreMadeAndRunWithTheLibraryOfOperators) {
  const std::string source = kFolder + "p_nan.onnx";
  GraphRequest chained = request(source);
  chained.chained = Chained::kChannelsFirst;
  SessionOptions options;
  options.own_operators = true;
  EXPECT_EQ(made_graph(chained).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Session::create(source, options).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(names_in(scratch_ / "graphs", ".refused.json").empty());
  ::setenv("IMAGE_ENGINE_GPU_OPS", IE_CPU_OPERATORS, 1);
  const auto made = made_graph(chained);
  const auto session = Session::create(made.value_or(""), options);
  ::unsetenv("IMAGE_ENGINE_GPU_OPS");
  ASSERT_OK(session);
  EXPECT_NE(made_graph(request(source)).value_or(*made), *made);
  EXPECT_EQ(Session::create(*made, {}).error().code, ErrorCode::kUnsupported);
  const std::vector<Tensor> inputs{floats({2, 64}, std::vector<float>(128, 1))};
  const auto outputs = (*session)->run(inputs);
  ASSERT_OK(outputs);
  EXPECT_EQ((*outputs)[0].shape, (std::vector<std::int64_t>{2, 32}));
  EXPECT_TRUE(std::isnan((*outputs)[0].as<float>()[63]));
}

TEST_F(MadeGraphsTest, ForTensorRtIsWritten) {
  ASSERT_OK(make_tensorrt_graph(kModel, scratch_ / "t.onnx"));
  ASSERT_OK(Session::create(scratch_ / "t.onnx", {}));
}

}  // namespace
}  // namespace image_engine::infer
