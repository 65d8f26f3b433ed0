#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "infer/engine_cache.h"
#include "tests/infer/support.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"
#include "tests/support/stop.h"

namespace image_engine::infer {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

const EngineIdentity kHere = {.model_sha256 = std::string(64, 'a'),
                              .dimensions = {{"height", 640}, {"width", 480}},
                              .precision = "fp16",
                              .least_batch = 1,
                              .best_batch = 8,
                              .most_batch = 16,
                              .workspace_bytes = std::uint64_t{4} << 30,
                              .gpu = "NVIDIA GeForce RTX 2080 Ti",
                              .compute_capability = "7.5",
                              .driver = "580.82.07",
                              .cuda = "13.0",
                              .tensorrt = "10.14.1",
                              .runtime = "1.31.1"};

struct Change {
  const char* says;
  void (*make)(EngineIdentity&);
};
const Change kChanges[] = {
    {"checksum", [](EngineIdentity& id) { id.model_sha256[3] = 'b'; }},
    {"height=641", [](EngineIdentity& id) { id.dimensions[0].second = 641; }},
    {"precision", [](EngineIdentity& id) { id.precision = "int8"; }},
    {"batches", [](EngineIdentity& id) { id.least_batch = 2; }},
    {"batches", [](EngineIdentity& id) { id.best_batch = 4; }},
    {"batches", [](EngineIdentity& id) { id.most_batch = 32; }},
    {"workspace", [](EngineIdentity& id) { id.workspace_bytes += 1; }},
    {"NVIDIA GeForce RTX 2080 Ti, and here is NVIDIA H100", [](EngineIdentity& id) { id.gpu = "NVIDIA H100"; }},
    {"compute capability", [](EngineIdentity& id) { id.compute_capability = "9.0"; }},
    {"driver", [](EngineIdentity& id) { id.driver = "590.1"; }},
    {"CUDA", [](EngineIdentity& id) { id.cuda = "13.1"; }},
    {"TensorRT", [](EngineIdentity& id) { id.tensorrt = "10.15.0"; }},
    {"ONNX Runtime 1.31.1, and here is ONNX Runtime 1.32.0", [](EngineIdentity& id) { id.runtime = "1.32.0"; }}};

// A folder of the test's own, gone at its end; a builder that only writes `bytes` there.
class EngineTest : public testing::Test {
 protected:
  Result<EngineRecord> write(const std::string& work) {
    ++builds_;
    std::ofstream(work + "/" + kBuiltEngine, std::ios::binary) << bytes_;
    EngineRecord record;
    record.inputs = {{"pixels", ElementType::kFloat32, {-1, 3, 224, 224}}};
    record.outputs = {{"features", ElementType::kFloat16, {-1, 512}}};
    record.build_seconds = 12.5;
    record.layer_precisions = {{"LayerNorm_1", "fp32"}};
    return record;
  }
  Result<ReadyEngine> ready(const EngineIdentity& identity = kHere) {
    return ready_engine(folder_, "clip", identity, [this](const std::string& work) { return write(work); }, {});
  }
  [[nodiscard]] std::string engine(const EngineIdentity& identity = kHere) const {
    return folder_ + "/" + engine_key(identity) + "/clip.engine";
  }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_))
      if (entry.is_regular_file()) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }

  const Scratch scratch_;
  std::string folder_ = scratch_.path(), bytes_ = std::string(5000, 'e');
  std::atomic<int> builds_ = 0;
};

TEST_F(EngineTest, TheKeyDependsOnAll) {
  std::vector<std::string> keys = {engine_key(kHere)};
  EXPECT_EQ(keys[0].size(), 32U);
  EXPECT_EQ(engine_key(kHere), keys[0]);
  for (const Change& change : kChanges) {
    EngineIdentity other = kHere;
    change.make(other);
    EXPECT_FALSE(std::ranges::count(keys, engine_key(other))) << change.says;
    keys.push_back(engine_key(other));
    ASSERT_TRUE(why_stale(kHere, other)) << change.says;
    EXPECT_THAT(*why_stale(kHere, other), HasSubstr(change.says));
  }
  EXPECT_FALSE(why_stale(kHere, kHere));
  EngineIdentity reordered = kHere;
  std::swap(reordered.dimensions[0], reordered.dimensions[1]);
  EXPECT_EQ(engine_key(reordered), keys[0]);
}

