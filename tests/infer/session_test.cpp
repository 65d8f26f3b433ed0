#include "infer/session.h"
#include "infer/external_data.h"
#include "infer/run_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <thread>

#include "core/sanitizers.h"
#include "tests/infer/support.h"
#include "tests/support/ok.h"
#include "tests/support/stop.h"

namespace image_engine::infer {
namespace {

using testing::HasSubstr;
using testing::Not;

// Of numpy.
const std::map<std::string, ElementType> kTypes = {
    {"float32", ElementType::kFloat32}, {"float16", ElementType::kFloat16}, {"int64", ElementType::kInt64},
    {"int32", ElementType::kInt32},     {"uint8", ElementType::kUint8},     {"bool", ElementType::kBool}};

struct Case {
  std::string model;
  std::vector<Tensor> inputs, outputs;
};

std::vector<Tensor> tensors(const nlohmann::json& list) {
  std::vector<Tensor> all;
  for (const auto& one : list)
    all.push_back(
        tensor_of(kTypes.at(one.at("type")), one.at("shape"), bytes_of(kFolder + one.at("file").get<std::string>())));
  return all;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& one : nlohmann::json::parse(bytes_of(kFolder + "cases.json")))
    all.push_back({one.at("model"), tensors(one.at("inputs")), tensors(one.at("outputs"))});
  return all;
}

// The same types, shapes and numbers, to rounding.
void expect_same(const std::vector<Tensor>& made, const std::vector<Tensor>& wanted) {
  ASSERT_EQ(made.size(), wanted.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    ASSERT_EQ(made[i].type, wanted[i].type);
    ASSERT_EQ(made[i].shape, wanted[i].shape);
    ASSERT_EQ(made[i].data.size(), wanted[i].data.size());
    if (made[i].type != ElementType::kFloat32) {
      EXPECT_EQ(made[i].data, wanted[i].data);
      continue;
    }
    for (std::size_t k = 0; k < made[i].count(); ++k) {
      const float a = made[i].as<float>()[k], b = wanted[i].as<float>()[k];
      if (a == b) continue;  // infinities
      ASSERT_NEAR(a, b, 1e-5F * std::max(1.0F, std::abs(b))) << "output " << i << ", element " << k;
    }
  }
}

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kFolder + "cases.json"))
      GTEST_SKIP() << "no infer_inputs: ctest makes them (infer_inputs)";
  }
  static std::unique_ptr<Session> load(const std::string& name, const SessionOptions& options = {}) {
    auto session = Session::create(kFolder + name, options);
    if (!session) {
      ADD_FAILURE() << session.error().message;
      return nullptr;
    }
    return std::move(*session);
  }
  // The error of loading; kInternal with no message when it loads.
  static Error error_of(const std::string& name) {
    auto session = Session::create(kFolder + name, {});
    return session ? Error{} : session.error();
  }
};

TEST_F(SessionTest, GivesWhatThePythonPackageGives) {
  const auto all = cases();
  ASSERT_EQ(all.size(), 7U);
  for (const Case& one : all)
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(one.model);
      const auto session = load(one.model, {.threads = threads});
      ASSERT_TRUE(session);
      const auto made = session->run(one.inputs);
      ASSERT_OK(made);
      expect_same(*made, one.outputs);
    }
}

TEST_F(SessionTest, TellsInputsAndOutputs) {
  const auto conv = load("conv.onnx");
  ASSERT_TRUE(conv);
  ASSERT_EQ(conv->inputs().size(), 1U);
  EXPECT_EQ(conv->inputs()[0].name, "x");
  EXPECT_EQ(conv->inputs()[0].shape, (std::vector<std::int64_t>{-1, 3, 16, 16}));
  ASSERT_EQ(conv->outputs().size(), 2U);
  EXPECT_EQ(conv->outputs()[1].name, "s");
  EXPECT_EQ(conv->placement().device, "cpu");

  const auto half = load("half.onnx");
  ASSERT_TRUE(half);
  EXPECT_EQ(half->inputs()[0].type, ElementType::kFloat16);
  EXPECT_EQ(half->outputs()[0].type, ElementType::kFloat32);
}

