// make_speech FILE PASSAGES: a catalogue of recordings with that many passages of synthetic speech, each with a random
// vector of the model for sentences in IMAGE_ENGINE_MODELS or the usual folder, for bench/pipeline/speech.py.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "pipeline/speech_vectors.h"
#include "pipeline/stages.h"
#include "types/half.h"

namespace {

using namespace image_engine;

constexpr int kPassagesOfARecording = 1000;
constexpr double kSecondsOfAPassage = 10;

std::vector<float> direction(std::mt19937& random, std::size_t dimensions) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimensions);
  double squares = 0;
  for (float& number : vector) {
    number = normal(random);
    squares += double{number} * number;
  }
  for (float& number : vector) number = static_cast<float>(number / std::sqrt(squares));
  return vector;
}

Status add_passage(store::CatalogueWriter& writer, store::AssetId asset, int number, const store::Fact& vector) {
  const double from = number * kSecondsOfAPassage, to = from + kSecondsOfAPassage - 1;
  const SpeechSegment segment{from, to, "en", 0.9, spread_words("This is passage " + std::to_string(number), from, to)};
  const store::MomentId moment = store::kFirstSpeechMoment + number;
  IE_CHECK(writer.put_moment(asset, {moment, store::MomentKind::kSpeech, from, to}));
  return writer.put_moment_record(asset, {moment, std::string(store::kSpeechStage), speech_record(segment)},
                                  {&vector, 1});
}

Status make(const std::string& path, int passages) {
  Config config;
  if (const char* folder = std::getenv("IMAGE_ENGINE_MODELS")) config.models.folder = folder;
  IE_TRY(const auto models, pipeline::InstalledModels::open(models::find_install_paths(config.models.folder), config));
  IE_TRY(const models::Spec* spec, models.find("sentences", "auto"));
  const store::StageKey key = pipeline::speech_meaning_key(*spec);
  IE_TRY(const double dimensions, models::number_option(*spec, "dimensions", 0));
  IE_TRY(auto lock, store::WriterLock::acquire(path, "make_speech"));
  IE_TRY(auto writer, store::CatalogueWriter::open(path, std::move(lock)));
  IE_TRY(const auto run, writer.start_run("make_speech"));
  IE_TRY([[maybe_unused]] const auto space, writer.open_space(key, static_cast<std::size_t>(dimensions)));
  std::mt19937 random(1);
  for (int recording = 0; recording * kPassagesOfARecording < std::max(1, passages); ++recording) {
    IE_CHECK(writer.begin());
    store::FileObservation seen;
    seen.path = "/recordings/" + std::to_string(recording) + ".mp4";
    seen.format = MediaFormat::kMp4;
    seen.kind = MediaKind::kVideo;
    IE_TRY(const auto file, writer.upsert_file(seen, run));
    const Hash128 hash = hash128(seen.path);
    IE_TRY(const auto content, writer.set_content(file.id, hash, hash));
    for (int i = 0; i < std::min(kPassagesOfARecording, passages - recording * kPassagesOfARecording); ++i)
      IE_CHECK(add_passage(writer, content.asset, i,
                           store::VectorFact{key, direction(random, static_cast<std::size_t>(dimensions))}));
    IE_CHECK(writer.commit());
  }
  return writer.finish_run(run, {}, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_speech FILE PASSAGES\n");
    return 2;
  }
  if (const auto made = make(argv[1], std::atoi(argv[2])); !made) {
    std::fprintf(stderr, "make_speech: %s\n", made.error().message.c_str());
    return 1;
  }
  return 0;
}
