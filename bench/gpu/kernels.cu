// Runs each kernel on synthetic pictures of 4000 × 3000, compares its results with the same arithmetic on the CPU, and
// prints its speed. Exits 1 where they differ by more than the bounds.
// usage: bench-kernels [PICTURES]     in a batch, 32 if not given, at least 8
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "gpu/kernels/condense.h"
#include "preprocess/device_input.h"
#include "types/half.h"

namespace {

using namespace image_engine;

constexpr std::uint32_t kWidth = 4000, kHeight = 3000, kEdge = 640;
constexpr std::size_t kPitch = 12032;  // a row and its padding, as decoders leave it
constexpr std::size_t kCompared = 8;   // pictures, one in each orientation
constexpr int kRuns = 20;
constexpr double kMostMean = 0.02, kMostDifference = 1;  // levels of 255

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "bench-kernels: %s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}
template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "bench-kernels: %s\n", result.error().message.c_str());
  std::exit(1);
}
void must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "bench-kernels: %s\n", status.error().message.c_str());
  std::exit(1);
}

class Device {
 public:
  explicit Device(std::size_t bytes) { check(cudaMalloc(&data_, std::max<std::size_t>(bytes, 1)), "device memory"); }
  ~Device() { cudaFree(data_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  template <typename T = std::byte>
  [[nodiscard]] T* at(std::size_t byte = 0) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(data_) + byte);
  }

 private:
  void* data_ = nullptr;
};

// Smooth light, edges and noise, so that no two pictures and no two regions are alike.
std::vector<std::uint8_t> synthetic(unsigned seed) {
  std::vector<std::uint8_t> pixels(kPitch * kHeight);
  std::uint32_t random = seed * 2654435761U + 1;
  for (std::uint32_t y = 0; y < kHeight; ++y)
    for (std::uint32_t x = 0; x < kWidth; ++x) {
      random = random * 1664525U + 1013904223U;
      const int light = static_cast<int>((x * (seed % 5 + 1) + y * 2) / 80 % 200),
                grain = static_cast<int>(random >> 27);
      const int edge = (x / 97 + y / (61 + seed)) % 7 == 0 ? 60 : 0;
      for (int c = 0; c < 3; ++c)
        pixels[y * kPitch + x * 3 + c] = static_cast<std::uint8_t>(std::min(255, light + edge + grain * (c + 1) / 2));
    }
  return pixels;
}

struct Difference {
  double most = 0, mean = 0;
};
double level_at(const std::byte* data, ElementType type, float deviation, std::size_t i) {
  if (type == ElementType::kUint8) return std::to_integer<int>(data[i]);
  if (type == ElementType::kFloat32) {
    float value = 0;
    std::memcpy(&value, data + i * 4, 4);
    return double{value} * deviation;
  }
  std::uint16_t half = 0;
  std::memcpy(&half, data + i * 2, 2);
  return double{from_half({&half, 1})[0]} * deviation;
}

// One kernel's work on a batch: on the device, and for the first pictures on the host.
struct Case {
  const char* name = "";
  std::size_t read = 0;  // bytes of a picture
  float deviation = 1;
  std::vector<gpu::ResampleTask> tasks;  // on the device
  std::size_t item = 0, luma = 0;        // bytes of a result
};

bool compare(const Case& work, const std::vector<gpu::DevicePicture>& host_pictures) {
  Difference difference;
  bool same_luma = true;
  for (std::size_t i = 0; i < std::min(kCompared, work.tasks.size()); ++i) {
    std::vector<std::byte> found(work.item), expected(work.item);
    std::vector<std::uint32_t> found_luma(work.luma / 4), expected_luma(work.luma / 4);
    check(cudaMemcpy(found.data(), work.tasks[i].output.data, work.item, cudaMemcpyDeviceToHost), "a result");
    if (work.luma != 0)
      check(cudaMemcpy(found_luma.data(), work.tasks[i].luma, work.luma, cudaMemcpyDeviceToHost), "luma");
    gpu::ResampleTask task = work.tasks[i];
    task.picture = host_pictures[i];
    task.output.data = expected.data();
    task.luma = work.luma != 0 ? expected_luma.data() : nullptr;
    must(gpu::resample_on_host({&task, 1}));
    const std::size_t count = work.item / element_size(task.output.type);
    double sum = 0;
    for (std::size_t k = 0; k < count; ++k) {
      const double apart = std::abs(level_at(found.data(), task.output.type, work.deviation, k) -
                                    level_at(expected.data(), task.output.type, work.deviation, k));
      difference.most = std::max(difference.most, std::isnan(apart) ? 1e9 : apart), sum += apart;
    }
    difference.mean = std::max(difference.mean, sum / static_cast<double>(count));
    same_luma &= found_luma == expected_luma;
  }
  // A half has 11 bits: at four deviations a level's last place is an eighth of one.
  const double rounding = work.tasks[0].output.type == ElementType::kFloat16 ? 0.25 : 0.001;
  const bool good = same_luma && difference.most <= kMostDifference + rounding && difference.mean <= kMostMean;
  std::printf("%-44s largest difference %.3f, mean %.5f of 255%s%s\n", work.name, difference.most, difference.mean,
              work.luma == 0 ? ""
              : same_luma    ? ", luma equal"
                             : ", LUMA DIFFERS",
              good ? "" : "   FAILED");
  return good;
}

