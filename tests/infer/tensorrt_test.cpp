#include "infer/tensorrt.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "infer/engine_build.h"
#include "infer/ep_context_model.h"

namespace image_engine::infer {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;
using testing::StartsWith;

std::map<std::string, std::string> as_map(const ProviderOptions& options) {
  const std::map<std::string, std::string> map(options.begin(), options.end());
  EXPECT_EQ(map.size(), options.size()) << "an option is there twice";
  return map;
}

const std::vector<TensorInfo> kClip = {{"pixel_values", ElementType::kFloat32, {-1, 3, 224, 224}}};

SessionOptions with(const TensorRtOptions& tensorrt) {
  SessionOptions options;
  options.provider = Provider::kTensorRt;
  options.tensorrt = tensorrt;
  return options;
}

// Names and forms are those of ONNX Runtime's documentation of its TensorRT provider.
TEST(TensorRtOptionsTest, AreTheProvidersOwn) {
  TensorRtOptions wanted;
  wanted.precision = "fp16";
  wanted.workspace_bytes = 3'000'000'000;
  wanted.least_batch = 1;
  wanted.best_batch = 8;
  wanted.most_batch = 16;
  wanted.cache_folder = "/cache/engines";
  wanted.cache_prefix = "clip";
  SessionOptions options = with(wanted);
  options.device = 2;
  const auto made = as_map(tensorrt_provider_options(options, kClip));
  const std::map<std::string, std::string> expected = {{"device_id", "2"},
                                                       {"trt_max_workspace_size", "3000000000"},
                                                       {"trt_fp16_enable", "1"},
                                                       {"trt_int8_enable", "0"},
                                                       {"trt_layer_norm_fp32_fallback", "1"},
                                                       {"trt_cuda_graph_enable", "0"},
                                                       {"trt_profile_min_shapes", "pixel_values:1x3x224x224"},
                                                       {"trt_profile_opt_shapes", "pixel_values:8x3x224x224"},
                                                       {"trt_profile_max_shapes", "pixel_values:16x3x224x224"},
                                                       {"trt_engine_cache_enable", "1"},
                                                       {"trt_engine_cache_path", "/cache/engines"},
                                                       {"trt_engine_cache_prefix", "clip"},
                                                       {"trt_timing_cache_enable", "1"},
                                                       {"trt_timing_cache_path", "/cache/engines"}};
  EXPECT_EQ(made, expected);
}

TEST(TensorRtOptionsTest, OfPrecisions) {
  const auto flags = [](const char* precision) {
    TensorRtOptions wanted;
    wanted.precision = precision;
    const auto made = as_map(tensorrt_provider_options(with(wanted), kClip));
    return made.at("trt_fp16_enable") + made.at("trt_int8_enable");
  };
  EXPECT_EQ(flags("fp32"), "00");
  EXPECT_EQ(flags("fp16"), "10");
  EXPECT_EQ(flags("int8"), "11");
}

TEST(TensorRtOptionsTest, NothingIsKeptWithoutAFolder) {
  const auto made = as_map(tensorrt_provider_options(with({}), kClip));
  EXPECT_THAT(made, Not(Contains(Key(StartsWith("trt_engine_cache")))));
  EXPECT_THAT(made, Not(Contains(Key(StartsWith("trt_timing_cache")))));
}

// All free inputs are told of or none: the provider refuses a part.
TEST(TensorRtOptionsTest, RangesOfSeveralInputs) {
  const std::vector<TensorInfo> two = {{"images", ElementType::kFloat32, {-1, 3, 640, 640}},
                                       {"constant", ElementType::kFloat32, {1, 4}},
                                       {"sizes", ElementType::kInt64, {-1, 2}}};
  const auto made = as_map(tensorrt_provider_options(with({}), two));
  EXPECT_EQ(made.at("trt_profile_max_shapes"), "images:16x3x640x640,sizes:16x2");
  EXPECT_TRUE(check_engine_inputs(two));

  const std::vector<TensorInfo> fixed = {{"images", ElementType::kFloat32, {4, 3, 640, 640}}};
  EXPECT_THAT(as_map(tensorrt_provider_options(with({}), fixed)), Not(Contains(Key("trt_profile_max_shapes"))));
  EXPECT_TRUE(check_engine_inputs(fixed));

  const std::vector<TensorInfo> free = {{"images", ElementType::kFloat32, {-1, 3, -1, -1}}};
  EXPECT_THAT(as_map(tensorrt_provider_options(with({}), free)), Not(Contains(Key("trt_profile_max_shapes"))));
  const Status refused = check_engine_inputs(free);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("--dimension"));
  EXPECT_THAT(refused.error().message, HasSubstr("images"));
}

