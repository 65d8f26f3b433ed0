#include "worker/gpu_process/codec.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <nvjpeg.h>
#include <unistd.h>

#include <type_traits>

#include "core/file.h"

namespace image_engine::worker {
namespace {

// What is called of the library.
struct Functions {
  decltype(&nvjpegCreateEx) create = nullptr;
  decltype(&nvjpegDestroy) destroy = nullptr;
  decltype(&nvjpegGetHardwareDecoderInfo) get_engines = nullptr;
  decltype(&nvjpegJpegStateCreate) create_batch_state = nullptr;
  decltype(&nvjpegJpegStateDestroy) destroy_state = nullptr;
  decltype(&nvjpegDecodeBatchedInitialize) set_batch = nullptr;
  decltype(&nvjpegDecodeBatchedPreAllocate) allocate_batch = nullptr;
  decltype(&nvjpegDecodeBatchedSupported) is_for_engine = nullptr;
  decltype(&nvjpegDecodeBatched) decode_batch = nullptr;
  decltype(&nvjpegDecoderCreate) create_decoder = nullptr;
  decltype(&nvjpegDecoderDestroy) destroy_decoder = nullptr;
  decltype(&nvjpegDecoderStateCreate) create_state = nullptr;
  decltype(&nvjpegDecoderJpegSupported) is_for_decoder = nullptr;
  decltype(&nvjpegBufferDeviceCreate) create_device_buffer = nullptr;
  decltype(&nvjpegBufferDeviceDestroy) destroy_device_buffer = nullptr;
  decltype(&nvjpegStateAttachDeviceBuffer) attach_device_buffer = nullptr;
  decltype(&nvjpegBufferPinnedCreate) create_pinned_buffer = nullptr;
  decltype(&nvjpegBufferPinnedDestroy) destroy_pinned_buffer = nullptr;
  decltype(&nvjpegStateAttachPinnedBuffer) attach_pinned_buffer = nullptr;
  decltype(&nvjpegDecodeParamsCreate) create_parameters = nullptr;
  decltype(&nvjpegDecodeParamsDestroy) destroy_parameters = nullptr;
  decltype(&nvjpegDecodeParamsSetOutputFormat) set_output = nullptr;
  decltype(&nvjpegJpegStreamCreate) create_stream = nullptr;
  decltype(&nvjpegJpegStreamDestroy) destroy_stream = nullptr;
  decltype(&nvjpegJpegStreamParse) parse = nullptr;
  decltype(&nvjpegJpegStreamParseHeader) parse_header = nullptr;
  decltype(&nvjpegDecodeJpegHost) decode_on_host = nullptr;
  decltype(&nvjpegDecodeJpegTransferToDevice) transfer = nullptr;
  decltype(&nvjpegDecodeJpegDevice) decode_on_device = nullptr;
};

Result<void*> open_library(std::span<const std::string> folders) {
  constexpr char kName[] = "libnvjpeg.so.13";
  for (const std::string& folder : folders) {
    const std::string file = join_path(folder, kName);
    if (::access(file.c_str(), F_OK) != 0) continue;
    if (void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
  }
  if (void* handle = ::dlopen(kName, RTLD_NOW | RTLD_LOCAL)) return handle;
  return fail(ErrorCode::kNotFound, "nvJPEG is not here: make setup GPU=1 brings it");
}

bool find_all(void* library, Functions& functions) {
  bool has_all = true;
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    has_all = has_all && function != nullptr;
  };
  find("nvjpegCreateEx", functions.create);
  find("nvjpegDestroy", functions.destroy);
  find("nvjpegGetHardwareDecoderInfo", functions.get_engines);
  find("nvjpegJpegStateCreate", functions.create_batch_state);
  find("nvjpegJpegStateDestroy", functions.destroy_state);
  find("nvjpegDecodeBatchedInitialize", functions.set_batch);
  find("nvjpegDecodeBatchedPreAllocate", functions.allocate_batch);
  find("nvjpegDecodeBatchedSupported", functions.is_for_engine);
  find("nvjpegDecodeBatched", functions.decode_batch);
  find("nvjpegDecoderCreate", functions.create_decoder);
  find("nvjpegDecoderDestroy", functions.destroy_decoder);
  find("nvjpegDecoderStateCreate", functions.create_state);
  find("nvjpegDecoderJpegSupported", functions.is_for_decoder);
  find("nvjpegBufferDeviceCreate", functions.create_device_buffer);
  find("nvjpegBufferDeviceDestroy", functions.destroy_device_buffer);
  find("nvjpegStateAttachDeviceBuffer", functions.attach_device_buffer);
  find("nvjpegBufferPinnedCreate", functions.create_pinned_buffer);
  find("nvjpegBufferPinnedDestroy", functions.destroy_pinned_buffer);
  find("nvjpegStateAttachPinnedBuffer", functions.attach_pinned_buffer);
  find("nvjpegDecodeParamsCreate", functions.create_parameters);
  find("nvjpegDecodeParamsDestroy", functions.destroy_parameters);
  find("nvjpegDecodeParamsSetOutputFormat", functions.set_output);
  find("nvjpegJpegStreamCreate", functions.create_stream);
  find("nvjpegJpegStreamDestroy", functions.destroy_stream);
  find("nvjpegJpegStreamParse", functions.parse);
  find("nvjpegJpegStreamParseHeader", functions.parse_header);
  find("nvjpegDecodeJpegHost", functions.decode_on_host);
  find("nvjpegDecodeJpegTransferToDevice", functions.transfer);
  find("nvjpegDecodeJpegDevice", functions.decode_on_device);
  return has_all;
}

Status worked(nvjpegStatus_t status, const char* what) {
  if (status == NVJPEG_STATUS_SUCCESS) return {};
  const bool is_memory = status == NVJPEG_STATUS_ALLOCATOR_FAILURE;
  return fail(is_memory ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
              fmt::format("nvJPEG could not {} (its error {})", what, static_cast<int>(status)));
}

Result<cudaStream_t> create_cuda_stream(bool goes_first) {
  int least = 0, greatest = 0;
  cudaStream_t stream = nullptr;
  if (cudaDeviceGetStreamPriorityRange(&least, &greatest) == cudaSuccess &&
      cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, goes_first ? greatest : least) == cudaSuccess)
    return stream;
  return fail(ErrorCode::kOutOfMemory, "no memory for another CUDA stream");
}

Status wait_for(cudaStream_t stream) {
  const cudaError_t error = cudaStreamSynchronize(stream);
  if (error == cudaSuccess) return {};
  return fail(ErrorCode::kInternal, fmt::format("CUDA failed while decoding: {}", cudaGetErrorString(error)));
}

const unsigned char* data_of(const CodedPicture& picture) {
  return reinterpret_cast<const unsigned char*>(picture.jpeg.data());
}

nvjpegImage_t output_of(const CodedPicture& picture) {
  nvjpegImage_t output{};
  output.channel[0] = picture.rgb;
  output.pitch[0] = std::size_t{picture.width} * 3;
  return output;
}

constexpr int kEngineThreads = 2;  // that parse headers; more gained nothing on an H200
// Chroma is interpolated as libjpeg does it; without, colours and sharpness of small pictures differ from the CPU's.
constexpr unsigned kFlags = NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION;
constexpr int kUsualWidth = 4000, kUsualHeight = 3000;  // memory is there for them from the start
// Below it a thread decodes Huffman codes sooner than the GPU does (nvImageCodec has the same limit).
constexpr std::uint64_t kSmallPixels = 1'000'000;

}  // namespace

