#include "benchmark/net.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>

#include "core/elapsed.h"
#include "gpu/cuda.h"
#include "pipeline/installed_models.h"
#include "vision/graph_checks.h"

namespace image_engine::benchmark {
namespace {

using pipeline::InstalledModels;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kMask = "pixel_mask";

tl::unexpected<Error> interrupted() { return fail(ErrorCode::kInterrupted, "interrupted"); }

Tensor ones(ElementType type, std::vector<std::int64_t> shape) {
  Tensor tensor = Tensor::zeros(type, std::move(shape));
  const float one = 1;
  const std::size_t step = element_size(type);
  for (std::size_t at = 0; at < tensor.data.size(); at += step)
    if (type == ElementType::kFloat32)
      std::memcpy(&tensor.data[at], &one, sizeof(one));
    else  // little-endian integers
      tensor.data[at] = std::byte{1};
  return tensor;
}

std::vector<float> floats_of(const Tensor& tensor, std::size_t row, std::size_t rows) {
  if (tensor.type != ElementType::kFloat32 || rows == 0) return {};
  const auto all = tensor.as<float>();
  const std::size_t each = all.size() / rows;
  return {all.begin() + static_cast<std::ptrdiff_t>(row * each),
          all.begin() + static_cast<std::ptrdiff_t>((row + 1) * each)};
}

}  // namespace

double free_memory(std::optional<int> gpu) {
  const auto memory = gpu ? gpu::memory_info(*gpu) : Result<gpu::MemoryInfo>(gpu::MemoryInfo{});
  return memory ? static_cast<double>(memory->free) : 0;
}

PictureAnswer answer_of(const models::Spec& spec) { return models::task_of(spec.task).answer; }

bool takes_pictures(const models::Spec& spec) { return answer_of(spec) != PictureAnswer::kNone; }

Result<const models::Spec*> measurable(const models::Registry& registry, const models::Store& store,
                                       std::string_view name) {
  const auto spec = registry.find(name);
  if (!spec) return fail(ErrorCode::kInvalidArgument, spec.error().message);
  if (!takes_pictures(**spec))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is a model for {}: only those that analyze whole pictures are measured here",
                            (*spec)->name, (*spec)->task));
  if (store.presence(**spec) != models::Presence::kInstalled)
    return fail(ErrorCode::kNotFound,
                fmt::format("the model {0} is not installed: image-engine models pull {0}", (*spec)->name));
  return *spec;
}

Result<BenchmarkNet> BenchmarkNet::load(const models::Spec& spec, const NetRequest& request) {
  Config config = request.config;
  config.inference.device = request.device;
  config.inference.precision = request.precision;
  config.inference.require_gpu = request.device != "cpu";
  config.analysis.ml_models.batch_size = request.batch;
  config.origins["analysis.ml_models.batch_size"] = ConfigOrigin::kFlag;
  const int threads = static_cast<int>(config.worker_count());
  BenchmarkNet net;
  net.spec_ = &spec;
  IE_TRY(net.plan_, vision::plan_of(spec));
  IE_TRY(const InstalledModels models, InstalledModels::open(request.paths, config));
  IE_TRY(infer::Chosen chosen, models.picture_session(spec, threads, InstalledModels::Rows::kMany));
  net.reason_ = chosen.reason;
  const auto found = vision::find_picture(spec, chosen.session->inputs(), kMask);
  if (!found) return vision::name_model(spec.name, found.error());
  net.picture_input_ = *found;
  const infer::TensorInfo& input = chosen.session->inputs()[net.picture_input_];
  const std::int64_t fixed = input.shape.empty() ? 1 : input.shape.front();
  // A GPU may have room for fewer.
  const std::int64_t free = chosen.batch > 0 ? chosen.batch : request.batch;
  net.batch_ = fixed > 0 ? fixed : free;
  // Photos of different shapes cannot form a batch.
  if (net.plan_.fit == preprocess::Fit::kShortEdge) net.batch_ = 1;
  if (answer_of(spec) == PictureAnswer::kObjects) {
    IE_TRY(net.detector_, vision::ObjectDetector::create(spec, std::move(chosen.session)));
  } else {
    const Status sound = vision::check_input(net.plan_, input);
    if (!sound) return vision::name_model(spec.name, sound.error());
    net.session_ = std::move(chosen.session);
  }
  return net;
}

const infer::Session& BenchmarkNet::session() const { return detector_ ? detector_->session() : *session_; }

std::optional<int> BenchmarkNet::gpu() const {
  const std::string device = session().placement().device;  // "cpu", "cuda:0"
  const std::size_t colon = device.find(':');
  int number = 0;
  if (colon == device.npos) return std::nullopt;
  std::from_chars(device.data() + colon + 1, device.data() + device.size(), number);
  return number;
}

