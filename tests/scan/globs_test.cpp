#include "scan/globs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <set>

#include "tests/scan/walk.h"

namespace image_engine::scan {
namespace {

struct Case {
  std::string_view pattern, path;
  bool matches;
};

// Facts of gitignore(5) and fnmatch(3).
constexpr Case kCases[] = {
    {"", "", true},
    {"", "a", false},
    {"abc", "abc", true},
    {"abc", "abcd", false},
    {"abc", "ab", false},
    {"*", "", true},
    {"*", "abc", true},
    {"*", "a/b", false},
    {"a*c", "abbbc", true},
    {"a*c", "ac", true},
    {"a*b*c", "aXbYbZc", true},
    {"a*b*c", "aXcYb", false},
    {"*.jpg", ".jpg", true},
    {"*.jpg", "a.jpg.xmp", false},
    {"?", "a", true},
    {"?", "", false},
    {"?", "/", false},
    {"a?c", "a/c", false},
    {"[abc]", "b", true},
    {"[abc]", "d", false},
    {"[a-c]x", "bx", true},
    {"[!a-c]", "d", true},
    {"[!a-c]", "a", false},
    {"[^a]", "b", true},
    {"[!a]", "/", false},
    {"[]a]", "]", true},
    {"[a-]", "-", true},
    {"[\\]]", "]", true},
    {"[c-a]", "b", false},
    {"[abc", "[abc", true},
    {"a[", "a[", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"a\\", "a\\", true},
    {"**/x", "x", true},
    {"**/x", "a/x", true},
    {"**/x", "a/b/x", true},
    {"**/x", "ax", false},
    {"**/x", "a/bx", false},
    {"a/**", "a/b", true},
    {"a/**", "a/b/c", true},
    {"a/**", "a", false},
    {"a/**", "ab", false},
    {"a/**/b", "a/b", true},
    {"a/**/b", "a/x/b", true},
    {"a/**/b", "a/x/y/b", true},
    {"a/**/b", "a/xb", false},
    {"a/**/b", "ab", false},
    {"**", "a/b/c", true},
    {"a**b", "a/b", false},
    {"a**b", "axxb", true},
    {"**/a/**/b/*.jpg", "x/a/y/z/b/c.jpg", true},
    {"**/a/**/b/*.jpg", "x/a/y/z/b/d/c.jpg", false},
    {"\xc3\xa9*", "\xc3\xa9t\xc3\xa9", true},
    {"\xff?", "\xff\xfe", true},
};

TEST(Glob, MatchesAsTheManualsSay) {
  for (const auto& [pattern, path, matches] : kCases)
    EXPECT_EQ(Glob(pattern).matches(path), matches) << pattern << " on " << path;
}

TEST(Glob, HostilePatternsEnd) {
  std::string stars, folders;
  for (int i = 0; i < 300; ++i) stars += "*a", folders += "**/";
  EXPECT_FALSE(Glob(stars + "b").matches(std::string(4000, 'a')));
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "a/";
  EXPECT_FALSE(Glob(folders + "b").matches(deep + "c"));
  EXPECT_TRUE(Glob(folders + "b").matches(deep + "b"));
}

TEST(PatternList, TheLastMatchDecides) {
  const auto list = PatternList::parse("# a comment\n\n*.jpg  \n!keep.jpg\r\n/top\nsub/x\nonly/\n\\#hash\n\\!bang\n");
  EXPECT_EQ(list.check("a.jpg", false), Verdict::kMatched);
  EXPECT_EQ(list.check("deep/down/a.jpg", false), Verdict::kMatched);
  EXPECT_EQ(list.check("deep/keep.jpg", false), Verdict::kNegated);
  EXPECT_EQ(list.check("a.png", false), Verdict::kUndecided);
  EXPECT_EQ(list.check("top", false), Verdict::kMatched);
  EXPECT_EQ(list.check("a/top", false), Verdict::kUndecided);
  EXPECT_EQ(list.check("sub/x", false), Verdict::kMatched);
  EXPECT_EQ(list.check("a/sub/x", false), Verdict::kUndecided);
  EXPECT_EQ(list.check("only", false), Verdict::kUndecided);
  EXPECT_EQ(list.check("a/only", true), Verdict::kMatched);
  EXPECT_EQ(list.check("#hash", false), Verdict::kMatched);
  EXPECT_EQ(list.check("!bang", false), Verdict::kMatched);
}

TEST(PatternList, RefusesWhatCannotBeUsed) {
  PatternList list;
  for (const std::string& pattern : {std::string(), std::string("/"), std::string("!"), std::string(5000, 'a')}) {
    const auto status = list.add(pattern);
    ASSERT_FALSE(status) << pattern;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
  }
  size_t refused = 0;
  PatternList::parse("a\n!\n/\nb\n", &refused);
  EXPECT_EQ(refused, 2u);
}

// git itself is the reference: it reads the same ignore files on the same tree.
class AgainstGit : public WalkTest {
 protected:
  std::set<std::string> git_says() const {
    const std::string command = "git -c core.excludesFile=/dev/null -C '" + root +
                                "' ls-files --others -z --exclude-per-directory=" + kIgnoreFileName;
    std::set<std::string> kept;
    FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return kept;
    std::string name;
    for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
      if (c != 0) {
        name += static_cast<char>(c);
      } else {
        if (!name.ends_with(kIgnoreFileName)) kept.insert(name);
        name.clear();
      }
    }
    ::pclose(pipe);
    return kept;
  }
};

TEST_F(AgainstGit, RandomIgnoreFilesKeepTheSameFiles) {
  if (std::system(("git -c init.defaultBranch=main init -q '" + root + "' >/dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << "git is not installed; it is the reference here";
  const std::vector<std::string> parts = {"a", "b", "ab", "ba", "a#", "!b"};
  for (const auto& one : parts) {
    put("f" + one), put(one + "/f");
    for (const auto& two : parts) put("d/" + one + "/" + two + "x"), put(one + "/" + two + "/" + one);
  }
  const std::vector<std::string> pieces = {"a", "b", "x", "f", "d", "*", "**", "?", "[ab]", "[!a]", "/", "/", "\\#"};
  std::mt19937 random(7);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  // Left out: an empty part between two slashes, and ** beside anything but a slash. git's manual calls the latter a
  // plain *, but git itself does not always take it so ("b**" matches as "b/**" does where "b" is a literal prefix).
  const auto append = [](std::string& text, const std::string& piece) {
    const bool starts_part = text.empty() || std::string_view("/\n!").find(text.back()) != std::string_view::npos;
    const bool lone = piece == "/" ? !starts_part : piece == "**" ? starts_part : !text.ends_with("**");
    if (lone) text += piece;
  };
  size_t ignored = 0;
  for (int round = 0; round < 150; ++round) {
    for (const std::string folder : {"", "d/", "ab/"}) {
      std::string text;
      for (size_t line = below(4) + (folder.empty() ? 1 : 0); line > 0; --line) {
        if (below(4) == 0) text += "!";
        if (below(4) == 0) text += "/";
        for (size_t n = 1 + below(4); n > 0; --n) append(text, pieces[below(pieces.size())]);
        if (below(5) == 0) append(text, "/");
        text += "\n";
      }
      put(folder + kIgnoreFileName, text);
      SCOPED_TRACE(folder + ": " + text);
    }
    const auto found = names(walk());
    const auto expected = git_says();
    ignored += 84 - std::min<size_t>(84, expected.size());
    ASSERT_EQ(std::set<std::string>(found.begin(), found.end()), expected)
        << "root:\n"
        << std::ifstream(root + "/" + kIgnoreFileName).rdbuf() << "d:\n"
        << std::ifstream(root + "/d/" + kIgnoreFileName).rdbuf() << "ab:\n"
        << std::ifstream(root + "/ab/" + kIgnoreFileName).rdbuf();
  }
  EXPECT_GT(ignored, 150u) << "the patterns hardly match anything: no test";
}

}  // namespace
}  // namespace image_engine::scan
