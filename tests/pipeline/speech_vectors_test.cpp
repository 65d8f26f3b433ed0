#include "pipeline/speech_vectors.h"

#include <gmock/gmock.h>

#include "pipeline/stages.h"
#include "tests/support/catalogue.h"
#include "types/half.h"

namespace image_engine::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SpeechVectorsTest : public store::WrittenTest {
 protected:
  store::AssetId add(const std::string& path, const std::vector<SpeechSegment>& speech) {
    const auto file = *writer_->upsert_file(seen(path), run_);
    const store::AssetId asset = writer_->set_content(file.id, hash128("file " + path), hash128(path))->asset;
    EXPECT_OK(writer_->put_record(asset, {{"speech", "whisper", "1", ""}, "cpu", "", "{}", ""}));
    put_speech(asset, speech);
    return asset;
  }
  void put_speech(store::AssetId asset, const std::vector<SpeechSegment>& speech) {
    moments_.clear();
    EXPECT_OK(writer_->drop_moments(asset, store::kSpeechMoments));
    for (const SpeechSegment& segment : speech) {
      const store::MomentId id = store::kFirstSpeechMoment + static_cast<store::MomentId>(moments_.size());
      moments_.push_back(id);
      EXPECT_OK(writer_->put_moment(asset, {id, store::MomentKind::kSpeech, segment.from, segment.to}));
      EXPECT_OK(writer_->put_moment_record(asset, {id, "speech", speech_record(segment)}));
    }
  }
  static SpeechSegment says(double from, const std::string& text) {
    return {from, from + 2, "en", 1, spread_words(text, from, from + 2)};
  }

  // The number of the text among those that were embedded is the vector.
  SpeechVectors vectors(const std::string& model = "toy") {
    return {{kSpeechMeaningStage, model, "1", ""}, [this](std::span<const std::string> texts) {
              std::vector<vision::Embedding> made;
              for (const std::string& text : texts) {
                embedded_.push_back(text);
                made.push_back({static_cast<float>(embedded_.size()), 0, 0});
              }
              return Result<std::vector<vision::Embedding>>(made);
            }};
  }
  Status write(const SpeechVectors& vectors, store::AssetId asset, const std::vector<SpeechSegment>& speech) {
    IE_TRY(const SpeechVectors::Passages passages, vectors.embed(speech));
    return vectors.write(*writer_, asset, passages, moments_);
  }
  // The moments' numbers from the first one on, and their vectors' first numbers.
  std::vector<std::pair<int, float>> written(store::AssetId asset, const std::string& model = "toy") const {
    std::vector<std::pair<int, float>> list;
    const auto reader = this->reader();
    const std::vector<store::Space> spaces = reader.spaces(kSpeechMeaningStage).value();
    const auto space = std::ranges::find(spaces, model, [](const store::Space& one) { return one.key.model; });
    if (space == spaces.end()) return list;
    const auto vectors = reader.moment_vectors(space->id, asset).value();
    for (const auto& [moment, vector] : vectors)
      list.emplace_back(static_cast<int>(moment - store::kFirstSpeechMoment), from_half(vector).front());
    return list;
  }

  std::vector<store::MomentId> moments_;
  std::vector<std::string> embedded_;
};

TEST_F(SpeechVectorsTest, AVectorBelongsToTheFirstSegmentOfItsPassage) {
  const std::vector<SpeechSegment> speech = {says(0, ""), says(3, "Cheers!"), says(5, "To the happy couple."),
                                             says(60, "Where is my coat?")};
  const store::AssetId asset = add("/p/wedding", speech);
  ASSERT_OK(write(vectors(), asset, speech));
  ASSERT_THAT(embedded_, SizeIs(2));
  EXPECT_THAT(embedded_[0], HasSubstr("Cheers! To the happy couple."));
  EXPECT_THAT(written(asset), ElementsAre(std::pair(1, 1.0F), std::pair(3, 2.0F)));
}

TEST_F(SpeechVectorsTest, OtherSpeechReplacesThem) {
  std::vector<SpeechSegment> speech = {says(0, "One."), says(60, "Two."), says(120, "Three.")};
  const store::AssetId asset = add("/p/talk", speech);
  ASSERT_OK(write(vectors(), asset, speech));
  EXPECT_THAT(written(asset), SizeIs(3));
  // The same moments, but two passages.
  ASSERT_OK(write(vectors(), asset, {says(0, "One."), says(4, "Two."), says(120, "Three.")}));
  EXPECT_THAT(written(asset), ElementsAre(std::pair(0, 4.0F), std::pair(2, 5.0F)));
  ASSERT_OK(write(vectors("another"), asset, {says(0, "One."), says(4, "Two."), says(120, "Three.")}));
  EXPECT_THAT(written(asset), SizeIs(2)) << "each model has its own";
  EXPECT_THAT(written(asset, "another"), SizeIs(2));
}

TEST_F(SpeechVectorsTest, WhereNothingIsSaidThereIsNoVector) {
  const store::AssetId asset = add("/p/silence", {});
  ASSERT_OK(write(vectors(), asset, {}));
  EXPECT_THAT(embedded_, IsEmpty());
  EXPECT_THAT(*reader().spaces(kSpeechMeaningStage), IsEmpty());
}

TEST_F(SpeechVectorsTest, SpeechThatWasAnalyzedAgainLacksThem) {
  const std::vector<SpeechSegment> speech = {says(0, "One.")};
  const store::AssetId first = add("/p/first", speech);
  ASSERT_OK(write(vectors(), first, speech));
  const store::AssetId second = add("/p/second", speech);
  add("/p/silence", {});
  const store::SpaceId space = reader().spaces(kSpeechMeaningStage)->front().id;
  EXPECT_THAT(*reader().moments_not_embedded("speech", 0), ElementsAre(first, second));
  EXPECT_THAT(*reader().moments_not_embedded("speech", space), ElementsAre(second));
  ASSERT_OK(write(vectors(), second, speech));
  EXPECT_THAT(*reader().moments_not_embedded("speech", space), IsEmpty());
  put_speech(first, {says(0, "Two.")});
  EXPECT_THAT(*reader().moments_not_embedded("speech", space), ElementsAre(first));
}

}  // namespace
}  // namespace image_engine::pipeline
