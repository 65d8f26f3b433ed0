#include <gmock/gmock.h>

#include "store/sql.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

class LabelsTest : public WrittenTest {
 protected:
  void SetUp() override {
    WrittenTest::SetUp();
    for (const char* name : {"a", "b", "c"}) {
      files_.push_back(*writer_->upsert_file(seen(std::string("/p/") + name), run_));
      assets_.push_back(writer_->set_content(files_.back().id, hash128("file"), hash128(name))->asset);
    }
  }
  FoundAssets find(TextField field, const std::string& text) const {
    AssetQuery query;
    query.filters = {{TextCondition{field, text, false}}};
    return *reader().find(query);
  }

  std::vector<KnownFile> files_;
  std::vector<AssetId> assets_;
};

TEST_F(LabelsTest, ScenesAreFoundAsWordsAndExplained) {
  EXPECT_FALSE(*reader().is_analysed(TextField::kScene, ""));
  ASSERT_OK(
      writer_->put_fact(assets_[0], ClassFacts{TextField::kScene, {{"beach", 0.814, {}}, {"sunset sky", 0.5, {}}}}));
  EXPECT_TRUE(*reader().is_analysed(TextField::kScene, ""));
  EXPECT_FALSE(*reader().is_analysed(TextField::kKeywords, ""));
  const auto found = find(TextField::kScene, "Beach");
  ASSERT_THAT(found.assets, SizeIs(1));
  EXPECT_THAT(found.assets[0].why, Contains(Why{"scene", "beach 0.81"}));
  EXPECT_THAT(find(TextField::kScene, "sky").assets[0].why, Contains(Why{"scene", "sunset sky 0.50"}));
  ASSERT_OK(writer_->put_fact(assets_[0], ClassFacts{TextField::kScene, {{"forest", 0.9, {}}}}));
  EXPECT_EQ(count_found("beach"), 0U);
  EXPECT_EQ(count_found("forest"), 1U);
  EXPECT_EQ(writer_->put_fact(99, ClassFacts{TextField::kScene, {}}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(writer_->put_fact(assets_[0], ClassFacts{TextField::kText, {}}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(LabelsTest, FindingsReplaceThoseOfTheSameLabelOnly) {
  Metadata metadata = titled("one");
  metadata.keywords = {"harbour"};
  ASSERT_OK(writer_->set_file_metadata(files_[0].id, metadata, {}, "1"));
  ASSERT_OK(
      writer_->set_label_findings("my car", {{assets_[0], 0.9, Box{1, 2, 3, 4}}, {assets_[1], 0.8, {}}, {99, 1, {}}}));
  ASSERT_OK(writer_->set_label_findings("my dog", {{assets_[0], 0.7, {}}}));
  EXPECT_EQ(find(TextField::kKeywords, "my car").total, 2U);
  ASSERT_OK(writer_->set_label_findings("my car", {{assets_[0], 0.95, {}}, {assets_[2], 0.6, {}}}));
  const auto cars = find(TextField::kKeywords, "my car");
  ASSERT_EQ(cars.total, 2U);
  for (const FoundAsset& car : cars.assets) EXPECT_NE(car.id, assets_[1]);
  EXPECT_THAT(find(TextField::kKeywords, "harbour").assets[0].why, ElementsAre(Why{"keyword", "harbour"}));
  bool explained = false;
  for (const FoundAsset& car : cars.assets)
    explained = explained || testing::Value(car.why, Contains(Why{"keyword", "my car 0.95"}));
  EXPECT_TRUE(explained);
  EXPECT_EQ(find(TextField::kKeywords, "my dog").total, 1U);
  EXPECT_THAT(*reader().terms(), ElementsAre(Pair("harbour", 1), Pair("my car", 2), Pair("my dog", 1)));
}

TEST_F(LabelsTest, APictureSeenAgainKeepsItsLabelsAndWhatAPersonSaid) {
  ASSERT_OK(writer_->set_label_example("Rex", assets_[0], LabelExample{{}, true, {}}));
  ASSERT_OK(writer_->set_label_example("rex", assets_[1], LabelExample{{}, false, {}}));
  ASSERT_OK(writer_->set_label_findings("rex", {{assets_[0], 1, {}}}));
  ASSERT_OK(writer_->set_label_findings("my cat", {{assets_[0], 0.8, Box{1, 2, 3, 4}}}));
  for (const AssetId asset : assets_)
    ASSERT_OK(writer_->add_learned_labels(asset, {{"rex", 0.6, {}}, {"harbour", 0.7, {}}}));
  const auto learned = [&](AssetId asset) {
    std::vector<std::pair<std::string, double>> labels;
    const auto record = reader().asset_record(asset);
    for (const FoundClass& label : record->learned) labels.emplace_back(label.name, label.confidence);
    return labels;
  };
  EXPECT_THAT(learned(assets_[0]), ElementsAre(Pair("Rex", 1), Pair("my cat", 0.8), Pair("harbour", 0.7)));
  EXPECT_THAT(learned(assets_[1]), ElementsAre(Pair("harbour", 0.7)));
  EXPECT_THAT(learned(assets_[2]), ElementsAre(Pair("harbour", 0.7), Pair("Rex", 0.6)));
  EXPECT_EQ(reader().asset_record(assets_[0])->learned[1].box, std::optional(Box{1, 2, 3, 4}));
  EXPECT_EQ(find(TextField::kKeywords, "harbour").total, 3U);
  EXPECT_EQ(find(TextField::kKeywords, "rex").total, 2U);
  EXPECT_EQ(writer_->add_learned_labels(99, {}).error().code, ErrorCode::kNotFound);
}

// Text that stays is not indexed again: what was put into the index by hand is still there.
TEST_F(LabelsTest, OnlyChangedFindingsAreIndexedAnew) {
  ASSERT_OK(writer_->set_label_findings("car", {{assets_[0], 0.9, {}}, {assets_[1], 0.9, {}}}));
  {
    Connection connection(path_, Access::kWrite);
    connection.execute("UPDATE asset_text SET title = 'untouched'");
  }
  ASSERT_OK(writer_->set_label_findings("car", {{assets_[0], 0.9, {}}, {assets_[2], 0.9, {}}}));
  EXPECT_EQ(find(TextField::kTitle, "untouched").total, 1U);
  EXPECT_EQ(find(TextField::kTitle, "untouched").assets[0].id, assets_[0]);
}

TEST_F(LabelsTest, ExamplesAndHead) {
  ASSERT_OK(writer_->set_label_example("Rex", assets_[0], LabelExample{{}, true, Box{1, 2, 3.5F, 4}}));
  ASSERT_OK(writer_->set_label_example("rex", assets_[1], LabelExample{{}, false, {}}));
  ASSERT_OK(writer_->set_label_example("rex", assets_[2], LabelExample{{}, true, {}}));
  ASSERT_OK(writer_->set_label_example("rex", assets_[2], std::nullopt));
  const auto examples = reader().label_examples("REX");
  ASSERT_THAT(*examples, SizeIs(2));
  for (const LabelExample& example : *examples) {
    EXPECT_EQ(example.positive, example.asset == hash128("a"));
    EXPECT_EQ(example.box, example.positive ? std::optional(Box{1, 2, 3.5F, 4}) : std::nullopt);
  }
  auto labels = reader().learned_labels();
  ASSERT_THAT(*labels, SizeIs(1));
  EXPECT_EQ(labels->front().name, "Rex");
  EXPECT_EQ(labels->front().space, 0);
  LearnedLabel head;
  head.name = "rex";
  head.object = "dog";
  head.space = writer_->open_space({"embedding", "clip", "1", ""}, 3)->id;
  head.weights = {0.5F, -1.25F, 3};
  head.bias = -0.75;
  head.params = "hash";
  ASSERT_OK(writer_->put_learned_label(head));
  ASSERT_OK(writer_->set_label_findings("rex", {{assets_[2], 0.9, {}}}));
  labels = reader().learned_labels();
  ASSERT_THAT(*labels, SizeIs(1));
  const LearnedLabel& label = labels->front();
  EXPECT_EQ(label.name, "Rex");
  EXPECT_EQ(label.object, "dog");
  EXPECT_EQ(label.space, head.space);
  EXPECT_EQ(label.weights, head.weights);
  EXPECT_EQ(label.bias, head.bias);
  EXPECT_EQ(label.params, "hash");
  EXPECT_FALSE(label.trained.empty());
  EXPECT_EQ(label.positive, 1);
  EXPECT_EQ(label.negative, 1);
  EXPECT_EQ(label.found, 1);
  ASSERT_OK(writer_->remove_learned_label("REX"));
  EXPECT_THAT(*reader().learned_labels(), IsEmpty());
  EXPECT_THAT(*reader().label_examples("rex"), IsEmpty());
  EXPECT_EQ(count_found("rex"), 0U);
  EXPECT_EQ(writer_->remove_learned_label("rex").error().code, ErrorCode::kNotFound);
}

TEST_F(LabelsTest, AnExampleNeedsAPictureThatWasRead) {
  const auto file = *writer_->upsert_file(seen("/p/new"), 1);
  EXPECT_EQ(writer_->set_label_example("x", file.asset, LabelExample{}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(writer_->set_label_example("", assets_[0], LabelExample{}).error().code, ErrorCode::kInvalidArgument);
  LearnedLabel head;
  head.name = "x";
  head.space = 99;
  EXPECT_EQ(writer_->put_learned_label(head).error().code, ErrorCode::kNotFound);
}

TEST_F(LabelsTest, ExamplesOutliveTheirPicture) {
  ASSERT_OK(writer_->set_label_example("rex", assets_[0], LabelExample{}));
  ASSERT_OK(set_state(*writer_, "/p", FileState::kMissing));
  writer_.reset();
  {
    auto lock = WriterLock::acquire(path_, "prune");
    ASSERT_OK(lock);
    EXPECT_EQ(prune(path_, *lock, {})->assets, 2);
    EXPECT_THAT(*reader().label_examples("rex"), SizeIs(1));
    EXPECT_EQ(*reader().asset_ids(), std::vector{assets_[0]});  // its vector teaches the label
    PruneOptions all;
    all.user_data = true;
    EXPECT_EQ(prune(path_, *lock, all)->user_data, 1);
  }
  EXPECT_THAT(*reader().label_examples("rex"), IsEmpty());
}

}  // namespace
}  // namespace image_engine::store