TEST_F(SessionTest, GivesTheOutputsNamedInTheirOrder) {
  const Case one = cases()[1];
  const auto session = load(one.model);
  ASSERT_TRUE(session);
  const auto both = session->run(one.inputs, std::vector<std::string>{"s", "y"});
  ASSERT_TRUE(both);
  expect_same(*both, {one.outputs[1], one.outputs[0]});
  const auto second = session->run(one.inputs, std::vector<std::string>{"s"});
  ASSERT_TRUE(second);
  expect_same(*second, {one.outputs[1]});
  const auto none = session->run(one.inputs, std::vector<std::string>{"t"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(none.error().message, HasSubstr("no output t; it has y, s"));
}

// Bytes of this process in memory.
std::int64_t resident_bytes() {
  std::int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST_F(SessionTest, GivesMemoryBackWhenAskedTo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers keep what is freed";
#endif
  const Tensor one = Tensor::zeros(ElementType::kFloat32, {1, 3, 16, 16});
  const Tensor many = Tensor::zeros(ElementType::kFloat32, {60'000, 3, 16, 16});
  // A run of a few rows and one of many: it gives back what it took, unless it is told not to.
  const auto kept_after = [&](std::int64_t rows_between) -> std::int64_t {
    const auto session = load("conv.onnx", {.rows_between_clearings = rows_between});
    const std::int64_t before = resident_bytes();
    for (const Tensor* input : {&one, &many, &one}) EXPECT_TRUE(session && session->run({input, 1}));
    return resident_bytes() - before;
  };
  constexpr std::int64_t kBetween = std::int64_t{60'000} * 8 * 8 * 8 * 4;  // what the convolution gives
  EXPECT_GT(kept_after(0), kBetween / 2);
  EXPECT_LT(kept_after(1'000'000), kBetween / 4);
}

std::int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

TEST_F(SessionTest, KeepsTheMemoryOfModerateRunsOfAnyShape) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers map memory of their own";
#endif
  const Tensor some = Tensor::zeros(ElementType::kFloat32, {1'000, 3, 16, 16});  // 3 MB, and 2 MB of output
  const Tensor others = Tensor::zeros(ElementType::kFloat32, {999, 3, 16, 16});
  const auto faults = [&](std::int64_t rows_between) -> std::int64_t {
    const auto session = load("conv.onnx", {.rows_between_clearings = rows_between});
    std::int64_t before = 0;
    for (int i = 0; i < 12; ++i) {
      if (i == 4) before = page_faults();
      EXPECT_TRUE(session && session->run({i % 2 == 0 ? &some : &others, 1}));
    }
    return page_faults() - before;
  };
  const std::int64_t cleared = faults(1), kept = faults(1'000'000);
  EXPECT_LT(kept, cleared / 2) << cleared;
}

TEST_F(SessionTest, RunsWaitForTheirShareOfTheMemory) {
  const auto budget = std::make_shared<MemoryBudget>(1 << 20);
  const auto session = load("conv.onnx", {.budget = budget});
  ASSERT_TRUE(session);
  const Tensor rows = Tensor::zeros(ElementType::kFloat32, {100, 3, 16, 16});  // 300 KiB
  std::atomic<bool> is_done = false;
  std::thread other;
  {
    const MemoryBudget::Share all = budget->take(1 << 20);
    other = std::thread([&] {
      EXPECT_TRUE(session->run({&rows, 1}));
      is_done = true;
    });
    while (!budget->is_waited_for()) std::this_thread::yield();
    EXPECT_FALSE(is_done);
  }
  other.join();
  EXPECT_TRUE(is_done);
}

TEST_F(SessionTest, DimensionsCanBeFixed) {
  const auto all = cases();
  const auto session = load("conv.onnx", {.fixed_dimensions = {{"batch", 3}, {"no such", 7}}});
  ASSERT_TRUE(session);
  EXPECT_EQ(session->inputs()[0].shape[0], 3);
  const auto three = session->run(all[1].inputs);
  ASSERT_OK(three);
  expect_same(*three, all[1].outputs);
  const auto one = session->run(all[0].inputs);
  ASSERT_FALSE(one);
  EXPECT_EQ(one.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(SessionTest, RunsFromManyThreadsAtOnce) {
  const auto all = cases();
  const auto session = load("conv.onnx", {.threads = 2});
  ASSERT_TRUE(session);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const Case& one = all[static_cast<std::size_t>((t + i) % 3)];
        const auto made = session->run(one.inputs);
        ASSERT_OK(made);
        expect_same(*made, one.outputs);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SessionTest, LoadsFromManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([] { EXPECT_TRUE(load("conv.onnx")); });
  for (std::thread& thread : threads) thread.join();
}

#ifdef __SSE2__
TEST_F(SessionTest, DenormalsAreZeroInsideAndStayOutside) {
  const auto session = load("double.onnx");
  ASSERT_TRUE(session);
  volatile float tiny = std::numeric_limits<float>::denorm_min();
  std::thread([&] {  // one that loaded nothing
    const auto made = session->run(std::vector{floats({4}, {tiny, 1, tiny, -2})});
    ASSERT_TRUE(made);
    EXPECT_EQ(made->at(0).as<float>()[0], 0.0F);
    EXPECT_EQ(made->at(0).as<float>()[3], -4.0F);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(tiny + tiny), 2U);
  })
      .join();
  EXPECT_EQ(std::bit_cast<std::uint32_t>(tiny + tiny), 2U);
}
#endif

TEST_F(SessionTest, RefusesWrongInputs) {
  const auto session = load("fixed.onnx");
  ASSERT_TRUE(session);
  const Tensor a = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = Tensor::zeros(ElementType::kInt64, {3, 4});
  ASSERT_TRUE(session->run(std::vector{a, b}));
  Tensor short_bytes = a, long_bytes = a;
  short_bytes.data.resize(20);
  long_bytes.data.resize(28);
  const struct {
    std::vector<Tensor> inputs;
    std::string says;
  } wrong[] = {
      {{}, "has 2 inputs, but got 0"},
      {{a, b, b}, "has 2 inputs, but got 3"},
      {{b, a}, "input a is float32 [2, 3], but got int64 [3, 4]"},
      {{a, Tensor::zeros(ElementType::kInt32, {3, 4})}, "input b is int64 [3, 4], but got int32 [3, 4]"},
      {{floats({3, 2}, {1, 2, 3, 4, 5, 6}), b}, "input a is float32 [2, 3], but got float32 [3, 2]"},
      {{floats({6}, {1, 2, 3, 4, 5, 6}), b}, "got float32 [6]"},
      {{floats({2, 3, 1}, {1, 2, 3, 4, 5, 6}), b}, "got float32 [2, 3, 1]"},
      {{short_bytes, b}, "with 20 bytes"},
      {{long_bytes, b}, "with 28 bytes"},
  };
  for (const auto& [inputs, says] : wrong) {
    const auto made = session->run(inputs);
    ASSERT_FALSE(made) << says;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(made.error().message, HasSubstr(says));
  }
}

TEST_F(SessionTest, RefusesShapesThatCannotBe) {
  const auto session = load("nothing.onnx");  // [n, 4]
  ASSERT_TRUE(session);
  for (const std::int64_t rows : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min(), std::int64_t{1} << 60,
                                  std::numeric_limits<std::int64_t>::max()}) {
    const auto made = session->run(std::vector{Tensor{ElementType::kFloat32, {rows, 4}, {}}});
    ASSERT_FALSE(made) << rows;
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(SessionTest, FailuresWhileRunningAreErrors) {
  const auto session = load("reshape.onnx");
  ASSERT_TRUE(session);
  Tensor shape = Tensor::zeros(ElementType::kInt64, {2});
  shape.as<std::int64_t>()[0] = 4, shape.as<std::int64_t>()[1] = 5;
  const auto made = session->run(std::vector{floats({6}, {1, 2, 3, 4, 5, 6}), shape});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInternal);
  EXPECT_THAT(made.error().message, HasSubstr("the model failed"));
}

// Limits of runs as long as one lives.
struct Limited {
  explicit Limited(RunLimits limits) { set_run_limits(std::move(limits)); }
  ~Limited() { set_run_limits({}); }
  Limited(const Limited&) = delete;
};

TEST_F(SessionTest, ARunThatDoesNotEndIsEnded) {
  const auto session = load("endless.onnx");
  ASSERT_TRUE(session);
  const std::vector<Tensor> zero{Tensor::zeros(ElementType::kFloat32, {1})};
  {
    const Limited limited({std::chrono::milliseconds(200)});
    const auto made = session->run(zero);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::kTimeout) << made.error().message;
    EXPECT_THAT(made.error().message, HasSubstr("inference.run_timeout_seconds"));
  }
  {
    const StopsAfter stop(std::chrono::milliseconds(100));
    const Limited limited({std::chrono::milliseconds(0), stop.token()});
    const auto made = session->run(zero);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::kInterrupted) << made.error().message;
  }
  const auto sound = session->run(std::vector{floats({1}, {2e9F})});
  ASSERT_OK(sound);
}

TEST_F(SessionTest, ARunEndsWithWhatItsSessionIsFor) {
  const StopsAfter stop(std::chrono::milliseconds(100));
  const auto session = Session::create(kFolder + "endless.onnx", {.stop = stop.token()});
  ASSERT_OK(session);
  const auto made = (*session)->run(std::vector{Tensor::zeros(ElementType::kFloat32, {1})});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInterrupted) << made.error().message;
}

TEST_F(SessionTest, TooMuchMemoryIsAnError) {
  if (IE_ADDRESS_SANITIZER) GTEST_SKIP() << "AddressSanitizer ends the process where operator new has no memory";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers end the process at such an allocation";
#endif
  const auto session = load("huge.onnx");
  ASSERT_TRUE(session);
  for (const std::int64_t count : {std::int64_t{1} << 45, std::int64_t{1} << 62}) {
    Tensor n = Tensor::zeros(ElementType::kInt64, {1});
    n.as<std::int64_t>()[0] = count;
    const auto made = session->run(std::vector{n});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::kOutOfMemory) << made.error().message;
  }
}

TEST_F(SessionTest, BadModelsAreErrorsOfTheirKind) {
  const std::map<std::string, ErrorCode> bad = {
      {"absent.onnx", ErrorCode::kNotFound},          {"bad_truncated.onnx", ErrorCode::kCorrupt},
      {"bad_empty.onnx", ErrorCode::kCorrupt},        {"bad_garbage.onnx", ErrorCode::kCorrupt},
      {"bad_zeros.onnx", ErrorCode::kCorrupt},        {"bad_ort_format.onnx", ErrorCode::kCorrupt},
      {"bad_cycle.onnx", ErrorCode::kCorrupt},        {"bad_mistyped.onnx", ErrorCode::kCorrupt},
      {"bad_operator.onnx", ErrorCode::kUnsupported}, {"bad_domain.onnx", ErrorCode::kUnsupported},
      {"bad_opset.onnx", ErrorCode::kUnsupported},    {"bad_ir.onnx", ErrorCode::kUnsupported},
      {"bad_kernel.onnx", ErrorCode::kUnsupported},   {"bad_strings.onnx", ErrorCode::kUnsupported},
  };
  for (const auto& [name, code] : bad) {
    const Error error = error_of(name);
    EXPECT_EQ(error.code, code) << name << ": " << error.message;
    EXPECT_THAT(error.message, HasSubstr(name));
    EXPECT_THAT(error.message, Not(testing::AnyOf(HasSubstr("onnxruntime_src"), HasSubstr("\\n"))));
  }
}

TEST_F(SessionTest, AModelIsARegularFile) {
  EXPECT_FALSE(Session::create(kFolder, {}));
  EXPECT_FALSE(Session::create("/dev/zero", {}));
  EXPECT_FALSE(Session::create("", {}));
}

TEST_F(SessionTest, TruncatedAnywhereIsAnError) {
  const std::string sound = bytes_of(kFolder + "conv.onnx");
  const std::string file = kFolder + "cut.onnx";
  for (std::size_t length = 0; length < sound.size(); length += 1 + sound.size() / 60) {
    std::ofstream(file, std::ios::binary) << sound.substr(0, length);
    EXPECT_FALSE(Session::create(file, {})) << length;
  }
}

TEST_F(SessionTest, ExternalDataIsReadFromTheModelsFolderOnly) {
  const auto good = load("inside/good.onnx");
  ASSERT_TRUE(good);
  const auto made = good->run(std::vector{floats({4}, {10, 10, 10, 10})});
  ASSERT_TRUE(made);
  expect_same(*made, {floats({4}, {10, 11, 12, 13})});
  for (const char* name : {"up", "winding", "absolute", "linked", "absent", "short", "memory", "attribute"}) {
    const Error error = error_of(std::string("inside/") + name + ".onnx");
    EXPECT_EQ(error.code, ErrorCode::kCorrupt) << name << ": " << error.message;
  }
}

// Ours, whatever ONNX Runtime would do.
TEST_F(SessionTest, PlacesOfExternalDataAreChecked) {
  EXPECT_TRUE(check_external_data(kFolder + "inside/good.onnx"));
  EXPECT_TRUE(check_external_data(kFolder + "conv.onnx"));
  const std::map<std::string, const char*> reasons = {
      {"up", "out of its folder"},          {"winding", "out of its folder"}, {"absolute", "not beside it"},
      {"linked", "outside its folder"},     {"absent", "is missing"},         {"memory", "is missing"},
      {"attribute", "out of its folder"},   {"branch", "out of its folder"},  {"no_file", "is missing"},
      {"deep", "not a complete ONNX model"}};
  for (const auto& [name, reason] : reasons) {
    const Status checked = check_external_data(kFolder + "inside/" + name + ".onnx");
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().code, ErrorCode::kCorrupt) << name;
    EXPECT_THAT(checked.error().message, HasSubstr(reason)) << name;
  }
}

TEST_F(SessionTest, TheModelsFolderIsNotTheWorkingDirectory) {
  const auto absolute = Session::create(std::filesystem::absolute(kFolder + "inside/good.onnx").string(), {});
  EXPECT_TRUE(absolute);
}

// Which library is loaded is settled once in a process: these start new ones.
class RuntimeDeathTest : public SessionTest {
 protected:
  void SetUp() override {
    SessionTest::SetUp();
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
  [[noreturn]] static void load_with(const char* library) {
    ::setenv("IMAGE_ENGINE_ONNXRUNTIME", library, 1);
    const auto session = Session::create(kFolder + "conv.onnx", {});
    const auto version = runtime_version();
    if (session || version) std::_Exit(9);
    std::fprintf(stderr, "<%s> %s", std::string(error_name(session.error().code)).c_str(),
                 session.error().message.c_str());
    std::_Exit(session.error().message == version.error().message ? 0 : 8);
  }
};

TEST_F(RuntimeDeathTest, AnAbsentLibraryIsAnError) {
  EXPECT_EXIT(load_with("/no/such/libonnxruntime.so.1"), testing::ExitedWithCode(0),
              "<not-found> ONNX Runtime is missing: .*/no/such/.*set IMAGE_ENGINE_ONNXRUNTIME");
}
TEST_F(RuntimeDeathTest, AFileThatIsNoLibraryIsAnError) {
  const std::string file = std::filesystem::absolute(kFolder + "bad_garbage.onnx").string();
  EXPECT_EXIT(load_with(file.c_str()), testing::ExitedWithCode(0), "<not-found> ONNX Runtime is missing");
}
TEST_F(RuntimeDeathTest, AnotherLibraryIsAnError) {
  EXPECT_EXIT(load_with("libm.so.6"), testing::ExitedWithCode(0), "<not-found> ONNX Runtime is missing");
}
TEST_F(RuntimeDeathTest, AnOldLibraryIsAnError) {
  EXPECT_EXIT(load_with(IE_OLD_RUNTIME), testing::ExitedWithCode(0),
              "<not-found> ONNX Runtime 1.17.3 is too old: 1.29");
}

TEST_F(SessionTest, TellsTheRuntimesVersion) {
  const auto version = runtime_version();
  ASSERT_OK(version);
  EXPECT_THAT(*version, testing::MatchesRegex("1\\.[0-9]+\\.[0-9]+"));
}

}  // namespace
}  // namespace image_engine::infer
