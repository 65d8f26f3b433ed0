#include <gmock/gmock.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <stop_token>
#include <thread>

#include "store/schema.h"
#include "tests/support/catalogue.h"
#include "tests/support/files.h"
#include "tests/support/stop.h"

namespace image_engine::store {
namespace {

using testing::HasSubstr;

class OpeningTest : public StoreTest {
 protected:
  void write_file(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  std::string read_back() const { return bytes_of(path_); }
  // Bytes, mode and time of the catalogue's file, and what lies beside it.
  std::string state() const {
    struct stat file {};
    EXPECT_EQ(::stat(path_.c_str(), &file), 0);
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.insert(entry.path().filename());
    std::string text = std::to_string(file.st_mode) + " " + std::to_string(file.st_mtim.tv_sec) + "." +
                       std::to_string(file.st_mtim.tv_nsec) + " " + read_back();
    for (const std::string& name : names) text += " " + name;
    return text;
  }
  // Each way to open the file, and the error's code that it ends with.
  void expect_refused_untouched(ErrorCode code) const {
    ASSERT_EQ(::chmod(path_.c_str(), 0644), 0);
    const std::string before = state();
    EXPECT_EQ(WriterLock::acquire(path_, "test").error().code, code);
    EXPECT_EQ(CatalogueReader::open(path_).error().code, code);
    EXPECT_EQ(check(path_).error().code, code);
    for (const Access access : {Access::kRead, Access::kWrite, Access::kCreate})
      EXPECT_EQ(guarded([&] { Connection connection(path_, access); }).error().code, code);
    EXPECT_EQ(state(), before);
  }
  static mode_t mode(const std::string& path) {
    struct stat file {};
    return ::stat(path.c_str(), &file) == 0 ? file.st_mode & 0777 : 0;
  }
};

TEST_F(OpeningTest, OnlyItsOwnerMayRead) {
  const mode_t before = ::umask(0);
  {
    auto writer = open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(writer->upsert_file(seen("/p/1.jpg"), 1));
    for (const char* suffix : {"", "-wal", "-shm", ".lock"}) EXPECT_EQ(mode(path_ + suffix), 0600U) << suffix;
    ASSERT_OK(backup(path_, folder_ + "/copy.db", false));
    EXPECT_EQ(mode(folder_ + "/copy.db"), 0600U);
  }
  ::umask(before);
}

TEST_F(OpeningTest, ThereIsNothingToRead) {
  EXPECT_EQ(CatalogueReader::open(path_).error().code, ErrorCode::kNotFound);
  write_file("");
  EXPECT_EQ(CatalogueReader::open(path_).error().code, ErrorCode::kNotFound);
  ASSERT_OK(open_writer());  // an empty file becomes one
  ASSERT_OK(CatalogueReader::open(path_));
}

TEST_F(OpeningTest, OtherFilesAreRefusedUntouched) {
  for (const std::string& bytes :
       {std::string("hello"), std::string(100'000, 'x'), std::string("SQLite format 3\0junk", 20)}) {
    write_file(bytes);
    expect_refused_untouched(ErrorCode::kCorrupt);
  }
}

TEST_F(OpeningTest, AnotherProgramsDatabaseIsRefusedUntouched) {
  if (!has_sqlite3()) GTEST_SKIP() << "the sqlite3 program is not installed";
  for (const char* sql : {"CREATE TABLE t(x); PRAGMA application_id = 77",
                          "PRAGMA journal_mode = WAL; CREATE TABLE t(x)", "PRAGMA user_version = 3"}) {
    std::filesystem::remove(path_);
    sqlite3_says(path_, sql);
    expect_refused_untouched(ErrorCode::kCorrupt);
    EXPECT_THAT(CatalogueReader::open(path_).error().message, HasSubstr("another program"));
  }
}

TEST_F(OpeningTest, AnotherProgramsUnfinishedWalStays) {
  if (!has_sqlite3()) GTEST_SKIP() << "the sqlite3 program is not installed";
  // What a program that was killed leaves: an empty database, with all that it wrote in the -wal.
  const auto copy = [&](const std::string& suffix) {
    return "\" \".shell cp " + path_ + suffix + " " + path_ + "-copy" + suffix;
  };
  sqlite3_says(path_, "PRAGMA journal_mode = WAL; CREATE TABLE t(x)" + copy("") + copy("-wal"));
  path_ += "-copy";
  if (!std::filesystem::exists(path_ + "-wal")) GTEST_SKIP() << "this sqlite3 keeps no -wal";
  expect_refused_untouched(ErrorCode::kCorrupt);
}

TEST_F(OpeningTest, AKilledFirstRunsCatalogueOpens) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto writer = open_writer();
    (void)writer->upsert_file(seen("/p/1.jpg"), 1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_GT(std::filesystem::file_size(path_ + "-wal"), 0U);
  EXPECT_EQ(CatalogueReader::open(path_)->asset_ids()->size(), 1U);
}

TEST_F(OpeningTest, LinksAndOthersFilesInTheLocksPlaceStay) {
  const std::string victim = folder_ + "/victim", lock = path_ + ".lock";
  std::ofstream(victim) << "mine\n";
  std::filesystem::create_symlink(victim, lock);
  EXPECT_EQ(WriterLock::acquire(path_, "test").error().code, ErrorCode::kPermission);
  std::filesystem::remove(lock);
  std::filesystem::create_symlink(folder_ + "/made", lock);
  EXPECT_EQ(WriterLock::acquire(path_, "test").error().code, ErrorCode::kPermission);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/made"));
  std::filesystem::remove(lock);
  std::filesystem::create_hard_link(victim, lock);
  EXPECT_EQ(WriterLock::acquire(path_, "test").error().code, ErrorCode::kInvalidArgument);
  std::filesystem::remove(lock);
  std::ofstream(lock) << "[[package]]\n";  // such as a package manager's
  EXPECT_EQ(WriterLock::acquire(path_, "test").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(std::filesystem::file_size(lock), 12U);
  EXPECT_EQ(std::filesystem::file_size(victim), 5U);
}

// A catalogue with one thing more or other than ours has.
class HostileSchemaTest : public OpeningTest, public testing::WithParamInterface<const char*> {};

TEST_P(HostileSchemaTest, IsRefused) {
  if (!has_sqlite3()) GTEST_SKIP() << "the sqlite3 program is not installed";
  ASSERT_OK(open_writer());
  ASSERT_OK(CatalogueReader::open(path_));
  ASSERT_EQ(sqlite3_says(path_, GetParam()), "");
  for (const auto& error : {open_writer().error(), CatalogueReader::open(path_).error(), check(path_).error()}) {
    EXPECT_EQ(error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(error.message, HasSubstr("tables are not those"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Schemas, HostileSchemaTest,
    testing::Values("CREATE TABLE extra(x)", "CREATE INDEX extra ON files(size)",
                    "CREATE TRIGGER extra AFTER INSERT ON runs BEGIN DELETE FROM user_ratings; END",
                    "DROP TABLE runs; CREATE VIEW runs AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id + 1 "
                    "FROM r) SELECT id FROM r",
                    "DROP TRIGGER embeddings_delete", "DROP TABLE asset_trigram",
                    "ALTER TABLE files ADD COLUMN computed AS (zeroblob(1000000000))"));

TEST_F(OpeningTest, APersonsAnalyzeIsNoHarm) {
  if (!has_sqlite3()) GTEST_SKIP() << "the sqlite3 program is not installed";
  {
    auto writer = open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(writer->upsert_file(seen("/p/1.jpg"), 1));
  }
  sqlite3_says(path_, "ANALYZE");
  ASSERT_OK(CatalogueReader::open(path_));
}

TEST_F(OpeningTest, ANewerOneIsRefusedUntouched) {
  ASSERT_OK(open_writer());
  {
    Connection connection(path_, Access::kWrite);
    connection.execute("PRAGMA user_version = 999");
  }
  for (const auto& error : {open_writer().error(), CatalogueReader::open(path_).error()}) {
    EXPECT_EQ(error.code, ErrorCode::kNewer);
    EXPECT_THAT(error.message, HasSubstr("999"));
  }
  Connection connection(path_, Access::kRead);
  EXPECT_EQ(connection.integer("PRAGMA user_version"), 999);
}

TEST_F(OpeningTest, DamageNeverCrashes) {
  {
    auto writer = open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(writer->begin());
    for (int i = 0; i < 300; ++i) {
      const auto file = writer->upsert_file(seen("/p/" + std::to_string(i)), 1);
      ASSERT_OK(writer->set_file_metadata(file->id, titled("damage " + std::to_string(i)), {}, "1"));
    }
    ASSERT_OK(writer->commit());
  }
  const std::string sound = read_back();
  std::mt19937 random(1);
  int noticed = 0;
  for (int round = 0; round < 60; ++round) {
    std::string bytes = sound;
    if (round % 3 == 0) bytes.resize(random() % bytes.size());
    for (int i = 0; i < 40 && !bytes.empty(); ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    write_file(bytes);
    const auto report = check(path_);
    if (!report || !report->problems.empty()) ++noticed;
    if (const auto reader = CatalogueReader::open(path_)) {
      AssetQuery query;
      query.words = {{TextField::kAny, "damage", true}};
      (void)reader->find(query);
      (void)reader->status();
    }
    if (auto writer = open_writer()) (void)writer->upsert_file(seen("/p/new"), 2);
  }
  EXPECT_GT(noticed, 30);
}

constexpr Migration kOne = {1, "one", "CREATE TABLE old(x TEXT); "};
constexpr Migration kTwo = {2, "two", "CREATE TABLE new(x TEXT); INSERT INTO new SELECT upper(x) FROM old"};
constexpr Migration kBroken = {3, "three", "CREATE TABLE third(x); INSERT INTO nowhere VALUES(1)"};

class MigrationTest : public OpeningTest {
 protected:
  void SetUp() override {
    OpeningTest::SetUp();
    Connection connection(path_, Access::kCreate);
    migrate(connection, std::array{kOne});
    connection.execute("INSERT INTO old VALUES('kept')");
  }
};

TEST_F(MigrationTest, BringsAnOldOneUpToDateAfterACopy) {
  Connection connection(path_, Access::kWrite);
  migrate(connection, std::array{kOne, kTwo});
  EXPECT_EQ(connection.integer("PRAGMA user_version"), 2);
  EXPECT_EQ(connection.integer("SELECT count(*) FROM new WHERE x = 'KEPT'"), 1);
  Connection copy(path_ + ".backup-v1", Access::kRead);
  EXPECT_EQ(copy.integer("PRAGMA user_version"), 1);
  EXPECT_EQ(copy.integer("SELECT count(*) FROM old WHERE x = 'kept'"), 1);
  EXPECT_EQ(mode(path_ + ".backup-v1"), 0600U);
  migrate(connection, std::array{kOne, kTwo});
  EXPECT_FALSE(std::filesystem::exists(path_ + ".backup-v2"));
}

TEST_F(MigrationTest, AnEarlierCopyStays) {
  std::ofstream(path_ + ".backup-v1") << "mine";
  Connection connection(path_, Access::kWrite);
  migrate(connection, std::array{kOne, kTwo});
  EXPECT_EQ(std::filesystem::file_size(path_ + ".backup-v1"), 4U);
  EXPECT_TRUE(std::filesystem::exists(path_ + ".backup-v1-2"));
}

TEST_F(MigrationTest, AFailedOneChangesNothing) {
  Connection connection(path_, Access::kWrite);
  EXPECT_FALSE(guarded([&] { migrate(connection, std::array{kOne, kTwo, kBroken}); }).has_value());
  EXPECT_EQ(connection.integer("PRAGMA user_version"), 1);
  EXPECT_EQ(connection.integer("SELECT count(*) FROM sqlite_schema WHERE name IN ('new', 'third')"), 0);
  EXPECT_EQ(connection.integer("SELECT count(*) FROM old"), 1);
}

TEST_F(MigrationTest, VersionsCountUp) {
  int expected = 1;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.version, expected++);
}

// Where this fails, the message has what belongs into the table of migrations.
TEST_F(MigrationTest, FingerprintsAreThoseOfTheirSchemas) {
  for (const Migration& migration : migrations())
    EXPECT_EQ(migration.fingerprint, schema_fingerprint(migrations(), migration.version)) << migration.version;
}

TEST_F(OpeningTest, TheLockNamesItsHolder) {
  const auto held = WriterLock::acquire(path_, "image-engine analyze /photos\nx");
  ASSERT_OK(held);
  const auto refused = WriterLock::acquire(path_, "other");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  EXPECT_THAT(refused.error().message, HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(refused.error().message, HasSubstr("image-engine analyze /photos"));
}

TEST_F(OpeningTest, ADeadHoldersLockIsFree) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = WriterLock::acquire(path_, "dies");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_OK(WriterLock::acquire(path_, "next"));
}

TEST_F(OpeningTest, WaitingEndsWhenTheHolderGoesOrTheUserCancels) {
  auto held = std::make_unique<WriterLock>(*WriterLock::acquire(path_, "first"));
  EXPECT_EQ(WriterLock::wait(path_, "second", stopped()).error().code, ErrorCode::kInterrupted);
  // Whoever was refused has closed the lock's file, and waits.
  const auto wait_refused = [&](std::stop_token stop) {
    const UniqueFd watch(::inotify_init1(IN_CLOEXEC));
    EXPECT_GE(::inotify_add_watch(watch.get(), (path_ + ".lock").c_str(), IN_CLOSE), 0);
    auto waiting = std::async(std::launch::async, [this, stop] { return WriterLock::wait(path_, "second", stop); });
    char event[sizeof(inotify_event)];
    EXPECT_GT(::read(watch.get(), event, sizeof event), 0);
    return waiting;
  };
  std::stop_source user;
  auto stopped_later = wait_refused(user.get_token());
  user.request_stop();
  EXPECT_EQ(stopped_later.get().error().code, ErrorCode::kInterrupted);
  auto admitted = wait_refused({});
  held.reset();
  ASSERT_OK(admitted.get());
}

TEST_F(OpeningTest, ReadersWorkWhileAWriterWrites) {
  auto writer = open_writer();
  ASSERT_OK(writer);
  ASSERT_OK(writer->upsert_file(seen("/p/1.jpg"), 1));
  ASSERT_OK(writer->begin());
  ASSERT_OK(writer->upsert_file(seen("/p/2.jpg"), 1));
  const auto reader = CatalogueReader::open(path_);
  ASSERT_OK(reader);
  EXPECT_EQ(reader->asset_ids()->size(), 1U);
  EXPECT_EQ(count_found(AssetQuery{}), 1U);
  ASSERT_OK(backup(path_, folder_ + "/during.db", false));
  ASSERT_OK(writer->commit());
  EXPECT_EQ(reader->asset_ids()->size(), 2U);
  EXPECT_EQ(CatalogueReader::open(folder_ + "/during.db")->asset_ids()->size(), 1U);
}

TEST_F(OpeningTest, AReadOnlyMediumCanBeRead) {
  {
    auto writer = open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(writer->upsert_file(seen("/p/1.jpg"), 1));
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount(folder_.c_str(), folder_.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
                         ::mount(nullptr, folder_.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
    if (!mounted) ::_exit(77);
    const auto reader = CatalogueReader::open(path_);
    if (!reader) std::fprintf(stderr, "%s\n", reader.error().message.c_str());
    bool read = reader && reader->asset_ids() && reader->asset_ids()->size() == 1;
    const auto report = check(path_);
    if (!report || !report->problems.empty())
      std::fprintf(stderr, "%s\n", report ? report->problems.front().c_str() : report.error().message.c_str());
    read = read && report && report->problems.empty();
    const auto writer = WriterLock::acquire(path_, "test");
    ::_exit(read && !writer ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "a mount namespace is not allowed here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace image_engine::store
