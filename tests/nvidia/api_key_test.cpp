#include "nvidia/api_key.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "core/file.h"
#include "core/subprocess.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

using namespace image_engine;
using namespace image_engine::nvidia;
using testing::HasSubstr;
using testing::Not;

namespace {

constexpr char kName[] = "IE_TEST_KEY";
constexpr char kKey[] = "nvapi-0123456789-abcdefghijklmnop_ABC";

class ApiKeyTest : public testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv(kName);
    ::setenv("XDG_CONFIG_HOME", folder_.path().c_str(), 1);
  }
  void TearDown() override { ::unsetenv("XDG_CONFIG_HOME"); }
  std::string write(const std::string& text, const std::string& name = "keys") {
    const std::string path = folder_.path() + "/" + name;
    EXPECT_TRUE(make_folders(std::string(parent_path(path))));
    EXPECT_TRUE(write_file_atomically(path, text, 0600));
    return path;
  }
  std::string in_file(const std::string& text) {
    const auto key = ApiKey::load(kName, {.named = write(text)});
    return key ? std::string(key->text()) : "error: " + key.error().message;
  }
  Scratch folder_;
};

TEST_F(ApiKeyTest, IsTakenOutOfTheEnvironment) {
  ::setenv(kName, kKey, 1);
  const char* before = ::getenv(kName);
  const auto key = ApiKey::load(kName);
  ASSERT_OK(key);
  EXPECT_EQ(key->text(), kKey);
  EXPECT_FALSE(key->empty());
  EXPECT_EQ(::getenv(kName), nullptr);
  EXPECT_EQ(*before, '\0') << "wiped where it was";
}

TEST_F(ApiKeyTest, NoneIsEmpty) {
  const ApiKey none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.text(), "");
  EXPECT_EQ(none.redacted("as it was"), "as it was");
}

TEST_F(ApiKeyTest, WithoutOneSaysHowToGetIt) {
  for (const char* value : {static_cast<const char*>(nullptr), ""}) {
    if (value != nullptr) ::setenv("NVIDIA_API_KEY", value, 1);
    const auto key = ApiKey::load("NVIDIA_API_KEY");
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(key.error().message, HasSubstr("NVIDIA_API_KEY not found in environment"));
    EXPECT_THAT(key.error().message, HasSubstr("build.nvidia.com"));
    EXPECT_THAT(key.error().message, HasSubstr(folder_.path()));
  }
}

