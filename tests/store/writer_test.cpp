#include <gmock/gmock.h>

#include "store/sql.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using testing::UnorderedElementsAre;

const StageKey kQuality{"quality", "laplace", "1", "p"};
const StageKey kContent{"content", "", "1", ""};

class WriterTest : public WrittenTest {
 protected:
  KnownFile add(const std::string& path, std::int64_t size = 100) {
    return *writer_->upsert_file(seen(path, size), run_);
  }
  Content read(const KnownFile& file, const std::string& content) {
    return *writer_->set_content(file.id, hash128("file " + content), hash128(content));
  }
};

TEST_F(WriterTest, KnowsFilesBelowARootOnly) {
  add("/a/b/1.jpg");
  add("/a/b");
  add("/a/bc/2.jpg");
  add("/a/b0");
  std::vector<std::string> paths;
  const auto files = *writer_->known_files("/a/b/");
  for (const auto& file : files) paths.push_back(file.seen.path);
  EXPECT_THAT(paths, UnorderedElementsAre("/a/b", "/a/b/1.jpg"));
  EXPECT_THAT(*writer_->known_files("/"), SizeIs(4));
}

TEST_F(WriterTest, KeepsPathsThatAreNotText) {
  const std::string path = "/p/\xff\xfe new\nline '\"%_.jpg";
  const auto file = add(path);
  ASSERT_OK(writer_->set_file_metadata(file.id, titled("odd"), {}, "1"));
  EXPECT_EQ(writer_->known_files("/p")->at(0).seen.path, path);
  EXPECT_EQ(count_found("odd"), 1U);
}

TEST_F(WriterTest, KeepsWhatWasSeen) {
  FileObservation observed = seen("/p/1.dng", 5, -3);
  observed.device = ~std::uint64_t{0};
  observed.sidecar = Sidecar{"/p/1.xmp", {11, 12}};
  observed.format = MediaFormat::kDng;
  ASSERT_OK(writer_->upsert_file(observed, run_));
  const auto file = writer_->known_files("/p")->at(0);
  EXPECT_EQ(file.seen.device, observed.device);
  EXPECT_EQ(file.seen.stamp, observed.stamp);
  EXPECT_EQ(file.seen.sidecar, observed.sidecar);
  EXPECT_EQ(file.seen.format, MediaFormat::kDng);
  EXPECT_EQ(file.seen.kind, MediaKind::kPhoto);
  EXPECT_FALSE(file.hashed);
}

// Its name is indexed once, with its headers: a second time would cost as much again.
TEST_F(WriterTest, WordsOfAFileWaitForItsHeaders) {
  const auto harbour = *writer_->upsert_file(seen("/p/harbour.jpg"), run_, Headers::kFollow);
  const auto broken = *writer_->upsert_file(seen("/p/broken.jpg"), run_, Headers::kFollow);
  ASSERT_OK(writer_->upsert_file(seen("/p/left.jpg"), run_, Headers::kFollow));
  for (const char* name : {"harbour", "broken", "left"}) EXPECT_EQ(count_found(name), 0U) << name;
  EXPECT_THAT(check(path_)->problems, SizeIs(0));
  ASSERT_OK(writer_->set_file_metadata(harbour.id, titled("boats"), {}, "1"));
  ASSERT_OK(writer_->put_failure(failed("/p/broken.jpg", {"metadata", "", "1", ""}, ErrorCode::kCorrupt)));
  EXPECT_EQ(count_found("harbour"), 1U);
  EXPECT_EQ(count_found("boats"), 1U);
  EXPECT_EQ(count_found("broken"), 1U);
  EXPECT_EQ(count_found("left"), 0U);
  ASSERT_OK(writer_->index_waiting());
  EXPECT_EQ(count_found("left"), 1U);
  // Other content under a known name waits, too; what was found of the old one is gone.
  ASSERT_OK(writer_->upsert_file(seen("/p/harbour.jpg", 200), run_, Headers::kFollow));
  EXPECT_EQ(count_found("boats"), 0U);
  ASSERT_OK(writer_->set_file_metadata(harbour.id, titled("ships"), {}, "1"));
  EXPECT_EQ(count_found("harbour"), 1U);
  EXPECT_EQ(count_found("ships"), 1U);
}