// Names are those of the plugin's tensorrt_rtx_provider_options.h.
TEST(TensorRtOptionsTest, OfThePluginForRtxGpus) {
  TensorRtOptions wanted;
  wanted.cache_folder = "/cache/rtx";
  SessionOptions options = with(wanted);
  options.cuda_graph = true;
  const auto made = as_map(rtx_provider_options(options, kClip));
  const std::map<std::string, std::string> expected = {{"nv_max_workspace_size", "4294967296"},
                                                       {"enable_cuda_graph", "1"},
                                                       {"nv_profile_min_shapes", "pixel_values:1x3x224x224"},
                                                       {"nv_profile_opt_shapes", "pixel_values:8x3x224x224"},
                                                       {"nv_profile_max_shapes", "pixel_values:16x3x224x224"},
                                                       {"nv_runtime_cache_path", "/cache/rtx"}};
  EXPECT_EQ(made, expected);
}

TEST(TensorRtOptionsTest, WhatIsNotBuilt) {
  const auto refusal = [](TensorRtOptions wanted) {
    const Status status = check_tensorrt_options(wanted);
    EXPECT_TRUE(status || status.error().code == ErrorCode::kInvalidArgument);
    return status ? std::string() : status.error().message;
  };
  for (const char* built : {"fp32", "fp16", "int8"}) {
    TensorRtOptions wanted;
    wanted.precision = built;
    EXPECT_EQ(refusal(wanted), "") << built;
  }
  for (const char* reasoned : {"int4", "bf16", "fp8"}) {
    TensorRtOptions wanted;
    wanted.precision = reasoned;
    EXPECT_THAT(refusal(wanted), HasSubstr(std::string(reasoned) + " is not supported: "));
  }
  TensorRtOptions other;
  other.precision = "fp16\n";
  EXPECT_THAT(refusal(other), HasSubstr("fp16\\n"));
  const std::int64_t ranges[][3] = {{0, 1, 1}, {1, 9, 8}, {4, 2, 8}, {1, 1, 0}, {-1, 1, 1}, {1, 8, 1LL << 40}};
  for (const auto& [least, best, most] : ranges) {
    TensorRtOptions wanted;
    wanted.least_batch = least;
    wanted.best_batch = best;
    wanted.most_batch = most;
    EXPECT_NE(refusal(wanted), "") << least << " " << best << " " << most;
  }
}

TEST(TensorRtOptionsTest, BatchesByTheModelsKind) {
  EXPECT_EQ(default_batches("/models/clip_vision_fp32.onnx").most, 16);
  EXPECT_EQ(default_batches("/models/DETR-resnet-50.onnx").most, 8);
  EXPECT_EQ(default_batches("/detr/clip.onnx").most, 16);
  EXPECT_EQ(default_batches("clip.onnx").best, 8);
}

// What Python's onnx reads of the model.
nlohmann::json read_by_onnx(const std::string& bytes) {
  const std::string file = testing::TempDir() + "ep_context.onnx";
  std::ofstream(file, std::ios::binary) << bytes;
  const std::string program = R"(import json, sys, onnx
from onnx.helper import get_attribute_value as value
m = onnx.load(sys.argv[1]); onnx.checker.check_model(m); g = m.graph
text = lambda v: v.decode() if isinstance(v, bytes) else v
infos = lambda l: [[i.name, i.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]] for i in l]
print(json.dumps(dict(ir=m.ir_version, opsets={o.domain: o.version for o in m.opset_import}, inputs=infos(g.input), outputs=infos(g.output),
  nodes=[[n.op_type, n.domain, list(n.input), list(n.output), {a.name: text(value(a)) for a in n.attribute}] for n in g.node]))))";
  const std::string command = "../venv/bin/python -c '" + program + "' '" + file + "'";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), pipe));
  EXPECT_EQ(::pclose(pipe), 0);
  return nlohmann::json::parse(text, nullptr, false);
}