struct Codec::State {
  Functions call;
  nvjpegHandle_t handle = nullptr;
  std::size_t engine_width = 0;
  ~State() {
    if (handle != nullptr) call.destroy(handle);
  }
};

Codec::Codec(std::unique_ptr<State> state) : state_(std::move(state)) {}
Codec::~Codec() = default;
std::size_t Codec::engine_width() const { return state_->engine_width; }

Result<std::unique_ptr<Codec>> Codec::create(std::span<const std::string> folders) {
  IE_TRY(void* const library, open_library(folders));
  auto state = std::make_unique<State>();
  if (!find_all(library, state->call))
    return fail(ErrorCode::kUnsupported, "nvJPEG is too old: make setup GPU=1 brings the right version");
  const auto open = [&](nvjpegBackend_t backend) {
    return state->call.create(backend, nullptr, nullptr, kFlags, &state->handle);
  };
  unsigned engines = 0, cores = 0;
  if (open(NVJPEG_BACKEND_HARDWARE) == NVJPEG_STATUS_SUCCESS) {
    if (state->call.get_engines(state->handle, &engines, &cores) != NVJPEG_STATUS_SUCCESS) engines = 0;
    state->engine_width = std::size_t{engines} * cores;
  } else {
    IE_CHECK(worked(open(NVJPEG_BACKEND_DEFAULT), "start"));
  }
  return std::unique_ptr<Codec>(new Codec(std::move(state)));
}

struct EngineDecoder::State {
  const Functions* call = nullptr;
  nvjpegHandle_t handle = nullptr;
  nvjpegJpegState_t state = nullptr;
  nvjpegJpegStream_t header = nullptr;
  cudaStream_t stream = nullptr;
  std::vector<unsigned char> header_data;
  std::size_t most = 0;   // pictures in a batch
  std::size_t batch = 0;  // the library is set to so many pictures

