#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// Words of a query beside findings of something else, which a test plants.
class FinderTest : public WrittenTest {
 protected:
  void SetUp() override {
    WrittenTest::SetUp();
    for (const char* title : {"beach sunset", "beach", "mountain", "sunset in winter", "river"}) add(title);
    reader_ = std::make_unique<CatalogueReader>(reader());
  }
  void TearDown() override {
    reader_.reset();
    WrittenTest::TearDown();
  }

  void add(const std::string& title) {
    const auto file = writer_->upsert_file(seen("/p/" + title), 1);
    ASSERT_OK(file);
    ASSERT_OK(writer_->set_file_metadata(file->id, titled(title), std::nullopt, "1"));
    const auto content = writer_->set_content(file->id, hash128("file " + title), hash128(title));
    ASSERT_OK(content);
    id_[title] = content->asset;
  }

  // Words that may go on, so that none need match whole.
  static AssetQuery words(const std::vector<std::string>& texts) {
    AssetQuery query;
    for (const std::string& text : texts) query.words.push_back({TextField::kTitle, text, true});
    return query;
  }
  // `query` with these found besides, by title.
  AssetQuery with(AssetQuery query, const std::vector<std::pair<std::string, double>>& findings) {
    query.more = [this, findings](const IdSet&) -> Result<std::vector<Relevant>> {
      std::vector<Relevant> found;
      for (const auto& [title, relevance] : findings) found.push_back({id_.at(title), relevance, kWhy});
      return found;
    };
    return query;
  }
  FoundAssets find(const AssetQuery& query) const {
    auto found = reader_->find(query);
    EXPECT_OK(found);
    return found ? *found : FoundAssets();
  }
  static std::vector<std::string> titles(const FoundAssets& found) {
    std::vector<std::string> result;
    for (const FoundAsset& asset : found.assets) result.push_back(asset.path.substr(3));
    return result;
  }
  static std::map<std::string, double> scores(const FoundAssets& found) {
    std::map<std::string, double> result;
    for (const FoundAsset& asset : found.assets) result[asset.path.substr(3)] = asset.score;
    return result;
  }

  const Why kWhy{"looks like", "it"};
  std::map<std::string, AssetId> id_;
  std::unique_ptr<CatalogueReader> reader_;
};

TEST_F(FinderTest, WordsAndFindingsAreOneList) {
  const FoundAssets found =
      find(with(words({"beach", "sunset"}), {{"mountain", 0.95}, {"beach", 0.8}, {"river", 0.51}}));
  EXPECT_THAT(titles(found), ElementsAre("beach sunset", "mountain", "beach", "river", "sunset in winter"));
  EXPECT_EQ(found.total, 5U);
}

TEST_F(FinderTest, EvidenceIsJoinedAsIndependent) {
  const auto alone = scores(find(words({"bea", "sun"})));
  const auto joined =
      scores(find(with(words({"bea", "sun"}), {{"beach", 0.8}, {"mountain", 0.7}, {"beach sunset", 0.6}})));
  EXPECT_NEAR(joined.at("mountain"), 0.7, 1e-9);
  EXPECT_NEAR(joined.at("beach"), 1 - (1 - alone.at("beach")) * 0.2, 1e-9);
  EXPECT_NEAR(joined.at("sunset in winter"), alone.at("sunset in winter"), 1e-9);
  const double others = joined.at("beach");  // the best of what has not all words
  ASSERT_LT(alone.at("beach sunset"), others);
  EXPECT_NEAR(joined.at("beach sunset"), std::max(others, 1 - (1 - alone.at("beach sunset")) * 0.4), 1e-9);
}

// Beginnings are half as certain; each title is the only one of its bm25.
TEST_F(FinderTest, ScoreIsTheCertaintyOfWords) {
  EXPECT_NEAR(scores(find(words({"river"}))).at("river"), 1, 1e-9);
  EXPECT_NEAR(scores(find(words({"riv"}))).at("river"), 0.5, 1e-9);
  const auto two = scores(find(words({"river", "mountain"})));
  EXPECT_NEAR(two.at("river"), 0.5, 0.005);
  EXPECT_NEAR(two.at("mountain"), 0.5, 0.005);
  EXPECT_NEAR(scores(find(words({"beach", "sunset"}))).at("beach sunset"), 1, 0.005);
  EXPECT_NEAR(scores(find(words({"beach", "sun"}))).at("beach sunset"), (1 + 0.75) / 2, 0.005);
}

TEST_F(FinderTest, AllWordsComeFirstAndScoresFall) {
  const FoundAssets found = find(with(words({"bea", "sun"}), {{"mountain", 1}, {"river", 0.999}, {"beach", 1}}));
  ASSERT_THAT(found.assets, SizeIs(5));
  EXPECT_EQ(titles(found).front(), "beach sunset");
  for (size_t i = 0; i < found.assets.size(); ++i) {
    EXPECT_GT(found.assets[i].score, 0);
    EXPECT_LE(found.assets[i].score, i == 0 ? 1 : found.assets[i - 1].score);
  }
}

