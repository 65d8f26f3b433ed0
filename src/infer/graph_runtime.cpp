#include "infer/graph_runtime.h"

#include "core/file.h"
#include "core/temporary_folder.h"
#include "infer/onnx_runtime.h"

namespace image_engine::infer {
namespace {

constexpr CodeRow kGraphCodes[] = {{ORT_NOT_IMPLEMENTED, ErrorCode::kUnsupported},
                                   {ORT_INVALID_GRAPH, ErrorCode::kCorrupt}};
constexpr std::size_t kMostGraphBytes = std::size_t{1} << 31U;

// What is done to a graph when it is loaded, and where the result is written; empty: nowhere.
struct Loading {
  GraphOptimizationLevel level = ORT_DISABLE_ALL;
  std::string output;
  ErrorCode otherwise = ErrorCode::kCorrupt;  // of errors that do not tell whether the model is to blame
  std::string operators;                      // the library of those that the model may have beside the runtime's
};

Ort::SessionOptions graph_options(const Loading& loading) {
  Ort::SessionOptions options;
  if (!loading.output.empty()) options.SetOptimizedModelFilePath(loading.output.c_str());
  if (!loading.operators.empty()) options.RegisterCustomOpsLibrary(loading.operators.c_str());
  options.SetIntraOpNumThreads(1);
  options.SetInterOpNumThreads(1);
  options.SetGraphOptimizationLevel(loading.level);
  options.DisableCpuMemArena();
  options.AddConfigEntry("session.load_model_format", "ONNX");
  // The former joins a product and its bias before the rewrites find them. The latter gives a Reshape another layout,
  // and with it another target, where sizes are known: what two sizes have in common would not hold for a free one.
  options.AddConfigEntry("optimization.disable_specified_optimizers", "MatMulAddFusion;TransposeOptimizer");
  return options;
}

// Loads the model and calls body(session).
template <typename Body>
auto with_graph(const std::string& model, const Loading& loading, Body&& body)
    -> decltype(body(std::declval<const Ort::Session&>())) {
  const Result<Runtime>& loaded = runtime();
  if (!loaded) return fail(loaded.error());
  using Made = decltype(body(std::declval<const Ort::Session&>()));
  return guarded({"its graph cannot be loaded", kGraphCodes, loading.otherwise}, [&]() -> Made {
    Ort::SessionOptions options = graph_options(loading);
    IE_TRY(const Ort::Session session,
           load_watched(options, {}, [&] { return Ort::Session(loaded->env, model.data(), model.size(), options); }));
    return body(session);
  });
}

graph::TensorFacts facts_of_output(const std::string& name, const Ort::TypeInfo& type) {
  const auto info = type.GetTensorTypeAndShapeInfo();
  graph::TensorFacts facts{name, static_cast<int>(info.GetElementType()), std::nullopt};
  if (!info.HasShape()) return facts;
  const std::vector<std::int64_t> sizes = info.GetShape();
  const std::vector<const char*> names = info.GetSymbolicDimensions();
  facts.shape.emplace();
  for (std::size_t i = 0; i < sizes.size(); ++i)
    facts.shape->push_back({sizes[i] < 0 ? -1 : sizes[i], sizes[i] < 0 ? names[i] : ""});
  return facts;
}

}  // namespace

Result<std::string> GraphRuntime::fold(const std::string& model) const {
  IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
  const std::string file = join_path(folder.path(), "folded.onnx");
  // A full disk is an "invalid protobuf" to the runtime.
  const Loading loading{ORT_ENABLE_BASIC, file, ErrorCode::kIo};
  IE_CHECK(with_graph(model, loading, [](const Ort::Session&) -> Status { return {}; }));
  return read_file(file, kMostGraphBytes);
}

Result<std::vector<graph::TensorFacts>> GraphRuntime::infer(const std::string& model) const {
  return with_graph(model, {}, [](const Ort::Session& session) -> Result<std::vector<graph::TensorFacts>> {
    Ort::AllocatorWithDefaultOptions allocator;
    std::vector<graph::TensorFacts> facts;
    for (std::size_t i = 0; i < session.GetOutputCount(); ++i) {
      const Ort::TypeInfo type = session.GetOutputTypeInfo(i);
      if (type.GetONNXType() == ONNX_TYPE_TENSOR)
        facts.push_back(facts_of_output(session.GetOutputNameAllocated(i, allocator).get(), type));
    }
    return facts;
  });
}

Status GraphRuntime::check(const std::string& model) const {
  const Loading loading{.operators = operators_};
  return with_graph(model, loading, [](const Ort::Session&) -> Status { return {}; });
}

}  // namespace image_engine::infer