  ~State() {
    if (header != nullptr) call->destroy_stream(header);
    if (state != nullptr) call->destroy_state(state);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
  bool takes(const CodedPicture& picture);
  bool decode_batch(std::span<const CodedPicture> pictures);
  Status decode(std::span<const CodedPicture> pictures, std::span<const std::size_t> indexes,
                std::vector<bool>& is_there);
};

EngineDecoder::EngineDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
EngineDecoder::~EngineDecoder() = default;
std::size_t EngineDecoder::most() const { return state_->most; }

Result<std::unique_ptr<EngineDecoder>> EngineDecoder::create(Codec& codec, std::size_t most) {
  if (codec.engine_width() == 0) return fail(ErrorCode::kNotFound, "this GPU has no JPEG engine");
  auto state = std::make_unique<State>();
  const Functions& call = codec.state_->call;
  state->call = &call;
  state->handle = codec.state_->handle;
  const auto count = static_cast<int>(most);
  IE_CHECK(worked(call.create_batch_state(state->handle, &state->state), "open the JPEG engine"));
  IE_CHECK(worked(call.create_stream(state->handle, &state->header), "open the JPEG engine"));
  IE_CHECK(worked(call.set_batch(state->handle, state->state, count, kEngineThreads, NVJPEG_OUTPUT_RGBI),
                  "open the JPEG engine"));
  IE_CHECK(worked(call.allocate_batch(state->handle, state->state, count, kUsualWidth, kUsualHeight, NVJPEG_CSS_420,
                                      NVJPEG_OUTPUT_RGBI),
                  "allocate memory for the JPEG engine"));
  state->most = state->batch = most;
  IE_TRY(state->stream, create_cuda_stream(true));
  return std::unique_ptr<EngineDecoder>(new EngineDecoder(std::move(state)));
}

// The library copies what it is given: only the header, which takes the place of a whole file.
bool EngineDecoder::State::takes(const CodedPicture& picture) {
  const auto* begin = data_of(picture);
  header_data.assign(begin, begin + picture.header_bytes);
  header_data.insert(header_data.end(), {0xFF, 0xD9});  // the marker of a picture's end
  int is_refused = 1;
  return call->parse_header(handle, header_data.data(), header_data.size(), header) == NVJPEG_STATUS_SUCCESS &&
         call->is_for_engine(handle, header, &is_refused) == NVJPEG_STATUS_SUCCESS && is_refused == 0;
}

bool EngineDecoder::State::decode_batch(std::span<const CodedPicture> pictures) {
  if (batch != pictures.size()) {
    batch = 0;
    if (call->set_batch(handle, state, static_cast<int>(pictures.size()), kEngineThreads, NVJPEG_OUTPUT_RGBI) !=
        NVJPEG_STATUS_SUCCESS)
      return false;
    batch = pictures.size();
  }
  std::vector<const unsigned char*> data;
  std::vector<std::size_t> sizes;
  std::vector<nvjpegImage_t> outputs;
  for (const CodedPicture& picture : pictures) {
    data.push_back(data_of(picture));
    sizes.push_back(picture.jpeg.size());
    outputs.push_back(output_of(picture));
  }
  return call->decode_batch(handle, state, data.data(), sizes.data(), outputs.data(), stream) == NVJPEG_STATUS_SUCCESS;
}

// Of `pictures` those with these indexes. The library decodes all or none: halves of a batch that it refuses are tried
// in turn.
Status EngineDecoder::State::decode(std::span<const CodedPicture> pictures, std::span<const std::size_t> indexes,
                                    std::vector<bool>& is_there) {
  if (indexes.empty()) return {};
  std::vector<CodedPicture> chosen;
  chosen.reserve(indexes.size());
  for (const std::size_t index : indexes) chosen.push_back(pictures[index]);
  const bool is_decoded = decode_batch(chosen);
  IE_CHECK(wait_for(stream));
  if (is_decoded)
    for (const std::size_t index : indexes) is_there[index] = true;
  if (is_decoded || indexes.size() == 1) return {};
  IE_CHECK(decode(pictures, indexes.first(indexes.size() / 2), is_there));
  return decode(pictures, indexes.subspan(indexes.size() / 2), is_there);
}

Result<std::vector<bool>> EngineDecoder::decode(std::span<const CodedPicture> pictures) {
  std::vector<bool> is_there(pictures.size(), false);
  std::vector<std::size_t> indexes;
  for (std::size_t i = 0; i < pictures.size(); ++i)
    if (state_->takes(pictures[i])) indexes.push_back(i);
  IE_CHECK(state_->decode(pictures, indexes, is_there));
  return is_there;
}

struct CudaDecoder::State {
  // One way to decode: Huffman codes on the GPU, or on the CPU.
  struct Way {
    nvjpegJpegDecoder_t decoder = nullptr;
    nvjpegJpegState_t state = nullptr;
  };
  const Functions* call = nullptr;
  nvjpegHandle_t handle = nullptr;
  Way on_gpu, on_cpu;
  nvjpegBufferDevice_t device_buffer = nullptr;  // of both ways
  nvjpegBufferPinned_t pinned_buffer = nullptr;
  nvjpegDecodeParams_t parameters = nullptr;
  nvjpegJpegStream_t jpeg = nullptr;
  cudaStream_t stream = nullptr;

