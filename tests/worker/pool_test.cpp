#include "worker/pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/file.h"
#include "core/subprocess.h"
#include "core/temporary_folder.h"
#include "tests/support/ok.h"
#include "tests/support/pictures.h"
#include "worker/decode_file.h"

namespace image_engine::worker {
namespace {

class PoolTest : public testing::Test {
 protected:
  PoolTest() : file_(::memfd_create("picture", MFD_CLOEXEC)) {
    const std::string bmp = tiny_bmp();
    EXPECT_EQ(::write(file_.get(), bmp.data(), bmp.size()), static_cast<ssize_t>(bmp.size()));
  }

  static PoolOptions bad(const std::string& name) {
    PoolOptions options;
    options.program = executable_folder() + "/bad_workers/" + name;
    options.timeout = std::chrono::milliseconds(300);
    options.memory_limit = 200 << 20;
    return options;
  }

  Result<Reply> ask(Pool& pool, std::uint32_t operations = kReadMetadata | kHash | kDecode | kThumbnail) {
    return pool.lease().run({.operations = operations}, file_.get());
  }

  UniqueFd file_;
};

TEST_F(PoolTest, OneTaskGivesAllThatIsAskedFor) {
  const auto pool = Pool::create({}).value();
  Task task;
  task.operations = kReadMetadata | kHash | kDecode | kThumbnail;
  Lease lease = pool->lease();
  const Reply reply = lease.run(task, file_.get()).value();
  ASSERT_OK(reply.metadata);
  EXPECT_EQ(reply.metadata->format, MediaFormat::kBmp);
  EXPECT_EQ(reply.metadata->width, 2U);
  ASSERT_TRUE(reply.hashes);
  EXPECT_EQ(reply.hashes->file, content_hash(std::as_bytes(std::span<const char>(tiny_bmp()))));
  ASSERT_OK(reply.picture);
  const ImageView pixels = lease.pixels(*reply.picture);
  EXPECT_EQ(std::vector<std::uint8_t>(pixels.pixels.begin(), pixels.pixels.end()),
            (std::vector<std::uint8_t>{255, 0, 0, 0, 0, 255}));
  ASSERT_TRUE(reply.thumbnail);
  EXPECT_EQ(lease.bytes(*reply.thumbnail)[0], std::byte{0xFF});
}

TEST_F(PoolTest, WorkersServeManyThreads) {
  PoolOptions options;
  options.workers = 3;
  const auto pool = Pool::create(options).value();
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) good += ask(*pool)->metadata.has_value();
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 200);
  EXPECT_LE(pool->starts(), 3U);
  EXPECT_EQ(pool->deaths(), 0U);
}

TEST_F(PoolTest, AKilledWorkerIsReplacedAndItsFileTriedAgain) {
  const auto pool = Pool::create({}).value();
  ASSERT_TRUE(ask(*pool));
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(pool->process_ids().size(), 1U);
    ::kill(pool->process_ids()[0], SIGKILL);
    EXPECT_TRUE(ask(*pool));
  }
  EXPECT_EQ(pool->deaths(), 5U);
  EXPECT_EQ(pool->starts(), 6U);
}

TEST_F(PoolTest, EachMisbehaviourIsAnErrorOfItsKind) {
  const std::pair<const char*, ErrorCode> cases[] = {
      {"hang", ErrorCode::kTimeout},    {"crash", ErrorCode::kCrashed},   {"exit", ErrorCode::kCrashed},
      {"eat", ErrorCode::kOutOfMemory}, {"garbage", ErrorCode::kCrashed}, {"outside", ErrorCode::kCrashed},
      {"huge", ErrorCode::kInternal},   {"version", ErrorCode::kInternal}};
  for (const auto& [name, code] : cases) {
    PoolOptions options = bad(name);
    if (code == ErrorCode::kOutOfMemory) options.timeout = std::chrono::seconds(20);
    const auto pool = Pool::create(options).value();
    for (int i = 0; i < 2; ++i) {
      const Result<Reply> reply = ask(*pool);
      ASSERT_FALSE(reply) << name;
      EXPECT_EQ(reply.error().code, code) << name << ": " << reply.error().message;
      EXPECT_FALSE(reply.error().message.empty()) << name;
    }
    EXPECT_EQ(pool->deaths(), 2U) << name;
    EXPECT_TRUE(pool->process_ids().empty()) << name;
  }
}

