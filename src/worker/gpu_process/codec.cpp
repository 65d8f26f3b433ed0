#include "worker/gpu_process/codec.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <nvimgcodec.h>
#include <unistd.h>

#include <algorithm>

#include "core/file.h"

namespace image_engine::worker {
namespace {

// What is called of the library.
struct Functions {
  decltype(&nvimgcodecGetProperties) get_properties = nullptr;
  decltype(&nvimgcodecInstanceCreate) create_instance = nullptr;
  decltype(&nvimgcodecInstanceDestroy) destroy_instance = nullptr;
  decltype(&nvimgcodecDecoderCreate) create_decoder = nullptr;
  decltype(&nvimgcodecDecoderDestroy) destroy_decoder = nullptr;
  decltype(&nvimgcodecDecoderDecode) decode = nullptr;
  decltype(&nvimgcodecCodeStreamCreateFromHostMem) open_stream = nullptr;
  decltype(&nvimgcodecCodeStreamDestroy) close_stream = nullptr;
  decltype(&nvimgcodecImageCreate) create_image = nullptr;
  decltype(&nvimgcodecImageDestroy) destroy_image = nullptr;
  decltype(&nvimgcodecFutureWaitForAll) wait = nullptr;
  decltype(&nvimgcodecFutureGetProcessingStatus) get_status = nullptr;
  decltype(&nvimgcodecFutureDestroy) destroy_future = nullptr;
};

struct Library {
  void* handle = nullptr;
  std::string extensions;  // their folder; empty: the library's default
};

Result<Library> open_library(std::span<const std::string> folders) {
  constexpr char kName[] = "libnvimgcodec.so.0";
  for (const std::string& folder : folders) {
    const std::string file = join_path(folder, kName);
    if (::access(file.c_str(), F_OK) != 0) continue;
    // The extension opens it by its name, and finds the one that is open.
    ::dlopen(join_path(folder, "libnvjpeg.so.13").c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL))
      return Library{handle, join_path(folder, "extensions")};
  }
  if (void* handle = ::dlopen(kName, RTLD_NOW | RTLD_LOCAL)) return Library{handle, ""};
  return fail(ErrorCode::kNotFound, "nvImageCodec is not here: make setup GPU=1 brings it");
}

bool find_all(void* library, Functions& functions) {
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    return function != nullptr;
  };
  return find("nvimgcodecGetProperties", functions.get_properties) &&
         find("nvimgcodecInstanceCreate", functions.create_instance) &&
         find("nvimgcodecInstanceDestroy", functions.destroy_instance) &&
         find("nvimgcodecDecoderCreate", functions.create_decoder) &&
         find("nvimgcodecDecoderDestroy", functions.destroy_decoder) &&
         find("nvimgcodecDecoderDecode", functions.decode) &&
         find("nvimgcodecCodeStreamCreateFromHostMem", functions.open_stream) &&
         find("nvimgcodecCodeStreamDestroy", functions.close_stream) &&
         find("nvimgcodecImageCreate", functions.create_image) &&
         find("nvimgcodecImageDestroy", functions.destroy_image) &&
         find("nvimgcodecFutureWaitForAll", functions.wait) &&
         find("nvimgcodecFutureGetProcessingStatus", functions.get_status) &&
         find("nvimgcodecFutureDestroy", functions.destroy_future);
}

// A structure of the library with its type and size set.
template <typename T>
T structure(nvimgcodecStructureType_t type) {
  T value{};
  value.struct_type = type;
  value.struct_size = sizeof value;
  return value;
}