TEST(EpContextModelTest, IsReadByOnnx) {
  const std::vector<TensorInfo> inputs = {{"pixel_values", ElementType::kFloat32, {-1, 3, 224, 224}},
                                          {"mask", ElementType::kInt64, {-1, 64, -1}}};
  const std::vector<TensorInfo> outputs = {{"logits", ElementType::kFloat16, {-1, 100, 92}},
                                           {"found", ElementType::kBool, {}},
                                           {"a", ElementType::kUint8, {300}},
                                           {"b", ElementType::kInt32, {0}}};
  const auto model = ep_context_model({"detr_fp16.trt", "TensorrtExecutionProvider", "75", inputs, outputs});
  ASSERT_TRUE(model);
  const nlohmann::json read = read_by_onnx(*model);
  EXPECT_EQ(read["ir"], 8);
  EXPECT_EQ(read["opsets"], nlohmann::json({{"", 17}, {"com.microsoft", 1}}));
  EXPECT_EQ(
      read["inputs"],
      nlohmann::json::parse(R"([["pixel_values", 1, ["batch", 3, 224, 224]], ["mask", 7, ["batch", 64, "mask_2"]]])"));
  EXPECT_EQ(read["outputs"],
            nlohmann::json::parse(
                R"([["logits", 10, ["batch", 100, 92]], ["found", 9, []], ["a", 2, [300]], ["b", 6, [0]]])"));
  ASSERT_EQ(read["nodes"].size(), 1U);
  EXPECT_EQ(read["nodes"][0], nlohmann::json::parse(R"(["EPContext", "com.microsoft", ["pixel_values", "mask"],
      ["logits", "found", "a", "b"], {"main_context": 1, "embed_mode": 0, "ep_cache_context": "detr_fp16.trt",
      "source": "TensorrtExecutionProvider", "hardware_architecture": "75"}])"));
}

TEST(EpContextModelTest, AnEngineLiesBeside) {
  for (const char* name : {"", "/etc/passwd", "../engine", "folder/engine", ".."}) {
    const auto model = ep_context_model({name, "x", "75", {}, {}});
    ASSERT_FALSE(model) << name;
    EXPECT_EQ(model.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(BuildErrorTest, SaysWhy) {
  const std::string parser =
      "12:00:00 debug ONNX Runtime: tensorrt: [ERROR] No importer for Foo\n"
      "12:00:01 debug ONNX Runtime: tensorrt: [ERROR] No importer for Bar\n"
      "12:00:01 debug ONNX Runtime: tensorrt: [ERROR] No importer for Foo\n"
      "image-engine: TensorRT supports no part of this graph\n";
  const Error parse = build_error(parser, 1, 0);
  EXPECT_EQ(parse.code, ErrorCode::kUnsupported);
  EXPECT_EQ(parse.message,
            "TensorRT supports no part of this graph\n  tensorrt: [ERROR] No importer for Foo\n  tensorrt: [ERROR] No "
            "importer for Bar");
  EXPECT_EQ(build_error("", -1, SIGKILL).code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(build_error("", -1, SIGSEGV).code, ErrorCode::kCrashed);
  EXPECT_THAT(build_error("", -1, SIGSEGV).message, HasSubstr("crashed"));
  EXPECT_EQ(build_error("image-engine: CUDA out of memory\n", 1, 0).code, ErrorCode::kOutOfMemory);
  EXPECT_THAT(build_error("", 3, 0).message, HasSubstr("exit code 3"));
  EXPECT_THAT(build_error("image-engine: \x1b[31m\n", 1, 0).message, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace image_engine::infer
