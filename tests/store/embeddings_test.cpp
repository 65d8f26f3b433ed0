#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "store/schema.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

using Half = std::vector<std::uint16_t>;
const StageKey kClip{"embedding", "clip", "1", "p"};
const StageKey kOther{"embedding", "siglip", "1", "p"};

class EmbeddingsTest : public WrittenTest {
 protected:
  void SetUp() override {
    WrittenTest::SetUp();
    for (const char* name : {"a", "b", "c"}) assets_.push_back(add(name));
  }
  AssetId add(const std::string& name) {
    const auto file = *writer_->upsert_file(seen("/p/" + name), run_);
    return writer_->set_content(file.id, hash128("file " + name), hash128(name))->asset;
  }
  std::map<AssetId, Half> changes(SpaceId space, std::int64_t generation) const {
    std::map<AssetId, Half> found;
    const Status read = reader().changed_vectors(space, generation, [&](AssetId asset, auto vector) -> Status {
      found[asset] = {vector.begin(), vector.end()};
      return {};
    });
    EXPECT_OK(read);
    return found;
  }
  std::int64_t generation(SpaceId id) const {
    const auto spaces = reader().spaces("embedding");
    for (const Space& space : *spaces)
      if (space.id == id) return space.generation;
    return -1;
  }

  std::vector<AssetId> assets_;
};

