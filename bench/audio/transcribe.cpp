// transcribe FOLDER VAD SOUND [LANGUAGE [THREADS]]: speech of a raw file (float32, mono, 16 kHz) by the
// Whisper model in FOLDER (encoder.onnx, decoder.onnx, tokens.txt) with the detector VAD, without decoding, catalogue
// and processes. Prints the segments as JSON, and to stderr how long it took.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "audio/transcriber.h"
#include "core/file.h"

namespace {

using namespace image_engine;
using Json = nlohmann::json;

template <typename T>
T value(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << result.error().message << '\n';
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: transcribe FOLDER VAD SOUND [LANGUAGE [THREADS]]\n";
    return 2;
  }
  const std::string folder = argv[1], suffix = std::getenv("VARIANT") != nullptr ? std::getenv("VARIANT") : "";
  infer::SessionOptions options;
  options.threads = argc > 5 ? std::atoi(argv[5]) : 2;
  const auto session = [&](const std::string& file, const infer::SessionOptions& wanted) {
    return std::shared_ptr<const infer::Session>(value(infer::Session::create(file, wanted)));
  };
  const audio::Whisper whisper = value(audio::Whisper::create(session(folder + "/encoder" + suffix + ".onnx", options),
                                                              session(folder + "/decoder" + suffix + ".onnx", options),
                                                              value(read_file(folder + "/tokens.txt"))));
  const std::string bytes = value(read_file(argv[3]));
  std::vector<float> samples(bytes.size() / sizeof(float));
  std::memcpy(samples.data(), bytes.data(), samples.size() * sizeof(float));
  audio::WhisperOptions wanted;
  if (argc > 4) wanted.language = argv[4];
  const auto start = std::chrono::steady_clock::now();
  audio::Transcriber transcriber(value(audio::VoiceActivity::create(session(argv[2], {}))), &whisper, wanted, 0, 0);
  Json segments = Json::array(), voice = Json::array();
  const auto take = [&] {
    for (const SpeechSegment& segment : transcriber.take()) {
      Json words = Json::array();
      for (const SpokenWord& word : segment.words)
        words.push_back({{"word", word.text}, {"from", word.from}, {"to", word.to}, {"confidence", word.confidence}});
      segments.push_back({{"from", segment.from},
                          {"to", segment.to},
                          {"text", segment.text()},
                          {"language", segment.language},
                          {"confidence", segment.confidence},
                          {"words", std::move(words)}});
    }
    for (const SoundSpan& span : transcriber.take_voice()) voice.push_back({span.from, span.to});
  };
  const std::span<const float> all(samples);
  constexpr std::size_t kPiece = 10 * audio::kSampleRate;
  for (std::size_t at = 0; at < all.size(); at += kPiece) {
    if (Status added = transcriber.add(all.subspan(at, std::min(kPiece, all.size() - at))); !added) {
      std::cerr << added.error().message << '\n';
      return 1;
    }
    take();
  }
  if (Status finished = transcriber.finish(); !finished) {
    std::cerr << finished.error().message << '\n';
    return 1;
  }
  take();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double length = static_cast<double>(samples.size()) / static_cast<double>(audio::kSampleRate);
  std::cout << Json{{"segments", segments},
                    {"voice", voice},
                    {"dropped",
                     {{"unsure", transcriber.dropped().unsure},
                      {"loops", transcriber.dropped().loops},
                      {"silent", transcriber.dropped().silent}}}}
                   .dump(1)
            << '\n';
  std::cerr << "real-time factor " << seconds / length << " (" << seconds << " s for " << length << " s)\n";
}
