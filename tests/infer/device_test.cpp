// Which device a model runs on, here where there may be no GPU; what a GPU computes is tested on one (label gpu).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <semaphore>
#include <thread>

#include "infer/agreement.h"
#include "infer/choose_device.h"
#include "infer/engine.h"
#include "infer/prebuilt.h"
#include "infer/provider.h"
#include "infer/resilient_session.h"
#include "infer/sharing_session.h"
#include "models/provenance.h"
#include "models/spec_file.h"
#include "models/tasks.h"
#include "tests/infer/support.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::infer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(Device, IsOneOfThoseThatThereAre) {
  for (const char* device : {"auto", "cpu", "cuda", "cuda:0", "cuda:3", "tensorrt"})
    EXPECT_TRUE(check_device(device)) << device;
  for (const char* device : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "CPU"}) {
    const Status refused = check_device(device);
    ASSERT_FALSE(refused) << device;
    EXPECT_THAT(refused.error().message, HasSubstr("cuda:N"));
  }
}

TEST(Device, NumberIsItsOwnOrTheFirst) {
  EXPECT_EQ(device_number("cuda:3"), 3);
  for (const char* device : {"auto", "cuda", "tensorrt", "cuda:0"}) EXPECT_EQ(device_number(device), 0) << device;
  EXPECT_EQ(gpus_for("cuda:3").value(), std::vector<int>{3});
}

TEST(Providers, AreToldWithWhyTheyAreNotUsable) {
  const std::vector<ProviderState> states = provider_states();
  ASSERT_EQ(states.size(), std::size(kProviders));
  EXPECT_EQ(states.back().provider, Provider::kCpu);
  EXPECT_TRUE(states.back().usable) << states.back().detail;
  for (const ProviderState& state : states) {
    EXPECT_FALSE(state.detail.empty());
    EXPECT_EQ(state.detail.find('\n'), std::string::npos);
    EXPECT_EQ(state.usable, check_provider(state.provider).has_value());
  }
}

TEST(Providers, NamesAreTheRuntimesOrOurs) {
  EXPECT_EQ(provider_name(Provider::kCuda), "CUDA");
  EXPECT_EQ(provider_name(std::string_view("TensorrtExecutionProvider")), "TensorRT");
  EXPECT_EQ(provider_name(std::string_view("SomeExecutionProvider")), "SomeExecutionProvider");
}

TEST(Gates, AreTightestForVectors) {
  using models::default_gate;
  EXPECT_EQ(default_gate("embedding", "fp16").cosine, 0.999);
  EXPECT_EQ(default_gate("embedding", "int8").cosine, 0.99);
  EXPECT_LT(default_gate("objects", "fp16").cosine, default_gate("scene", "fp16").cosine);
  EXPECT_GT(default_gate("objects", "fp32").cosine, 0.999);
}

TEST(Agreement, IsInAnyOrderWhereTheTaskHasNone) {
  const std::vector<Tensor> a{floats({1, 2, 2}, {1, 2, 3, 4})}, swapped{floats({1, 2, 2}, {3, 4, 1, 2})};
  models::Spec spec;
  spec.task = "objects";
  EXPECT_DOUBLE_EQ(agreement_of(spec, a, swapped)->mean_error, 0);
  for (const char* task : {"embedding", "text", "a task of somebody's"}) {
    spec.task = task;
    EXPECT_GT(agreement_of(spec, a, swapped)->mean_error, 1) << task;
  }
}

TEST(Agreement, InAnyOrderIsOfRowsWithinAPicture) {
  const std::vector a{floats({1, 3, 2}, {1, 10, 2, 20, 3, 30})};
  const std::vector swapped{floats({1, 3, 2}, {3, 30, 1, 10, 2, 20})};
  ASSERT_TRUE(agreement_in_any_order(a, swapped));
  EXPECT_DOUBLE_EQ(agreement_in_any_order(a, swapped)->mean_error, 0);
  EXPECT_GT(agreement(a, swapped)->mean_error, 1);
  const std::vector two{floats({2, 1, 1}, {1, 2})}, other{floats({2, 1, 1}, {2, 1})};  // of two pictures
  EXPECT_GT(agreement_in_any_order(two, other)->mean_error, 0.5);
  EXPECT_FALSE(agreement_in_any_order(a, two));
}