nvimgcodecImageInfo_t output_of(const CodedPicture& picture, cudaStream_t stream) {
  auto info = structure<nvimgcodecImageInfo_t>(NVIMGCODEC_STRUCTURE_TYPE_IMAGE_INFO);
  info.sample_format = NVIMGCODEC_SAMPLEFORMAT_I_RGB;
  info.color_spec = NVIMGCODEC_COLORSPEC_SRGB;
  info.chroma_subsampling = NVIMGCODEC_SAMPLING_NONE;
  info.orientation = structure<nvimgcodecOrientation_t>(NVIMGCODEC_STRUCTURE_TYPE_ORIENTATION);
  info.num_planes = 1;
  nvimgcodecImagePlaneInfo_t& plane = info.plane_info[0];
  plane = structure<nvimgcodecImagePlaneInfo_t>(NVIMGCODEC_STRUCTURE_TYPE_IMAGE_PLANE_INFO);
  plane.width = picture.width;
  plane.height = picture.height;
  plane.row_stride = std::size_t{picture.width} * 3;
  plane.num_channels = 3;
  plane.sample_type = NVIMGCODEC_SAMPLE_DATA_TYPE_UINT8;
  info.buffer = picture.rgb;
  info.buffer_kind = NVIMGCODEC_IMAGE_BUFFER_KIND_STRIDED_DEVICE;
  info.cuda_stream = stream;
  return info;
}

}  // namespace

struct Codec::State {
  Functions functions;
  nvimgcodecInstance_t instance = nullptr;
  ~State() {
    if (instance != nullptr) functions.destroy_instance(instance);
  }
};

Codec::Codec(std::unique_ptr<State> state) : state_(std::move(state)) {}
Codec::~Codec() = default;

Result<std::unique_ptr<Codec>> Codec::create(std::span<const std::string> folders) {
  IE_TRY(const Library library, open_library(folders));
  auto state = std::make_unique<State>();
  if (!find_all(library.handle, state->functions))
    return fail(ErrorCode::kUnsupported, "nvImageCodec is too old: make setup GPU=1 brings the right version");
  auto properties = structure<nvimgcodecProperties_t>(NVIMGCODEC_STRUCTURE_TYPE_PROPERTIES);
  state->functions.get_properties(&properties);
  if (properties.version / 100 != NVIMGCODEC_VER / 100)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("nvImageCodec has version {}, and this program was built for {}: make setup GPU=1 brings it",
                    properties.version, NVIMGCODEC_VER));
  auto create = structure<nvimgcodecInstanceCreateInfo_t>(NVIMGCODEC_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
  create.load_builtin_modules = 1;
  create.load_extension_modules = 1;
  create.extension_modules_path = library.extensions.empty() ? nullptr : library.extensions.c_str();
  if (state->functions.create_instance(&state->instance, &create) != NVIMGCODEC_STATUS_SUCCESS)
    return fail(ErrorCode::kNotFound, "nvImageCodec does not start: is its folder of extensions complete?");
  return std::unique_ptr<Codec>(new Codec(std::move(state)));
}

struct PictureDecoder::State {
  const Functions* functions = nullptr;
  nvimgcodecInstance_t instance = nullptr;
  // The library keeps pointers to these two.
  nvimgcodecBackend_t backend{};
  nvimgcodecExecutionParams_t parameters{};
  nvimgcodecDecoder_t decoder = nullptr;
  cudaStream_t stream = nullptr;
  // Used again from batch to batch, as making them costs allocations.
  std::vector<nvimgcodecCodeStream_t> streams;
  std::vector<nvimgcodecImage_t> images;

