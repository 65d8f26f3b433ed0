#include "infer/ops/operators.h"

#include <algorithm>
#include <array>
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
    // The code for which a session goes on without them.
    return Ort::Status((std::string("an operator of ours: ") + problem).c_str(), ORT_FAIL).release();
  } catch (const std::exception& thrown) {
    return Ort::Status(thrown.what(), ORT_FAIL).release();
  }
}

// What a node has at a run, and what its kernel launches on.
struct Call {
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<ChainTensor> inputs;
};

// Null, or what is wrong with the inputs.
const char* read_call(const Ort::KernelContext& context, Call& call) {
  for (std::size_t i = 0; i < context.GetInputCount(); ++i) {
    const Ort::ConstValue value = context.GetInput(i);
    const auto info = value.GetTensorTypeAndShapeInfo();
    const ONNXTensorElementDataType type = info.GetElementType();
    if (type != kFull && type != kHalf) return "an input is neither float32 nor float16";
    call.shapes.push_back(info.GetShape());
    call.inputs.push_back({value.GetTensorRawData(), {}, type == kHalf});
  }
  for (std::size_t i = 0; i < call.inputs.size(); ++i) call.inputs[i].shape = call.shapes[i];
  return nullptr;
}

std::vector<std::int64_t> list_of(const OrtKernelInfo* info, const char* name) {
  return Ort::ConstKernelInfo(info).GetAttributes<std::int64_t>(name);
}

// Empty where it is absent.
std::vector<std::int64_t> optional_list_of(const OrtKernelInfo* info, const char* name) {
  std::size_t count = 0;
  const Ort::Status absent(Ort::GetApi().KernelInfoGetAttributeArray_int64(info, name, nullptr, &count));
  return absent.IsOK() ? list_of(info, name) : std::vector<std::int64_t>();
}

void take_steps(const OrtKernelInfo* info, Chain& chain) {
  const char* problem = fill_steps(list_of(info, graph::kChainSteps), chain);
  if (problem == nullptr) problem = fill_sizes(optional_list_of(info, graph::kChainSizes), chain);
  if (problem != nullptr) throw Ort::Exception(problem, ORT_INVALID_GRAPH);
}

void* stream_of(const Ort::KernelContext& context, const OperatorProvider& provider) {
  return provider.name == nullptr ? nullptr : context.GetGPUComputeStream();
}

// −1 where one is not known.
std::vector<std::int64_t> known_sides(const Ort::ShapeInferContext::Shape& shape) {
  std::vector<std::int64_t> sides;
  for (const auto& side : shape) sides.push_back(side.IsInt() ? side.AsInt() : -1);
  return sides;
}

// After a launch: its problem is the GPU's and not the input's.
const char* launched(const char* problem) {
  if (problem != nullptr) throw Ort::Exception(problem, ORT_FAIL);
  return nullptr;
}

// What all kernels share. Their constructors throw Ort::Exception. compute() returns null, or what is wrong; infer() as
// well.
template <typename Kernel>
class OwnKernel {
 public:
  OrtStatus* ComputeV2(OrtKernelContext* given) {
    return status_of([&]() -> const char* {
      const Ort::KernelContext context(given);
      Call call;
      if (const char* problem = read_call(context, call)) return problem;
      return static_cast<const Kernel*>(this)->compute(context, call);
    });
  }

 protected:
  OwnKernel(bool is_half, const OperatorProvider& provider) : is_half_(is_half), provider_(provider) {}

  bool is_half_;
  OperatorProvider provider_;
};

class ChainKernel : public OwnKernel<ChainKernel> {
  friend class OwnKernel<ChainKernel>;

 public:
  static constexpr const char *kNameFull = graph::kChainFull, *kNameHalf = graph::kChainHalf;
  static constexpr std::size_t kOutputs = 1;

  ChainKernel(const OrtKernelInfo* info, bool is_half, const OperatorProvider& provider)
      : OwnKernel(is_half, provider) {
    take_steps(info, steps_);
  }

  // The shape of the first input.
  static const char* infer(Ort::ShapeInferContext& context, Ort::ShapeInferContext::Shape& output) {
    output = context.GetInputShape(0);
    return nullptr;
  }