// Fails with `error` from the `failing`th run on.
class Scripted final : public Session {
 public:
  Scripted(float value, int failing, ErrorCode error) : value_(value), failing_(failing), error_(error) {}
  [[nodiscard]] const std::vector<TensorInfo>& inputs() const override { return none_; }
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const override { return none_; }
  [[nodiscard]] Placement placement() const override { return {}; }
  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor>, std::span<const std::string>) const override {
    if (++runs_ >= failing_) return fail(error_, "it broke");
    return std::vector{floats({1}, {value_})};
  }

 private:
  std::vector<TensorInfo> none_;
  float value_;
  int failing_;
  ErrorCode error_;
  mutable int runs_ = 0;
};

float value_of(const Result<std::vector<Tensor>>& outputs) { return outputs ? outputs->front().as<float>()[0] : -1; }

// A GPU whose runs take as long as the test says: it counts them, and those at once.
class Gpu final : public Session {
 public:
  Gpu(float value, std::chrono::milliseconds time) : value_(value), time_(time) {}
  [[nodiscard]] const std::vector<TensorInfo>& inputs() const override { return none_; }
  [[nodiscard]] const std::vector<TensorInfo>& outputs() const override { return none_; }
  [[nodiscard]] Placement placement() const override { return {.device = fmt::format("cuda:{}", value_)}; }
  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor>, std::span<const std::string>) const override {
    most_ = std::max<int>(most_, ++now_);
    std::this_thread::sleep_for(time_);
    if (gate_) gate_->acquire();
    ++runs_;
    --now_;
    if (error_) return fail(*error_, "it broke");
    return std::vector{floats({1}, {value_})};
  }
  std::optional<ErrorCode> error_;
  std::unique_ptr<std::counting_semaphore<>> gate_;  // each release lets a run end; null: they end by themselves
  mutable std::atomic<int> runs_ = 0, now_ = 0, most_ = 0;

 private:
  std::vector<TensorInfo> none_;
  float value_;
  std::chrono::milliseconds time_;
};

struct TwoGpus {
  Gpu *first, *second;
  std::unique_ptr<Session> both;
  explicit TwoGpus(std::chrono::milliseconds slow = std::chrono::milliseconds(1), int runs_each = 1) {
    auto one = std::make_unique<Gpu>(0.F, std::chrono::milliseconds(1)), two = std::make_unique<Gpu>(1.F, slow);
    first = one.get(), second = two.get();
    std::vector<std::unique_ptr<Session>> gpus;
    gpus.push_back(std::move(one));
    gpus.push_back(std::move(two));
    both = make_sharing(std::move(gpus), runs_each);
  }
  // `runs` by each of four threads; how many failed.
  [[nodiscard]] int failures_of(int runs) const {
    std::atomic<int> failed = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
          for (int k = 0; k < runs; ++k)
            if (!both->run({})) ++failed;
        });
    }
    return failed;
  }
};

TEST(Sharing, GivesEachGpuWhatItHasTimeFor) {
  const TwoGpus gpus(std::chrono::milliseconds(30));
  EXPECT_EQ(gpus.failures_of(25), 0);
  EXPECT_EQ(gpus.first->runs_ + gpus.second->runs_, 100);
  EXPECT_GT(gpus.second->runs_, 0);
  EXPECT_GT(gpus.first->runs_, gpus.second->runs_);
  EXPECT_EQ(gpus.first->most_, 1);
  EXPECT_EQ(gpus.both->placement().device, "cuda:0+cuda:1");
}

TEST(Sharing, RunsAtOnceAsManyAsAGpuTakes) {
  const TwoGpus gpus(std::chrono::milliseconds(1), 2);
  EXPECT_EQ(gpus.failures_of(25), 0);
  EXPECT_LE(gpus.first->most_, 2);
  EXPECT_LE(gpus.second->most_, 2);
}

TEST(Sharing, GoesOnWithoutAGpuThatIsLost) {
  TwoGpus gpus;
  gpus.second->error_ = ErrorCode::kInternal;
  EXPECT_EQ(gpus.failures_of(25), 0);
  EXPECT_EQ(gpus.second->runs_, 1);
  EXPECT_EQ(gpus.first->runs_, 100);
  gpus.first->error_ = ErrorCode::kInternal;
  EXPECT_EQ(gpus.failures_of(1), 4) << "of the last one the error is told";
}

