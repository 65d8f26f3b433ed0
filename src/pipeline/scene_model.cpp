#include "pipeline/scene_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "vision/graph_checks.h"

namespace image_engine::pipeline {
namespace {

constexpr std::string_view kBuiltIn = "builtin";
const std::vector<std::string> kScores = {"middle", "within"};
const std::vector<std::int64_t> kWindowShape = {1, video::kWindowFrames, video::kModelHeight, video::kModelWidth, 3};

Status check_graph(const infer::Session& session) {
  const auto& inputs = session.inputs();
  if (inputs.size() != 1 || inputs.front().type != ElementType::kUint8 || inputs.front().shape != kWindowShape)
    return fail(ErrorCode::kCorrupt, fmt::format("its graph does not take one window of frames, {} in uint8",
                                                 vision::shape_text(kWindowShape)));
  return vision::check_outputs(kScores, session.outputs());
}

Status read_scores(const Tensor& output, std::array<float, video::kWindowFrames>& scores) {
  IE_CHECK(vision::check_output(output, 1));
  if (output.count() != scores.size())
    return fail(ErrorCode::kCorrupt,
                fmt::format("its output {} is not a number for each frame", vision::shape_text(output.shape)));
  std::ranges::copy(output.as<float>(), scores.begin());
  return {};
}

}  // namespace

bool wants_scene_model(const Config& config) {
  return config.video.enabled && config.video.scene_detection && config.video.scene_model != kBuiltIn &&
         !config.video.key_frames_only;
}

Result<const models::Spec*> find_scene_model(const InstalledModels& models) {
  Result<const models::Spec*> spec = models.find(kSceneChangesTask, models.config().video.scene_model);
  if (spec) return spec;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("video.scene_model is {}: {}, or set it to {}", models.config().video.scene_model,
                          spec.error().message, kBuiltIn));
}

Result<video::ScoreWindow> score_by(std::shared_ptr<const infer::Session> session, const std::string& model) {
  if (const Status checked = check_graph(*session); !checked) return vision::name_model(model, checked.error());
  return [session = std::move(session), model](std::span<const std::uint8_t> frames) -> Result<video::WindowScores> {
    const auto scored = [&]() -> Result<video::WindowScores> {
      Tensor window = Tensor::zeros(ElementType::kUint8, kWindowShape);
      std::ranges::copy(frames, window.as<std::uint8_t>().begin());
      IE_TRY(const std::vector<Tensor> outputs, session->run({&window, 1}, kScores));
      video::WindowScores scores;
      IE_CHECK(read_scores(outputs[0], scores.middle));
      IE_CHECK(read_scores(outputs[1], scores.within));
      return scores;
    };
    Result<video::WindowScores> scores = scored();
    if (!scores) return vision::name_model(model, std::move(scores).error());
    return scores;
  };
}

Result<video::ScoreWindow> load_scene_model(const InstalledModels& models, const models::Spec& spec) {
  IE_TRY(infer::Chosen chosen, models.picture_session(spec));
  return score_by(std::move(chosen.session), spec.name);
}

Tensor scene_canary() {
  constexpr std::size_t kSceneFrames = 30;
  Tensor window = Tensor::zeros(ElementType::kUint8, kWindowShape);
  const std::span<std::uint8_t> values = window.as<std::uint8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t channel = i % 3, x = i / 3 % video::kModelWidth,
                      y = i / 3 / video::kModelWidth % video::kModelHeight;
    const std::size_t frame = i / video::kModelFrameBytes, scene = 1 + frame / kSceneFrames;
    const double wave = std::sin(static_cast<double>((x + frame) * scene + channel) / 7) *
                        std::cos(static_cast<double>(y * scene) / (3.0 + static_cast<double>(channel)));
    values[i] = static_cast<std::uint8_t>(127.5 + 120 * wave);
  }
  return window;
}

}  // namespace image_engine::pipeline