  ~State() {
    for (const Way& way : {on_gpu, on_cpu}) {
      if (way.state != nullptr) call->destroy_state(way.state);
      if (way.decoder != nullptr) call->destroy_decoder(way.decoder);
    }
    if (device_buffer != nullptr) call->destroy_device_buffer(device_buffer);
    if (pinned_buffer != nullptr) call->destroy_pinned_buffer(pinned_buffer);
    if (parameters != nullptr) call->destroy_parameters(parameters);
    if (jpeg != nullptr) call->destroy_stream(jpeg);
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
  Status open(Way& way, nvjpegBackend_t backend);
  Status open_all();
  const Way* way_of(const CodedPicture& picture);
};

CudaDecoder::CudaDecoder(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaDecoder::~CudaDecoder() = default;

Status CudaDecoder::State::open(Way& way, nvjpegBackend_t backend) {
  constexpr char kWhat[] = "open a decoder";
  IE_CHECK(worked(call->create_decoder(handle, backend, &way.decoder), kWhat));
  IE_CHECK(worked(call->create_state(handle, way.decoder, &way.state), kWhat));
  IE_CHECK(worked(call->attach_device_buffer(way.state, device_buffer), kWhat));
  return worked(call->attach_pinned_buffer(way.state, pinned_buffer), kWhat);
}

Status CudaDecoder::State::open_all() {
  constexpr char kWhat[] = "allocate a decoder";
  IE_CHECK(worked(call->create_device_buffer(handle, nullptr, &device_buffer), kWhat));
  IE_CHECK(worked(call->create_pinned_buffer(handle, nullptr, &pinned_buffer), kWhat));
  IE_CHECK(worked(call->create_parameters(handle, &parameters), kWhat));
  IE_CHECK(worked(call->set_output(parameters, NVJPEG_OUTPUT_RGBI), kWhat));
  IE_CHECK(worked(call->create_stream(handle, &jpeg), kWhat));
  IE_CHECK(open(on_gpu, NVJPEG_BACKEND_GPU_HYBRID));
  IE_CHECK(open(on_cpu, NVJPEG_BACKEND_HYBRID));
  IE_TRY(stream, create_cuda_stream(false));
  return {};
}

Result<std::unique_ptr<CudaDecoder>> CudaDecoder::create(Codec& codec) {
  auto state = std::make_unique<State>();
  state->call = &codec.state_->call;
  state->handle = codec.state_->handle;
  IE_CHECK(state->open_all());
  return std::unique_ptr<CudaDecoder>(new CudaDecoder(std::move(state)));
}

// For the picture that `jpeg` holds; null: none takes it.
const CudaDecoder::State::Way* CudaDecoder::State::way_of(const CodedPicture& picture) {
  const bool is_small = std::uint64_t{picture.width} * picture.height < kSmallPixels;
  for (const Way* way : {&on_gpu, &on_cpu}) {
    if (way == &on_gpu && is_small) continue;
    int is_refused = 1;
    if (call->is_for_decoder(way->decoder, jpeg, parameters, &is_refused) == NVJPEG_STATUS_SUCCESS && is_refused == 0)
      return way;
  }
  return nullptr;
}

Result<bool> CudaDecoder::decode(const CodedPicture& picture) {
  State& state = *state_;
  const Functions& call = *state.call;
  constexpr int kNoMetadata = 0, kNoCopy = 0;
  if (call.parse(state.handle, data_of(picture), picture.jpeg.size(), kNoMetadata, kNoCopy, state.jpeg) !=
      NVJPEG_STATUS_SUCCESS)
    return false;
  const State::Way* way = state.way_of(picture);
  if (way == nullptr) return false;
  nvjpegImage_t output = output_of(picture);
  const bool is_decoded =
      call.decode_on_host(state.handle, way->decoder, way->state, state.parameters, state.jpeg) ==
          NVJPEG_STATUS_SUCCESS &&
      call.transfer(state.handle, way->decoder, way->state, state.jpeg, state.stream) == NVJPEG_STATUS_SUCCESS &&
      call.decode_on_device(state.handle, way->decoder, way->state, &output, state.stream) == NVJPEG_STATUS_SUCCESS;
  IE_CHECK(wait_for(state.stream));
  return is_decoded;
}

}  // namespace image_engine::worker
