// What was committed outlives a kill at any moment and a full disk.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <random>

#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

constexpr int kBatch = 25;

class CrashTest : public StoreTest {
 protected:
  // Writes files from `next` on in batches, telling the number committed through `told`, until killed or failing.
  Error write_forever(int next, int told) const {
    auto writer = open_writer();
    if (!writer) return writer.error();
    while (true) {
      if (auto begun = writer->begin(); !begun) return begun.error();
      for (int i = 0; i < kBatch; ++i, ++next) {
        const auto file = writer->upsert_file(seen("/p/" + std::to_string(next) + ".jpg"), 1);
        if (!file) return file.error();
        const std::string content = std::to_string(next / 2);
        if (auto set = writer->set_file_metadata(file->id, titled("common title " + content), {}, "1"); !set)
          return set.error();
        if (auto set = writer->set_content(file->id, hash128(content), hash128(content)); !set) return set.error();
      }
      if (auto committed = writer->commit(); !committed) return committed.error();
      if (::write(told, &next, sizeof next) != sizeof next) return {};
    }
  }

  static int last_told(int fd) {
    int last = 0;
    for (int value = 0; ::read(fd, &value, sizeof value) == sizeof value;) last = value;
    return last;
  }

  // All files up to the last batch told are there, and at most one more batch.
  void expect_kept(int committed) const {
    expect_sound();
    const auto reader = CatalogueReader::open(path_);
    ASSERT_OK(reader);
    const auto files = reader->status()->by_state["present"];
    EXPECT_GE(files, committed);
    EXPECT_LE(files, committed + kBatch);
    EXPECT_EQ(files % kBatch, 0);
    if (has_sqlite3()) {
      EXPECT_EQ(sqlite3_says(path_, "PRAGMA integrity_check"), "ok");
    }
  }
};

TEST_F(CrashTest, KilledAtAnyMoment) {
  ASSERT_OK(open_writer());
  std::mt19937 random(std::random_device{}());
  int committed = 0;
  for (int round = 0; round < 10; ++round) {
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(told[0]);
      (void)write_forever(committed, told[1]);
      ::_exit(0);
    }
    ::close(told[1]);
    // Killed before the first commit or after some, at any moment of the next batch.
    for (int commits = round % 4, value = 0; commits > 0 && ::read(told[0], &value, sizeof value) == sizeof value;
         --commits)
      committed = value;
    ::usleep(random() % 5'000);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    committed = std::max(committed, last_told(told[0]));
    ::close(told[0]);
    expect_kept(committed);
    committed = static_cast<int>(CatalogueReader::open(path_)->status()->by_state["present"]);
  }
  EXPECT_GT(committed, 0);
}

// In a child: 0 when the writer stopped with kNoSpace, 77 when there is no such limit here.
int run_until_full(const std::function<bool()>& limit, const std::function<Error()>& write) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!limit()) ::_exit(77);
    const Error error = write();
    if (error.code != ErrorCode::kNoSpace) std::fprintf(stderr, "stopped with: %s\n", error.message.c_str());
    ::_exit(error.code == ErrorCode::kNoSpace ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

TEST_F(CrashTest, AFileThatMayNotGrow) {
  ASSERT_OK(open_writer());
  int told[2];
  ASSERT_EQ(::pipe2(told, O_NONBLOCK), 0);
  const auto limit = [] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{2 << 20, 2 << 20};
    return ::setrlimit(RLIMIT_FSIZE, &small) == 0;
  };
  EXPECT_EQ(run_until_full(limit, [&] { return write_forever(0, told[1]); }), 0);
  expect_kept(last_told(told[0]));
}

TEST_F(CrashTest, AFullDisk) {
  int told[2];
  ASSERT_EQ(::pipe2(told, O_NONBLOCK), 0);
  const auto small_disk = [&] {
    return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=3m") == 0;
  };
  // The disk goes with the child, so the child looks at what is left.
  const auto write = [&]() -> Error {
    const Error error = write_forever(0, told[1]);
    const int committed = last_told(told[0]);
    const auto reader = CatalogueReader::open(path_);
    if (!reader) return {ErrorCode::kInternal, "cannot be read: " + reader.error().message};
    const auto files = reader->status()->by_state["present"];
    if (committed == 0 || files < committed || files % kBatch != 0)
      return {ErrorCode::kInternal, "committed " + std::to_string(committed) + ", found " + std::to_string(files)};
    return error;
  };
  const int result = run_until_full(small_disk, write);
  if (result == 77) GTEST_SKIP() << "a mount namespace with a tmpfs is not allowed here";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace image_engine::store