TEST_F(EmbeddingsTest, TheFirstSpaceOfAStageIsActiveUntilAnotherIs) {
  const auto first = writer_->open_space(kClip, 2);
  ASSERT_OK(first);
  EXPECT_TRUE(first->active);
  EXPECT_FALSE(first->created.empty());
  const auto second = writer_->open_space(kOther, 3);
  ASSERT_OK(second);
  EXPECT_FALSE(second->active);
  EXPECT_TRUE(writer_->open_space({"features", "dino", "1", ""}, 3)->active);
  EXPECT_EQ(writer_->open_space(kClip, 2)->id, first->id);
  EXPECT_EQ(writer_->open_space(kClip, 3).error().code, ErrorCode::kInvalidArgument);
  ASSERT_OK(writer_->activate_space(second->id));
  const auto spaces = reader().spaces("embedding");
  ASSERT_THAT(*spaces, SizeIs(2));
  EXPECT_EQ(spaces->front().id, second->id);
  EXPECT_TRUE(spaces->front().active);
  EXPECT_FALSE(spaces->back().active);
  EXPECT_EQ(writer_->activate_space(99).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(reader().status()->spaces, SizeIs(3));
}

TEST_F(EmbeddingsTest, ChangesAreToldByGeneration) {
  const SpaceId space = writer_->open_space(kClip, 2)->id;
  ASSERT_OK(writer_->put_vector(assets_[0], space, Half{1, 2}));
  ASSERT_OK(writer_->put_vector(assets_[1], space, Half{3, 4}));
  EXPECT_THAT(changes(space, 0), ElementsAre(Pair(assets_[0], Half{1, 2}), Pair(assets_[1], Half{3, 4})));
  const auto before = generation(space);
  ASSERT_OK(writer_->put_vector(assets_[0], space, Half{1, 2}));
  EXPECT_EQ(generation(space), before) << "the same vector is no change";
  ASSERT_OK(writer_->put_vector(assets_[1], space, Half{5, 6}));
  ASSERT_OK(writer_->put_vector(assets_[2], space, Half{7, 8}));
  EXPECT_THAT(changes(space, before), ElementsAre(Pair(assets_[1], Half{5, 6}), Pair(assets_[2], Half{7, 8})));
  EXPECT_THAT(changes(space, generation(space)), IsEmpty());
  EXPECT_EQ(reader().spaces("embedding")->front().vectors, 3);
  EXPECT_EQ(**reader().vector_of(space, assets_[1]), (Half{5, 6}));
  EXPECT_FALSE(reader().vector_of(space, 99)->has_value());
}

TEST_F(EmbeddingsTest, ADeletedAssetIsAChange) {
  const SpaceId space = writer_->open_space(kClip, 2)->id;
  for (const AssetId asset : assets_) ASSERT_OK(writer_->put_vector(asset, space, Half{1, 2}));
  const auto before = generation(space);
  ASSERT_OK(writer_->set_file_state(std::vector<FileId>{3}, FileState::kMissing));
  writer_.reset();
  {
    auto lock = WriterLock::acquire(path_, "prune");
    ASSERT_OK(lock);
    EXPECT_EQ(prune(path_, *lock, {})->assets, 1);
  }
  EXPECT_THAT(changes(space, before), ElementsAre(Pair(assets_[2], Half{})));
  EXPECT_THAT(changes(space, 0), SizeIs(2));
}

TEST_F(EmbeddingsTest, OnlyVectorsOfItsLengthAndOfKnownAssets) {
  const SpaceId space = writer_->open_space(kClip, 2)->id;
  EXPECT_EQ(writer_->put_vector(assets_[0], space, Half{1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(writer_->put_vector(99, space, Half{1, 2}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(writer_->put_vector(assets_[0], 99, Half{1, 2}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(writer_->open_space({"x", "y", "1", ""}, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(changes(space, 0), IsEmpty());
}

// A stranger's catalogue: scoring a picture would read beyond the end.
TEST_F(EmbeddingsTest, HeadsAndVectorsOfAnotherLengthAreNotThere) {
  const Space space = *writer_->open_space({"embedding", "m", "9", ""}, 4);
  const std::vector<std::uint16_t> vector(4, 1);
  ASSERT_OK(writer_->put_vector(assets_[0], space.id, vector));
  ASSERT_OK(writer_->set_object_vectors(space.id, assets_[0], "car", {{assets_[0], "car", {}, vector}}));
  LearnedLabel label;
  label.name = "mine";
  label.space = space.id;
  label.weights = {1, 2, 3, 4};
  ASSERT_OK(writer_->put_learned_label(label));
  EXPECT_EQ(reader().learned_labels()->front().weights.size(), 4U);
  EXPECT_EQ(reader().object_vectors(space.id, "car")->size(), 1U);
  writer_.reset();
  for (const char* blob :
       {"zeroblob(2)", "zeroblob(3)", "zeroblob(16777216)", "NULL", "'€€€€€€€€'", "'ääääääääääääääää'"}) {
    Connection connection(path_, Access::kWrite);
    connection.execute(std::string("UPDATE label_heads SET weights = ") + blob);
    const std::string bytes = std::string(blob) == "NULL" ? "zeroblob(0)" : blob;
    connection.execute("UPDATE embeddings SET vector = " + bytes);
    connection.execute("UPDATE object_embeddings SET vector = " + bytes);
    EXPECT_TRUE(reader().learned_labels()->front().weights.empty()) << blob;
    EXPECT_FALSE(reader().vector_of(space.id, assets_[0])->has_value()) << blob;
    EXPECT_TRUE(reader().object_vectors(space.id, "car")->empty()) << blob;
  }
  Connection connection(path_, Access::kWrite);
  connection.execute("DELETE FROM embeddings");
}

TEST_F(EmbeddingsTest, AssetsWithoutARecordOfAKey) {
  const SpaceId space = writer_->open_space(kClip, 2)->id;
  ASSERT_OK(writer_->put_vector(assets_[0], space, Half{1, 2}));
  ASSERT_OK(writer_->put_vector(assets_[1], space, Half{1, 2}));
  const StageKey scenes{"scene", "clip", "1", "labels"};
  ASSERT_OK(writer_->put_record(assets_[0], {scenes, "", "", "{}", ""}));
  EXPECT_THAT(*reader().assets_without(space, scenes), ElementsAre(assets_[1]));
}

TEST_F(EmbeddingsTest, DroppingASpaceTakesAllThatHangsOnIt) {
  const SpaceId space = writer_->open_space(kClip, 2)->id;
  const SpaceId kept = writer_->open_space(kOther, 2)->id;
  ASSERT_OK(writer_->put_vector(assets_[0], space, Half{1, 2}));
  ASSERT_OK(writer_->put_vector(assets_[0], kept, Half{1, 2}));
  ASSERT_OK(writer_->put_record(assets_[0], {kClip, "", "", "{}", ""}));
  ASSERT_OK(writer_->put_record(assets_[0], {kOther, "", "", "{}", ""}));
  ASSERT_OK(writer_->set_object_vectors(space, assets_[0], "dog", {{assets_[0], "dog", {1, 2, 3, 4}, {9, 9}}}));
  LearnedLabel label;
  label.name = "rex";
  label.space = space;
  ASSERT_OK(writer_->put_learned_label(label));
  std::ofstream(vectors_path(path_, space)) << "x";
  ASSERT_OK(writer_->drop_space(space));
  EXPECT_FALSE(std::filesystem::exists(vectors_path(path_, space)));
  EXPECT_THAT(*reader().spaces("embedding"), SizeIs(1));
  EXPECT_THAT(changes(space, 0), IsEmpty());
  EXPECT_THAT(changes(kept, 0), SizeIs(1));
  EXPECT_THAT(*reader().object_vectors(space, "dog"), IsEmpty());
  EXPECT_THAT(reader().asset_record(assets_[0])->records, SizeIs(1));
  EXPECT_EQ(reader().learned_labels()->front().space, 0);
  EXPECT_EQ(writer_->drop_space(space).error().code, ErrorCode::kNotFound);
}

TEST_F(EmbeddingsTest, PruneDropsReplacedSpacesOnly) {
  const SpaceId active = writer_->open_space(kClip, 2)->id;
  const SpaceId growing = writer_->open_space(kOther, 2)->id;
  const SpaceId replaced = writer_->open_space({"embedding", "clip", "0", ""}, 2)->id;
  ASSERT_OK(writer_->put_record(assets_[0], {kOther, "", "", "{}", ""}));
  for (const SpaceId space : {active, growing, replaced}) ASSERT_OK(writer_->put_vector(assets_[0], space, Half{1, 2}));
  writer_.reset();
  auto lock = WriterLock::acquire(path_, "prune");
  ASSERT_OK(lock);
  ASSERT_OK(prune(path_, *lock, {}));
  const auto spaces = reader().spaces("embedding");
  ASSERT_THAT(*spaces, SizeIs(2));
  EXPECT_EQ(spaces->front().id, active);
  EXPECT_EQ(spaces->back().id, growing);
}

TEST_F(EmbeddingsTest, ObjectsOfAPictureAreReplaced) {
  const SpaceId space = writer_->open_space(kClip, 2)->id;
  const ObjectVector one{assets_[0], "dog", {1.5F, 2, 3, 4}, {1, 1}};
  const ObjectVector two{assets_[0], "dog", {5, 6, 7, 8}, {2, 2}};
  ASSERT_OK(writer_->set_object_vectors(space, assets_[0], "dog", {one, two}));
  ASSERT_OK(writer_->set_object_vectors(space, assets_[0], "cat", {{assets_[0], "cat", one.box, {3, 3}}}));
  ASSERT_OK(writer_->set_object_vectors(space, assets_[0], "dog", {one}));
  const auto dogs = reader().object_vectors(space, "dog");
  ASSERT_THAT(*dogs, SizeIs(1));
  EXPECT_EQ(dogs->front().box, one.box);
  EXPECT_EQ(dogs->front().vector, one.vector);
  EXPECT_THAT(*reader().object_vectors(space, "cat"), SizeIs(1));
  EXPECT_EQ(writer_->set_object_vectors(space, assets_[0], "dog", {{assets_[0], "dog", {}, {1}}}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(*reader().object_vectors(space, "dog"), SizeIs(1));
}

TEST_F(EmbeddingsTest, TermVectorsByModel) {
  ASSERT_OK(writer_->put_term_vectors("m", {{"sea", {1}}, {"dog", {2}}}));
  ASSERT_OK(writer_->put_term_vectors("n", {{"sea", {3}}}));
  ASSERT_OK(writer_->put_term_vectors("m", {{"sea", {4}}}));
  EXPECT_THAT(*reader().term_vectors("m"), ElementsAre(Pair("dog", Half{2}), Pair("sea", Half{4})));
}

// A catalogue as format 2 left it: the SQL of its migrations, filled by hand.
TEST_F(StoreTest, AFormat2CatalogueIsBroughtUpToDate) {
  {
    Connection connection(path_, Access::kCreate);
    migrate(connection, migrations().first(2));
    connection.execute(
        "INSERT INTO assets(id, hash, kind, format) VALUES(1, randomblob(16), 'photo', 'jpeg');"
        "INSERT INTO files(path, device, inode, size, mtime_ns, format, kind, state, asset_id, first_run, last_run) "
        "VALUES(CAST('/p/1.jpg' AS BLOB), 1, 1, 1, 1, 'jpeg', 'photo', 'present', 1, 1, 1);"
        "INSERT INTO asset_objects VALUES(1, 'dog', 2, 0.9);"
        "INSERT INTO asset_text(rowid, name, object) VALUES(1, '1.jpg', 'dog')");
  }
  EXPECT_EQ(CatalogueReader::open(path_).error().code, ErrorCode::kUnsupported);
  {
    auto writer = open_writer();
    ASSERT_OK(writer);
    const auto space = writer->open_space(kClip, 2);
    ASSERT_OK(space);
    ASSERT_OK(writer->put_vector(1, space->id, Half{1, 2}));
  }
  EXPECT_EQ(count_found("dog"), 1U);
  EXPECT_EQ(CatalogueReader::open(path_)->status()->schema_version, migrations().back().version);
  Connection copy(path_ + ".backup-v2", Access::kRead);
  EXPECT_EQ(copy.integer("PRAGMA user_version"), 2);
  EXPECT_EQ(copy.integer("SELECT count(*) FROM asset_objects"), 1);
  expect_sound();
}

}  // namespace
}  // namespace image_engine::store