 private:
  [[nodiscard]] const char* compute(const Ort::KernelContext& context, const Call& call) const {
    if (call.inputs.empty()) return "it has no inputs";
    Ort::UnownedValue result = context.GetOutput(0, call.shapes[0]);
    Chain chain = steps_;
    if (const char* problem = fill_tensors(call.inputs, result.GetTensorMutableRawData(), is_half_, chain))
      return problem;
    return chain.count == 0 ? nullptr : launched(provider_.run(chain, stream_of(context, provider_)));
  }

  Chain steps_{};
};

class DepthwiseKernel : public OwnKernel<DepthwiseKernel> {
  friend class OwnKernel<DepthwiseKernel>;

 public:
  static constexpr const char *kNameFull = graph::kDepthwiseFull, *kNameHalf = graph::kDepthwiseHalf;
  static constexpr std::size_t kOutputs = 1;

  DepthwiseKernel(const OrtKernelInfo* info, bool is_half, const OperatorProvider& provider)
      : OwnKernel(is_half, provider),
        strides_(list_of(info, graph::kDepthwiseStrides)),
        pads_(list_of(info, graph::kDepthwisePads)) {
    take_steps(info, work_.chain);
  }

  static const char* infer(Ort::ShapeInferContext& context, Ort::ShapeInferContext::Shape& output) {
    if (context.GetInputCount() < 2) return "it has no weights";
    const auto picture = known_sides(context.GetInputShape(0)), weights = known_sides(context.GetInputShape(1));
    if (picture.size() != 4 || std::ranges::count(std::span(picture).subspan(1), -1) > 0) return nullptr;
    const auto strides = context.GetAttrInts(graph::kDepthwiseStrides),
               pads = context.GetAttrInts(graph::kDepthwisePads);
    std::array<std::int64_t, 4> sides{};
    if (const char* problem = depthwise_shape(picture, weights, {strides, pads}, sides)) return problem;
    output = context.GetInputShape(0);
    output[1] = sides[1];
    output[2] = sides[2];
    return nullptr;
  }

 private:
  [[nodiscard]] const char* compute(const Ort::KernelContext& context, const Call& call) const {
    if (call.inputs.size() < 2) return "it has no weights";
    const DepthwiseAttributes attributes{strides_, pads_};
    std::array<std::int64_t, 4> shape{};
    if (const char* problem = depthwise_shape(call.shapes[0], call.shapes[1], attributes, shape)) return problem;
    Ort::UnownedValue result = context.GetOutput(0, shape.data(), shape.size());
    DepthwiseChain work = work_;
    if (const char* problem =
            fill_depthwise(call.inputs, attributes, shape, result.GetTensorMutableRawData(), is_half_, work))
      return problem;
    return work.chain.count == 0 ? nullptr : launched(provider_.run_depthwise(work, stream_of(context, provider_)));
  }

  std::vector<std::int64_t> strides_, pads_;
  DepthwiseChain work_{};
};

class DeformableKernel : public OwnKernel<DeformableKernel> {
  friend class OwnKernel<DeformableKernel>;

 public:
  static constexpr const char *kNameFull = graph::kDeformableFull, *kNameHalf = graph::kDeformableHalf;
  static constexpr std::size_t kOutputs = 1;

  DeformableKernel(const OrtKernelInfo* info, bool is_half, const OperatorProvider& provider)
      : OwnKernel(is_half, provider) {
    if (const char* problem = fill_levels(list_of(info, graph::kDeformableLevels), work_))
      throw Ort::Exception(problem, ORT_INVALID_GRAPH);
  }

  static const char* infer(Ort::ShapeInferContext& context, Ort::ShapeInferContext::Shape& output) {
    if (context.GetInputCount() != 3) return "it needs rows, points and weights";
    const auto rows = context.GetInputShape(0), points = context.GetInputShape(1);
    if (rows.size() == 3 && points.size() == 5) output = {rows[0], points[1], rows[2]};
    return nullptr;
  }