Result<Tensor> BenchmarkNet::pictures_from(const SamplePictures& samples, std::size_t first, std::size_t count) const {
  Tensor batch;
  for (std::size_t i = first; i < first + count; ++i) {
    const SamplePicture& one = samples.pictures[i % samples.pictures.size()];
    IE_TRY(const preprocess::Prepared prepared,
           preprocess::prepare(plan_, {one.picture.width, one.picture.height, one.picture.pixels}, one.full));
    if (i == first) {
      batch = prepared.tensor;
      continue;
    }
    batch.data.insert(batch.data.end(), prepared.tensor.data.begin(), prepared.tensor.data.end());
    ++batch.shape[0];
  }
  return batch;
}

std::vector<Tensor> BenchmarkNet::with_masks(Tensor pictures) const {
  const auto& wanted = session().inputs();
  const bool nchw = plan_.layout == preprocess::Layout::kNchw;
  const std::int64_t rows = pictures.shape[0], height = pictures.shape[nchw ? 2 : 1],
                     width = pictures.shape[nchw ? 3 : 2];
  std::vector<Tensor> inputs(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (i == picture_input_) continue;
    std::vector<std::int64_t> shape{rows, height, width};
    for (std::size_t k = 1; k < std::min(shape.size(), wanted[i].shape.size()); ++k)
      if (wanted[i].shape[k] >= 0) shape[k] = wanted[i].shape[k];
    inputs[i] = ones(wanted[i].type, std::move(shape));
  }
  inputs[picture_input_] = std::move(pictures);
  return inputs;
}

Result<double> BenchmarkNet::pass(const SamplePictures& samples, const Done& done) const {
  const std::size_t wanted = samples.pictures.size(), rows = static_cast<std::size_t>(batch_);
  const std::size_t runs = (wanted + rows - 1) / rows;
  double seconds = 0;
  if (gpu()) {
    IE_TRY(Tensor pictures, pictures_from(samples, 0, rows));
    IE_TRY(const auto run, session().resident(with_masks(std::move(pictures))));
    IE_CHECK(run->compute(3));  // the first may search algorithms, the second record a graph
    const Clock::time_point start = Clock::now();
    IE_CHECK(run->compute(static_cast<int>(runs)));
    seconds = seconds_since(start);
    if (!done(wanted)) return interrupted();
  } else {
    for (std::size_t i = 0; i < runs; ++i) {
      IE_TRY(Tensor pictures, pictures_from(samples, i * rows, rows));
      const std::vector<Tensor> inputs = with_masks(std::move(pictures));
      const Clock::time_point start = Clock::now();
      IE_CHECK(session().run(inputs, spec_->outputs));
      seconds += seconds_since(start);
      if (!done(std::min(rows, wanted - i * rows))) return interrupted();
    }
  }
  return seconds * static_cast<double>(wanted) / static_cast<double>(runs * rows);
}

Result<double> preprocess_ms(const models::Spec& spec, const SamplePictures& samples) {
  IE_TRY(const preprocess::Plan plan, vision::plan_of(spec));
  const Clock::time_point start = Clock::now();
  for (const SamplePicture& one : samples.pictures)
    IE_CHECK(preprocess::prepare(plan, {one.picture.width, one.picture.height, one.picture.pixels}, one.full));
  return seconds_since(start) * 1000 / static_cast<double>(samples.pictures.size());
}

Result<std::vector<Answer>> BenchmarkNet::answers(const SamplePictures& samples, const Done& done) const {
  std::vector<Answer> all;
  while (all.size() < samples.pictures.size()) {
    const std::size_t before = all.size();
    if (detector_) {
      const SamplePicture& one = samples.pictures[before];
      IE_TRY(auto objects, detector_->detect({one.picture.width, one.picture.height, one.picture.pixels},
                                             one.full.width, one.full.height));
      all.push_back({{}, std::move(objects)});
    } else {
      const std::size_t rows = std::min(static_cast<std::size_t>(batch_), samples.pictures.size() - before);
      IE_TRY(Tensor pictures, pictures_from(samples, before, rows));
      IE_TRY(const std::vector<Tensor> outputs, session().run(with_masks(std::move(pictures)), spec_->outputs));
      for (std::size_t row = 0; row < rows; ++row) all.push_back({floats_of(outputs.at(0), row, rows), {}});
    }
    if (!done(all.size() - before)) return interrupted();
  }
  return all;
}

Result<BenchmarkNet::Example> BenchmarkNet::example(const SamplePictures& samples) const {
  IE_TRY(Tensor pictures, pictures_from(samples, 0, static_cast<std::size_t>(batch_)));
  Example made{with_masks(std::move(pictures)), {}};
  IE_TRY(std::vector<Tensor> outputs, session().run(made.inputs, spec_->outputs));
  made.output = std::move(outputs.at(0));
  return made;
}

}  // namespace image_engine::benchmark