bool exists(int process_id) { return ::access(("/proc/" + std::to_string(process_id)).c_str(), F_OK) == 0; }

TEST_F(PoolTest, AWorkerIsKilledAndReapedWhateverItSends) {
  for (const char* name : {"empty", "short", "closed", "unasked", "garbage", "hang"}) {
    const auto pool = Pool::create(bad(name)).value();
    Lease lease = pool->lease();
    Task task;
    task.operations = kReadMetadata;
    Result<Reply> reply = lease.run(task, file_.get());
    if (std::string(name) ==
        "unasked") {  // the first answer is sound; the second one must not be taken for the next file's
      ASSERT_TRUE(reply);
      EXPECT_EQ(pool->process_ids().size(), 1U);
      const int first = pool->process_ids().at(0);
      reply = lease.run(task, file_.get());
      EXPECT_FALSE(exists(first));
    }
    EXPECT_TRUE(pool->deaths() >= 1) << name;
    siginfo_t child{};
    for (const int process_id : pool->process_ids()) EXPECT_TRUE(exists(process_id));
    if (std::string(name) != "unasked") {
      EXPECT_FALSE(reply) << name;
      EXPECT_TRUE(::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD) << name;
    }
  }
}

TEST_F(PoolTest, AnAnswerIsNoLargerThanWhatWasAsked) {
  for (const char* name :
       {"larger", "not_asked", "big_thumbnail", "zero_hash", "long_text", "long_list", "nowhere", "unknown_format"}) {
    const auto pool = Pool::create(bad(name)).value();
    Task task;
    const bool asks_little = std::string(name) == "not_asked";
    task.operations = asks_little ? kHash : kReadMetadata | kHash | kDecode | kThumbnail;
    task.max_edge = 100;
    const Result<Reply> reply = pool->lease().run(task, file_.get());
    ASSERT_FALSE(reply) << name;
    EXPECT_EQ(reply.error().code, ErrorCode::kCrashed) << name;
  }
}

TEST_F(PoolTest, AWorkerCannotEndTheRunOrPassAFileOffAsGone) {
  const auto pool = Pool::create(bad("blames_the_run")).value();
  const Reply reply = ask(*pool).value();
  EXPECT_EQ(reply.metadata.error().code, ErrorCode::kInternal);
  EXPECT_EQ(reply.hashes.error().code, ErrorCode::kInternal);
}

TEST_F(PoolTest, ALargeFileIsGivenMoreTime) {
  const auto pool = Pool::create(bad("hang")).value();
  const std::string small = ask(*pool).error().message;
  ASSERT_EQ(::ftruncate(file_.get(), 110'000'000), 0);
  const Error large = ask(*pool).error();
  EXPECT_EQ(large.code, ErrorCode::kTimeout);
  EXPECT_NE(large.message, small) << "both name their limit";
}

// The same as files with names.
class DecodeFileTest : public PoolTest {
 protected:
  std::string write(const std::string& name, std::string_view bytes) {
    std::string path = join_path(folder_.path(), name);
    EXPECT_TRUE(write_file_atomically(path, bytes));
    return path;
  }

  TemporaryFolder folder_ = TemporaryFolder::create().value();
};

TEST_F(DecodeFileTest, PixelsStayWhileTheResultIsHeld) {
  PoolOptions options;
  options.workers = 2;
  const auto pool = Pool::create(options).value();
  const std::string path = write("a.bmp", tiny_bmp());
  const DecodedFile first = decode_file(*pool, path, {}).value();
  const ImageView seen = first.pixels();
  const DecodedFile second = decode_file(*pool, path, {.operations = kThumbnail | kHash}).value();
  EXPECT_EQ(second.thumbnail()[0], std::byte{0xFF});
  EXPECT_EQ(second.reply().hashes->file, content_hash(std::as_bytes(std::span<const char>(tiny_bmp()))));
  EXPECT_EQ(std::vector<std::uint8_t>(seen.pixels.begin(), seen.pixels.end()),
            (std::vector<std::uint8_t>{255, 0, 0, 0, 0, 255}));
  EXPECT_EQ(pool->starts(), 2U);
}