// A run that was killed between the scan and the headers leaves them to the next one, which finds no change.
TEST_F(WriterTest, WordsThatAKilledRunLeftAreIndexed) {
  ASSERT_OK(writer_->upsert_file(seen("/p/broken.jpg"), run_, Headers::kFollow));
  ASSERT_OK(writer_->upsert_file(seen("/p/left.jpg"), run_, Headers::kFollow));
  writer_.reset();
  auto next = open_writer();
  ASSERT_OK(next);
  ASSERT_OK(next->put_failure(failed("/p/broken.jpg", {"metadata", "", "1", ""}, ErrorCode::kCorrupt)));
  EXPECT_EQ(count_found("broken"), 1U);
  EXPECT_EQ(count_found("left"), 0U);
  ASSERT_OK(next->index_waiting());
  EXPECT_EQ(count_found("left"), 1U);
}

TEST_F(WriterTest, AFileWhoseHeadersFailedMustBeFound) {
  ASSERT_OK(writer_->upsert_file(seen("/p/broken.jpg"), run_, Headers::kFollow));
  ASSERT_OK(writer_->put_failure(failed("/p/broken.jpg", {"metadata", "", "1", ""}, ErrorCode::kCorrupt)));
  EXPECT_THAT(check(path_)->problems, SizeIs(0));
  Connection(path_, Access::kWrite).execute("DELETE FROM asset_text");
  EXPECT_THAT(check(path_)->problems, SizeIs(1));
  ASSERT_OK(writer_->index_waiting());
  EXPECT_EQ(count_found("broken"), 1U);
}

TEST_F(WriterTest, OfManyCopiesTheTagsOfTheFirstOnesCount) {
  std::vector<FileId> files;
  ASSERT_OK(writer_->begin());
  for (int i = 0; i < 66; ++i) {
    const auto copy = add("/p/" + std::to_string(i) + ".jpg");
    ASSERT_OK(writer_->set_file_metadata(copy.id, titled("word" + std::to_string(i)), {}, "1"));
    read(copy, "x");
    files.push_back(copy.id);
  }
  ASSERT_OK(writer_->commit());
  for (const auto& [word, found] : {std::pair("word0", 1U), {"word63", 1U}, {"word64", 0U}, {"word65", 0U}})
    EXPECT_EQ(count_found(word), found) << word;
  files.resize(10);
  ASSERT_OK(writer_->set_file_state(files, FileState::kMissing));
  for (const auto& [word, found] : {std::pair("word0", 0U), {"word10", 1U}, {"word65", 1U}})
    EXPECT_EQ(count_found(word), found) << word;
}

// What is indexed with the record that was just written is what a later change reads from the record.
TEST_F(WriterTest, TheIndexIsTheSameFromTheRecord) {
  Metadata metadata = titled("caf\xe9 \xe2\x82\xac");  // Latin-1 and UTF-8
  metadata.make = "Canon";
  metadata.keywords = {"one", "two\n"};
  metadata.gps = Gps{1.0 / 3, -2.0 / 3, 7.1};
  const auto file = add("/p/1.jpg");
  ASSERT_OK(writer_->set_file_metadata(file.id, metadata, Place{"Munich", "", "Germany", "DE"}, "1"));
  const auto indexed = [&] {
    Connection connection(path_, Access::kRead);
    std::vector<std::string> columns;
    auto row = connection.query("SELECT a.*, t.* FROM assets a JOIN asset_text t ON t.rowid = a.id");
    EXPECT_TRUE(row.next());
    for (int i = 3; i < 35; ++i) columns.push_back(row.bytes(i));  // from `format`
    return columns;
  };
  const auto at_once = indexed();
  ASSERT_OK(writer_->set_file_state(std::vector{file.id}, FileState::kOffline));
  ASSERT_OK(writer_->touch_files(std::vector{file.id}, run_));
  EXPECT_EQ(indexed(), at_once);
}

TEST_F(WriterTest, AnUnchangedFileKeepsEverything) {
  const auto file = add("/p/1.jpg");
  ASSERT_OK(writer_->set_file_metadata(file.id, titled("one"), {}, "7"));
  read(file, "x");
  const auto again = *writer_->upsert_file(seen("/p/1.jpg"), run_);
  EXPECT_EQ(again.asset, file.asset);
  EXPECT_TRUE(again.hashed);
  EXPECT_EQ(again.metadata_version, "7");
}

