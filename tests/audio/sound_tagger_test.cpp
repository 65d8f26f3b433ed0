// Models whose scores are known: what they get is compared with the references of tools/reference/tagging_features.py.
#include "audio/sound_tagger.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numbers>

#include "audio/features.h"
#include "audio/log_mel.h"
#include "audio/upsample.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::audio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

nlohmann::json golden() { return json_of(IE_SOURCE_DIR "/tests/golden/tagging_features.json"); }

// The signal of the reference.
std::vector<float> reference_signal() {
  constexpr std::array<double, 3> kLoud = {0.5, 0.02, 0.2};
  std::uint32_t state = 1;
  std::vector<float> samples;
  for (std::size_t i = 0; i < 4'900; ++i) {
    state = state * 1'664'525 + 1'013'904'223;
    const double time = static_cast<double>(i) / kSampleRate;
    const double tone = std::sin(2 * std::numbers::pi * (300 + 9000 * time) * time);
    samples.push_back(static_cast<float>(kLoud[i / 1600 % 3] * (0.8 * tone + 0.2 * (state / 0x1p31 - 1))));
  }
  return samples;
}

// With silence around it, as at the ends of a recording.
std::vector<float> doubled(const std::vector<float>& samples) {
  std::vector<float> padded(kUpsampleReach);
  padded.insert(padded.end(), samples.begin(), samples.end());
  padded.resize(padded.size() + kUpsampleReach);
  return upsample(padded);
}

models::SoundFeatures yamnet_features() {
  models::SoundFeatures features;
  features.bands = 64;
  features.frame = 400, features.step = 160, features.transform = 512;
  features.lowest = 125, features.highest = 7500;
  features.filters = "kaldi";
  features.power = 1;
  features.floor = 0, features.offset = 0.001;
  return features;
}

models::SoundFeatures panns_features() {
  models::SoundFeatures features;
  features.bands = 64;
  features.frame = 1024, features.step = 320;
  features.lowest = 50, features.highest = 14'000;
  features.filters = "librosa", features.edges = "mirrored", features.log = "decibels";
  return features;
}

models::SoundFeatures ced_features() {
  models::SoundFeatures features;
  features.bands = 64;
  features.frame = 512, features.step = 160;
  features.edges = "mirrored", features.log = "decibels";
  features.range = 120;
  return features;
}

void expect_reference(const std::string& name, const models::SoundFeatures& features, std::size_t rate,
                      const std::vector<float>& samples, double within) {
  const LogMel mel(features, rate);
  const std::vector<float> values = mel.compute(samples);
  const nlohmann::json known = golden().at(name);
  ASSERT_GE(known.size(), 5U) << name;
  ASSERT_EQ(values.size(), mel.frames(samples.size()) * mel.bands());
  for (const auto& [frame, row] : known.items())
    for (std::size_t band = 0; band < mel.bands(); ++band)
      ASSERT_NEAR(values.at(std::stoul(frame) * mel.bands() + band), row[band].get<float>(), within)
          << name << ' ' << frame << ' ' << band;
}