TEST_F(FinderTest, EvidenceOfBothIsTold) {
  const FoundAssets found = find(with(words({"beach"}), {{"beach", 0.9}, {"river", 0.8}}));
  ASSERT_THAT(titles(found), ElementsAre("beach", "beach sunset", "river"));
  EXPECT_THAT(found.assets[0].why, ElementsAre(Why{"title", "beach"}, kWhy));
  EXPECT_THAT(found.assets[1].why, ElementsAre(Why{"title", "beach sunset"}));
  EXPECT_THAT(found.assets[2].why, ElementsAre(kWhy));
}

TEST_F(FinderTest, PagesAreOfOneList) {
  AssetQuery query = with(words({"beach", "sunset"}), {{"mountain", 0.95}, {"beach", 0.8}, {"river", 0.51}});
  const FoundAssets all = find(query);
  std::vector<std::string> paged;
  query.limit = 2;
  for (query.offset = 0; query.offset < 6; query.offset += 2) {
    const FoundAssets page = find(query);
    EXPECT_EQ(page.total, 5U);
    for (const FoundAsset& asset : page.assets) {
      EXPECT_EQ(asset.score, all.assets[paged.size()].score);
      paged.push_back(asset.path.substr(3));
    }
  }
  EXPECT_EQ(paged, titles(all));
}

TEST_F(FinderTest, FindingNothingChangesNothing) {
  const AssetQuery query = words({"beach", "sunset"});
  const FoundAssets alone = find(query), both = find(with(query, {}));
  EXPECT_EQ(titles(both), titles(alone));
  EXPECT_EQ(scores(both), scores(alone));
  EXPECT_EQ(both.total, alone.total);
}

TEST_F(FinderTest, OnlyWhatTheFiltersAllowIsFound) {
  ASSERT_OK(set_state(*writer_, "/p/river", FileState::kMissing));
  AssetQuery query = with(words({"beach"}), {{"mountain", 0.9}, {"river", 0.9}, {"sunset in winter", 0.9}});
  query.filters.push_back({TextCondition{TextField::kTitle, "winter"}, true});
  const auto ask = query.more;
  std::vector<std::string> allowed;
  query.more = [&](const IdSet& set) {
    for (const auto& [title, id] : id_)
      if (set.contains(id)) allowed.push_back(title);
    return ask(set);
  };
  EXPECT_THAT(titles(find(query)), UnorderedElementsAre("beach", "beach sunset", "mountain"));
  EXPECT_THAT(allowed, UnorderedElementsAre("beach", "beach sunset", "mountain"));
  query.include_missing = true;
  EXPECT_THAT(titles(find(query)), UnorderedElementsAre("beach", "beach sunset", "mountain", "river"));
}

TEST_F(FinderTest, WithoutWordsTheFindingsAreTheList) {
  const FoundAssets found = find(with({}, {{"river", 0.3}, {"beach", 0.9}}));
  EXPECT_THAT(titles(found), ElementsAre("beach", "river"));
  EXPECT_NEAR(found.assets[1].score, 0.3, 1e-9);
  EXPECT_THAT(find(with({}, {})).assets, IsEmpty());
  EXPECT_EQ(find({}).total, 5U);  // neither words nor anything else: all
}

TEST_F(FinderTest, RelevanceThatIsNoneDoesNoHarm) {
  const FoundAssets found =
      find(with(words({"beach"}), {{"mountain", std::nan("")}, {"river", 7}, {"sunset in winter", -1}}));
  for (const FoundAsset& asset : found.assets) {
    EXPECT_GE(asset.score, 0);
    EXPECT_LE(asset.score, 1);
  }
  EXPECT_FALSE(scores(found).contains("mountain"));
  AssetQuery query = words({"beach"});
  query.more = [this](const IdSet&) -> Result<std::vector<Relevant>> {
    return std::vector<Relevant>{{-1, 1, kWhy}, {0, 1, kWhy}, {1'000'000'000, 1, kWhy}};
  };
  EXPECT_THAT(titles(find(query)), UnorderedElementsAre("beach", "beach sunset"));
}

TEST_F(FinderTest, FailureOfTheOthersIsTheSearchs) {
  AssetQuery query = words({"beach"});
  query.more = [](const IdSet&) -> Result<std::vector<Relevant>> { return fail(ErrorCode::kIo, "no"); };
  const auto found = reader_->find(query);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, ErrorCode::kIo);
  EXPECT_EQ(find(words({"beach"})).total, 2U);  // the reader goes on
}

TEST_F(FinderTest, AssetsWithATextAreKnownWhileFinding) {
  AssetQuery query = words({"river"});
  query.more = [this](const IdSet&) -> Result<std::vector<Relevant>> {
    IE_TRY(const auto assets, reader_->assets_with({TextField::kTitle, "sunset"}));
    std::vector<Relevant> found;
    for (const auto& [asset, certainty] : assets) found.push_back({asset, 0.6, kWhy});
    return found;
  };
  EXPECT_THAT(titles(find(query)), UnorderedElementsAre("river", "beach sunset", "sunset in winter"));
}

}  // namespace
}  // namespace image_engine::store