// A row on that GPU, of which only the place counts here.
std::vector<Tensor> row_on(int device) {
  Tensor tensor = floats({1, 1}, {});
  tensor.gpu_rows = {{std::make_shared<float>(1.F), device}};
  return {tensor};
}

TEST(Sharing, RunsGoWhereTheirRowsAre) {
  const TwoGpus gpus;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(value_of(gpus.both->run(row_on(i % 3 == 0 ? 0 : 1))), i % 3 == 0 ? 0 : 1);
  EXPECT_EQ(value_of(gpus.both->run(row_on(7))), 0) << "no GPU of these: the one that was free for longest";
}

// A run by a thread of its own, of a row on GPU `device`.
class RunAside {
 public:
  RunAside(const Session& session, int device)
      : where_(std::async(std::launch::async, [this, &session, device] {
          const std::vector<Tensor> row = row_on(device);
          thread_ = ::gettid();
          return value_of(session.run(row));
        })) {}
  // Until it sleeps: it waits for a GPU then, or for a gate.
  void wait_until_asleep() const {
    for (char state = 0; state != 'S'; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread_.load()));
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      if (const std::size_t name_end = text.rfind(") "); name_end != text.npos) state = text[name_end + 2];
    }
  }
  [[nodiscard]] bool ends() const { return where_.wait_for(std::chrono::seconds(20)) == std::future_status::ready; }
  [[nodiscard]] bool has_ended() const { return where_.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
  [[nodiscard]] float where() { return where_.get(); }

 private:
  std::atomic<pid_t> thread_ = 0;
  std::future<float> where_;
};

TEST(Sharing, AGpuIsForThoseWhoseRowsAreThereFirst) {
  const TwoGpus gpus;
  for (Gpu* gpu : {gpus.first, gpus.second}) gpu->gate_ = std::make_unique<std::counting_semaphore<>>(0);
  RunAside on_first(*gpus.both, 0), on_second(*gpus.both, 1);
  on_first.wait_until_asleep();
  on_second.wait_until_asleep();
  RunAside waits_for_first(*gpus.both, 0);
  waits_for_first.wait_until_asleep();
  RunAside waits_for_second(*gpus.both, 1);
  waits_for_second.wait_until_asleep();
  gpus.second->gate_->release(2);
  EXPECT_TRUE(waits_for_second.ends());
  EXPECT_FALSE(waits_for_first.has_ended()) << "it began to wait earlier, but its rows are elsewhere";
  gpus.second->gate_->release();
  EXPECT_TRUE(waits_for_first.ends()) << "nobody else waits for that GPU";
  gpus.first->gate_->release(2);
  gpus.second->gate_->release(2);
  EXPECT_EQ(on_first.where(), 0);
  EXPECT_EQ(on_second.where(), 1);
  EXPECT_EQ(waits_for_first.where(), 1);
  EXPECT_EQ(waits_for_second.where(), 1);
}

TEST(Sharing, AGpuWithoutRowsOfItsOwnHelps) {
  const TwoGpus gpus(std::chrono::milliseconds(1));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 25; ++k) EXPECT_TRUE(gpus.both->run(row_on(1)));
    });
  threads.clear();
  EXPECT_GT(gpus.first->runs_, 0);
  EXPECT_GT(gpus.second->runs_, 0);
}

TEST(Sharing, RowsOfAGpuThatIsLostGoToAnother) {
  TwoGpus gpus;
  gpus.second->error_ = ErrorCode::kInternal;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(value_of(gpus.both->run(row_on(1))), 0);
  EXPECT_EQ(gpus.second->runs_, 1);
}

TEST(Sharing, TellsOfBadInputsAndOfMemory) {
  TwoGpus gpus;
  gpus.first->error_ = gpus.second->error_ = ErrorCode::kOutOfMemory;
  EXPECT_EQ(gpus.failures_of(2), 8);
  EXPECT_EQ(gpus.first->runs_ + gpus.second->runs_, 8);
  gpus.first->error_ = gpus.second->error_ = std::nullopt;
  EXPECT_EQ(gpus.failures_of(2), 0) << "no GPU is lost by it";
}

