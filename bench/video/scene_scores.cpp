// Prints the scene changes of a video as JSON lines. Standard input: its small frames as they follow one another,
// rgb24, such as `ffmpeg -i X -vf scale=64:36:flags=area -f rawvideo -pix_fmt rgb24 -` makes. Standard error:
// microseconds a frame in the detector.
//
// usage: scene_scores FRAMES_PER_SECOND

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "video/scene_changes.h"

namespace {

using namespace image_engine::video;

constexpr const char* kNames[] = {"cut", "fade", "dissolve"};

void print(const std::vector<SceneChange>& changes) {
  for (const SceneChange& change : changes)
    fmt::print("{{\"kind\": \"{}\", \"from\": {}, \"to\": {}, \"score\": {:.3f}}}\n",
               kNames[static_cast<int>(change.kind)], change.from, change.to, change.score);
}

double processor_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

}  // namespace

int main(int count, char** arguments) {
  const double rate = count == 2 ? std::atof(arguments[1]) : 0;
  if (!(rate > 0)) {
    fmt::print(stderr, "usage: scene_scores FRAMES_PER_SECOND < rgb24 frames of {} x {}\n", kSmallWidth, kSmallHeight);
    return 2;
  }
  const auto detector = make_scene_detector();
  std::vector<std::uint8_t> pixels(std::size_t{kSmallWidth} * kSmallHeight * 3);
  double spent = 0;
  std::int64_t index = 0;
  for (; std::fread(pixels.data(), 1, pixels.size(), stdin) == pixels.size(); ++index) {
    const double start = processor_microseconds();
    const std::vector<SceneChange> changes = detector->add({index, static_cast<double>(index) / rate, pixels});
    spent += processor_microseconds() - start;
    print(changes);
  }
  print(detector->finish());
  if (index > 0) fmt::print(stderr, "{:.1f}\n", spent / static_cast<double>(index));
}