TEST_F(EngineTest, IsBuiltOnceAndKept) {
  const auto first = ready();
  ASSERT_OK(first);
  EXPECT_TRUE(first->built);
  EXPECT_EQ(first->model, engine() + ".onnx");
  EXPECT_EQ(files().size(), 3U) << "the engine, its loader and its sidecar";
  EXPECT_EQ(bytes_of(engine()), bytes_);
  EXPECT_THAT(bytes_of(engine() + ".onnx"), HasSubstr("clip.engine"));
  const auto second = ready();
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->built);
  EXPECT_EQ(builds_, 1);
}

TEST_F(EngineTest, TheSidecarTellsAll) {
  ASSERT_TRUE(ready());
  const nlohmann::json all = nlohmann::json::parse(bytes_of(engine() + ".json"));
  EXPECT_EQ(all["schema"], "image-engine/engine/1");
  EXPECT_EQ(all["engine"]["bytes"], 5000);
  EXPECT_EQ(all["model"]["sha256"], kHere.model_sha256);
  EXPECT_EQ(all["batch"], nlohmann::json({{"least", 1}, {"best", 8}, {"most", 16}}));
  EXPECT_EQ(all["gpu"]["name"], kHere.gpu);
  EXPECT_EQ(all["inputs"][0]["shape"], nlohmann::json({-1, 3, 224, 224}));
  EXPECT_EQ(all["outputs"][0]["type"], "float16");
  const auto record = read_engine_record(engine());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->identity, kHere);
  EXPECT_EQ(record->build_seconds, 12.5);
  EXPECT_EQ(record->layer_precisions.at("LayerNorm_1"), "fp32");
  EXPECT_EQ(record->outputs[0].type, ElementType::kFloat16);
  EXPECT_FALSE(record->device_bytes);
}

TEST_F(EngineTest, OfAnotherGpuIsBuiltAnew) {
  ASSERT_TRUE(ready());
  EngineIdentity other = kHere;
  other.gpu = "NVIDIA H100";
  const auto made = ready(other);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->built);
  EXPECT_EQ(builds_, 2);
  EXPECT_FALSE(ready()->built) << "the first is still there";
  // One that was brought here by hand, under the right name.
  fs::copy_file(engine() + ".json", engine(other) + ".json", fs::copy_options::overwrite_existing);
  const auto checked = check_engine(engine(other), other);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(checked.error().message, HasSubstr("built for NVIDIA GeForce RTX 2080 Ti, and here is NVIDIA H100"));
  EXPECT_TRUE(ready(other)->built);
  EXPECT_TRUE(check_engine(engine(other), other));
}

TEST_F(EngineTest, ANewDriverClearsWhatItCannotUse) {
  EngineIdentity other_gpu = kHere, later = kHere;
  other_gpu.gpu = "NVIDIA H100";
  later.driver = "590.1";
  ASSERT_TRUE(ready());
  ASSERT_TRUE(ready(other_gpu));
  EXPECT_EQ(files().size(), 6U) << "one for each GPU of a machine";
  ASSERT_TRUE(ready(later));
  EXPECT_EQ(files().size(), 3U);
  EXPECT_TRUE(check_engine(engine(later), later));
}