 private:
  [[nodiscard]] const char* compute(const Ort::KernelContext& context, const Call& call) const {
    if (call.inputs.size() != 3 || call.shapes[0].size() != 3 || call.shapes[1].size() != 5)
      return "it needs rows, points and weights";
    const std::array shape{call.shapes[0][0], call.shapes[1][1], call.shapes[0][2]};
    Ort::UnownedValue result = context.GetOutput(0, shape.data(), shape.size());
    Deformable work = work_;
    if (const char* problem = fill_deformable(call.inputs, result.GetTensorMutableRawData(), is_half_, work))
      return problem;
    return work.pictures * work.queries == 0 ? nullptr
                                             : launched(provider_.run_deformable(work, stream_of(context, provider_)));
  }

  Deformable work_{};
};

class LastKernel : public OwnKernel<LastKernel> {
  friend class OwnKernel<LastKernel>;

 public:
  static constexpr const char *kNameFull = graph::kLastFull, *kNameHalf = graph::kLastHalf;
  static constexpr std::size_t kOutputs = 1;

  LastKernel(const OrtKernelInfo*, bool is_half, const OperatorProvider& provider) : OwnKernel(is_half, provider) {}

  static const char* infer(Ort::ShapeInferContext& context, Ort::ShapeInferContext::Shape& output) {
    const auto shape = context.GetInputShape(0);
    if (shape.size() == 4) output = {shape[0], shape[2], shape[3], shape[1]};
    return nullptr;
  }

 private:
  [[nodiscard]] const char* compute(const Ort::KernelContext& context, const Call& call) const {
    if (call.inputs.size() != 1 || call.shapes[0].size() != 4) return "it needs a picture";
    const auto& from = call.shapes[0];
    const std::array shape{from[0], from[2], from[3], from[1]};
    Ort::UnownedValue result = context.GetOutput(0, shape.data(), shape.size());
    LastChannels work{};
    if (const char* problem = fill_last(call.inputs[0], result.GetTensorMutableRawData(), is_half_, work))
      return problem;
    return work.rows * work.places == 0 ? nullptr : launched(provider_.run_last(work, stream_of(context, provider_)));
  }
};

class WindowKernel : public OwnKernel<WindowKernel> {
  friend class OwnKernel<WindowKernel>;

 public:
  static constexpr const char *kNameFull = graph::kWindowFull, *kNameHalf = graph::kWindowHalf;
  static constexpr std::size_t kOutputs = 1;

  WindowKernel(const OrtKernelInfo* info, bool is_half, const OperatorProvider& provider)
      : OwnKernel(is_half, provider), window_(list_of(info, graph::kWindow)) {}

  static const char* infer(Ort::ShapeInferContext& context, Ort::ShapeInferContext::Shape& output) {
    const auto picture = known_sides(context.GetInputShape(0));
    if (picture.size() != 4 || std::ranges::count(std::span(picture).subspan(1), -1) > 0) return nullptr;
    std::array<std::int64_t, 4> sides{};
    if (const char* problem = window_shape(picture, context.GetAttrInts(graph::kWindow), sides)) return problem;
    output = context.GetInputShape(0);
    output[1] = sides[1];
    output[2] = sides[2];
    return nullptr;
  }

 private:
  [[nodiscard]] const char* compute(const Ort::KernelContext& context, const Call& call) const {
    if (call.inputs.size() != 1) return "it needs a picture";
    std::array<std::int64_t, 4> shape{};
    if (const char* problem = window_shape(call.shapes[0], window_, shape)) return problem;
    Ort::UnownedValue result = context.GetOutput(0, shape.data(), shape.size());
    WindowMax work{};
    if (const char* problem =
            fill_window(call.inputs[0], window_, shape, result.GetTensorMutableRawData(), is_half_, work))
      return problem;
    return work.words == 0 ? nullptr : launched(provider_.run_window(work, stream_of(context, provider_)));
  }

  std::vector<std::int64_t> window_;
};

// With the sums as a second output, or without.
template <bool kHasSum>
class NormKernel : public OwnKernel<NormKernel<kHasSum>> {
  using Base = OwnKernel<NormKernel<kHasSum>>;
  friend Base;