  ~State() {
    for (nvimgcodecImage_t image : images)
      if (image != nullptr) functions->destroy_image(image);
    for (nvimgcodecCodeStream_t coded : streams)
      if (coded != nullptr) functions->close_stream(coded);
    if (decoder != nullptr) functions->destroy_decoder(decoder);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
};

PictureDecoder::PictureDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
PictureDecoder::~PictureDecoder() = default;

Result<std::unique_ptr<PictureDecoder>> PictureDecoder::create(Codec& codec, GpuRoute route, int threads) {
  auto state = std::make_unique<State>();
  state->functions = &codec.state_->functions;
  state->instance = codec.state_->instance;
  state->backend = structure<nvimgcodecBackend_t>(NVIMGCODEC_STRUCTURE_TYPE_BACKEND);
  state->backend.kind =
      route == GpuRoute::kHardware ? NVIMGCODEC_BACKEND_KIND_HW_GPU_ONLY : NVIMGCODEC_BACKEND_KIND_HYBRID_CPU_GPU;
  state->backend.params = structure<nvimgcodecBackendParams_t>(NVIMGCODEC_STRUCTURE_TYPE_BACKEND_PARAMS);
  state->backend.params.load_hint = 1;
  state->backend.params.load_hint_policy = NVIMGCODEC_LOAD_HINT_POLICY_FIXED;
  state->parameters = structure<nvimgcodecExecutionParams_t>(NVIMGCODEC_STRUCTURE_TYPE_EXECUTION_PARAMS);
  state->parameters.device_id = NVIMGCODEC_DEVICE_CURRENT;
  state->parameters.max_num_cpu_threads = threads;
  state->parameters.num_backends = 1;
  state->parameters.backends = &state->backend;
  state->parameters.pre_init = 1;
  state->parameters.skip_pre_sync = 1;  // what was queued on the pictures has been waited for
  if (state->functions->create_decoder(state->instance, &state->decoder, &state->parameters, "") !=
      NVIMGCODEC_STATUS_SUCCESS)
    return fail(ErrorCode::kNotFound, "this GPU has no such decoder");
  if (cudaStreamCreateWithFlags(&state->stream, cudaStreamNonBlocking) != cudaSuccess)
    return fail(ErrorCode::kOutOfMemory, "no memory for another CUDA stream");
  return std::unique_ptr<PictureDecoder>(new PictureDecoder(std::move(state)));
}

Result<std::vector<bool>> PictureDecoder::decode(std::span<const CodedPicture> pictures) {
  State& state = *state_;
  const Functions& call = *state.functions;
  std::vector<bool> is_there(pictures.size(), false);
  if (state.images.size() < pictures.size()) {
    state.images.resize(pictures.size(), nullptr);
    state.streams.resize(pictures.size(), nullptr);
  }
  std::vector<nvimgcodecCodeStream_t> streams;
  std::vector<nvimgcodecImage_t> images;
  std::vector<std::size_t> indexes;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(pictures[i].jpeg.data());
    const nvimgcodecImageInfo_t output = output_of(pictures[i], state.stream);
    if (call.open_stream(state.instance, &state.streams[i], bytes, pictures[i].jpeg.size(), nullptr) !=
            NVIMGCODEC_STATUS_SUCCESS ||
        call.create_image(state.instance, &state.images[i], &output) != NVIMGCODEC_STATUS_SUCCESS)
      continue;
    streams.push_back(state.streams[i]);
    images.push_back(state.images[i]);
    indexes.push_back(i);
  }
  if (streams.empty()) return is_there;
  auto parameters = structure<nvimgcodecDecodeParams_t>(NVIMGCODEC_STRUCTURE_TYPE_DECODE_PARAMS);
  nvimgcodecFuture_t future = nullptr;
  if (call.decode(state.decoder, streams.data(), images.data(), static_cast<int>(streams.size()), &parameters,
                  &future) != NVIMGCODEC_STATUS_SUCCESS)
    return fail(ErrorCode::kInternal, "nvImageCodec could not begin a batch");
  call.wait(future);
  std::vector<nvimgcodecProcessingStatus_t> status(streams.size(), NVIMGCODEC_PROCESSING_STATUS_UNKNOWN);
  std::size_t count = status.size();
  call.get_status(future, status.data(), &count);
  call.destroy_future(future);
  if (const cudaError_t error = cudaStreamSynchronize(state.stream); error != cudaSuccess)
    return fail(ErrorCode::kInternal, fmt::format("CUDA failed while decoding: {}", cudaGetErrorString(error)));
  for (std::size_t k = 0; k < indexes.size(); ++k)
    is_there[indexes[k]] = status[k] == NVIMGCODEC_PROCESSING_STATUS_SUCCESS;
  return is_there;
}

}  // namespace image_engine::worker