TEST_F(EngineTest, DamagedOnesAreRefusedAndBuiltAnew) {
  const auto damage = [&](auto&& body, ErrorCode code, const char* says) {
    ASSERT_TRUE(ready());
    body();
    const int before = builds_;
    const auto checked = check_engine(engine(), kHere);
    ASSERT_FALSE(checked) << says;
    EXPECT_EQ(checked.error().code, code) << says;
    EXPECT_THAT(checked.error().message, HasSubstr(says));
    EXPECT_TRUE(ready()->built) << says;
    EXPECT_EQ(builds_, before + 1);
    EXPECT_TRUE(check_engine(engine(), kHere));
    EXPECT_EQ(files().size(), 3U);
  };
  const auto write_sidecar = [&](const std::string& text) { std::ofstream(engine() + ".json") << text; };
  damage([&] { fs::resize_file(engine(), 4999); }, ErrorCode::kCorrupt, "4999 bytes");
  damage([&] { fs::resize_file(engine(), 0); }, ErrorCode::kCorrupt, "0 bytes");
  damage([&] { std::ofstream(engine()) << std::string(5000, 'x'); }, ErrorCode::kCorrupt, "changed");
  damage([&] { fs::remove(engine()); }, ErrorCode::kNotFound, "engine");
  damage([&] { fs::remove(engine() + ".json"); }, ErrorCode::kNotFound, ".json is missing");
  damage([&] { write_sidecar("{"); }, ErrorCode::kCorrupt, "was not written by image-engine");
  damage([&] { write_sidecar(R"({"schema": "image-engine/engine/1"})"); }, ErrorCode::kCorrupt,
         "was not written by image-engine");
  damage([&] { write_sidecar(R"({"schema": 1})"); }, ErrorCode::kCorrupt, "was not written by image-engine");
  damage([&] { write_sidecar(std::string(100'000, '[')); }, ErrorCode::kCorrupt, "was not written by image-engine");
  damage([&] { write_sidecar(R"({"schema": "image-engine/engine/2"})"); }, ErrorCode::kNewer, "later version");
  // No check sees it, but without it nothing can be loaded.
  ASSERT_TRUE(ready());
  fs::remove(engine() + ".onnx");
  EXPECT_TRUE(ready()->built);
}

TEST_F(EngineTest, AFailedBuildLeavesNothing) {
  const auto failing = [&](const std::string& work) -> Result<EngineRecord> {
    std::ofstream(work + "/" + kBuiltEngine) << "half";
    return fail(ErrorCode::kOutOfMemory, "no memory");
  };
  const auto made = ready_engine(folder_, "clip", kHere, failing, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kOutOfMemory);
  EXPECT_TRUE(files().empty());
  EXPECT_TRUE(ready()->built);
}

TEST_F(EngineTest, WhatAKilledBuildLeftIsCleared) {
  fs::create_directories(engine() + ".building");
  std::ofstream(engine() + ".building/part.engine") << "half";
  std::ofstream(engine()) << "half";
  EXPECT_TRUE(ready()->built);
  EXPECT_EQ(files().size(), 3U);
  EXPECT_EQ(bytes_of(engine()), bytes_);
}

TEST_F(EngineTest, TwoAtOnceBuildOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> built = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      const auto made = ready_engine(folder_, "clip", kHere,
                                     [&](const std::string& work) {
                                       std::this_thread::sleep_for(std::chrono::milliseconds(100));
                                       return write(work);
                                     },
                                     {});
      if (made && made->built) ++built;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(builds_, 1);
  EXPECT_EQ(built, 1);
  EXPECT_EQ(files().size(), 3U);
}

TEST_F(EngineTest, AFolderThatCannotBeWritten) {
  std::string model, bytes;
  {
    const auto made =
        ready_engine("/proc/none/engines", "clip", kHere, [this](const std::string& work) { return write(work); }, {});
    ASSERT_OK(made);
    EXPECT_TRUE(made->built);
    model = made->model;
    EXPECT_TRUE(fs::exists(model));
    EXPECT_TRUE(check_engine(model.substr(0, model.size() - 5), kHere));
  }
  EXPECT_FALSE(fs::exists(fs::path(model).parent_path())) << "it was for that session alone";
}

TEST_F(EngineTest, WaitingCanBeCancelled) {
  std::atomic<bool> stop = false, inside = false;
  std::thread slow([&] {
    (void)ready_engine(folder_, "clip", kHere,
                       [&](const std::string& work) {
                         inside = true;
                         while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                         return write(work);
                       },
                       {});
  });
  while (!inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto made = ready_engine(
      folder_, "clip", kHere, [this](const std::string& work) { return write(work); }, stopped());
  stop = true;
  slow.join();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInterrupted);
}

TEST_F(EngineTest, WithoutAGpuThereIsNoEngine) {
  if (check_provider(Provider::kTensorRt)) GTEST_SKIP() << "TensorRT is here";
  const auto identity = engine_identity("/dev/null", {});
  ASSERT_FALSE(identity);
  EXPECT_EQ(identity.error().message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace image_engine::infer
