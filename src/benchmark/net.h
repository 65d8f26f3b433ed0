// One model, ready to run in one way, measured on photos.
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
#include "models/places.h"
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
bool looks_at_pictures(const models::Spec& spec);
// The installed model of that name. kInvalidArgument: there is none, with the nearest name, or it does not look at
// pictures; kNotFound: it is not installed.
Result<const models::Spec*> measurable(const models::Registry& registry, const models::Store& store,
                                       std::string_view name);

inline constexpr double kMegabyte = 1 << 20;
// Bytes of the GPU's memory that nobody has; 0 on the CPU and where it is not known.
double free_memory(std::optional<int> gpu);

struct NetRequest {
  models::Places places;
  Config config;
  std::string device = "cpu", precision = "fp32";  // as infer::Preference; on a GPU nothing else will do
  std::int64_t batch = 1;                          // wanted; a model may take another number only
};

// What a model says of a picture: the numbers of its first output, or what it found.
struct Answer {
  std::vector<float> numbers;
  std::vector<vision::DetectedObject> objects;
};

class BenchmarkNet {
 public:
  // Errors: those of InstalledModels::picture_session(), and of what reads the model's output.
  static Result<BenchmarkNet> load(const models::Spec& spec, const NetRequest& request);

  [[nodiscard]] const models::Spec& spec() const { return *spec_; }
  [[nodiscard]] std::int64_t batch() const { return batch_; }  // pictures in a run
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] std::optional<int> gpu() const;  // the number of the one that it runs on; none: on the CPU

  // Seconds that the model computes for all pictures, preprocessing left out. Runs are always of batch() pictures;
  // where that is too many in the end, their share counts. On a GPU inputs are there already, and one batch of them is
  // computed over and over. `done` is told of progress, and ends the pass by false (kInterrupted).
  using Done = std::function<bool(std::size_t pictures)>;
  Result<double> pass(const SamplePictures& samples, const Done& done) const;

  [[nodiscard]] Result<std::vector<Answer>> answers(const SamplePictures& samples, const Done& done) const;
  // Inputs of one run, and what the first output that is asked for says.
  struct Example {
    std::vector<Tensor> inputs;
    Tensor output;
  };
  [[nodiscard]] Result<Example> example(const SamplePictures& samples) const;
  [[nodiscard]] const infer::Session& session() const;

 private:
  BenchmarkNet() = default;
  // The input of `count` pictures from `first` on; after the last one comes the first.
  [[nodiscard]] Result<Tensor> pictures_from(const SamplePictures& samples, std::size_t first, std::size_t count) const;
  [[nodiscard]] std::vector<Tensor> with_masks(Tensor pictures) const;

  const models::Spec* spec_ = nullptr;
  preprocess::Plan plan_;
  std::size_t picture_input_ = 0;
  std::int64_t batch_ = 1;
  std::string reason_;
  std::optional<vision::ObjectDetector> detector_;  // holds the session where there is one
  std::shared_ptr<infer::Session> session_;
};

// Milliseconds to make a photo the model's input.
Result<double> preprocess_ms(const models::Spec& spec, const SamplePictures& samples);

// How far a model's answers are from those that are right, 0: not at all. Of numbers 1 − cosine, of objects the share
// of confident ones (0.5) on either side that the other does not have at an overlap (IoU) of 0.98; the mean over
// pictures, or over objects.
double deviation_of(const std::vector<Answer>& right, const std::vector<Answer>& answers);

// What two models agree on, in [0, 1]. Detectors: of the confident objects of both, the share that the other has, too,
// by name at an overlap of 0.5. Classifiers: pictures with the same best label. Embeddings: pictures whose nearest
// other picture is the same. nullopt: they do different things, or there was nothing to agree on.
struct LabelAgreement {
  std::string what;          // "objects", "labels", "nearest pictures"
  std::size_t compared = 0;  // how many of them
  double share = 0;
};
std::optional<LabelAgreement> label_agreement(const models::Spec& one, const std::vector<Answer>& ones,
                                              const models::Spec& other, const std::vector<Answer>& others);

}  // namespace image_engine::benchmark