TEST_F(ApiKeyTest, FilesAreReadAsAShellWould) {
  const std::string name = kName;
  EXPECT_EQ(in_file(name + "=abc"), "abc");
  EXPECT_EQ(in_file("# keys\r\n\r\nOTHER=1\r\n" + name + "=abc\r\n"), "abc");
  EXPECT_EQ(in_file("\xEF\xBB\xBF" + name + "=abc"), "abc");
  EXPECT_EQ(in_file("export " + name + "=\"abc\" # mine"), "abc");
  EXPECT_EQ(in_file("  " + name + "='a\"b'"), "a\"b");
  EXPECT_EQ(in_file(name + "=abc # a comment"), "abc");
  EXPECT_EQ(in_file(name + "=a#bc"), "a#bc");
  EXPECT_EQ(in_file(name + "=\"a\\\"b\""), "a\"b");
  EXPECT_EQ(in_file(name + "=a\\bc"), "abc");
  EXPECT_EQ(in_file(name + "=first\n" + name + "=second\n"), "second");
  EXPECT_THAT(in_file("X" + name + "=abc\n" + name + "X=abc\n#" + name + "=abc"), HasSubstr("not found"));
  EXPECT_THAT(in_file(name + "="), HasSubstr("not found"));
  EXPECT_THAT(in_file("\n" + name + "=\"abc"), HasSubstr("keys:2: a quote is not closed"));
  EXPECT_THAT(in_file(std::string(70'000, 'x')), HasSubstr("error"));
}

TEST_F(ApiKeyTest, TheEnvironmentComesFirstThenTheFileThenTheConfigurationFolder) {
  write(std::string(kName) + "=of-the-folder", "image-engine/.env");
  EXPECT_EQ(ApiKey::load(kName)->text(), "of-the-folder");
  const std::string file = write(std::string(kName) + "=of-the-file");
  EXPECT_EQ(ApiKey::load(kName, {.named = file})->text(), "of-the-file");
  ::setenv(kName, "of-the-environment", 1);
  EXPECT_EQ(ApiKey::load(kName, {.named = file})->text(), "of-the-environment");
}

class HereTest : public ApiKeyTest {
 protected:
  void SetUp() override {
    ApiKeyTest::SetUp();
    ASSERT_NE(::getcwd(before_, sizeof before_), nullptr);
    here_ = std::string(parent_path(write(std::string(kName) + "=of-here", "work/.env")));
    ASSERT_EQ(::chdir(here_.c_str()), 0);
  }
  void TearDown() override {
    ASSERT_EQ(::chdir(before_), 0);
    ApiKeyTest::TearDown();
  }
  char before_[4096];
  std::string here_;
};

TEST_F(HereTest, TheCurrentFolderComesBeforeTheConfigurationFolder) {
  write(std::string(kName) + "=of-the-folder", "image-engine/.env");
  const auto key = ApiKey::load(kName);
  ASSERT_OK(key);
  EXPECT_EQ(key->text(), "of-here");
  EXPECT_EQ(key->source(), here_ + "/.env");
  EXPECT_EQ(ApiKey::load("IE_OTHER_KEY").error().code, ErrorCode::kNotFound);
}

TEST_F(HereTest, AFolderOfPicturesBringsNoKey) {
  const std::string photo = write("", "work/photo.jpg");
  ASSERT_EQ(::symlink(here_.c_str(), (folder_.path() + "/link").c_str()), 0);
  for (const std::string& pictures : {here_, folder_.path(), photo, folder_.path() + "/link", std::string("/")}) {
    const auto key = ApiKey::load(kName, {.pictures = {pictures}});
    ASSERT_FALSE(key) << pictures;
    EXPECT_EQ(key.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(key.error().message, HasSubstr("--env-file " + here_ + "/.env"));
  }
  EXPECT_TRUE(ApiKey::load(kName, {.pictures = {folder_.path() + "/image-engine", here_ + "-2"}}));
  EXPECT_TRUE(ApiKey::load(kName, {.named = here_ + "/.env", .pictures = {here_}})) << "named by the user";
  write(std::string(kName) + "=of-the-folder", "image-engine/.env");
  EXPECT_EQ(ApiKey::load(kName, {.pictures = {here_}})->text(), "of-the-folder");
}

TEST_F(HereTest, AFileOfOthersIsRefused) {
  const std::string file = here_ + "/.env";
  for (const mode_t mode : {0620, 0602}) {
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    for (const KeyFiles& files : {KeyFiles{}, KeyFiles{.named = file}}) {
      const auto key = ApiKey::load(kName, files);
      ASSERT_FALSE(key);
      EXPECT_EQ(key.error().code, ErrorCode::kPermission);
      EXPECT_THAT(key.error().message, HasSubstr("chmod 600 " + file));
      EXPECT_THAT(key.error().message, Not(HasSubstr("of-here")));
    }
    EXPECT_EQ(ApiKey::load("IE_OTHER_KEY").error().code, ErrorCode::kNotFound) << "what holds no key is passed over";
  }
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  EXPECT_TRUE(ApiKey::load(kName)) << "others may read it: a warning";
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  ASSERT_EQ(::chown(file.c_str(), 65534, 65534), 0);
  EXPECT_THAT(ApiKey::load(kName).error().message, HasSubstr("belongs to another user"));
}

TEST_F(ApiKeyTest, AFileThatIsAskedForMustBeThere) {
  const auto key = ApiKey::load(kName, {.named = folder_.path() + "/missing"});
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(key.error().message, HasSubstr("missing"));
}

TEST_F(ApiKeyTest, WhatCannotBeInAHeaderIsRefusedAndNotTold) {
  const std::string key_text = kKey, long_one(5000, 'k');
  for (const std::string& bad :
       {key_text + "\n", key_text + "\r\nX: y", key_text + " x", key_text + "\xc3\xbc", key_text + "\x7f", long_one}) {
    ::setenv(kName, bad.c_str(), 1);
    const auto key = ApiKey::load(kName);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(key.error().message, Not(HasSubstr(bad.substr(0, 5))));
    EXPECT_EQ(::getenv(kName), nullptr);
  }
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
  EXPECT_EQ(ApiKey::load("A=B").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ApiKey::load("").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ApiKeyTest, IsCutOutOfWhatServersSay) {
  ::setenv(kName, kKey, 1);
  const auto key = ApiKey::load(kName);
  EXPECT_EQ(key->redacted(std::string("<") + kKey + kKey + "> nvapi-0"), "<[key][key]> nvapi-0");
  ::setenv(kName, "test", 1);
  EXPECT_EQ(ApiKey::load(kName)->redacted("a test chart"), "a test chart");
}

TEST_F(ApiKeyTest, NoCoreDumpWhileAnyLives) {
  ASSERT_EQ(::prctl(PR_GET_DUMPABLE), 1);
  {
    ::setenv(kName, kKey, 1);
    auto first = ApiKey::load(kName);
    EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 0);
    ::setenv(kName, "another", 1);
    auto second = ApiKey::load(kName);
    ApiKey moved = std::move(*first);
    moved = ApiKey();
    EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 0);
  }
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
}

TEST_F(ApiKeyTest, ProgramsThatAreStartedDoNotGetIt) {
  ::setenv(kName, kKey, 1);
  const auto key = ApiKey::load(kName);
  SpawnOptions options;
  options.arguments = {"/usr/bin/env"};
  for (char** variable = environ; *variable != nullptr; ++variable) options.environment.emplace_back(*variable);
  const auto finished = run_program(options, {.timeout = std::chrono::seconds(20)});
  ASSERT_OK(finished);
  EXPECT_THAT(finished->output, HasSubstr("XDG_CONFIG_HOME="));
  EXPECT_THAT(finished->output, Not(HasSubstr(kKey)));
}

// As a user without rights, starts itself with the key in its environment, and looks at what the kernel shows of it.
constexpr char kLook[] = R"(
import os, subprocess, sys
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
child = subprocess.Popen([sys.argv[1], "--gtest_filter=HoldingAKey.*"],
                         env={"IE_TEST_KEY": sys.argv[2]}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def look(name):
    try:
        return sys.argv[2].encode() in open(f"/proc/{child.pid}/{name}", "rb").read()
    except PermissionError:
        return "refused"
seen = []
for line in child.stdout:
    if line.strip() in (b"before", b"loaded", b"gone"):
        seen.append(look("environ"))
        child.stdin.write(b"\n"); child.stdin.flush()
print(*seen)
)";

// What it starts: nothing to do in a run of all tests.
TEST(HoldingAKey, StepByStep) {
  if (::getenv(kName) == nullptr) return;
  const auto step = [](const char* name) {
    std::puts(name);
    std::fflush(stdout);
    std::getchar();
  };
  step("before");
  {
    const auto key = ApiKey::load(kName);
    ASSERT_TRUE(key);
    step("loaded");
  }
  step("gone");
}

TEST_F(ApiKeyTest, OthersOfTheSameUserCannotLook) {
  SpawnOptions options;
  // A copy that any user may run.
  const std::string program = folder_.path() + "/program";
  ASSERT_TRUE(write_file_atomically(program, *read_file("/proc/self/exe", size_t{1} << 30), 0755));
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  options.arguments = {"/usr/bin/python3", "-c", kLook, program, kKey};
  options.descriptors = {{2, 2}};
  const auto finished = run_program(options, {.timeout = std::chrono::seconds(60)});
  ASSERT_OK(finished);
  EXPECT_EQ(finished->output, "True refused False\n");
}

}  // namespace