 public:
  static constexpr const char* kNameFull = kHasSum ? graph::kNormSumFull : graph::kNormFull;
  static constexpr const char* kNameHalf = kHasSum ? graph::kNormSumHalf : graph::kNormHalf;
  static constexpr std::size_t kOutputs = kHasSum ? 2 : 1;

  NormKernel(const OrtKernelInfo* info, bool is_half, const OperatorProvider& provider)
      : Base(is_half, provider), epsilon_(Ort::ConstKernelInfo(info).GetAttribute<float>(graph::kNormEpsilon)) {}

  // The shape of the rows.
  static const char* infer(Ort::ShapeInferContext& context, Ort::ShapeInferContext::Shape& output) {
    output = context.GetInputShape(0);
    return nullptr;
  }

 private:
  [[nodiscard]] const char* compute(const Ort::KernelContext& context, const Call& call) const {
    RowNorm work{};
    if (const char* problem = fill_norm(call.inputs, epsilon_, this->is_half_, work)) return problem;
    void* sum = nullptr;
    if constexpr (kHasSum) sum = context.GetOutput(1, call.shapes[0]).GetTensorMutableRawData();
    if (const char* problem =
            fill_norm_results(context.GetOutput(0, call.shapes[0]).GetTensorMutableRawData(), sum, work))
      return problem;
    return work.count == 0 ? nullptr : launched(this->provider_.run_norm(work, stream_of(context, this->provider_)));
  }

  float epsilon_;
};

template <typename Kernel, bool kIsHalf>
class OwnOperator : public Ort::CustomOpBase<OwnOperator<Kernel, kIsHalf>, Kernel, true> {
 public:
  explicit OwnOperator(const OperatorProvider& provider) : provider_(provider) {}

  OrtStatus* CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return status_of([&]() -> const char* {
      *kernel = std::make_unique<Kernel>(info, kIsHalf, provider_).release();
      return nullptr;
    });
  }

  [[nodiscard]] const char* GetName() const { return kIsHalf ? Kernel::kNameHalf : Kernel::kNameFull; }
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

  [[nodiscard]] std::size_t GetOutputTypeCount() const { return Kernel::kOutputs; }
  [[nodiscard]] ONNXTensorElementDataType GetOutputType(std::size_t) const { return kIsHalf ? kHalf : kFull; }

  // Where all of it is known: the runtime gives an unknown rank as none. What is wrong with the inputs, compute() says:
  // the runtime goes on after an error here, and never frees it.
  static OrtStatus* InferOutputShape(Ort::ShapeInferContext& context) {
    const Ort::Status ignored(status_of([&]() -> const char* {
      if (context.GetInputCount() == 0) return "it has no inputs";
      Ort::ShapeInferContext::Shape shape;
      if (const char* problem = Kernel::infer(context, shape)) return problem;
      const auto is_known = [](const auto& side) { return !side.IsInt() || side.AsInt() >= 0; };
      if (!shape.empty() && std::ranges::all_of(shape, is_known))
        for (std::size_t i = 0; i < Kernel::kOutputs; ++i)
          Ort::ThrowOnError(context.SetOutputShape(i, shape, kIsHalf ? kHalf : kFull));
      return nullptr;
    }));
    return nullptr;
  }

 private:
  OperatorProvider provider_;
};

struct Operators {
  std::vector<std::shared_ptr<OrtCustomOp>> all;
  Ort::CustomOpDomain domain{graph::kOwnDomain};
};

template <typename... Kernels>
void add_kernels(const OperatorProvider& provider, Operators& made) {
  (made.all.push_back(std::make_shared<OwnOperator<Kernels, false>>(provider)), ...);
  (made.all.push_back(std::make_shared<OwnOperator<Kernels, true>>(provider)), ...);
}

Operators make_operators(std::span<const OperatorProvider> providers) {
  Operators made;
  for (const OperatorProvider& provider : providers)
    add_kernels<ChainKernel, DepthwiseKernel, DeformableKernel, LastKernel, WindowKernel, NormKernel<false>,
                NormKernel<true>>(provider, made);
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
