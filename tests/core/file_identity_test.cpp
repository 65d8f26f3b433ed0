#include "core/file_identity.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>

#include "tests/support/scratch.h"

namespace image_engine {
namespace {

namespace fs = std::filesystem;

class FileIdentityTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_->write("a", "one");
    folder_->write("b", "one");
  }
  [[nodiscard]] std::string path(const std::string& name) const { return *folder_ / name; }
  [[nodiscard]] Sameness compare(const std::string& one, const std::string& other) const {
    return FileIdentities().compare(path(one), path(other));
  }

  std::optional<Scratch> folder_{std::in_place};
};

TEST_F(FileIdentityTest, TwoFilesOfTheSameBytesAreTwo) { EXPECT_EQ(compare("a", "b"), Sameness::kDistinct); }

TEST_F(FileIdentityTest, LinksLeadToTheSameFile) {
  fs::create_symlink("a", path("link"));
  fs::create_directory_symlink(folder_->path(), path("folder"));
  EXPECT_EQ(compare("a", "link"), Sameness::kSame);
  EXPECT_EQ(compare("a", "folder/a"), Sameness::kSame);
  EXPECT_EQ(compare("a", "folder/folder/link"), Sameness::kSame);
  EXPECT_EQ(compare("b", "folder/a"), Sameness::kDistinct);
  FileIdentities identities;
  EXPECT_TRUE(identities.is_link(path("folder/a")));
  EXPECT_FALSE(identities.is_link(path("a")));
  EXPECT_EQ(identities.identity(path("a")), identities.identity(path("folder/a")));
  EXPECT_NE(identities.identity(path("a")), identities.identity(path("b")));
}

TEST_F(FileIdentityTest, HardLinksAreTwoEntriesOfOneFile) {
  fs::create_hard_link(path("a"), path("hard"));
  fs::create_directory_symlink(folder_->path(), path("folder"));
  EXPECT_EQ(compare("a", "hard"), Sameness::kHardLink);
  EXPECT_EQ(compare("hard", "folder/hard"), Sameness::kSame);
}

TEST_F(FileIdentityTest, WhatIsNotThereIsUnknown) {
  EXPECT_EQ(compare("a", "gone"), Sameness::kUnknown);
  EXPECT_EQ(FileIdentities().identity(path("gone")), "");
}

// In a mount namespace of its own, where the kernel lets us have one. The child's exit code is the answer.
int in_namespace(const std::function<int()>& check) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(99);
    ::_exit(check());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(FileIdentityTest, MountsShowTheSameFile) {
  fs::create_hard_link(path("a"), path("hard"));
  fs::create_directory(path("view"));
  const int code = in_namespace([&] {
    if (::mount(folder_->path().c_str(), path("view").c_str(), nullptr, MS_BIND, nullptr) != 0) return 99;
    if (compare("b", "view/b") != Sameness::kSame) return 1;
    if (compare("a", "view/a") != Sameness::kSame) return 2;  // though it has two links
    if (compare("a", "view/hard") != Sameness::kHardLink) return 3;
    return compare("a", "view/b") == Sameness::kDistinct ? 0 : 4;
  });
  if (code == 99) GTEST_SKIP() << "mounts are not allowed here";
  EXPECT_EQ(code, 0);
}

TEST_F(FileIdentityTest, AnOverlayMayShowAFileOfAnotherMount) {
  for (const char* name : {"lower", "upper", "work", "merged"}) fs::create_directory(path(name));
  std::ofstream(path("lower/x")) << "one";
  std::ofstream(path("lower/y")) << "one";
  const int code = in_namespace([&] {
    const std::string options = "lowerdir=" + path("lower") + ",upperdir=" + path("upper") + ",workdir=" + path("work");
    if (::mount("overlay", path("merged").c_str(), "overlay", 0, options.c_str()) != 0) return 99;
    if (compare("merged/x", "merged/y") != Sameness::kDistinct) return 1;
    return compare("lower/x", "merged/x") == Sameness::kDistinct ? 2 : 0;
  });
  if (code == 99) GTEST_SKIP() << "overlays are not allowed here";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace image_engine
