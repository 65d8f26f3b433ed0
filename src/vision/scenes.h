// What kind of place or occasion a picture shows.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/image.h"
#include "vision/embedder.h"

namespace image_engine::vision {

// The labels to choose from: config/scenes.yaml, config/actions.yaml, or a file of the user's.
struct SceneLabels {
  struct Label {
    std::string name;                  // as displayed and searched for
    std::vector<std::string> phrases;  // for prompts; the name if the file has none
  };
  std::vector<std::string> prompts;  // "a photo of a {}.": {} is replaced by each phrase
  std::vector<Label> labels;
  // What a picture may show instead: each phrase takes its share of the confidence, and is never a guess.
  std::vector<std::string> background = {};

  // kInvalidArgument names file, line and problem: a duplicate label (ignoring case), no label, a prompt without {},
  // more than kMostLabels labels or phrases of the background, an unknown key.
  static Result<SceneLabels> read(const std::string& file);
  // In hex: changes when prompts, labels or phrases change.
  [[nodiscard]] std::string hash() const;
};
inline constexpr std::size_t kMostLabels = 10'000;

struct SceneGuess {
  std::string label;
  float confidence = 0;  // 0…1
};
inline constexpr std::size_t kTopScenes = 5;

// Zero-shot: softmax over logit scale × cosine with each label's vector, the mean of its prompts' (Radford et al.,
// CLIP, 2021, section 3.1.4). Phrases of the background are in the softmax, too. A plain value; thread-safe.
class SceneScorer {
 public:
  // `scale`: the spec's option logit_scale. `embed` is called once with all prompts.
  using EmbedTexts = std::function<Result<std::vector<Embedding>>(std::span<const std::string>)>;
  static Result<SceneScorer> create(const SceneLabels& labels, double scale, const EmbedTexts& embed);
  // As create(), but caches the labels' vectors in `folder`/scenes-<params>.bin, so that the text tower runs only once
  // (`params`: everything that they depend on). A damaged file is ignored; failing to write it is only logged.
  static Result<SceneScorer> create_kept(const SceneLabels& labels, double scale, const EmbedTexts& embed,
                                         const std::string& folder, const std::string& params);

  // The best kTopScenes labels, surest first. `embedding` has as many numbers as the labels' vectors, else
  // kInvalidArgument.
  [[nodiscard]] Result<std::vector<SceneGuess>> score(std::span<const float> embedding) const;

 private:
  std::vector<std::string> names_;
  std::vector<float> vectors_;  // one row per label, then one per phrase of the background
  std::size_t dimensions_ = 0;
  double scale_ = 100;
};

// A classifier by spec (task `scene`, head `softmax` for logits or `probabilities`): ResNet, EfficientNet, ViT and the
// like. Output [1, classes], or [1, classes + 1] with option `background: true`, whose first class is the background.
// Option `top`: guesses per picture, at most kTopScenes.
class SceneClassifier {
 public:
  static Result<SceneClassifier> create(const models::Spec& spec, std::unique_ptr<infer::Session> session);
  // The best, surest first; `full` as for ImageEmbedder::embed. Thread-safe. kCorrupt for another shape, NaN or
  // infinity.
  [[nodiscard]] Result<std::vector<SceneGuess>> classify(const ImageView& picture,
                                                         preprocess::FullSize full = {}) const;
  [[nodiscard]] const preprocess::Plan& plan() const { return plan_; }

 private:
  SceneClassifier() = default;
  preprocess::Plan plan_;
  std::shared_ptr<infer::Session> session_;
  std::string model_, output_;
  std::vector<std::string> labels_;
  std::size_t top_ = kTopScenes;
  bool softmax_ = true, background_ = false;
};

}  // namespace image_engine::vision
