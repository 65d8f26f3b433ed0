#include "scan/scan.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "scan/file_system.h"
#include "tests/scan/walk.h"

namespace image_engine::scan {
namespace {

namespace fs = std::filesystem;
using testing::Test;
using Names = std::vector<std::string>;

// From the specification of each container.
const std::string kPng("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0", 29);
const std::string kMp4(
    "\0\0\0\x18"
    "ftypisom\0\0\2\0isomiso2",
    24);

TEST_F(WalkTest, RecognisesByContentAndCountsTheRest) {
  put("photo.jpg"), put("really.png", kJpeg), put("noname", kPng), put("clip.mov", kMp4);
  put("notes.txt", "hello"), put("broken.jpg", "this is text"), put("empty.heic", ""), put("empty.txt", "");
  const auto outcome = walk();
  EXPECT_EQ(names(outcome), (Names{"broken.jpg", "clip.mov", "empty.heic", "noname", "photo.jpg", "really.png"}));
  std::vector<MediaFormat> formats;
  std::vector<MediaKind> kinds;
  for (const auto& file : outcome.files) formats.push_back(file.format), kinds.push_back(file.kind);
  using F = MediaFormat;
  EXPECT_EQ(formats, (std::vector{F::kNone, F::kMp4, F::kNone, F::kPng, F::kJpeg, F::kJpeg}));
  using K = MediaKind;
  EXPECT_EQ(kinds, (std::vector{K::kPhoto, K::kVideo, K::kPhoto, K::kPhoto, K::kPhoto, K::kPhoto}));
  EXPECT_EQ(outcome.counts.files, 8u);
  EXPECT_EQ(outcome.counts.media, 6u);
  EXPECT_EQ(outcome.counts.skipped, 2u);
  EXPECT_EQ(outcome.counts.folders, 1u);
  EXPECT_TRUE(outcome.problems.empty());
}

TEST_F(WalkTest, SoundIsRecognisedByContentOrName) {
  const std::string wave("RIFF\x10\0\0\0WAVEfmt ", 16);
  put("a.wav", wave), put("b.jpg", wave), put("c.mp3", kJpeg), put("d.mp3", "this is text"), put("e.flac", ""),
      put("f.txt", "song");
  ASSERT_EQ(::symlink("a.wav", (root + "/link.wav").c_str()), 0);
  const auto outcome = walk();
  std::vector<MediaKind> kinds;
  for (const auto& file : outcome.files) kinds.push_back(file.kind);
  EXPECT_EQ(names(outcome), (Names{"a.wav", "b.jpg", "c.mp3", "d.mp3", "e.flac"}));
  using K = MediaKind;
  EXPECT_EQ(kinds, (std::vector{K::kAudio, K::kAudio, K::kPhoto, K::kAudio, K::kAudio}));
  EXPECT_EQ(outcome.counts.recordings, 4u);
  EXPECT_EQ(outcome.counts.skipped, 2u) << "the text, and the link";
}

TEST_F(WalkTest, ReportsWhatStatSays) {
  const auto path = put("a.jpg");
  const timespec times[2] = {{1, 0}, {1'234'567'890, 123'456'789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  const auto outcome = walk();
  ASSERT_EQ(outcome.files.size(), 1u);
  const auto& file = outcome.files[0];
  EXPECT_EQ(file.path, path);
  EXPECT_EQ(file.size, 20u);
  EXPECT_EQ(file.mtime_ns, 1'234'567'890'123'456'789);
  EXPECT_EQ(file.inode, info.st_ino);
  EXPECT_EQ(file.device, info.st_dev);
  EXPECT_FALSE(file.known);
}

TEST_F(WalkTest, OrderIsByNameWithFilesBeforeFolders) {
  put("b/2.jpg"), put("b/1.jpg"), put("a/z/9.jpg"), put("a/3.jpg"), put("z.jpg"), put("A.jpg");
  EXPECT_EQ(names(walk()), (Names{"A.jpg", "z.jpg", "a/3.jpg", "a/z/9.jpg", "b/1.jpg", "b/2.jpg"}));
}

TEST_F(WalkTest, PathsAreBytes) {
  const Names odd = {"a\nb.jpg", "\xff\xfe.jpg", "tab\t\x1b[31m.jpg", " .jpg"};
  for (const auto& name : odd) put(name);
  const auto found = names(walk());
  EXPECT_EQ(std::set<std::string>(found.begin(), found.end()), std::set<std::string>(odd.begin(), odd.end()));
}

TEST_F(WalkTest, HiddenOnlyWhenAsked) {
  put(".hidden.jpg"), put(".folder/a.jpg"), put("b.jpg");
  auto outcome = walk();
  EXPECT_EQ(names(outcome), Names{"b.jpg"});
  EXPECT_EQ(outcome.counts.hidden, 2u);
  EXPECT_EQ(outcome.counts.excluded, 0u);
  outcome = walk({.hidden = true});
  EXPECT_EQ(names(outcome), (Names{".hidden.jpg", "b.jpg", ".folder/a.jpg"}));
  outcome = walk({}, {root + "/.folder", root + "/.hidden.jpg"});
  EXPECT_EQ(names(outcome), (Names{".hidden.jpg", ".folder/a.jpg"}));
}

TEST_F(WalkTest, OverlappingRootsVisitEachFileOnce) {
  const auto a = put("x/a.jpg");
  put("x/y/b.jpg"), put("c.jpg");
  fs::create_directory_symlink(root + "/x", root + "/link");
  const auto outcome = walk({}, {root, root + "/x/y", root + "/", root + "/x/../x", a, a, root + "/link"});
  EXPECT_EQ(names(outcome), (Names{"x/a.jpg", "c.jpg", "x/y/b.jpg"}));
  EXPECT_EQ(outcome.counts.media, 3u);
  EXPECT_EQ(outcome.counts.folders, 3u);
  // Two names of one file are two files: each has a path of its own.
  fs::create_hard_link(a, root + "/hard.jpg");
  EXPECT_EQ(walk().files.size(), 4u);
}

TEST_F(WalkTest, LinksAreFollowedWhenAskedAndEndInNoLoop) {
  put("real/a.jpg");
  fs::create_directory_symlink(".", root + "/real/loop");
  fs::create_directory_symlink(root, root + "/real/up");
  fs::create_directory_symlink("real", root + "/another");
  fs::create_symlink("real/a.jpg", root + "/file.jpg");
  fs::create_symlink("self.jpg", root + "/self.jpg");
  fs::create_symlink("nowhere", root + "/dangling.jpg");
  auto outcome = walk();
  EXPECT_EQ(names(outcome), Names{"real/a.jpg"});
  EXPECT_EQ(outcome.counts.skipped, 6u);
  EXPECT_TRUE(outcome.problems.empty());

  outcome = walk({.follow_symlinks = true});
  EXPECT_EQ(names(outcome), (Names{"file.jpg", "real/a.jpg"}));
  EXPECT_EQ(outcome.files[0].inode, outcome.files[1].inode);
  ASSERT_EQ(outcome.problems.size(), 2u);
  EXPECT_EQ(outcome.problems[0].path, root + "/dangling.jpg");
  EXPECT_EQ(outcome.problems[0].kind, ProblemKind::kFile);
  EXPECT_EQ(outcome.problems[1].path, root + "/self.jpg");

  EXPECT_EQ(names(walk({}, {root + "/another", root + "/file.jpg"})), (Names{"file.jpg", "another/a.jpg"}));
}

TEST_F(WalkTest, LinkToAFolderOutsideIsWalked) {
  put("outside/a.jpg"), put("inside/b.jpg");
  fs::create_directory_symlink("../outside", root + "/inside/link");
  EXPECT_EQ(names(walk({.follow_symlinks = true}, {root + "/inside"})), (Names{"inside/b.jpg", "inside/link/a.jpg"}));
}

TEST_F(WalkTest, PatternsIncludeAndExclude) {
  put("a.jpg"), put("b.png"), put("cache/c.jpg"), put("x/cache/d.jpg"), put("x/e.jpg"), put("x/keep/f.jpg");
  EXPECT_EQ(names(walk({.exclude = {"cache/", "b.*"}})), (Names{"a.jpg", "x/e.jpg", "x/keep/f.jpg"}));
  EXPECT_EQ(names(walk({.exclude = {"/cache"}})),
            (Names{"a.jpg", "b.png", "x/e.jpg", "x/cache/d.jpg", "x/keep/f.jpg"}));
  EXPECT_EQ(names(walk({.include = {"*.png", "x/*/*.jpg"}})), (Names{"b.png", "x/cache/d.jpg", "x/keep/f.jpg"}));
  EXPECT_EQ(names(walk({.include = {"*.jpg"}, .exclude = {"x/**"}})), (Names{"a.jpg", "cache/c.jpg"}));
  const auto refused = Walker::create({.exclude = {""}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(WalkTest, IgnoreFilesApplyBelowTheirFolder) {
  put("a.jpg"), put("b.jpg"), put("sub/a.jpg"), put("sub/b.jpg"), put("sub/deep/a.jpg"), put("other/c.jpg");
  put(kIgnoreFileName, "a.jpg\nother/\n");
  put(std::string("sub/") + kIgnoreFileName, "!a.jpg\n/b.jpg\n");
  const auto outcome = walk();
  EXPECT_EQ(names(outcome), (Names{"b.jpg", "sub/a.jpg", "sub/deep/a.jpg"}));
  EXPECT_EQ(outcome.counts.excluded, 2u);
  EXPECT_EQ(outcome.counts.excluded_folders, 1u);
}

std::string utf16(std::string_view ascii, bool big_endian) {
  std::string bytes = big_endian ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : ascii) big_endian ? (bytes += '\0') += c : (bytes += c) += '\0';
  return bytes;
}

TEST_F(WalkTest, IgnoreFilesOfWindowsEditorsApply) {
  put("private/a.jpg"), put("b.jpg");
  const std::string lines = "private/\r\n*.tmp\r\n";
  for (const std::string& text : {"\xEF\xBB\xBF" + lines, utf16(lines, false), utf16(lines, true)}) {
    put(kIgnoreFileName, text);
    const auto outcome = walk();
    EXPECT_EQ(names(outcome), Names{"b.jpg"});
    EXPECT_TRUE(outcome.problems.empty());
  }
  // Without its mark it could be anything: said, not guessed.
  put(kIgnoreFileName, utf16(lines, false).substr(2));
  EXPECT_EQ(walk().problems.size(), 1u);
}

TEST_F(WalkTest, CountsSayWhichPatternLeftOutWhat) {
  put("a.gif"), put("b.gif"), put("cache/c.jpg"), put("d.jpg"), put("e.png"), put("sub/f.jpg");
  const std::string ignores = put(std::string("sub/") + kIgnoreFileName, "f.*\n");
  const auto outcome = walk({.include = {"*.jpg", "*.gif"}, .exclude = {"*.gif", "cache/"}});
  EXPECT_EQ(names(outcome), Names{"d.jpg"});
  EXPECT_EQ(outcome.counts.excluded, 4u);
  EXPECT_EQ(outcome.counts.excluded_folders, 1u);
  std::vector<std::string> said;
  for (const PatternCount& count : outcome.counts.patterns)
    said.push_back(count.source + ":" + count.pattern + ":" + std::to_string(count.files) + ":" +
                   std::to_string(count.folders));
  ASSERT_EQ(said.size(), 4u);
  EXPECT_EQ(said.front(), "exclude:*.gif:2:0");
  EXPECT_EQ(std::set<std::string>(said.begin() + 1, said.end()),
            (std::set<std::string>{"exclude:cache/:0:1", "include::1:0", ignores + ":f.*:1:0"}));
}

// What a walk leaves out, and only that, is excluded.
TEST_F(WalkTest, ExclusionsAgreeWithTheWalk) {
  std::vector<std::string> paths = {put("a.jpg"),          put("b.jpg"),       put("sub/a.jpg"),       put("sub/b.jpg"),
                                    put("sub/deep/a.jpg"), put("other/c.jpg"), put(".hidden/d.jpg"),   put(".e.jpg"),
                                    put("x/y/z/f.jpg"),    put("x/y/g.gif"),   put("Trip, 2019/h.jpg")};
  put(kIgnoreFileName, "a.jpg\nother/\n");
  put(std::string("sub/") + kIgnoreFileName, "!a.jpg\n/b.jpg\n");
  for (const ScanOptions& options :
       {ScanOptions{}, ScanOptions{.exclude = {"x/y", "Trip, 2019/"}}, ScanOptions{.include = {"*.gif"}},
        ScanOptions{.exclude = {"z/"}, .hidden = true}}) {
    const auto outcome = walk(options);
    std::set<std::string> found;
    for (const auto& file : outcome.files) found.insert(file.path);
    const auto walker = Walker::create(options);
    Exclusions exclusions = walker->exclusions(root);
    for (const std::string& path : paths) EXPECT_EQ(exclusions.excluded(path), !found.contains(path)) << path;
  }
  const auto walker = Walker::create({.exclude = {"gone/"}});
  Exclusions exclusions = walker->exclusions(root + "/");
  EXPECT_TRUE(exclusions.excluded(root + "/gone/deep/a.jpg"));
  EXPECT_FALSE(exclusions.excluded(root + "/away/b.jpg"));
  EXPECT_FALSE(exclusions.excluded("/elsewhere/gone/a.jpg"));
  EXPECT_FALSE(walker->exclusions(paths[1]).excluded(paths[1]));
  EXPECT_TRUE(Walker::create({.exclude = {"b.*"}})->exclusions(paths[1]).excluded(paths[1]));
}

TEST_F(WalkTest, FileSystemsWhoseNumbersChange) {
  for (const std::uint64_t type : {0x4d44U, 0x2011BAB0U, 0x65735546U, 0x6969U, 0xFF534D42U, 0x01021997U, 0x794C7630U})
    EXPECT_FALSE(file_system_of(type).stable_inodes) << std::hex << type;
  for (const std::uint64_t type :
       {0xEF53U, 0x58465342U, 0x9123683EU, 0x01021994U, 0x2FC12FC1U})  // ext4, xfs, btrfs, tmpfs, zfs
    EXPECT_EQ(file_system_of(type), FileSystem{}) << std::hex << type;
  EXPECT_FALSE(file_system_of(0x6969).local_times);
  const auto proc = file_system_at("/proc/self");
  ASSERT_TRUE(proc);
  EXPECT_TRUE(proc->stable_inodes);
  EXPECT_EQ(file_system_at(root + "/none").error().code, ErrorCode::kNotFound);

  const FileSystem fat = file_system_of(0x4d44), ext4 = file_system_of(0xEF53);
  constexpr std::int64_t kNow = 1'700'000'000'000'000'000, kHour = 3'600'000'000'000;
  EXPECT_TRUE(same_time(ext4, kNow, kNow));
  EXPECT_FALSE(same_time(ext4, kNow, kNow + kHour));
  for (const std::int64_t hours : {-26, -1, 0, 1, 2, 26}) EXPECT_TRUE(same_time(fat, kNow, kNow + hours * kHour));
  for (const std::int64_t apart : {27 * kHour, -27 * kHour, kHour + 2'000'000'000, kHour / 2})
    EXPECT_FALSE(same_time(fat, kNow, kNow + apart)) << apart;
  EXPECT_FALSE(same_time(fat, INT64_MIN, INT64_MAX));
}

TEST_F(WalkTest, UnusableIgnoreFilesAreReported) {
  put("a.jpg");
  put(kIgnoreFileName, std::string(1 << 20, 'x'));
  auto outcome = walk();
  EXPECT_EQ(names(outcome), Names{"a.jpg"});
  ASSERT_EQ(outcome.problems.size(), 1u);
  EXPECT_EQ(outcome.problems[0].kind, ProblemKind::kIgnoreFile);
  fs::remove(root + "/" + kIgnoreFileName);
  fs::create_directory(root + "/" + kIgnoreFileName);
  outcome = walk();
  EXPECT_EQ(names(outcome), Names{"a.jpg"});
  EXPECT_EQ(outcome.problems.size(), 1u);
}

TEST_F(WalkTest, SidecarsOfTheWholeNameWin) {
  put("a.jpg"), put("b.jpg"), put("b.cr2"), put("c.jpg"), put("d.jpg");
  put("a.jpg.xmp", "12345"), put("a.xmp", "1"), put("b.XMP", "123"), put("c.JPG.xmp", "x"), put("lonely.xmp", "x");
  fs::create_directory(root + "/d.xmp");
  const auto outcome = walk();
  ASSERT_EQ(names(outcome), (Names{"a.jpg", "b.cr2", "b.jpg", "c.jpg", "d.jpg"}));
  const auto& files = outcome.files;
  ASSERT_TRUE(files[0].sidecar);
  EXPECT_EQ(files[0].sidecar->path, root + "/a.jpg.xmp");
  EXPECT_EQ(files[0].sidecar->size, 5u);
  struct stat info {};
  ASSERT_EQ(::stat(files[0].sidecar->path.c_str(), &info), 0);
  EXPECT_EQ(files[0].sidecar->mtime_ns, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec);
  for (const size_t i : {1, 2}) {
    ASSERT_TRUE(files[i].sidecar);
    EXPECT_EQ(files[i].sidecar->path, root + "/b.XMP");
  }
  EXPECT_FALSE(files[3].sidecar);
  EXPECT_FALSE(files[4].sidecar) << "a folder is no sidecar";
  EXPECT_EQ(outcome.counts.sidecars, 5u);
  EXPECT_EQ(outcome.counts.skipped, 0u);

  const auto single = walk({}, {root + "/a.jpg", root + "/b.jpg"});
  ASSERT_EQ(single.files.size(), 2u);
  ASSERT_TRUE(single.files[0].sidecar && single.files[1].sidecar);
  EXPECT_EQ(single.files[0].sidecar->path, root + "/a.jpg.xmp");
  EXPECT_EQ(single.files[1].sidecar->path, root + "/b.XMP");
}

// The names in `folder` that are opened while `action` runs, as the kernel reports them.
template <typename Action>
std::set<std::string> opened_in(const std::string& folder, Action action) {
  const int watch = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  EXPECT_GE(::inotify_add_watch(watch, folder.c_str(), IN_OPEN), 0);
  action();
  alignas(inotify_event) char buffer[65536];
  const ssize_t size = ::read(watch, buffer, sizeof buffer);
  ::close(watch);
  std::set<std::string> names;
  for (ssize_t at = 0; at < size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    if (event->len > 0) names.insert(event->name);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  return names;
}

TEST_F(WalkTest, KnownFilesAreNotOpened) {
  put("known.jpg"), put("new.jpg"), put("known.txt", "text");
  const auto walker = Walker::create({});
  ASSERT_TRUE(walker);
  ScanCounts counts;
  std::vector<FoundFile> files;
  const auto opened = opened_in(root, [&] {
    counts = walker->walk({root}, {.file =
                                       [&](FoundFile&& file) {
                                         files.push_back(std::move(file));
                                         return true;
                                       },
                                   .problem = nullptr,
                                   .known = [](const FoundFile& file) -> std::optional<MediaFormat> {
                                     if (file.path.ends_with("known.jpg")) return MediaFormat::kHeif;
                                     if (file.path.ends_with("known.txt")) return MediaFormat::kNone;
                                     return std::nullopt;
                                   }});
  });
  EXPECT_EQ(opened, std::set<std::string>{"new.jpg"});
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].format, MediaFormat::kHeif);
  EXPECT_TRUE(files[0].known);
  EXPECT_FALSE(files[1].known);
  EXPECT_EQ(counts.known, 1u);
  EXPECT_EQ(counts.skipped, 1u);
}

TEST_F(WalkTest, SpecialFilesAreNeverOpened) {
  put("a.jpg");
  ASSERT_EQ(::mkfifo((root + "/pipe.jpg").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((root + "/" + kIgnoreFileName).c_str(), 0600), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = root + "/socket.jpg";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  Outcome outcome;
  const auto opened = opened_in(root, [&] { outcome = walk({}, {root, root + "/pipe.jpg"}); });
  ::close(fd);
  EXPECT_EQ(opened, std::set<std::string>{"a.jpg"});
  EXPECT_EQ(names(outcome), Names{"a.jpg"});
  EXPECT_EQ(outcome.counts.skipped, 3u);
}

// Runs `action` as somebody whom permissions bind, also where the tests run as root.
template <typename Action>
void as_nobody(Action action) {
  constexpr uid_t kNobody = 65534;
  const bool root = ::geteuid() == 0;
  if (root) {
    EXPECT_EQ(::seteuid(kNobody), 0);
  }
  action();
  if (root) {
    EXPECT_EQ(::seteuid(0), 0);
  }
}

TEST_F(WalkTest, WhatCannotBeReadIsReportedAndPassedOver) {
  const auto photo = put("closed.jpg");
  const auto text = put("closed.txt", "text");
  put("folder/a.jpg"), put("open.jpg");
  for (const auto& path : {photo, text, root + "/folder"}) ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  Outcome outcome;
  as_nobody([&] { outcome = walk(); });
  ::chmod((root + "/folder").c_str(), 0755);
  EXPECT_EQ(names(outcome), Names{"open.jpg"});
  EXPECT_EQ(outcome.counts.skipped, 1u);
  ASSERT_EQ(outcome.problems.size(), 2u);
  EXPECT_EQ(outcome.problems[0].path, photo);
  EXPECT_EQ(outcome.problems[0].kind, ProblemKind::kFile);
  EXPECT_EQ(outcome.problems[0].error.code, ErrorCode::kPermission);
  EXPECT_NE(outcome.problems[0].error.message.find("closed.jpg"), std::string::npos);
  EXPECT_EQ(outcome.problems[1].path, root + "/folder");
  EXPECT_EQ(outcome.problems[1].kind, ProblemKind::kFolder);
  EXPECT_EQ(outcome.counts.problems, 2u);
}

TEST_F(WalkTest, MissingRootsAreReportedAndOthersWalked) {
  put("a.jpg");
  const auto outcome = walk({}, {root + "/none", root});
  EXPECT_EQ(names(outcome), Names{"a.jpg"});
  ASSERT_EQ(outcome.problems.size(), 1u);
  EXPECT_EQ(outcome.problems[0].kind, ProblemKind::kRoot);
  EXPECT_EQ(outcome.problems[0].error.code, ErrorCode::kNotFound);
}

TEST_F(WalkTest, ARootThatVanishesIsReported) {
  for (const bool replaced : {false, true}) {
    put("mount/a.jpg"), put("mount/sub/b.jpg");
    const std::string mount = root + "/mount";
    std::vector<ScanProblem> problems;
    Names found;
    const auto walker = Walker::create({});
    ASSERT_TRUE(walker);
    walker->walk({mount}, {.file =
                               [&](FoundFile&& file) {
                                 found.push_back(file.path);
                                 fs::rename(mount, root + "/gone");
                                 if (replaced) fs::create_directory(mount);
                                 return true;
                               },
                           .problem = [&](const ScanProblem& problem) { problems.push_back(problem); },
                           .known = nullptr});
    EXPECT_EQ(found, Names{mount + "/a.jpg"});
    ASSERT_EQ(problems.size(), 2u);
    EXPECT_EQ(problems[0].path, mount + "/sub");
    EXPECT_EQ(problems[0].kind, ProblemKind::kFolder);
    EXPECT_EQ(problems[1].path, mount);
    EXPECT_EQ(problems[1].kind, ProblemKind::kRootLost);
    fs::remove_all(root + "/gone"), fs::remove_all(mount);
  }
}

TEST_F(WalkTest, ACallbackCanStopTheWalk) {
  for (int i = 0; i < 10; ++i) put("d" + std::to_string(i) + "/a.jpg");
  const auto walker = Walker::create({});
  ASSERT_TRUE(walker);
  int seen = 0;
  const auto counts = walker->walk({root}, {.file = [&](FoundFile&&) { return ++seen < 3; }});
  EXPECT_EQ(seen, 3);
  EXPECT_TRUE(counts.stopped);
  EXPECT_FALSE(walk().counts.stopped);
}

TEST_F(WalkTest, DeeperThanAPathMayBe) {
  const int start = ::open(root.c_str(), O_RDONLY | O_DIRECTORY);
  int at = start;
  const std::string name(100, 'd');
  for (int depth = 0; depth < 60; ++depth) {
    ASSERT_EQ(::mkdirat(at, name.c_str(), 0755), 0);
    const int next = ::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY);
    if (at != start) ::close(at);
    at = next;
  }
  ::close(at), ::close(start);
  put("a.jpg");
  const auto outcome = walk();
  EXPECT_EQ(names(outcome), Names{"a.jpg"});
  ASSERT_EQ(outcome.problems.size(), 1u);
  EXPECT_EQ(outcome.problems[0].kind, ProblemKind::kFolder);
  EXPECT_EQ(std::system(("rm -rf '" + root + "'").c_str()), 0);
}

}  // namespace
}  // namespace image_engine::scan
