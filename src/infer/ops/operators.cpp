#include "infer/ops/operators.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace image_engine::infer {
namespace {

constexpr ONNXTensorElementDataType kFull = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                    kHalf = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;

// Calls body(), whose problem is null or a message. Exceptions end here: the caller's library is another.
template <typename Body>
OrtStatus* status_of(const Body& body) {
  try {
    const char* problem = body();
    if (problem == nullptr) return nullptr;
    return Ort::Status((std::string(graph::kChainFull) + ": " + problem).c_str(), ORT_INVALID_ARGUMENT).release();
  } catch (const std::exception& thrown) {
    return Ort::Status(thrown.what(), ORT_FAIL).release();
  }
}

class ChainKernel {
 public:
  // Throws Ort::Exception.
  ChainKernel(const OrtKernelInfo* info, bool is_half, RunChain run) : is_half_(is_half), run_(run) {
    const std::vector<std::int64_t> steps = Ort::ConstKernelInfo(info).GetAttributes<std::int64_t>(graph::kChainSteps);
    if (const char* problem = fill_steps(steps, steps_)) throw Ort::Exception(problem, ORT_INVALID_GRAPH);
  }

  OrtStatus* ComputeV2(OrtKernelContext* context) {
    return status_of([&] { return compute(Ort::KernelContext(context)); });
  }

 private:
  [[nodiscard]] const char* compute(const Ort::KernelContext& context) const {
    std::vector<std::vector<std::int64_t>> shapes;
    std::vector<ChainTensor> inputs;
    for (std::size_t i = 0; i < context.GetInputCount(); ++i) {
      const Ort::ConstValue value = context.GetInput(i);
      const auto info = value.GetTensorTypeAndShapeInfo();
      const ONNXTensorElementDataType type = info.GetElementType();
      if (type != kFull && type != kHalf) return "an input is neither float32 nor float16";
      shapes.push_back(info.GetShape());
      inputs.push_back({value.GetTensorRawData(), {}, type == kHalf});
    }
    if (inputs.empty()) return "it has no inputs";
    for (std::size_t i = 0; i < inputs.size(); ++i) inputs[i].shape = shapes[i];
    Ort::UnownedValue result = context.GetOutput(0, shapes[0]);
    Chain chain = steps_;
    if (const char* problem = fill_tensors(inputs, result.GetTensorMutableRawData(), is_half_, chain)) return problem;
    return chain.count == 0 ? nullptr : run_(chain, stream_of(context));
  }

  [[nodiscard]] void* stream_of(const Ort::KernelContext& context) const {
    return run_ == run_chain_on_host ? nullptr : context.GetGPUComputeStream();
  }

  Chain steps_{};
  bool is_half_;
  RunChain run_;
};

template <bool kIsHalf>
class ChainOperator : public Ort::CustomOpBase<ChainOperator<kIsHalf>, ChainKernel, true> {
 public:
  explicit ChainOperator(const OperatorProvider& provider) : provider_(provider) {}

  OrtStatus* CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return status_of([&]() -> const char* {
      *kernel = std::make_unique<ChainKernel>(info, kIsHalf, provider_.run).release();
      return nullptr;
    });
  }

  [[nodiscard]] const char* GetName() const { return kIsHalf ? graph::kChainHalf : graph::kChainFull; }
  [[nodiscard]] const char* GetExecutionProviderType() const { return provider_.name; }

  // Any number of inputs, each of its own type.
  [[nodiscard]] std::size_t GetInputTypeCount() const { return 1; }
  [[nodiscard]] ONNXTensorElementDataType GetInputType(std::size_t) const {
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  }
  [[nodiscard]] OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(std::size_t) const {
    return INPUT_OUTPUT_VARIADIC;
  }
  [[nodiscard]] bool GetVariadicInputHomogeneity() const { return false; }

  [[nodiscard]] std::size_t GetOutputTypeCount() const { return 1; }
  [[nodiscard]] ONNXTensorElementDataType GetOutputType(std::size_t) const { return kIsHalf ? kHalf : kFull; }

  // That of the first input, where all of it is known: the runtime gives an unknown rank as none.
  static OrtStatus* InferOutputShape(Ort::ShapeInferContext& context) {
    return status_of([&]() -> const char* {
      if (context.GetInputCount() == 0) return "it has no inputs";
      const Ort::ShapeInferContext::Shape& shape = context.GetInputShape(0);
      const auto is_known = [](const auto& side) { return !side.IsInt() || side.AsInt() >= 0; };
      if (!shape.empty() && std::ranges::all_of(shape, is_known))
        Ort::ThrowOnError(context.SetOutputShape(0, shape, kIsHalf ? kHalf : kFull));
      return nullptr;
    });
  }

 private:
  OperatorProvider provider_;
};

struct Operators {
  std::vector<std::shared_ptr<OrtCustomOp>> all;
  Ort::CustomOpDomain domain{graph::kOwnDomain};
};

Operators make_operators(std::span<const OperatorProvider> providers) {
  Operators made;
  for (const OperatorProvider& provider : providers) {
    made.all.push_back(std::make_shared<ChainOperator<false>>(provider));
    made.all.push_back(std::make_shared<ChainOperator<true>>(provider));
  }
  for (const auto& each : made.all) made.domain.Add(each.get());
  return made;
}

}  // namespace

OrtStatus* add_operators(OrtSessionOptions* options, const OrtApiBase* base,
                         std::span<const OperatorProvider> providers) {
  const OrtApi* api = base->GetApi(ORT_API_VERSION);
  if (api == nullptr) return base->GetApi(1)->CreateStatus(ORT_NOT_IMPLEMENTED, "this ONNX Runtime is too old");
  Ort::InitApi(api);
  return status_of([&]() -> const char* {
    // Never destroyed: the runtime keeps pointers to operators as long as sessions live.
    static const auto* const kOperators = new Operators(make_operators(providers));
    Ort::UnownedSessionOptions(options).Add(kOperators->domain);
    return nullptr;
  });
}

}  // namespace image_engine::infer
