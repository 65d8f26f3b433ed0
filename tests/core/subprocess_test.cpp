#include "core/subprocess.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <stop_token>

#include "tests/support/ok.h"

namespace image_engine {
namespace {

Result<Finished> run_shell(const std::string& command, std::chrono::milliseconds timeout = std::chrono::seconds(60),
                           bool alone = false) {
  SpawnOptions options;
  options.arguments = {"/bin/sh", "-c", command};
  options.environment = {"PATH=/usr/bin:/bin", "GIVEN=yes"};
  options.alone = alone;
  return run_program(options, {.timeout = timeout});
}

TEST(RunProgram, GivesOutputAndHowItEnded) {
  const Finished said = run_shell("echo out; echo err >&2; pwd; echo $GIVEN$HOME; exit 3").value();
  EXPECT_EQ(said.output, "out\n/\nyes\n");
  EXPECT_EQ(said.exit_code, 3);
  EXPECT_EQ(run_shell("kill -9 $$").value().signal, SIGKILL);
}

TEST(RunProgram, AProgramThatClosesItsOutputIsEndedInTime) {
  EXPECT_EQ(run_shell("exec >&- ; sleep 1000", std::chrono::milliseconds(200)).error().code, ErrorCode::kTimeout);
}

TEST(RunProgram, ItsEndIsNotThatOfWhatItLeavesBehind) {
  const Finished said = run_shell("sleep 1000 & echo $!").value();
  EXPECT_EQ(said.exit_code, 0);
  ::kill(std::stoi(said.output), SIGKILL);
}

TEST(RunProgram, MuchOutputComesWhole) {
  EXPECT_EQ(run_shell("head -c 3000000 /dev/zero").value().output.size(), 3'000'000U);
}

TEST(RunProgram, AProgramIsNotEndedForWhatItWrites) {
  const Finished said = run_shell("head -c 40000000 /dev/zero; exit 3").value();
  EXPECT_EQ(said.output.size(), std::size_t{16} << 20);
  EXPECT_EQ(said.exit_code, 3);
}

TEST(RunProgram, KeepsErrorsApart) {
  SpawnOptions options;
  options.arguments = {"/bin/sh", "-c", "echo out; head -c 300000 /dev/zero >&2; echo more"};
  options.environment = {"PATH=/usr/bin:/bin"};
  const Finished said = run_program(options, {.timeout = std::chrono::seconds(60), .keep_errors = true}).value();
  EXPECT_EQ(said.output, "out\nmore\n");
  EXPECT_EQ(said.errors.size(), 300'000U);
}

TEST(RunProgram, EndsWithItsGroupOnceCancelled) {
  SpawnOptions options;
  options.arguments = {"/bin/sh", "-c", "sleep 1000 & sleep 1000"};
  options.environment = {"PATH=/usr/bin:/bin"};
  std::stop_source user;
  const auto ended = run_program(options, {.stop = user.get_token(), .waiting = [&](double) { user.request_stop(); }});
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::kInterrupted);
}

TEST(RunProgram, AMissingProgramIsAnError) {
  for (const bool alone : {false, true}) {
    SpawnOptions options;
    options.arguments = {"/nonexistent/program"};
    options.alone = alone;
    EXPECT_EQ(run_program(options, {.timeout = std::chrono::seconds(10)}).error().code, ErrorCode::kNotFound);
  }
}

TEST(RunProgram, AloneItHasTheSameEnvironmentFolderAndDescriptors) {
  const UniqueFd inherited(::open("/etc/hostname", O_RDONLY));  // inheritable on purpose
  const std::string command = "echo $GIVEN; pwd; ls /proc/self/fd | wc -l; echo err >&2";
  EXPECT_EQ(run_shell(command, std::chrono::seconds(60), true).value().output, run_shell(command).value().output);
}

// With as few as a low limit leaves.
TEST(RunProgram, NeedsFewDescriptors) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{48, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const Result<Finished> said = run_shell("echo here");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_OK(said);
  EXPECT_EQ(said->output, "here\n");
}

TEST(ErrnoError, AShortageOfDescriptorsIsTheRunsWithItsRemedy) {
  const Error error = errno_error("cannot open", EMFILE);
  EXPECT_TRUE(is_of_the_run(error.code));
  EXPECT_NE(error.message.find("ulimit -n"), std::string::npos);
  EXPECT_FALSE(is_of_the_run(errno_error("cannot open", ENOENT).code));
}

}  // namespace
}  // namespace image_engine