TEST_F(WriterTest, AChangedFileIsAnotherAssetUntilItsContentIsKnown) {
  const auto file = add("/p/1.jpg");
  ASSERT_OK(writer_->set_file_metadata(file.id, titled("before"), {}, "1"));
  const AssetId first = read(file, "x").asset;
  ASSERT_OK(writer_->put_record(first, {kQuality, "cpu", "fp32", "{}", ""}));
  const auto changed = *writer_->upsert_file(seen("/p/1.jpg", 100, 2), run_);
  EXPECT_NE(changed.asset, first);
  EXPECT_FALSE(changed.hashed);
  EXPECT_EQ(count_found("before"), 0U);
  // Only its metadata was edited: the same picture, with all that was found about it.
  const Content content = read(changed, "x");
  EXPECT_EQ(content.asset, first);
  EXPECT_TRUE(content.known);
  const auto reader = CatalogueReader::open(path_);
  EXPECT_THAT(*reader->record_keys(hash128("x")), ElementsAre(kQuality));
  EXPECT_THAT(*reader->record_keys(hash128("x"), changed.asset), ElementsAre(kQuality));
  EXPECT_THAT(*reader->record_keys(hash128("y"), first), ElementsAre(kQuality));
  EXPECT_THAT(*reader->record_keys(hash128("y")), SizeIs(0));
}

TEST_F(WriterTest, AChangedSidecarOnlyAsksForMetadata) {
  const auto file = add("/p/1.jpg");
  ASSERT_OK(writer_->set_file_metadata(file.id, titled("one"), {}, "1"));
  read(file, "x");
  FileObservation with_sidecar = seen("/p/1.jpg");
  with_sidecar.sidecar = Sidecar{"/p/1.jpg.xmp", {1, 1}};
  const auto again = *writer_->upsert_file(with_sidecar, run_);
  EXPECT_TRUE(again.hashed);
  EXPECT_EQ(again.metadata_version, "");
  EXPECT_EQ(again.asset, file.asset);
}

TEST_F(WriterTest, CopiesAreOneAsset) {
  const auto first = add("/p/1.jpg"), second = add("/p/copy.jpg");
  ASSERT_OK(writer_->set_file_metadata(first.id, titled("sunset"), {}, "1"));
  ASSERT_OK(writer_->set_file_metadata(second.id, titled("sunset"), {}, "1"));
  EXPECT_EQ(count_found("sunset"), 2U);
  EXPECT_FALSE(read(first, "x").known);
  EXPECT_TRUE(read(second, "x").known);
  EXPECT_EQ(count_found("sunset"), 1U);
  EXPECT_EQ(count_found("copy"), 1U);
  const auto reader = CatalogueReader::open(path_);
  const auto asset = reader->asset_record(*reader->find_asset_by_hash(hash128("x")));
  EXPECT_THAT(asset->files, SizeIs(2));
  EXPECT_EQ(asset->metadata->title, "sunset");
}

TEST_F(WriterTest, TagsOfAllFilesOfAnAssetAreSearched) {
  const auto first = add("/p/1.jpg"), second = add("/q/2.jpg");
  Metadata one = titled("sunset"), other = titled("dusk");
  one.keywords = {"sea", "beach"};
  other.keywords = {"sea", "evening"};
  other.rating = 4;
  ASSERT_OK(writer_->set_file_metadata(first.id, one, {}, "1"));
  ASSERT_OK(writer_->set_file_metadata(second.id, other, {}, "1"));
  read(first, "x");
  read(second, "x");
  for (const char* word : {"sunset", "dusk", "beach", "evening", "sea"}) EXPECT_EQ(count_found(word), 1U) << word;
  Connection connection(path_, Access::kRead);
  auto row = connection.query("SELECT keyword FROM asset_text");
  ASSERT_TRUE(row.next());
  EXPECT_EQ(row.bytes(0), "sea\nbeach\nevening") << "each once";
  const auto reader = CatalogueReader::open(path_);
  EXPECT_EQ(reader->asset_record(first.asset, "/p/1.jpg")->metadata->title, "sunset");
  EXPECT_EQ(reader->asset_record(first.asset, "/q/2.jpg")->metadata->title, "dusk");
  ASSERT_OK(set_state(*writer_, "/q", FileState::kMissing));
  EXPECT_EQ(count_found("dusk"), 0U);
  EXPECT_EQ(count_found("sunset"), 1U);
}

