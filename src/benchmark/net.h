// One loaded model, measured on photos.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "benchmark/pictures.h"
#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "models/registry.h"
#include "models/spec.h"
#include "models/store.h"
#include "models/tasks.h"
#include "types/tensor.h"
#include "vision/objects.h"

namespace image_engine::benchmark {

using models::PictureAnswer;
PictureAnswer answer_of(const models::Spec& spec);
// Whether a model's task is to analyze whole pictures in one run.
bool takes_pictures(const models::Spec& spec);
// The installed model of that name. kInvalidArgument: unknown, with the nearest name, or it does not take pictures;
// kNotFound: it is not installed.
Result<const models::Spec*> measurable(const models::Registry& registry, const models::Store& store,
                                       std::string_view name);

inline constexpr double kMegabyte = 1 << 20;
// Free bytes of the GPU's memory; 0 on the CPU and if unknown.
double free_memory(std::optional<int> gpu);

struct NetRequest {
  models::InstallPaths paths;
  Config config;
  std::string device = "cpu", precision = "fp32";  // as infer::Preference; a GPU does not fall back
  std::int64_t batch = 1;                          // requested; a model may require another number
};

// A model's output for a picture: the numbers of its first output, or the objects found.
struct Answer {
  std::vector<float> numbers;
  std::vector<vision::DetectedObject> objects;
};

class BenchmarkNet {
 public:
  // Errors: those of InstalledModels::picture_session(), and of decoding the model's output.
  static Result<BenchmarkNet> load(const models::Spec& spec, const NetRequest& request);

  [[nodiscard]] const models::Spec& spec() const { return *spec_; }
  [[nodiscard]] std::int64_t batch() const { return batch_; }  // pictures in a run
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] std::optional<int> gpu() const;  // the number of its GPU; none: the CPU

  // Seconds of the model's computation for all pictures, without preprocessing. Runs always have batch() pictures; of
  // the last run only its share counts. On a GPU one batch, already in its memory, is computed repeatedly. `done`
  // receives the progress; false ends the pass (kInterrupted).
  using Done = std::function<bool(std::size_t pictures)>;
  Result<double> pass(const SamplePictures& samples, const Done& done) const;

  [[nodiscard]] Result<std::vector<Answer>> answers(const SamplePictures& samples, const Done& done) const;
  // Inputs of one run, and its first requested output.
  struct Example {
    std::vector<Tensor> inputs;
    Tensor output;
  };
  [[nodiscard]] Result<Example> example(const SamplePictures& samples) const;
  [[nodiscard]] const infer::Session& session() const;

 private:
  BenchmarkNet() = default;
  // The input of `count` pictures from `first`, wrapping around.
  [[nodiscard]] Result<Tensor> pictures_from(const SamplePictures& samples, std::size_t first, std::size_t count) const;
  [[nodiscard]] std::vector<Tensor> with_masks(Tensor pictures) const;

  const models::Spec* spec_ = nullptr;
  preprocess::Plan plan_;
  std::size_t picture_input_ = 0;
  std::int64_t batch_ = 1;
  std::string reason_;
  std::optional<vision::ObjectDetector> detector_;  // owns the session if set
  std::shared_ptr<infer::Session> session_;
};

// Milliseconds to convert a photo to the model's input.
Result<double> preprocess_ms(const models::Spec& spec, const SamplePictures& samples);

// The deviation of a model's answers from the right ones; 0: equal. For numbers 1 − cosine, the mean over pictures; for
// objects the share of confident ones (0.5) on either side without a match at an overlap (IoU) of 0.98.
double deviation_of(const std::vector<Answer>& right, const std::vector<Answer>& answers);

// The agreement of two models, in [0, 1]. Detectors: the share of both models' confident objects that match one of the
// other by name at an overlap of 0.5. Classifiers: pictures with the same best label. Embeddings: pictures with the
// same nearest other picture. nullopt: models of different kinds, or nothing to compare.
struct LabelAgreement {
  std::string what;          // "objects", "labels", "nearest pictures"
  std::size_t compared = 0;  // their number
  double share = 0;
};
std::optional<LabelAgreement> label_agreement(const models::Spec& one, const std::vector<Answer>& ones,
                                              const models::Spec& other, const std::vector<Answer>& others);

}  // namespace image_engine::benchmark