bool run(const Case& work, const std::vector<gpu::DevicePicture>& host_pictures) {
  const std::size_t bytes = gpu::resample_scratch(work.tasks);
  const Device scratch(bytes);
  const gpu::Scratch memory{scratch.at<void>(), bytes};
  cudaStream_t stream = nullptr;
  check(cudaStreamCreate(&stream), "a stream");
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "an event"), check(cudaEventCreate(&end), "an event");
  must(gpu::resample(work.tasks, memory, stream));
  check(cudaStreamSynchronize(stream), work.name);
  const bool good = compare(work, host_pictures);

  check(cudaEventRecord(begin, stream), "an event");
  for (int i = 0; i < kRuns; ++i) must(gpu::resample(work.tasks, memory, stream));
  check(cudaEventRecord(end, stream), "an event");
  check(cudaEventSynchronize(end), work.name);
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end), "an event");
  const double rate = static_cast<double>(work.tasks.size()) * kRuns / milliseconds * 1000;
  std::printf("%-44s %9.0f pictures/s, %7.1f GB/s read, %.0f MB of scratch memory\n", "", rate,
              rate * static_cast<double>(work.read) / 1e9, static_cast<double>(bytes) / 1e6);
  cudaEventDestroy(begin), cudaEventDestroy(end), cudaStreamDestroy(stream);
  return good;
}

// The same work recorded once and repeated gives the same bytes.
bool repeats_in_a_graph(const Case& work) {
  const std::size_t bytes = gpu::resample_scratch(work.tasks);
  const Device scratch(bytes);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreate(&stream), "a stream");
  std::vector<std::byte> before(work.item), after(work.item);
  void* const result = work.tasks.back().output.data;
  check(cudaMemcpy(before.data(), result, work.item, cudaMemcpyDeviceToHost), "a result");
  check(cudaMemset(result, 0xA5, work.item), "a result");
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t ready = nullptr;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  must(gpu::resample(work.tasks, {scratch.at<void>(), bytes}, stream));
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&ready, graph, 0), "a graph");
  check(cudaGraphLaunch(ready, stream), "a graph");
  check(cudaStreamSynchronize(stream), "a graph");
  check(cudaMemcpy(after.data(), result, work.item, cudaMemcpyDeviceToHost), "a result");
  cudaGraphExecDestroy(ready), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
  std::printf("%-44s %s\n", "the first again, in a CUDA graph", before == after ? "equal" : "DIFFERS   FAILED");
  return before == after;
}

// Hashes' and colours' numbers of reduced pictures.
bool condense(const std::vector<gpu::DevicePicture>& pictures, const std::vector<gpu::DevicePicture>& host_pictures) {
  const Device results(pictures.size() * sizeof(CondensedPicture));
  std::vector<gpu::CondenseTask> tasks;
  for (std::size_t i = 0; i < pictures.size(); ++i)
    tasks.push_back({pictures[i].rgb,
                     {pictures[i].width, pictures[i].height},
                     results.at<CondensedPicture>(i * sizeof(CondensedPicture))});
  const std::size_t bytes = gpu::condense_scratch(tasks);
  const Device scratch(bytes);
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "an event"), check(cudaEventCreate(&end), "an event");
  must(gpu::condense(tasks, {scratch.at<void>(), bytes}, nullptr));
  check(cudaEventRecord(begin), "an event");
  for (int i = 0; i < kRuns; ++i) must(gpu::condense(tasks, {scratch.at<void>(), bytes}, nullptr));
  check(cudaEventRecord(end), "an event");
  check(cudaEventSynchronize(end), "condensing");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin, end), "an event");
  bool good = true;
  for (std::size_t i = 0; i < host_pictures.size(); ++i) {
    CondensedPicture found, expected;
    check(cudaMemcpy(&found, tasks[i].result, sizeof found, cudaMemcpyDeviceToHost), "a result");
    const gpu::CondenseTask task{host_pictures[i].rgb, tasks[i].size, &expected};
    must(gpu::condense_on_host({&task, 1}));
    good &= found == expected;
  }
  std::printf("%-44s %s\n%-44s %9.0f pictures/s\n", "for hashes and colours, of the reduced picture",
              good ? "equal" : "DIFFERS   FAILED", "", static_cast<double>(tasks.size()) * kRuns / milliseconds * 1000);
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return good;
}