TEST(Resilient, GoesOnWithWhatTakesOver) {
  int asked = 0;
  const auto session = make_resilient(
      std::make_unique<Scripted>(1.F, 3, ErrorCode::kInternal), [&](const Error& error) -> Result<Successor> {
        EXPECT_EQ(error.message, "it broke");
        ++asked;
        return Successor{std::make_unique<Scripted>(2.F, 1000, ErrorCode::kInternal), "int8"};
      });
  EXPECT_EQ(session->placement().precision, "");
  for (const float wanted : {1.F, 1.F, 2.F, 2.F}) EXPECT_EQ(value_of(session->run({}, {})), wanted);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(session->placement().precision, "int8");  // records name what computed them
}

TEST(Resilient, GivesUpWhenNothingTakesOver) {
  const auto session = make_resilient(std::make_unique<Scripted>(1.F, 1, ErrorCode::kOutOfMemory),
                                      [](const Error& error) -> Result<Successor> { return fail(error); });
  const auto outputs = session->run({}, {});
  ASSERT_FALSE(outputs);
  EXPECT_EQ(outputs.error().code, ErrorCode::kOutOfMemory);
}

TEST(Resilient, DoesNotBlameTheDeviceForBadInputs) {
  const auto session = make_resilient(std::make_unique<Scripted>(1.F, 1, ErrorCode::kInvalidArgument),
                                      [](const Error&) -> Result<Successor> {
                                        ADD_FAILURE();
                                        return fail(ErrorCode::kInternal, "never asked");
                                      });
  EXPECT_FALSE(session->run({}, {}));
}

TEST(Precisions, OfTensorRtBeginWithTheOneOfItsKey) {
  using testing::ElementsAre;
  Preference preference;
  EXPECT_THAT(precisions_to_try(Provider::kTensorRt, preference), ElementsAre("fp16", "fp32"));
  preference.tensorrt_precision = "fp32";
  EXPECT_THAT(precisions_to_try(Provider::kTensorRt, preference), ElementsAre("fp32"));
  EXPECT_THAT(precisions_to_try(Provider::kTensorRtRtx, preference), ElementsAre("fp32"));
  EXPECT_THAT(precisions_to_try(Provider::kCuda, preference), ElementsAre("fp16", "fp32"));
  preference.tensorrt_precision = "int8";
  EXPECT_THAT(precisions_to_try(Provider::kTensorRt, preference), ElementsAre("int8", "fp16", "fp32"));
  preference.precision = "fp16";  // what is asked for, for every provider
  EXPECT_THAT(precisions_to_try(Provider::kTensorRt, preference), ElementsAre("fp16"));
}

class DeviceChoice : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kFolder + "p_x.bin")) GTEST_SKIP() << "no infer_inputs: ctest makes them (infer_inputs)";
    if (check_provider(Provider::kCuda)) GTEST_SKIP() << "this machine has a GPU";
    spec_.name = "model";
    fs::create_directories(store_.folder(spec_));
    fs::copy_file(kFolder + "p_heavy.onnx", store_.folder(spec_) + "/fp32.onnx");
    spec_.files.push_back({.name = "fp32.onnx"});
    spec_.variants.push_back({"fp32", "fp32.onnx", {}});
    models::Provenance provenance{.name = spec_.name};
    provenance.files.push_back({.name = "fp32.onnx", .bytes = fs::file_size(store_.folder(spec_) + "/fp32.onnx")});
    provenance.spec = models::install_hash(spec_);
    ASSERT_TRUE(models::write_provenance(store_.folder(spec_), provenance));
  }

  Result<Chosen> choose(const Preference& preference) {
    const auto canary = [](const Session&) -> Result<std::vector<Tensor>> {
      return std::vector{tensor_of(ElementType::kFloat32, {2, 64}, bytes_of(kFolder + "p_x.bin"))};
    };
    return choose_device(spec_, store_, {}, preference, canary, {root_ + "/memory", 1});
  }

  const Scratch scratch_;
  std::string root_ = scratch_.path();
  models::Store store_{root_ + "/models"};
  models::Spec spec_;
};