TEST_F(WriterTest, TheFormatThatTheWorkerFoundStays) {
  FileObservation raw = seen("/p/1.nef");
  raw.format = MediaFormat::kTiff;
  const auto file = *writer_->upsert_file(raw, run_);
  Metadata metadata;
  metadata.format = MediaFormat::kNef;
  ASSERT_OK(writer_->set_file_metadata(file.id, metadata, {}, "1"));
  const auto again = *writer_->upsert_file(raw, run_);
  EXPECT_EQ(again.seen.format, MediaFormat::kNef);
  EXPECT_EQ(again.metadata_version, "1");
}

TEST_F(WriterTest, GoneFilesAreMissingAndComeBack) {
  const auto gone = add("/p/sub/gone.jpg");
  add("/p/here.jpg");
  add("/q/elsewhere.jpg");
  ASSERT_OK(writer_->set_file_metadata(gone.id, titled("lost"), {}, "1"));
  for (int i = 0; i < 2; ++i) ASSERT_OK(set_state(*writer_, "/p/sub", FileState::kMissing));
  EXPECT_EQ(writer_->known_files("/p/sub")->at(0).state, FileState::kMissing);
  EXPECT_EQ(writer_->known_files("/p/here.jpg")->at(0).state, FileState::kPresent);
  EXPECT_EQ(writer_->known_files("/q")->at(0).state, FileState::kPresent);
  EXPECT_EQ(count_found("lost"), 0U);
  AssetQuery with_missing;
  with_missing.words = {{TextField::kAny, "lost", false}};
  with_missing.include_missing = true;
  EXPECT_EQ(count_found(with_missing), 1U);
  ASSERT_OK(writer_->touch_files(std::array{gone.id}, run_));
  EXPECT_EQ(count_found("lost"), 1U);
}

TEST_F(WriterTest, OfflineFilesAreStillFound) {
  const auto file = add("/media/usb/1.jpg");
  ASSERT_OK(writer_->set_file_metadata(file.id, titled("holiday"), {}, "1"));
  ASSERT_OK(set_state(*writer_, "/media/usb", FileState::kOffline));
  EXPECT_EQ(writer_->known_files("/media/usb")->at(0).state, FileState::kOffline);
  EXPECT_EQ(count_found("holiday"), 1U);
  ASSERT_OK(writer_->upsert_file(seen("/media/usb/1.jpg"), run_));
  EXPECT_EQ(writer_->known_files("/media/usb")->at(0).state, FileState::kPresent);
}

TEST_F(WriterTest, AMovedFileKeepsItsAsset) {
  const auto file = add("/p/old.jpg");
  ASSERT_OK(writer_->put_failure(failed("/p/old.jpg", kQuality, ErrorCode::kCorrupt)));
  const Content content = read(file, "x");
  add("/p/new.jpg");
  ASSERT_OK(writer_->move_file(file.id, seen("/p/new.jpg"), run_));
  const auto files = *writer_->known_files("/p");
  ASSERT_THAT(files, SizeIs(1));
  EXPECT_EQ(files[0].seen.path, "/p/new.jpg");
  EXPECT_EQ(files[0].asset, content.asset);
  EXPECT_EQ(count_found("new"), 1U);
  EXPECT_EQ(count_found("old"), 0U);
  EXPECT_EQ(CatalogueReader::open(path_)->list_failures()->at(0).path, "/p/new.jpg");
}

TEST_F(WriterTest, TextIsIndexedOnlyWhenItChanges) {
  // Each transaction that writes to the index gives it another segment, in which deleted rows leave their mark.
  const auto index = [&] {
    Connection connection(path_, Access::kRead);
    std::string all;
    for (auto row = connection.query("SELECT hex(block) FROM asset_text_data ORDER BY id"); row.next();)
      all += row.bytes(0) + "\n";
    return all;
  };
  const auto file = add("/p/1.jpg");
  ASSERT_OK(writer_->set_file_metadata(file.id, titled("sunset"), {}, "1"));
  const std::string before = index();
  const AssetId asset = read(file, "x").asset;
  ASSERT_OK(writer_->set_user_rating(asset, 4));
  EXPECT_EQ(index(), before);
  EXPECT_EQ(count_found("sunset"), 1U);
  ASSERT_OK(writer_->add_label(asset, "Oma"));
  EXPECT_NE(index(), before);
  EXPECT_EQ(count_found("oma"), 1U);
}