struct Model {
  const char* name;
  preprocess::Plan plan;
  ElementType type;
};
std::vector<Model> models() {
  using namespace preprocess;
  const std::array<float, 3> mean{122.77F, 116.75F, 104.09F}, deviation{68.5F, 66.6F, 70.3F};
  Plan clip{224, 224, Fit::kCentreCrop, Align::kCentre, Filter::kBicubic};
  clip.mean = mean, clip.deviation = deviation;
  Plan stretched{640, 640};
  stretched.deviation = {255, 255, 255};
  Plan boxed{640, 640, Fit::kLetterbox, Align::kCentre, Filter::kLinear};
  boxed.pad = {114, 114, 114}, boxed.order = ChannelOrder::kBgr, boxed.layout = Layout::kNhwc;
  boxed.type = ElementType::kUint8;
  return {{"224 × 224 crop, bicubic, planes of fp16", clip, ElementType::kFloat16},
          {"640 × 640 stretched, bilinear, planes of fp32", stretched, ElementType::kFloat32},
          {"640 × 640 letterbox, linear, BGR bytes", boxed, ElementType::kUint8}};
}

}  // namespace

int main(int count, char** arguments) {
  const std::size_t pictures =
      std::max<std::size_t>(kCompared, count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 32);
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "GPU 0");
  std::printf("%s, compute capability %d.%d, %d multiprocessors; %zu pictures of %u × %u a batch\n", properties.name,
              properties.major, properties.minor, properties.multiProcessorCount, pictures, kWidth, kHeight);

  const Device decoded(pictures * kPitch * kHeight);
  std::vector<std::vector<std::uint8_t>> host;
  std::vector<gpu::DevicePicture> on_device, on_host;
  for (std::size_t i = 0; i < pictures; ++i) {
    const auto pixels = synthetic(static_cast<unsigned>(i % 16));
    auto* const at = decoded.at<std::uint8_t>(i * kPitch * kHeight);
    check(cudaMemcpy(at, pixels.data(), pixels.size(), cudaMemcpyHostToDevice), "a picture");
    on_device.push_back({at, kWidth, kHeight, kPitch, static_cast<int>(i % 8) + 1});
    if (i >= kCompared) continue;
    host.push_back(pixels);
    on_host.push_back({host.back().data(), kWidth, kHeight, kPitch, static_cast<int>(i % 8) + 1});
  }

  bool good = true;
  const std::size_t full_bytes = std::size_t{kWidth} * 3 * kHeight, luma = gpu::luma_bytes(kWidth, kHeight);
  constexpr std::size_t kItem = std::size_t{kEdge} * kEdge * 3;  // more than a picture's
  const Device reduced(pictures * kItem), thumbnails(pictures * kItem), sums(pictures * luma);
  Case reduce{"reduced to 640, with luma", full_bytes}, plain{"reduced to 640, without luma", full_bytes};
  for (std::size_t i = 0; i < pictures; ++i) {
    auto* const to = reduced.at<std::uint8_t>(i * kItem);
    reduce.tasks.push_back(gpu::reduce_task(on_device[i], kEdge, to, sums.at<void>(i * luma)));
    plain.tasks.push_back(gpu::reduce_task(on_device[i], kEdge, to));
  }
  const gpu::PictureSize size = gpu::reduced_size(on_device[0], kEdge);
  reduce.item = plain.item = std::size_t{size.width} * size.height * 3;
  reduce.luma = luma;
  good &= run(reduce, on_host);
  good &= repeats_in_a_graph(reduce);
  good &= run(plain, on_host);

  // From the reduced pictures, which are upright.
  std::vector<gpu::DevicePicture> small, small_on_host;
  std::vector<std::vector<std::uint8_t>> small_pixels;
  for (std::size_t i = 0; i < pictures; ++i) {
    const gpu::PictureSize of = gpu::reduced_size(on_device[i], kEdge);
    small.push_back({reduced.at<std::uint8_t>(i * kItem), of.width, of.height, std::size_t{of.width} * 3});
    if (i >= kCompared) continue;
    small_pixels.emplace_back(reduce.item);
    check(cudaMemcpy(small_pixels.back().data(), small.back().rgb, reduce.item, cudaMemcpyDeviceToHost), "a picture");
    small_on_host.push_back(small.back());
    small_on_host.back().rgb = small_pixels.back().data();
  }
  Case thumbnail{"thumbnail of 256, of the reduced picture", reduce.item};
  for (std::size_t i = 0; i < pictures; ++i)
    thumbnail.tasks.push_back(gpu::reduce_task(small[i], 256, thumbnails.at<std::uint8_t>(i * kItem)));
  thumbnail.item = std::size_t{256} * 192 * 3;
  good &= run(thumbnail, small_on_host);
  good &= condense(small, small_on_host);

  for (const Model& model : models()) {
    Case input{model.name, reduce.item, model.plan.deviation[0]};
    input.item = std::size_t{3} * model.plan.width * model.plan.height * element_size(model.type);
    const Device tensor(pictures * input.item);
    for (std::size_t i = 0; i < pictures; ++i)
      input.tasks.push_back(
          must(preprocess::device_input(model.plan, small[i], tensor.at<void>(i * input.item), model.type)).task);
    good &= run(input, small_on_host);
  }
  std::puts(good ? "all equal within the bounds" : "FAILED");
  return good ? 0 : 1;
}