TEST_F(DecodeFileTest, AFileIsDecodedAgainByTheSameWorker) {
  const auto pool = Pool::create({}).value();
  DecodedFile decoded = decode_file(*pool, write("a.bmp", tiny_bmp()), {.max_edge = 1}).value();
  EXPECT_EQ(decoded.pixels().width, 1U);
  ASSERT_TRUE(decoded.decode_again({}));
  EXPECT_EQ(decoded.pixels().width, 2U);
  EXPECT_EQ(decoded.picture().full_width, 2U);
  EXPECT_EQ(pool->starts(), 1U);
}

TEST_F(DecodeFileTest, WhatFailsIsAnErrorAndGivesTheWorkerBack) {
  const auto pool = Pool::create({}).value();
  EXPECT_EQ(decode_file(*pool, folder_.path() + "/none.bmp", {}).error().code, ErrorCode::kNotFound);
  const std::string cut = write("cut.bmp", tiny_bmp().substr(0, 20));
  EXPECT_TRUE(decode_file(*pool, cut, {.operations = kHash}));
  const Result<DecodedFile> broken = decode_file(*pool, cut, {.operations = kHash | kDecode});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, ErrorCode::kCorrupt) << broken.error().message;
  EXPECT_TRUE(decode_file(*pool, write("a.bmp", tiny_bmp()), {})) << "the only worker is free again";
}

TEST_F(DecodeFileTest, ALargeFileIsGivenMoreTime) {
  const auto pool = Pool::create(bad("hang")).value();
  const std::string path = write("a.bmp", tiny_bmp());
  const std::string small = decode_file(*pool, path, {}).error().message;
  ASSERT_EQ(::truncate(path.c_str(), 110'000'000), 0);
  const Error large = decode_file(*pool, path, {}).error();
  EXPECT_EQ(large.code, ErrorCode::kTimeout);
  EXPECT_NE(large.message, small) << "both name their limit";
}

TEST_F(PoolTest, ANameHidesNoMemory) {
  PoolOptions options = bad("renamed");
  options.timeout = std::chrono::seconds(20);
  const auto pool = Pool::create(options).value();
  EXPECT_EQ(ask(*pool).error().code, ErrorCode::kOutOfMemory);
}

TEST_F(PoolTest, AWorkerThatCannotStartIsNotTheFilesFault) {
  const auto pool = Pool::create(bad("stillborn")).value();
  const Error error = ask(*pool).error();
  EXPECT_EQ(error.code, ErrorCode::kMachine);
  EXPECT_NE(error.message.find("exit code 4"), std::string::npos) << error.message;
  EXPECT_EQ(pool->deaths(), 0U);
}

TEST_F(PoolTest, AFreshWorkerThatTheSystemKillsIsNotTheFilesFault) {
  PoolOptions options = bad("hang");
  options.timeout = std::chrono::seconds(20);
  const auto pool = Pool::create(options).value();
  std::thread killer([&] {
    while (pool->process_ids().empty()) std::this_thread::yield();
    ::kill(pool->process_ids()[0], SIGKILL);
  });
  EXPECT_EQ(ask(*pool).error().code, ErrorCode::kKilled);
  killer.join();
}

TEST_F(PoolTest, StrictWantsEveryLayer) {
  const nlohmann::json sandbox = nlohmann::json::parse(worker::probe().value())["sandbox"];
  const bool is_whole = std::ranges::none_of(sandbox, [](const auto& layer) { return layer == false || layer == 0; });
  PoolOptions options;
  options.require_sandbox = true;
  const auto pool = Pool::create(options);
  EXPECT_EQ(pool.has_value(), is_whole);
  if (pool) {
    EXPECT_TRUE((*pool)->missing().empty());
  } else {
    EXPECT_EQ(pool.error().code, ErrorCode::kMachine);
  }
  options.program = bad("hang").program;  // it claims no layer
  EXPECT_EQ(Pool::create(options).error().code, ErrorCode::kMachine);
}

TEST_F(PoolTest, WorkersOutliveTheThreadThatStartedThem) {
  const auto pool = Pool::create({}).value();
  std::thread([&] { EXPECT_TRUE(ask(*pool)); }).join();
  const std::vector<int> first = pool->process_ids();
  ::usleep(50'000);
  EXPECT_TRUE(ask(*pool));
  EXPECT_EQ(pool->process_ids(), first);
}

TEST_F(PoolTest, AnEmptyFileIsAnErrorOfItsOwn) {
  const auto pool = Pool::create({}).value();
  ASSERT_TRUE(ask(*pool, kReadMetadata));
  const UniqueFd empty(::memfd_create("empty", MFD_CLOEXEC));
  const Result<Reply> reply = pool->lease().run({.operations = kReadMetadata}, empty.get());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->metadata.error().code, ErrorCode::kCorrupt);
  EXPECT_TRUE(ask(*pool)->metadata);
}

