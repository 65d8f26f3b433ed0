#include "search/vectors.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "search/scan.h"
#include "search/vector_file.h"
#include "search/vector_kernels.h"
#include "tests/search/halves.h"
#include "tests/support/catalogue.h"
#include "tests/support/files.h"

namespace image_engine::search {
namespace {

using store::AssetId;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// The side file of a catalogue.
class VectorIndexTest : public store::WrittenTest {
 protected:
  static constexpr std::size_t kDimensions = 24;

  // The first test writes 5000 vectors, which are two blocks of the side file; the others begin with a copy.
  void SetUp() override {
    if (filled_) return begin_with(*filled_);
    WrittenTest::SetUp();
    space_ = writer_->open_space({"embedding", "clip", "1", ""}, kDimensions)->id;
    ASSERT_OK(writer_->begin());
    for (int i = 0; i < 5000; ++i) add();
    ASSERT_OK(writer_->commit());
    writer_.reset();
    ASSERT_FALSE(std::filesystem::exists(path_ + "-wal")) << "the file by itself is not all of the catalogue";
    filled_ = Filled{bytes_of(path_), run_, space_, added_, random_};
    start_writer();
  }
  AssetId add() {
    const std::string name = std::to_string(++added_);
    const auto file = *writer_->upsert_file(seen("/p/" + name), run_);
    const AssetId asset = writer_->set_content(file.id, hash128(name), hash128(name))->asset;
    put(asset);
    return asset;
  }
  void put(AssetId asset) { ASSERT_OK(writer_->put_vector(asset, space_, random_half(random_, kDimensions))); }
  // Removes the pictures of all files whose number is below `below`.
  void remove_files(int below) {
    const auto files = writer_->known_files("/p");
    std::vector<store::FileId> gone;
    for (const auto& file : *files)
      if (std::stoi(file.seen.path.substr(3)) < below) gone.push_back(file.id);
    ASSERT_OK(writer_->set_file_state(gone, store::FileState::kMissing));
    writer_.reset();
    {
      auto lock = store::WriterLock::acquire(path_, "prune");
      ASSERT_OK(store::prune(path_, *lock, {}));
    }
    start_writer();
  }

  store::Space space() const { return reader().spaces("embedding")->front(); }
  std::string side_file() const { return path_ + ".vectors-" + std::to_string(space_); }
  ino_t inode() const {
    struct stat file {};
    return ::stat(side_file().c_str(), &file) == 0 ? file.st_ino : 0;
  }
  Result<VectorIndex> open() {
    notes_.clear();
    return VectorIndex::open(reader(), path_, space(), &notes_);
  }
  std::map<AssetId, Half> truth() const {
    std::map<AssetId, Half> rows;
    const Status read = reader().changed_vectors(space_, 0, [&](AssetId asset, auto vector) -> Status {
      rows[asset] = {vector.begin(), vector.end()};
      return {};
    });
    EXPECT_TRUE(read.has_value());
    return rows;
  }
  static std::map<AssetId, Half> held(const VectorIndex& index) {
    std::map<AssetId, Half> rows;
    std::size_t count = 0;
    index.for_each([&](AssetId asset, std::span<const std::uint16_t> vector) {
      rows[asset] = {vector.begin(), vector.end()};
      ++count;
    });
    EXPECT_EQ(count, rows.size()) << "an asset stands in several rows";
    EXPECT_EQ(count, index.size());
    return rows;
  }
  void expect_right() {
    const auto index = open();
    ASSERT_OK(index);
    EXPECT_EQ(index->dimensions(), kDimensions);
    EXPECT_TRUE(held(*index) == truth());
  }
  std::string read_side_file() const { return bytes_of(side_file()); }
  void write_side_file(const std::string& bytes) const {
    std::ofstream(side_file(), std::ios::binary | std::ios::trunc) << bytes;
  }
  // Makes the first block's checksum right again.
  static void seal(std::string& bytes, std::size_t block_size) {
    const Hash128 check = hash128(std::string_view(bytes).substr(4096 + 64, block_size - 64));
    std::ranges::copy(check.bytes, bytes.begin() + 4096);
  }
  static void seal_header(std::string& bytes) {
    const Hash128 check = hash128(std::string_view(bytes).substr(0, 56));
    std::ranges::copy(check.bytes, bytes.begin() + 56);
  }

  std::mt19937 random_{11};
  store::SpaceId space_ = 0;
  int added_ = 0;
  std::vector<std::string> notes_;

 private:
  struct Filled {
    std::string catalogue;
    store::RunId run;
    store::SpaceId space;
    int added;
    std::mt19937 random;
  };
  void begin_with(const Filled& filled) {
    StoreTest::SetUp();
    std::ofstream(path_, std::ios::binary) << filled.catalogue;
    run_ = filled.run, space_ = filled.space, added_ = filled.added, random_ = filled.random;
    start_writer();
  }