TEST_F(WriterTest, AFileIsNewWhenNoOtherAssetWasTakenAtItsTime) {
  const auto with_time = [&](const std::string& path, const char* taken, std::int64_t time = 1) {
    const auto file = *writer_->upsert_file(seen(path, 100, time), run_);
    Metadata metadata;
    if (taken != nullptr) metadata.taken = CaptureTime{taken, {}};
    EXPECT_TRUE(writer_->set_file_metadata(file.id, metadata, {}, "1"));
    return file;
  };
  const auto is_new = [&] {
    std::vector<FileId> files;
    const std::vector<PendingFile> pending = *writer_->pending({});
    for (const PendingFile& file : pending)
      if (file.is_new) files.push_back(file.file);
    return files;
  };
  const auto first = with_time("/p/1.jpg", "2026-01-02T03:04:05"), other = with_time("/p/2.jpg", "2026-01-02T03:04:06");
  with_time("/p/none.jpg", nullptr);
  EXPECT_THAT(is_new(), UnorderedElementsAre(first.id, other.id));
  const auto copy = with_time("/p/copy.jpg", "2026-01-02T03:04:05");
  EXPECT_THAT(is_new(), ElementsAre(other.id));
  read(other, "x");
  EXPECT_THAT(is_new(), SizeIs(0));
  with_time("/p/2.jpg", "2026-01-02T03:04:06", 2);  // its metadata was edited
  EXPECT_THAT(is_new(), SizeIs(0));
  ASSERT_OK(writer_->set_file_state(std::vector{copy.id}, FileState::kMissing));
  EXPECT_THAT(is_new(), SizeIs(0)) << "a file that comes back elsewhere is known";
}

TEST_F(WriterTest, PendingIsWhatLacksAHashOrARecord) {
  const auto first = add("/p/1.jpg"), second = add("/p/2.jpg"), third = add("/p/3.jpg");
  const Content content = read(first, "x");
  read(second, "x");
  PendingQuery query;
  query.stages = {{kQuality}};
  query.gates = {kContent};
  auto pending = *writer_->pending(query);
  ASSERT_THAT(pending, SizeIs(2));
  EXPECT_EQ(pending[0].file, first.id);  // once for both copies
  EXPECT_THAT(pending[0].stages, ElementsAre("quality"));
  EXPECT_EQ(pending[1].file, third.id);
  EXPECT_FALSE(pending[1].hashed);
  ASSERT_OK(writer_->put_record(content.asset, {kQuality, "cpu", "", "{}", ""}));
  EXPECT_THAT(*writer_->pending(query), SizeIs(1));
  query.stages[0].key.version = "2";
  EXPECT_THAT(*writer_->pending(query), SizeIs(2));
  query.stages[0].kind = MediaKind::kVideo;
  EXPECT_THAT(*writer_->pending(query), SizeIs(1));
  query.roots = {"/p/1.jpg"};
  EXPECT_THAT(*writer_->pending(query), SizeIs(0));
}

TEST_F(WriterTest, AForgivenReasonKeepsNothingFromBeingPending) {
  const auto file = add("/p/1.jpg");
  read(file, "x");
  Failure failure = failed("/p/1.jpg", kQuality, ErrorCode::kTimeout);
  failure.file = file.id;
  failure.stamp = file.seen.stamp;
  ASSERT_OK(writer_->put_failure(failure));
  PendingQuery query;
  query.stages = {{kQuality}};
  EXPECT_THAT(*writer_->pending(query), SizeIs(0));
  query.stages[0].forgiven = {ErrorCode::kBusy};
  EXPECT_THAT(*writer_->pending(query), SizeIs(0));
  query.stages[0].forgiven.push_back(ErrorCode::kTimeout);
  EXPECT_THAT(*writer_->pending(query), SizeIs(1));
}