TEST(TaggingFeatures, AreYamnets) { expect_reference("yamnet", yamnet_features(), 16'000, reference_signal(), 1e-3); }

TEST(TaggingFeatures, ArePannsAt32Kilohertz) {
  expect_reference("panns", panns_features(), 32'000, doubled(reference_signal()), 0.05);
}

TEST(TaggingFeatures, AreCeds) { expect_reference("ced", ced_features(), 16'000, reference_signal(), 0.01); }

TEST(TaggingFeatures, CanBeBandsBeforeTime) {
  models::SoundFeatures features = ced_features();
  const LogMel by_time(features, 16'000);
  features.layout = "bands-time";
  const LogMel by_band(features, 16'000);
  const auto samples = reference_signal();
  const auto rows = by_time.compute(samples), columns = by_band.compute(samples);
  const std::size_t frames = by_time.frames(samples.size());
  for (std::size_t i = 0; i < frames; ++i)
    for (std::size_t band = 0; band < 64; ++band) ASSERT_EQ(rows[i * 64 + band], columns[band * frames + i]);
}

TEST(TaggingFeatures, AreNormalised) {
  models::SoundFeatures features = ced_features();
  const auto plain = LogMel(features, 16'000).compute(reference_signal());
  features.mean = -4, features.deviation = 8;
  const auto changed = LogMel(features, 16'000).compute(reference_signal());
  for (std::size_t i = 0; i < plain.size(); i += 97) EXPECT_NEAR(changed[i], (plain[i] + 4) / 8, 1e-4);
}

TEST(TaggingFeatures, OfSoundShorterThanAFrameAreFinite) {
  for (const std::size_t samples : {0, 1, 3, 200}) {
    const auto values = LogMel(ced_features(), 16'000).compute(std::vector<float>(samples, 0.5F));
    EXPECT_EQ(values.size(), 64 * (samples / 160 + 1)) << samples;
    EXPECT_TRUE(std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) << samples;
  }
  EXPECT_TRUE(LogMel(yamnet_features(), 16'000).compute(std::vector<float>(399)).empty());
}

TEST(Upsample, IsScipys) {
  const auto twice = doubled(reference_signal());
  const auto known = golden().at("doubled").get<std::vector<float>>();
  ASSERT_EQ(twice.size(), 2 * 4'900);
  ASSERT_GE(known.size(), 1000U);
  for (std::size_t i = 0; i < known.size(); ++i) ASSERT_NEAR(twice[i], known[i], 2e-6) << i;
}

TEST(Upsample, KeepsTonesAndHasNoImages) {
  std::vector<float> tone(4000);
  for (std::size_t i = 0; i < tone.size(); ++i)
    tone[i] = static_cast<float>(std::sin(2 * std::numbers::pi * 3000 * static_cast<double>(i) / 16'000));
  const auto twice = upsample(tone);
  ASSERT_EQ(twice.size(), 2 * (tone.size() - 2 * kUpsampleReach));
  for (std::size_t i = 0; i < twice.size(); ++i) {
    const double at = static_cast<double>(i) / 2 + kUpsampleReach;
    ASSERT_NEAR(twice[i], std::sin(2 * std::numbers::pi * 3000 * at / 16'000), 1e-4);
  }
  EXPECT_TRUE(upsample(std::vector<float>(2 * kUpsampleReach)).empty());
}

// A graph of samples, whose scores of a window are a function of them.
class Listening final : public infer::Session {
 public:
  using Scores = std::function<Tensor(std::span<const float>)>;
  Listening(std::vector<std::int64_t> input, std::vector<std::int64_t> output, Scores scores = {})
      : inputs_{{"waveform", ElementType::kFloat32, std::move(input), ""}},
        outputs_{{"scores", ElementType::kFloat32, std::move(output), ""}},
        scores_(std::move(scores)) {}
  [[nodiscard]] const std::vector<infer::TensorInfo>& inputs() const override { return inputs_; }
  [[nodiscard]] const std::vector<infer::TensorInfo>& outputs() const override { return outputs_; }
  [[nodiscard]] infer::Placement placement() const override { return {}; }
  [[nodiscard]] Result<std::vector<Tensor>> run(std::span<const Tensor> inputs,
                                                std::span<const std::string> /*outputs*/) const override {
    EXPECT_EQ(inputs.size(), 1U);
    return std::vector{scores_(inputs[0].as<float>())};
  }
  std::vector<infer::TensorInfo> inputs_, outputs_;

 private:
  Scores scores_;
};

Tensor rows_of(const std::vector<std::vector<float>>& rows) {
  Tensor tensor = Tensor::zeros(
      ElementType::kFloat32, {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows.front().size())});
  std::size_t at = 0;
  for (const auto& row : rows)
    for (float value : row) tensor.as<float>()[at++] = value;
  return tensor;
}

float loudness(std::span<const float> samples) {
  float most = 0;
  for (float sample : samples) most = std::max(most, std::abs(sample));
  return most;
}

models::Spec loud_and_quiet() {
  models::Spec spec;
  spec.name = "ear";
  spec.task = "audio-tagging";
  spec.head = "probabilities";
  spec.labels = {"Loud", "Quiet"};
  spec.sound.rate = 16'000;
  spec.sound.window_seconds = 1;
  spec.head_options["threshold"] = "0.5";
  return spec;
}

// The loudest sample of each window, or of each of its parts.
std::shared_ptr<const infer::Session> ear(std::int64_t samples, std::size_t rows = 1) {
  return std::make_shared<Listening>(
      std::vector<std::int64_t>{1, samples}, std::vector<std::int64_t>{rows == 1 ? 1 : -1, 2},
      [rows](std::span<const float> heard) {
        std::vector<std::vector<float>> scores;
        for (std::size_t i = 0; i < rows; ++i) {
          const float loud = std::min(1.0F, loudness(heard.subspan(i * (heard.size() / rows), heard.size() / rows)));
          scores.push_back({loud, 1 - loud});
        }
        return rows_of(scores);
      });
}

SoundTagger tagger(const models::Spec& spec, std::shared_ptr<const infer::Session> session,
                   const std::vector<std::string>& elsewhere = {}) {
  const auto plan = tagging_plan(spec, *session, elsewhere);
  if (!plan) ADD_FAILURE() << plan.error().message;
  return {std::move(session), std::make_shared<const TaggingPlan>(*plan)};
}

// Silence, but for a level from second `from` to `to`.
std::vector<float> burst(double seconds, double from, double to, float level = 0.9F) {
  std::vector<float> samples(static_cast<std::size_t>(seconds * kSampleRate));
  std::fill(samples.begin() + std::lround(from * kSampleRate), samples.begin() + std::lround(to * kSampleRate), level);
  return samples;
}

std::string text_of_spans(const std::vector<SoundSpan>& spans) {
  std::string text;
  for (const SoundSpan& span : spans)
    text += fmt::format("{} {:.3f}-{:.3f} {:.3f}\n", span.name, span.from, span.to, span.confidence);
  return text;
}

std::vector<SoundSpan> tags_of(SoundTagger& tagger, std::span<const float> samples, std::size_t piece = 16'000) {
  std::vector<SoundSpan> found;
  const auto append = [&](Result<std::vector<SoundSpan>> more) {
    ASSERT_OK(more);
    found.insert(found.end(), more->begin(), more->end());
  };
  for (std::size_t i = 0; i < samples.size(); i += piece)
    append(tagger.add(samples.subspan(i, std::min(piece, samples.size() - i))));
  append(tagger.finish());
  return found;
}

std::string heard_by(const models::Spec& spec, const std::shared_ptr<const infer::Session>& session,
                     std::span<const float> samples, std::size_t piece = 16'000) {
  SoundTagger fresh = tagger(spec, session);
  return text_of_spans(tags_of(fresh, samples, piece));
}

TEST(SoundTagger, FindsTheWindowsOfASound) {
  EXPECT_EQ(heard_by(loud_and_quiet(), ear(16'000), burst(6, 2.2, 3.5)),
            "Quiet 0.000-2.000 1.000\nLoud 2.000-4.000 0.900\nQuiet 4.000-6.000 1.000\n");
}

TEST(SoundTagger, TakesTheMeanOfWindowsThatOverlap) {
  models::Spec spec = loud_and_quiet();
  spec.sound.window_seconds = 2, spec.sound.hop_seconds = 1;
  // Windows 0–2, 1–3, … s: those that begin at 2 and 3 hear it; from 2 to 3 s half of the windows do.
  spec.head_options["threshold"] = "0.46";
  EXPECT_THAT(heard_by(spec, ear(32'000), burst(8, 3.2, 3.8, 1)), HasSubstr("Loud 2.000-5.000 0.667\n"));
  spec.head_options["threshold"] = "0.6";
  EXPECT_THAT(heard_by(spec, ear(32'000), burst(8, 3.2, 3.8, 1)), HasSubstr("Loud 3.000-4.000 1.000\n"));
}

TEST(SoundTagger, TakesRowsOverTime) {
  models::Spec spec = loud_and_quiet();
  spec.sound.window_seconds = 2, spec.sound.row_seconds = 0.25;
  EXPECT_THAT(heard_by(spec, ear(32'000, 8), burst(5, 2.3, 2.7)), HasSubstr("Loud 2.250-2.750 0.900\n"));
  EXPECT_THAT(heard_by(spec, ear(32'000, 9), burst(5, 0.1, 0.2)), HasSubstr("Loud 0.000-0.250 0.900\n"))
      << "more rows than the window is long are not taken";
}

TEST(SoundTagger, ReadsLogits) {
  models::Spec spec = loud_and_quiet();
  spec.head = "sigmoid";
  const auto session = std::make_shared<Listening>(std::vector<std::int64_t>{16'000}, std::vector<std::int64_t>{2},
                                                   [](std::span<const float> heard) {
                                                     return rows_of({{loudness(heard) > 0.5F ? 2.0F : -2.0F, -20}});
                                                   });
  EXPECT_EQ(heard_by(spec, session, burst(3, 1, 2)), "Loud 1.000-2.000 0.881\n");
}

TEST(SoundTagger, LeavesOutWhatIsShortAndJoinsOverPauses) {
  models::Spec spec = loud_and_quiet();
  spec.sound.keep = {"Loud"};
  std::vector<float> samples = burst(12, 1, 2);
  const std::vector<float> more = burst(12, 4, 6), again = burst(12, 7, 8);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = std::max({samples[i], more[i], again[i]});
  EXPECT_EQ(heard_by(spec, ear(16'000), samples),
            "Loud 1.000-2.000 0.900\nLoud 4.000-6.000 0.900\nLoud 7.000-8.000 0.900\n");
  spec.head_options["pause_seconds"] = "1";
  EXPECT_EQ(heard_by(spec, ear(16'000), samples), "Loud 1.000-2.000 0.900\nLoud 4.000-8.000 0.900\n");
  spec.head_options["least_seconds"] = "1.5";
  EXPECT_EQ(heard_by(spec, ear(16'000), samples), "Loud 4.000-8.000 0.900\n");
}

TEST(SoundTagger, EndsWithTheRecording) {
  EXPECT_EQ(heard_by(loud_and_quiet(), ear(16'000), burst(2.5, 2, 2.5)),
            "Quiet 0.000-2.000 1.000\nLoud 2.000-2.500 0.900\n");
  EXPECT_EQ(heard_by(loud_and_quiet(), ear(16'000), burst(0.05, 0, 0.05)), "Loud 0.000-0.050 0.900\n")
      << "shorter than a window";
  EXPECT_EQ(heard_by(loud_and_quiet(), ear(16'000), {}), "");
}

TEST(SoundTagger, HearsSamplesAt32Kilohertz) {
  models::Spec spec = loud_and_quiet();
  spec.sound.rate = 32'000;
  EXPECT_THAT(heard_by(spec, ear(32'000), burst(4, 1.2, 1.5, 0.7F)), HasSubstr("Loud 1.000-2.000 0.7"));
}

// Every kind of window, for what must not depend on how a recording is cut.
std::vector<std::pair<models::Spec, std::shared_ptr<const infer::Session>>> kinds() {
  models::Spec plain = loud_and_quiet(), overlapping = plain, rows = plain, doubled = plain;
  overlapping.sound.window_seconds = 3, overlapping.sound.hop_seconds = 0.7;
  rows.sound.window_seconds = 2, rows.sound.hop_seconds = 1.25, rows.sound.row_seconds = 0.25;
  doubled.sound.rate = 32'000, doubled.sound.hop_seconds = 0.5;
  return {{plain, ear(16'000)}, {overlapping, ear(48'000)}, {rows, ear(32'000, 8)}, {doubled, ear(32'000)}};
}

std::vector<float> wavering() {
  std::vector<float> samples(25 * kSampleRate);
  for (std::size_t i = 0; i < samples.size(); ++i)
    samples[i] = static_cast<float>(0.5 + 0.5 * std::sin(static_cast<double>(i) / 9'000)) * (i % 7 < 3 ? 1.0F : -0.4F);
  return samples;
}

TEST(SoundTagger, FindsTheSameInPiecesOfAnyLength) {
  const auto samples = wavering();
  for (const auto& [spec, session] : kinds()) {
    const std::string whole = heard_by(spec, session, samples, samples.size());
    EXPECT_NE(whole, "");
    for (std::size_t piece : {163, 16'000, 200'000}) EXPECT_EQ(heard_by(spec, session, samples, piece), whole) << piece;
  }
}

TEST(SoundTagger, FindsTheSameWhenResumed) {
  const auto samples = wavering();
  for (const auto& [spec, session] : kinds()) {
    const std::string whole = heard_by(spec, session, samples);
    for (const std::size_t stop :
         {std::size_t{0}, std::size_t{9'000}, std::size_t{100'100}, std::size_t{300'000}, samples.size()}) {
      SoundTagger first = tagger(spec, session), second = tagger(spec, session);
      auto found = first.add(std::span(samples).first(stop));
      ASSERT_OK(found);
      const auto again = second.resume(first.state());
      ASSERT_OK(again);
      EXPECT_GE(*again * kSampleRate, static_cast<double>(stop) - 60.0 * kSampleRate);
      const auto rest =
          tags_of(second, std::span(samples).subspan(static_cast<std::size_t>(std::lround(*again * kSampleRate))));
      found->insert(found->end(), rest.begin(), rest.end());
      EXPECT_EQ(text_of_spans(*found), whole) << stop;
    }
  }
}

TEST(SoundTagger, RefusesAStateOfOthers) {
  SoundTagger one = tagger(loud_and_quiet(), ear(16'000));
  models::Spec fewer = loud_and_quiet();
  fewer.sound.keep = {"Loud"};
  for (const std::string& state :
       {std::string("{"), std::string("[1]"), std::string(R"({"classes":2,"steps":-1,"spans":{}})"),
        std::string(R"({"classes":2,"steps":3,"spans":{"Loud":[2,1,1,1]}})"), tagger(fewer, ear(16'000)).state()})
    EXPECT_EQ(one.resume(state).error().code, ErrorCode::kCorrupt) << state;
}

TEST(SoundTagger, LeavesOutWhatAnotherModelFinds) {
  SoundTagger half = tagger(loud_and_quiet(), ear(16'000), {"quiet"});
  EXPECT_EQ(text_of_spans(tags_of(half, burst(6, 2.2, 3.5))), "Loud 2.000-4.000 0.900\n");
}

TEST(SoundTagger, RefusesScoresThatAreNone) {
  const auto fails = [](const models::Spec& spec, const Listening::Scores& scores) {
    SoundTagger broken = tagger(
        spec, std::make_shared<Listening>(std::vector<std::int64_t>{-1}, std::vector<std::int64_t>{-1, -1}, scores));
    const auto found = broken.add(burst(2, 0, 1));
    return found ? "nothing" : found.error().message;
  };
  EXPECT_THAT(fails(loud_and_quiet(),
                    [](auto) {
                      return rows_of({{3, -3}});
                    }),
              AllOf(HasSubstr("ear"), HasSubstr("head: sigmoid")));
  EXPECT_THAT(fails(loud_and_quiet(), [](auto) { return rows_of({{NAN, 0}}); }), HasSubstr("no probability"));
  EXPECT_THAT(fails(loud_and_quiet(),
                    [](auto) {
                      return rows_of({{0, 0, 0}});
                    }),
              AllOf(HasSubstr("3 scores"), HasSubstr("2 labels")));
  EXPECT_THAT(fails(loud_and_quiet(), [](auto) { return rows_of({{0, 0}, {0, 0}}); }), HasSubstr("row_seconds"));
  models::Spec rows = loud_and_quiet();
  rows.sound.row_seconds = 0.25;
  EXPECT_THAT(fails(rows,
                    [](auto) {
                      return rows_of({{0, 0}, {0, 0}});
                    }),
              AllOf(HasSubstr("2 rows"), HasSubstr("needs 4")));
}

TEST(TaggingPlan, NamesWhatTheGraphHasOtherwise) {
  const auto error = [](const models::Spec& spec, std::vector<std::int64_t> input, std::vector<std::int64_t> output) {
    const auto plan = tagging_plan(spec, Listening(std::move(input), std::move(output)));
    if (plan) return std::string("no error");
    EXPECT_THAT(plan.error().message, HasSubstr("model ear: "));
    return plan.error().message;
  };
  const models::Spec waveform = loud_and_quiet();
  EXPECT_EQ(error(waveform, {1, 16'000}, {1, 2}), "no error");
  EXPECT_EQ(error(waveform, {-1, 1, -1}, {-1, 2}), "no error");
  EXPECT_THAT(error(waveform, {1, 15'600}, {1, 2}),
              AllOf(HasSubstr("[1, 15600]"), HasSubstr("[1, 16000]"), HasSubstr("window_seconds")));
  EXPECT_THAT(error(waveform, {1, 1, 96, 64}, {1, 2}), HasSubstr("state `sound.features`"));
  EXPECT_THAT(error(waveform, {1, 16'000}, {1, 527}), AllOf(HasSubstr("[1, 527]"), HasSubstr("2 labels")));
  EXPECT_THAT(error(waveform, {1, 16'000}, {10, 2}), HasSubstr("row_seconds"));
  models::Spec features = loud_and_quiet();
  features.sound.features = yamnet_features();
  EXPECT_EQ(error(features, {1, 1, 98, 64}, {1, 2}), "no error");
  EXPECT_EQ(error(features, {-1, -1, 64}, {1, 2}), "no error");
  EXPECT_THAT(error(features, {1, 96, 64}, {1, 2}), AllOf(HasSubstr("[1, 96, 64]"), HasSubstr("[1, 98, 64]")));
  EXPECT_THAT(error(features, {1, 16'000}, {1, 2}), HasSubstr("[98, 64]"));
  EXPECT_THAT(error(features, {-1}, {1, 2}), HasSubstr("leave `sound.features` out"));
  models::Spec other = loud_and_quiet();
  other.outputs = {"clipwise"};
  EXPECT_THAT(error(other, {1, 16'000}, {1, 2}), AllOf(HasSubstr("no output clipwise"), HasSubstr("scores")));
  other = loud_and_quiet();
  other.head_options["threshold"] = "3";
  EXPECT_THAT(error(other, {1, 16'000}, {1, 2}), HasSubstr("threshold is 3"));
  other.labels.clear();
  EXPECT_THAT(error(other, {1, 16'000}, {1, 2}), HasSubstr("lacks `labels`"));
}

}  // namespace
}  // namespace image_engine::audio
