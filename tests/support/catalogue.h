// A folder of its own for each test, and short ways to write a catalogue in it.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/hash.h"
#include "store/catalogue.h"
#include "store/maintenance.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::store {

class StoreTest : public testing::Test {
 protected:
  Result<CatalogueWriter> open_writer() const {
    IE_TRY(auto lock, WriterLock::acquire(path_, "test"));
    return CatalogueWriter::open(path_, std::move(lock));
  }
  CatalogueReader reader() const { return std::move(*CatalogueReader::open(path_)); }

  static FileObservation seen(const std::string& path, std::int64_t size = 100, std::int64_t mtime = 1) {
    FileObservation file;
    file.path = path;
    file.device = 7;
    file.inode = 9;
    file.stamp = {size, mtime};
    file.format = MediaFormat::kJpeg;
    file.kind = MediaKind::kPhoto;
    return file;
  }

  static Failure failed(const std::string& path, const StageKey& key, ErrorCode code) {
    Failure failure;
    failure.path = path;
    failure.key = key;
    failure.error.code = code;
    failure.error.message = "cannot be read";
    failure.stamp = {100, 1};
    return failure;
  }

  static Metadata titled(const std::string& title) {
    Metadata metadata;
    metadata.format = MediaFormat::kJpeg;
    metadata.title = title;
    return metadata;
  }

  // Of all files at or below `root`.
  static Status set_state(CatalogueWriter& writer, const std::string& root, FileState state) {
    IE_TRY(const std::vector<KnownFile> files, writer.known_files(root));
    std::vector<FileId> ids;
    for (const KnownFile& file : files) ids.push_back(file.id);
    return writer.set_file_state(ids, state);
  }

  std::size_t count_found(const AssetQuery& query) const {
    const auto reader = CatalogueReader::open(path_);
    EXPECT_OK(reader);
    const auto found = reader->find(query);
    EXPECT_OK(found);
    return found ? found->total : 0;
  }
  std::size_t count_found(const std::string& word) const {
    AssetQuery query;
    query.words = {{TextField::kAny, word, false}};
    return count_found(query);
  }

  // What the sqlite3 program says: a second opinion on the file.
  static std::string sqlite3_says(const std::string& path, const std::string& sql) {
    std::string output;
    FILE* pipe = ::popen(("sqlite3 '" + path + "' \"" + sql + "\" 2>&1").c_str(), "r");
    if (pipe == nullptr) return output;
    std::array<char, 256> buffer{};
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) output += buffer.data();
    ::pclose(pipe);
    while (output.ends_with('\n')) output.pop_back();
    return output;
  }
  static bool has_sqlite3() { return std::system("command -v sqlite3 >/dev/null 2>&1") == 0; }

  void expect_sound() const {
    const auto report = check(path_);
    ASSERT_OK(report);
    EXPECT_TRUE(report->problems.empty()) << report->problems.front();
  }

  const Scratch scratch_;
  const std::string folder_ = scratch_.path();
  std::string path_ = folder_ + "/catalog.db";
};

// A catalogue that a first run writes; sound at the end.
class WrittenTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    start_writer();
    const auto run = writer_->start_run("analyze");
    ASSERT_OK(run);
    run_ = *run;
  }
  void TearDown() override {
    writer_.reset();
    expect_sound();
    StoreTest::TearDown();
  }
  void start_writer() {
    auto opened = open_writer();
    ASSERT_OK(opened);
    writer_ = std::make_unique<CatalogueWriter>(std::move(*opened));
  }

  std::unique_ptr<CatalogueWriter> writer_;
  RunId run_ = 0;
};

}  // namespace image_engine::store