TEST_F(WriterTest, AFailureIsTriedAgainOnlyWhenSomethingChanged) {
  const auto file = add("/p/1.jpg");
  Failure failure = failed("/p/1.jpg", kContent, ErrorCode::kCorrupt);
  EXPECT_EQ(*writer_->put_failure(failure), 1);
  EXPECT_EQ(*writer_->put_failure(failure), 2);
  PendingQuery query;
  query.gates = {kContent};
  EXPECT_THAT(*writer_->pending(query), SizeIs(0));
  query.retry = true;
  EXPECT_THAT(*writer_->pending(query), SizeIs(1));
  query.retry = false;
  query.gates[0].version = "2";
  EXPECT_THAT(*writer_->pending(query), SizeIs(1));
  query.gates[0].version = "1";
  ASSERT_OK(writer_->upsert_file(seen("/p/1.jpg", 100, 2), run_));
  EXPECT_THAT(*writer_->pending(query), SizeIs(1));
  failure.stamp.mtime_ns = 2;
  EXPECT_EQ(*writer_->put_failure(failure), 1);
  const auto listed = CatalogueReader::open(path_)->list_failures(std::array{std::string("/p")});
  ASSERT_THAT(*listed, SizeIs(1));
  EXPECT_EQ(listed->at(0).error.code, ErrorCode::kCorrupt);
  EXPECT_EQ(listed->at(0).file, file.id);
  read(file, "x");
  EXPECT_THAT(*CatalogueReader::open(path_)->list_failures(), SizeIs(0));
}

TEST_F(WriterTest, AFailureOfAPathThatWasNeverReadIsKept) {
  ASSERT_OK(writer_->put_failure(failed("/p/none\xff.jpg", {"scan", "", "1", ""}, ErrorCode::kPermission)));
  const auto reader = CatalogueReader::open(path_);
  EXPECT_EQ(reader->list_failures()->at(0).path, "/p/none\xff.jpg");
  EXPECT_THAT(*reader->list_failures(std::array{std::string("/other")}), SizeIs(0));
  ASSERT_OK(writer_->clear_failure("/p/none\xff.jpg", "scan"));
  EXPECT_THAT(*reader->list_failures(), SizeIs(0));
}

TEST_F(WriterTest, ABatchIsAllOrNothing) {
  ASSERT_OK(writer_->begin());
  add("/p/1.jpg");
  EXPECT_FALSE(writer_->begin().has_value());
  const auto reader = CatalogueReader::open(path_);
  EXPECT_EQ(reader->status()->assets, 0);  // readers see only what was committed
  ASSERT_OK(writer_->commit());
  EXPECT_EQ(reader->status()->assets, 1);
  ASSERT_OK(writer_->begin());
  add("/p/2.jpg");
  EXPECT_EQ(writer_->put_record(12345, {kQuality, "", "", "{}", ""}).error().code, ErrorCode::kNotFound);
  ASSERT_OK(writer_->commit());  // a refusal changes nothing and ends nothing
  EXPECT_EQ(reader->status()->assets, 2);
  ASSERT_OK(writer_->begin());
  add("/p/3.jpg");
  writer_.reset();
  EXPECT_EQ(reader->status()->assets, 2);
}

TEST_F(WriterTest, WhatPeopleMadeOutlivesTheFile) {
  const auto file = add("/p/1.jpg");
  EXPECT_EQ(writer_->set_user_rating(file.asset, 4).error().code, ErrorCode::kNotFound);
  const AssetId asset = read(file, "x").asset;
  Metadata metadata = titled("one");
  metadata.rating = 1;
  ASSERT_OK(writer_->set_file_metadata(file.id, metadata, {}, "1"));
  ASSERT_OK(writer_->set_user_rating(asset, 4));
  ASSERT_OK(writer_->add_label(asset, "favourite"));
  EXPECT_FALSE(writer_->set_user_rating(asset, 6).has_value());
  AssetQuery rated;
  rated.filters = {{RatingCondition{4, 4}}};
  EXPECT_EQ(count_found(rated), 1U);
  EXPECT_EQ(count_found("favourite"), 1U);
  ASSERT_OK(set_state(*writer_, "/p", FileState::kMissing));
  writer_.reset();
  {
    auto lock = WriterLock::acquire(path_, "prune");
    ASSERT_OK(lock);
    const auto pruned = prune(path_, *lock, {});
    ASSERT_OK(pruned);
    EXPECT_EQ(pruned->assets, 1);
  }
  auto opened = open_writer();
  ASSERT_OK(opened);
  writer_ = std::make_unique<CatalogueWriter>(std::move(*opened));
  const AssetId again = read(add("/q/found-again.jpg"), "x").asset;
  const auto record = CatalogueReader::open(path_)->asset_record(again);
  EXPECT_EQ(record->user_rating, 4);
  EXPECT_THAT(record->labels, ElementsAre("favourite"));
  EXPECT_EQ(count_found(rated), 1U);
}