  static std::optional<Filled> filled_;
};

std::optional<VectorIndexTest::Filled> VectorIndexTest::filled_;

TEST_F(VectorIndexTest, AFileCutOffWhileItIsReadIsAnError) {
  const auto index = open();
  ASSERT_OK(index);
  ASSERT_EQ(::truncate(side_file().c_str(), 4096), 0);
  const std::vector<float> query(kDimensions, 1 / std::sqrt(static_cast<float>(kDimensions)));
  const auto found = index->scan(query, 3, nullptr, 1);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, ErrorCode::kCorrupt) << found.error().message;
  expect_right();
}

TEST_F(VectorIndexTest, IsMadeOnceForItsOwnerOnly) {
  EXPECT_EQ(VectorIndex::check(path_, space()).error().code, ErrorCode::kNotFound);
  expect_right();
  struct stat file {};
  ASSERT_EQ(::stat(side_file().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
  EXPECT_FALSE(std::filesystem::exists(side_file() + ".new"));
  const auto before = inode();
  expect_right();
  EXPECT_EQ(inode(), before);
  EXPECT_THAT(notes_, IsEmpty());
  ASSERT_OK(VectorIndex::check(path_, space()));
}

TEST_F(VectorIndexTest, ScansWhatTheCatalogueHas) {
  const auto index = open();
  ASSERT_OK(index);
  const auto query = random_direction(random_, kDimensions);
  const auto result = index->scan(query, 10, nullptr, 2);
  ASSERT_OK(result);
  const auto expected = brute_force(truth(), query, nullptr);
  ASSERT_THAT(result->best, SizeIs(10));
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(result->best[i].id, expected[i].asset);
}

TEST_F(VectorIndexTest, ChangesAreMadeInPlace) {
  expect_right();
  const auto before = inode();
  put(17);
  put(4999);
  ASSERT_OK(writer_->begin());
  for (int i = 0; i < 4000; ++i) add();  // into the third block
  ASSERT_OK(writer_->commit());
  expect_right();
  remove_files(300);
  expect_right();
  put(700);
  add();
  expect_right();
  EXPECT_EQ(inode(), before);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(VectorIndexTest, ReadersKeepWhatTheyOpened) {
  const auto old = open();
  ASSERT_OK(old);
  const auto before = truth();
  const auto first = inode();
  put(17);
  add();
  expect_right();
  EXPECT_NE(inode(), first) << "changed under a reader";
  EXPECT_TRUE(held(*old) == before);
}

TEST_F(VectorIndexTest, ManyRemovedRowsAreGivenBack) {
  expect_right();
  remove_files(4900);
  const auto size = std::filesystem::file_size(side_file());
  expect_right();
  expect_right();
  EXPECT_LT(std::filesystem::file_size(side_file()), size);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(VectorIndexTest, DamageIsSeenAndMendedWithANote) {
  expect_right();
  const std::string sound = read_side_file();
  const std::size_t block = 64 + 4096 * 8 + 4096 * 64 * 2;
  ASSERT_EQ(sound.size(), 4096 + 2 * block);
  for (int round = 0; round < 30; ++round) {
    std::string bytes = sound;
    std::size_t at = round < 10 ? static_cast<std::size_t>(random_() % 72) : 4096 + random_() % (2 * block);
    // What lies between a block's checksum and its ids is of no use.
    if (at >= 4096 && (at - 4096) % block >= 16 && (at - 4096) % block < 64) at += 64;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random_() % 8));
    write_side_file(bytes);
    EXPECT_EQ(VectorIndex::check(path_, space()).error().code, ErrorCode::kCorrupt) << at;
    expect_right();
    EXPECT_THAT(notes_, SizeIs(1)) << at;
  }
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{10}, std::size_t{4096}, sound.size() - 1, sound.size() / 2}) {
    write_side_file(sound.substr(0, size));
    expect_right();
    EXPECT_THAT(notes_, SizeIs(1)) << size;
  }
  write_side_file(sound + "more");
  expect_right();
  EXPECT_THAT(notes_, SizeIs(1));
  expect_right();
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(VectorIndexTest, AnotherSpacesFileIsNotTaken) {
  expect_right();
  const auto other = writer_->open_space({"embedding", "clip", "2", ""}, kDimensions);
  ASSERT_OK(other);
  ASSERT_OK(writer_->put_vector(1, other->id, random_half(random_, kDimensions)));
  std::filesystem::copy_file(side_file(), path_ + ".vectors-" + std::to_string(other->id));
  const auto index = VectorIndex::open(reader(), path_, *other, &notes_);
  ASSERT_OK(index);
  EXPECT_EQ(index->size(), 1U);
  ASSERT_THAT(notes_, SizeIs(1));
  EXPECT_THAT(notes_[0], HasSubstr("another model"));
  store::Space gone = space();
  gone.id = 77;
  EXPECT_EQ(VectorIndex::open(reader(), path_, gone).error().code, ErrorCode::kNotFound);
}

TEST_F(VectorIndexTest, ARestoredCatalogueIsNotBelievedToBeTheOldOne) {
  const std::string backup = folder_ + "/backup.db";
  ASSERT_OK(store::backup(path_, backup, false));
  for (int i = 0; i < 5; ++i) add();
  expect_right();
  writer_.reset();
  std::filesystem::remove(path_ + "-wal");
  std::filesystem::remove(path_ + "-shm");
  std::filesystem::copy_file(backup, path_, std::filesystem::copy_options::overwrite_existing);
  start_writer();
  expect_right();  // generations went back
  expect_right();
  for (int i = 0; i < 5; ++i) add();
  const std::string side = read_side_file();
  expect_right();
  // The same number of generations and vectors as the file has, but others.
  writer_.reset();
  std::filesystem::copy_file(backup, path_, std::filesystem::copy_options::overwrite_existing);
  start_writer();
  for (int i = 0; i < 5; ++i) add();
  expect_right();
  EXPECT_THAT(notes_, SizeIs(1));
}

// Sound checksums over ids and a header that our program never writes.
TEST_F(VectorIndexTest, WhatAFileSaysIsNotTrusted) {
  expect_right();
  const std::string sound = read_side_file();
  const VectorFileKind kind = [&] {
    VectorFileKind read;
    std::copy_n(sound.begin() + 16, 16, read.identity.bytes.begin());
    read.dimensions = kDimensions;
    return read;
  }();
  const std::size_t block = 64 + 4096 * 8 + 4096 * 64 * 2;
  std::string bytes = sound;
  const std::int64_t ids[] = {-1, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), 9,
                              9};
  std::memcpy(bytes.data() + 4096 + 64, ids, sizeof(ids));
  seal(bytes, block);
  write_side_file(bytes);
  store::IdSet allowed(100);
  allowed.insert_all();
  {
    const auto file = VectorFile::open(side_file(), kind);
    ASSERT_OK(file);
    const auto result =
        scan_file(*file, random_direction(random_, kDimensions), 6000, &allowed, 1, usable_kernels()[0]);
    ASSERT_OK(result);
    for (const Neighbour& found : result->best) EXPECT_TRUE(allowed.contains(store::asset_of(found.id)));
    ASSERT_OK(scan_file(*file, random_direction(random_, kDimensions), 6000, nullptr, 1, usable_kernels()[0]));
  }
  put(9);  // a change of an id that stands there twice
  expect_right();
  for (const auto& [at, value] :
       {std::pair<std::size_t, std::uint64_t>{40, ~0ULL}, {40, 1ULL << 40}, {48, 1}, {12, 1ULL << 31}}) {
    bytes = sound;
    std::memcpy(bytes.data() + at, &value, at == 12 ? 4 : 8);
    seal_header(bytes);
    write_side_file(bytes);
    EXPECT_EQ(VectorFile::open(side_file(), kind).error().code, ErrorCode::kCorrupt) << at;
  }
}

TEST_F(VectorIndexTest, WhereItCannotBeWrittenVectorsAreInMemory) {
  std::filesystem::create_directory(side_file() + ".new");
  expect_right();
  EXPECT_FALSE(std::filesystem::exists(side_file()));
  std::filesystem::remove(side_file() + ".new");
  expect_right();
  EXPECT_TRUE(std::filesystem::exists(side_file()));
  // Neither through a link to another file.
  std::filesystem::remove(side_file());
  std::ofstream(folder_ + "/mine") << "mine";
  std::filesystem::create_symlink(folder_ + "/mine", side_file() + ".new");
  expect_right();
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/mine"), 4U);
}

TEST_F(VectorIndexTest, AKilledWriterLeavesNothingWrong) {
  expect_right();
  for (int round = 0; round < 25; ++round) {
    for (int i = 0; i < 3; ++i) put(1 + static_cast<AssetId>(random_() % 5000));
    add();
    if (round % 5 == 4) std::filesystem::remove(side_file());
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGALRM, SIG_DFL);
      ::ualarm(static_cast<useconds_t>(300 + random_() % 8000 + static_cast<unsigned>(round)), 0);
      (void)open();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    expect_right();
  }
}

TEST_F(VectorIndexTest, SeveralProgramsAtOnce) {
  for (int round = 0; round < 5; ++round) {
    put(1 + static_cast<AssetId>(random_() % 5000));
    add();
    if (round == 3) std::filesystem::remove(side_file());
    const auto expected = truth();
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        const auto index = open();
        ::_exit(index && held(*index) == expected && notes_.empty() ? 0 : 1);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << round;
    }
  }
}

}  // namespace
}  // namespace image_engine::search
