// Prints the scene changes of a video as JSON lines. Standard input: its small frames as they follow one another,
// rgb24, such as `ffmpeg -i X -vf scale=64:36:flags=area -f rawvideo -pix_fmt rgb24 -` makes. Standard error:
// microseconds a frame in the detector, of all threads.
//
// usage: scene_scores FRAMES_PER_SECOND [MODEL]     MODEL: transnetv2.onnx, instead of the built-in detector

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "infer/session.h"
#include "pipeline/scene_model.h"
#include "video/model_detector.h"
#include "video/scene_changes.h"

namespace {

using namespace image_engine;
using namespace image_engine::video;

constexpr const char* kNames[] = {"cut", "fade", "dissolve"};

// Errors end the program.
template <typename T>
T value_of(Result<T> result) {
  if (result) return *std::move(result);
  fmt::print(stderr, "scene_scores: {}\n", result.error().message);
  std::exit(1);
}

std::unique_ptr<SceneDetector> detector_of(const char* model) {
  if (model == nullptr) return make_scene_detector();
  std::shared_ptr<const infer::Session> session = value_of(infer::Session::create(model, {}));
  return make_model_detector(value_of(pipeline::score_by(std::move(session), model)));
}

void print(const std::vector<SceneChange>& changes) {
  for (const SceneChange& change : changes)
    fmt::print("{{\"kind\": \"{}\", \"from\": {}, \"to\": {}, \"score\": {:.3f}}}\n",
               kNames[static_cast<int>(change.kind)], change.from, change.to, change.score);
}

double processor_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int count, char** arguments) {
  const double rate = count == 2 || count == 3 ? std::atof(arguments[1]) : 0;
  if (!(rate > 0)) {
    fmt::print(stderr, "usage: scene_scores FRAMES_PER_SECOND [MODEL] < rgb24 frames of {} x {}\n", kSmallWidth,
               kSmallHeight);
    return 2;
  }
  const auto detector = detector_of(count == 3 ? arguments[2] : nullptr);
  std::vector<std::uint8_t> pixels(std::size_t{kSmallWidth} * kSmallHeight * 3);
  double spent = 0;
  std::int64_t index = 0;
  for (; std::fread(pixels.data(), 1, pixels.size(), stdin) == pixels.size(); ++index) {
    const double start = processor_microseconds();
    const auto changes = value_of(detector->add({index, static_cast<double>(index) / rate, pixels}));
    spent += processor_microseconds() - start;
    print(changes);
  }
  print(value_of(detector->finish()));
  if (index > 0) fmt::print(stderr, "{:.1f}\n", spent / static_cast<double>(index));
}