TEST_F(WriterTest, StatusCounts) {
  const auto photo = add("/p/1.jpg", 10);
  FileObservation clip = seen("/p/2.mp4", 20);
  clip.format = MediaFormat::kMp4;
  clip.kind = MediaKind::kVideo;
  ASSERT_OK(writer_->upsert_file(clip, run_));
  const AssetId asset = read(photo, "x").asset;
  ASSERT_OK(writer_->put_record(asset, {{"quality", "m", "1", ""}, "cpu", "", "{}", ""}));
  ASSERT_OK(writer_->put_record(asset, {{"quality", "m", "2", ""}, "cpu", "", "{}", ""}));
  ASSERT_OK(writer_->add_root("/p", 7));
  ASSERT_OK(writer_->finish_run(run_, {{"files", 2}}, 3));
  // The photo's record of version 1 is beside a current one; of the other photo it is all that there is.
  const AssetId other = read(add("/p/3.jpg", 30), "z").asset;
  ASSERT_OK(writer_->put_record(other, {{"quality", "m", "1", ""}, "cpu", "", "{}", ""}));
  CurrentStages current;
  current.passes.emplace_back().stages = {{{"quality", "m", "2", ""}, MediaKind::kPhoto}};
  const auto status = CatalogueReader::open(path_)->status(current);
  ASSERT_OK(status);
  EXPECT_EQ(status->by_kind, (std::map<std::string, std::int64_t>{{"photo", 2}, {"video", 1}}));
  EXPECT_EQ(status->by_format, (std::map<std::string, std::int64_t>{{"jpeg", 2}, {"mp4", 1}}));
  EXPECT_EQ(status->media_bytes, 60);
  EXPECT_EQ(status->unhashed_files, 1);
  ASSERT_THAT(status->stages, SizeIs(2));
  EXPECT_EQ(status->stages[0].records, 2);
  EXPECT_EQ(status->stages[0].stale, 1);
  EXPECT_EQ(status->stages[1].stale, 0);
  EXPECT_THAT(status->roots, ElementsAre("/p"));
  EXPECT_EQ(status->last_run->exit_code, 3);
  EXPECT_EQ(status->last_run->counts.at("files"), 2);
  EXPECT_GT(status->size_bytes, 4096);
}

TEST_F(WriterTest, ShowsAllThatIsKnown) {
  const auto file = add("/p/1.jpg");
  Metadata metadata = titled("Pier");
  metadata.taken = CaptureTime{"2010-05-06T07:08:09", 120};
  metadata.gps = Gps{48.1, 11.5, 500};
  metadata.keywords = {"sea", "pier"};
  ASSERT_OK(writer_->set_file_metadata(file.id, metadata, Place{"Munich", "Bavaria", "Germany", "DE"}, "1"));
  const AssetId asset = read(file, "x").asset;
  ASSERT_OK(writer_->put_record(asset, {kQuality, "cuda:0", "fp16", R"({"score":0.5})", ""}));
  const auto reader = CatalogueReader::open(path_);
  EXPECT_EQ(*reader->find_asset_by_path("/p/1.jpg"), asset);
  EXPECT_EQ(reader->find_asset_by_path("/p/2.jpg").error().code, ErrorCode::kNotFound);
  const auto record = reader->asset_record(asset);
  ASSERT_OK(record);
  EXPECT_EQ(record->hash, hash128("x"));
  EXPECT_EQ(record->metadata, metadata);
  EXPECT_EQ(record->place, (Place{"Munich", "Bavaria", "Germany", "DE"}));
  ASSERT_THAT(record->records, SizeIs(2));
  EXPECT_EQ(record->records[0].key, kQuality);
  EXPECT_EQ(record->records[0].data, R"({"score":0.5})");
  EXPECT_EQ(record->records[0].precision, "fp16");
}

}  // namespace
}  // namespace image_engine::store