TEST_F(PoolTest, AMissingProgramIsSaidAtOnce) {
  PoolOptions options;
  options.program = "/nonexistent/worker";
  EXPECT_EQ(Pool::create(options).error().code, ErrorCode::kNotFound);
}

TEST_F(PoolTest, TheWorkerHasNothingOfOurs) {
  ::setenv("NVIDIA_API_KEY", "secret-key-of-a-test", 1);
  const UniqueFd other(::open("/etc/hostname", O_RDONLY));  // inheritable on purpose
  const auto pool = Pool::create({}).value();
  ASSERT_TRUE(ask(*pool));
  const std::string folder = "/proc/" + std::to_string(pool->process_ids().at(0));
  // A worker is not dumpable: only root may look at all.
  if (const Result<std::string> environment = read_file(folder + "/environ")) {
    EXPECT_EQ(environment->find("secret-key-of-a-test"), std::string::npos);
  }
  for (int fd = 0; fd < 64; ++fd) {
    char target[256] = {};
    if (::readlink((folder + "/fd/" + std::to_string(fd)).c_str(), target, sizeof target - 1) < 0) continue;
    EXPECT_STRNE(target, "/etc/hostname");
  }
  const std::string status = read_file(folder + "/status").value();
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos);
}

TEST(Probe, TheWallRefusesWhatItIsThereToRefuse) {
  const nlohmann::json probe = nlohmann::json::parse(worker::probe().value());
  EXPECT_TRUE(probe["sandbox"]["no_new_privileges"].get<bool>());
  if (!probe["sandbox"]["seccomp"].get<bool>()) GTEST_SKIP() << "no seccomp in this build or on this kernel";
  for (const char* what : {"files", "sockets", "processes"})
    EXPECT_TRUE(probe["sandbox"]["refuses"][what].get<bool>()) << what;
}

// Alone: the other layers are left out.
nlohmann::json probe_of(const char* layer) {
  SpawnOptions options;
  options.arguments = {executable_folder() + "/image-engine-worker", "--probe", "--only", layer};
  return nlohmann::json::parse(run_program(options, {.timeout = std::chrono::seconds(20)}).value().output)["sandbox"];
}

TEST(Probe, SeccompAloneLetsNoSignalOutAndNoCodeIn) {
  const nlohmann::json sandbox = probe_of("seccomp");
  if (!sandbox["seccomp"].get<bool>()) GTEST_SKIP() << "no seccomp in this build or on this kernel";
  EXPECT_EQ(sandbox["landlock"], 0);
  for (const char* what : {"files", "sockets", "processes", "signals", "code"})
    EXPECT_TRUE(sandbox["refuses"][what].get<bool>()) << what;
}

TEST(Probe, LandlockAloneLetsNoSignalOutWhereItKnowsThem) {
  const nlohmann::json sandbox = probe_of("landlock");
  if (sandbox["landlock"] < 6) GTEST_SKIP() << "the kernel's Landlock knows no signals";
  EXPECT_FALSE(sandbox["seccomp"].get<bool>());
  for (const char* what : {"files", "signals"}) EXPECT_TRUE(sandbox["refuses"][what].get<bool>()) << what;
}

TEST(Probe, AnEmptyRootHidesTheNamesOfFiles) {
  const nlohmann::json sandbox = nlohmann::json::parse(worker::probe().value())["sandbox"];
  if (!sandbox["empty_root"].get<bool>()) GTEST_SKIP() << "no namespaces in this build or on this system";
  EXPECT_TRUE(sandbox["refuses"]["file_names"].get<bool>());
}

TEST(Probe, NamesItsLibraries) {
  const nlohmann::json probe = nlohmann::json::parse(worker::probe().value());
  for (const char* library : {"libvips", "libjpeg-turbo", "exiv2", "LibRaw", "FFmpeg"})
    EXPECT_FALSE(probe["libraries"][library].get<std::string>().empty()) << library;
}

}  // namespace
}  // namespace image_engine::worker