TEST_F(DeviceChoice, IsTheCpuWithoutAGpuAndSaysWhy) {
  const auto chosen = choose({});
  ASSERT_OK(chosen);
  EXPECT_EQ(chosen->session->placement().device, "cpu");
  EXPECT_THAT(chosen->reason, HasSubstr("CUDA: "));
  const auto with_tensorrt = choose({.use_tensorrt = true});
  ASSERT_TRUE(with_tensorrt);
  EXPECT_THAT(with_tensorrt->reason, HasSubstr("TensorRT: "));
  EXPECT_THAT(with_tensorrt->reason, HasSubstr("TensorRT for RTX: "));
}

TEST_F(DeviceChoice, AnEngineThatCannotBeUsedIsToldAndPassedOver) {
  spec_.engine = root_ + "/none.trt";
  for (const char* device : {"auto", "tensorrt"}) {
    const auto chosen = choose({.device = device});
    ASSERT_OK(chosen);
    EXPECT_EQ(chosen->session->placement().device, "cpu");
    EXPECT_THAT(chosen->reason, HasSubstr("the engine " + spec_.engine + ": TensorRT: "));
  }
  const auto cpu = choose({.device = "cpu"});
  ASSERT_TRUE(cpu);
  EXPECT_EQ(cpu->reason.find("engine"), std::string::npos);
  const auto required = choose({.require_gpu = true});
  ASSERT_FALSE(required);
  EXPECT_THAT(required.error().message, HasSubstr(spec_.engine));
}

TEST_F(DeviceChoice, AnEngineIsOfTheModelThatItsSidecarNames) {
  models::Provenance provenance{.name = spec_.name};
  provenance.files.push_back({.name = "fp32.onnx",
                              .bytes = fs::file_size(store_.folder(spec_) + "/fp32.onnx"),
                              .sha256 = std::string(64, 'a')});
  provenance.spec = models::install_hash(spec_);
  ASSERT_TRUE(models::write_provenance(store_.folder(spec_), provenance));
  const auto sidecar = [&](const std::string& name, char letter) {
    EngineRecord record;
    record.identity.model_sha256 = std::string(64, letter);
    record.identity.precision = "fp16";
    record.engine_sha256 = std::string(64, 'e');
    std::ofstream(sidecar_of(root_ + name)) << engine_record_text(record);
    return root_ + name;
  };
  const std::string ours = sidecar("/ours.trt", 'a'), other = sidecar("/other.trt", 'b'), none = root_ + "/none.trt";
  spec_.engine = "/own.trt";
  EXPECT_EQ(engine_of(spec_, store_, ours), ours);
  for (const std::string& given : {other, none, std::string()}) EXPECT_EQ(engine_of(spec_, store_, given), "/own.trt");
  EXPECT_TRUE(check_given_engine(ours, std::span(&spec_, 1), store_));
  const Status refused = check_given_engine(other, std::span(&spec_, 1), store_);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("none of the models"));
  EXPECT_FALSE(check_given_engine(none, std::span(&spec_, 1), store_));
  std::ofstream(sidecar_of(none)) << "{";
  EXPECT_FALSE(check_given_engine(none, std::span(&spec_, 1), store_));
}

TEST_F(DeviceChoice, OfTheCpuAsksNobodyElse) {
  const auto chosen = choose({.device = "cpu"});
  ASSERT_TRUE(chosen);
  EXPECT_THAT(chosen->reason, testing::Not(HasSubstr("CUDA")));
}

TEST_F(DeviceChoice, IsAnErrorWhereAGpuIsRequired) {
  for (const char* device : {"auto", "cuda", "tensorrt", "cpu"}) {
    const auto chosen = choose({.device = device, .require_gpu = true});
    ASSERT_FALSE(chosen) << device;
    EXPECT_EQ(chosen.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(chosen.error().message, HasSubstr("model does not run on a GPU: "));
  }
}

TEST_F(DeviceChoice, OfAPrecisionThatTheCpuLacksIsAnError) {
  EXPECT_TRUE(choose({.device = "cpu", .precision = "fp32"}));
  const auto chosen = choose({.device = "cpu", .precision = "int8"});
  ASSERT_FALSE(chosen);
  EXPECT_THAT(chosen.error().message, HasSubstr("int8"));
}

}  // namespace
}  // namespace image_engine::infer
