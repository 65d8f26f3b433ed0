#include "core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "core/file_lock.h"
#include "core/hash.h"
#include "core/subprocess.h"
#include "tests/support/scratch.h"

namespace image_engine {
namespace {

class FileTest : public testing::Test {
 protected:
  [[nodiscard]] std::string in(const std::string& name) const { return join_path(folder_, name); }
  const Scratch scratch_;
  const std::string folder_ = scratch_.path();
};

TEST_F(FileTest, WritingReplacesWholeFilesAndSetsTheMode) {
  ASSERT_TRUE(write_file_atomically(in("a"), "first", 0600));
  ASSERT_TRUE(write_file_atomically(in("a"), "second", 0640));
  EXPECT_EQ(read_file(in("a")).value(), "second");
  struct stat info {};
  ASSERT_EQ(::stat(in("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
}

TEST_F(FileTest, AFileInPartsIsThereWhenItIsFinished) {
  ASSERT_TRUE(write_file_atomically(in("a"), "older"));
  const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); };
  {
    AtomicFile unfinished = AtomicFile::create(in("a")).value();
    ASSERT_TRUE(unfinished.write(0, bytes("never")));
  }
  EXPECT_EQ(read_file(in("a")).value(), "older");
  AtomicFile file = AtomicFile::create(in("a")).value();
  ASSERT_TRUE(file.write(4, bytes("last")));
  ASSERT_TRUE(file.write(0, bytes("1st")));
  EXPECT_EQ(read_file(in("a")).value(), "older");
  ASSERT_TRUE(file.finish());
  EXPECT_EQ(read_file(in("a")).value(), std::string("1st\0last", 8));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(std::filesystem::path(in("a")).parent_path()), {}), 1);
  EXPECT_FALSE(AtomicFile::create(in("no/such/folder")));
}

TEST_F(FileTest, ALockKeepsOtherOpenFilesOut) {
  ASSERT_TRUE(write_file_atomically(in("lock"), ""));
  UniqueFd first(::open(in("lock").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd second(::open(in("lock").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(try_lock(first.get(), LockKind::kExclusive, "first").value(), true);
  EXPECT_EQ(try_lock(second.get(), LockKind::kExclusive, "second").value(), false);
  EXPECT_EQ(try_lock(second.get(), LockKind::kShared, "second").value(), false);
  EXPECT_TRUE(wait_for_lock(first.get(), LockKind::kShared, "first"));
  EXPECT_EQ(try_lock(second.get(), LockKind::kShared, "second").value(), true);
  EXPECT_EQ(try_lock(second.get(), LockKind::kExclusive, "second").value(), false);
  first.reset();
  EXPECT_EQ(try_lock(second.get(), LockKind::kExclusive, "second").value(), true);
  const auto closed = try_lock(-1, LockKind::kShared, "cannot lock it");
  ASSERT_FALSE(closed);
  EXPECT_TRUE(closed.error().message.starts_with("cannot lock it: ")) << closed.error().message;
}

TEST_F(FileTest, ALockedFileMayNoLongerBeAtItsPath) {
  ASSERT_TRUE(write_file_atomically(in("lock"), ""));
  const UniqueFd fd(::open(in("lock").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(is_at_path(fd.get(), in("lock")));
  ASSERT_TRUE(write_file_atomically(in("lock"), "another"));
  EXPECT_FALSE(is_at_path(fd.get(), in("lock")));
  ASSERT_EQ(::unlink(in("lock").c_str()), 0);
  EXPECT_FALSE(is_at_path(fd.get(), in("lock")));
}

TEST_F(FileTest, WritingFollowsTheUmask) {
  const mode_t before = ::umask(027);
  EXPECT_TRUE(write_file_atomically(in("a"), "text"));
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat(in("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
}

TEST_F(FileTest, AFailedWriteLeavesTheOldBytesAndNothingBeside) {
  ASSERT_TRUE(write_file_atomically(in("a"), "kept"));
  // A file size limit stands in for a full disk.
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{1000, old.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Status status = write_file_atomically(in("a"), std::string(100'000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &old);
  ASSERT_FALSE(status);
  EXPECT_EQ(read_file(in("a")).value(), "kept");
  const Finished listing =
      run_program({.arguments = {"/bin/ls", folder_}}, {.timeout = std::chrono::seconds(5)}).value();
  EXPECT_EQ(listing.output, "a\n");
}

TEST_F(FileTest, ADeletedWorkingFolderIsAnErrorAndNotTheRoot) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool there =
        ::mkdir(in("gone").c_str(), 0700) == 0 && ::chdir(in("gone").c_str()) == 0 && ::rmdir(in("gone").c_str()) == 0;
    const Status surroundings = check_surroundings();
    const bool right = !surroundings && surroundings.error().code == ErrorCode::kNotFound &&
                       absolute_path(".") == "." && absolute_path("a/b") == "a/b" && absolute_path("/a/../b") == "/b";
    ::_exit(there && right ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(FileTest, WithoutHomeThereIsNoPlaceForFiles) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr const char* kVariables[] = {"XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"};
    bool right = true;
    for (const char* home : {"", "relative"}) {
      for (const char* variable : kVariables) ::unsetenv(variable);
      ::setenv("HOME", home, 1);
      const Status surroundings = check_surroundings();
      right = right && !surroundings && surroundings.error().message.starts_with("HOME is not set");
      for (const std::string& folder : {data_home(), cache_home(), config_home()})
        right = right && folder.starts_with("/dev/null/") && !make_folders(folder);
      for (const char* variable : kVariables) ::setenv(variable, "/x", 1);
      right = right && check_surroundings() && data_home() == "/x/image-engine";
    }
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(FileTest, ErrorsAreByKind) {
  EXPECT_EQ(open_regular(in("none")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(open_regular(folder_).error().code, ErrorCode::kUnsupported);
  ASSERT_EQ(::mkfifo(in("pipe").c_str(), 0600), 0);
  EXPECT_EQ(open_regular(in("pipe")).error().code, ErrorCode::kUnsupported);  // and does not hang
  ASSERT_TRUE(write_file_atomically(in("big"), std::string(5000, 'x')));
  EXPECT_EQ(read_file(in("big"), 4999).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(read_file(in("big"), 5000)->size(), 5000U);
}

TEST_F(FileTest, MapsWholeFilesAndEmptyOnes) {
  ASSERT_TRUE(write_file_atomically(in("a"), "mapped"));
  ASSERT_TRUE(write_file_atomically(in("empty"), ""));
  const MappedFile file = MappedFile::create(open_regular(in("a"))->get()).value();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()), "mapped");
  EXPECT_TRUE(MappedFile::create(open_regular(in("empty"))->get())->bytes().empty());
}

TEST_F(FileTest, MakesFoldersWithTheirParents) {
  ASSERT_TRUE(make_folders(in("x/y/z"), 0700));
  ASSERT_TRUE(make_folders(in("x/y/z"), 0700));
  EXPECT_EQ(::access(in("x/y/z").c_str(), W_OK), 0);
  ASSERT_TRUE(write_file_atomically(in("x/file"), ""));
  EXPECT_FALSE(make_folders(in("x/file/below")));
}

TEST(Path, IsTextualAndTakesAnyBytes) {
  EXPECT_EQ(absolute_path("/a/./b//../c/"), "/a/c");
  EXPECT_EQ(absolute_path("/.."), "/");
  EXPECT_EQ(absolute_path("/a/\xFF\n"), "/a/\xFF\n");
  EXPECT_EQ(file_name("/a/b.JPG"), "b.JPG");
  EXPECT_EQ(parent_path("/a"), "/");
  EXPECT_EQ(parent_path("/a/b"), "/a");
  EXPECT_EQ(lower_extension("/x.y/IMG.JPeG"), ".jpeg");
  EXPECT_EQ(lower_extension("/x/.hidden"), "");
  EXPECT_EQ(join_path("/a/", "b"), "/a/b");
}

// FIPS 180-4's examples, as `sha256sum` prints them, cut to 32 digits.
TEST(Hash, OfContentsIsTheFirstHalfOfSha256) {
  EXPECT_EQ(content_hash({}).hex(), "e3b0c44298fc1c149afbf4c8996fb924");
  EXPECT_EQ(content_hash(std::as_bytes(std::span("abc", 3))).hex(), "ba7816bf8f01cfea414140de5dae2223");
  ContentHasher hasher;
  hasher.update(std::as_bytes(std::span("a", 1)));
  hasher.update(std::as_bytes(std::span("bc", 2)));
  EXPECT_EQ(hasher.digest(), content_hash(std::as_bytes(std::span("abc", 3))));
}

// Reference values of the xxHash project's own command: printf '' | xxh128sum, printf 'hello' | xxh128sum.
TEST(Hash, IsXxh3Of128Bits) {
  EXPECT_EQ(hash128(std::string_view()).hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash128(std::string_view("hello")).hex(), "b5e9c1ad071b3e7fc779cfaa5e523818");
  Hasher hasher;
  hasher.update(std::as_bytes(std::span("hel", 3)));
  hasher.update(std::as_bytes(std::span("lo", 2)));
  EXPECT_EQ(hasher.digest(), hash128(std::string_view("hello")));
  EXPECT_EQ(Hash128::from_hex(hash128(std::string_view("hello")).hex()), hash128(std::string_view("hello")));
  EXPECT_EQ(Hash128::from_hex("zz"), std::nullopt);
}

TEST(Subprocess, GivesOutputAndExitCode) {
  const Finished done =
      run_program({.arguments = {"/bin/sh", "-c", "echo out; exit 7"}}, {.timeout = std::chrono::seconds(5)}).value();
  EXPECT_EQ(done.output, "out\n");
  EXPECT_EQ(done.exit_code, 7);
  const Finished killed =
      run_program({.arguments = {"/bin/sh", "-c", "kill -9 $$"}}, {.timeout = std::chrono::seconds(5)}).value();
  EXPECT_EQ(killed.signal, SIGKILL);
}

TEST(Subprocess, EndsWhatTakesTooLong) {
  EXPECT_EQ(run_program({.arguments = {"/bin/sleep", "60"}}, {.timeout = std::chrono::milliseconds(100)}).error().code,
            ErrorCode::kTimeout);
}

TEST(Subprocess, InheritsNeitherEnvironmentNorDescriptors) {
  ::setenv("IE_TEST_SECRET", "key", 1);
  const UniqueFd open_file(::dup(0));
  const SpawnOptions options{
      .arguments = {"/bin/sh", "-c", "echo \"${IE_TEST_SECRET:-none} $A\"; ls /proc/self/fd | wc -l"},
      .environment = {"A=b", "PATH=/usr/bin:/bin"}};
  // 0, 1, 2 and the descriptor with which ls reads the folder.
  EXPECT_EQ(run_program(options, {.timeout = std::chrono::seconds(5)})->output, "none b\n4\n");
}

TEST(Mtime, IsInNanosecondsWhateverTheYear) {
  struct stat file {};
  file.st_mtim = {1'700'000'000, 123};
  EXPECT_EQ(mtime_ns(file), 1'700'000'000'000'000'123);
  file.st_mtim = {-1, 999'999'999};
  EXPECT_EQ(mtime_ns(file), -1);
  file.st_mtim.tv_sec = std::int64_t{1} << 40;  // the year 36812
  const std::int64_t far = mtime_ns(file);
  ++file.st_mtim.tv_sec;
  EXPECT_NE(mtime_ns(file), far);
}

}  // namespace
}  // namespace image_engine
