#include "nvidia/answer_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::nvidia {
namespace {

constexpr std::string_view kMark = "image-engine answer 1 ";  // then the hash of all after the line
constexpr std::string_view kEnding = ".answer";
constexpr std::size_t kHexDigits = 32;
constexpr std::size_t kMostBytes = std::size_t{32} << 20;
constexpr std::chrono::hours kJournalLife{30 * 24};  // of abandoned answers
constexpr std::chrono::hours kPartLife{1};           // of unfinished files

std::string path_of(const std::string& folder, const Hash128& question) {
  return join_path(folder, question.hex() + std::string(kEnding));
}

std::string sealed(std::string_view answer) { return fmt::format("{}{}\n{}", kMark, hash128(answer).hex(), answer); }

// nullopt: damaged.
std::optional<std::string> opened(std::string text) {
  const std::size_t line = kMark.size() + kHexDigits;
  if (!text.starts_with(kMark) || text.size() <= line || text[line] != '\n') return std::nullopt;
  const auto hash = Hash128::from_hex(std::string_view(text).substr(kMark.size(), kHexDigits));
  text.erase(0, line + 1);
  return hash == hash128(std::string_view(text)) ? std::optional(std::move(text)) : std::nullopt;
}

// Deletes a damaged file.
std::optional<std::string> read_answer(const std::string& path) {
  Result<std::string> text = read_file(path, kMostBytes);
  if (!text) return std::nullopt;
  auto answer = opened(std::move(*text));
  if (!answer) ::unlink(path.c_str());
  return answer;
}

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

WallTime now() { return std::chrono::system_clock::now(); }

struct Kept {
  std::string path;
  WallTime written;
  std::uint64_t bytes = 0;
  bool whole = false;  // false: being written, or left behind
};

// nullopt: not one of our files.
std::optional<Kept> read_entry(const std::string& folder, std::string_view name) {
  if (name.size() < kHexDigits + kEnding.size() || !Hash128::from_hex(name.substr(0, kHexDigits)) ||
      !name.substr(kHexDigits).starts_with(kEnding))
    return std::nullopt;
  Kept kept{join_path(folder, name)};
  struct stat info {};
  if (::lstat(kept.path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  kept.written = WallTime(std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec));
  kept.bytes = static_cast<std::uint64_t>(info.st_size);
  kept.whole = name.size() == kHexDigits + kEnding.size();
  return kept;
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

// The oldest first; empty for a missing folder.
std::vector<Kept> list(const std::string& folder) {
  std::vector<Kept> files;
  const std::unique_ptr<DIR, CloseFolder> directory(::opendir(folder.c_str()));
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr)
    if (auto kept = read_entry(folder, entry->d_name)) files.push_back(std::move(*kept));
  std::ranges::sort(files, {}, &Kept::written);
  return files;
}

// If the clock was set back, the file is from the future: it is dated to now, so that it is neither lost nor kept
// forever.
std::chrono::nanoseconds age_of(const Kept& kept) {
  const auto age = now() - kept.written;
  if (age >= std::chrono::nanoseconds::zero()) return age;
  ::utimensat(AT_FDCWD, kept.path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
  return std::chrono::nanoseconds::zero();
}

// Deletes files older than `life`, and the oldest ones beyond `most_bytes`.
void prune(const std::string& folder, std::chrono::nanoseconds life, std::uint64_t most_bytes) {
  std::vector<Kept> files = list(folder);
  std::erase_if(files, [&](const Kept& kept) {
    const bool over = age_of(kept) >= (kept.whole ? life : kPartLife);
    if (over) ::unlink(kept.path.c_str());
    return over;
  });
  std::uint64_t total = 0;
  for (const Kept& kept : files) total += kept.bytes;
  for (const Kept& kept : files) {
    if (total <= most_bytes) return;
    ::unlink(kept.path.c_str());
    total -= kept.bytes;
  }
}

// Without a writable store no answer should be paid for.
Status make_ready(const std::string& folder) {
  IE_CHECK(make_folders(folder, 0700));
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::access(folder.c_str(), W_OK | X_OK) != 0)
    return fail(errno_error("cannot store answers in " + printable(folder)));
  return {};
}

std::string journal_folder() { return join_path(data_home(), "nvidia/journal"); }

}  // namespace

Result<AnswerStore> AnswerStore::open(const CloudCachingConfig& config) {
  AnswerStore store;
  store.journal_ = journal_folder();
  IE_CHECK(make_ready(store.journal_));
  prune(store.journal_, kJournalLife, UINT64_MAX);
  if (!config.enabled) return store;
  store.cache_ = folder(config);
  store.ttl_ = std::chrono::hours(config.ttl_hours);
  store.most_bytes_ = static_cast<std::uint64_t>(config.max_mb) << 20;
  IE_CHECK(make_ready(store.cache_));
  prune(store.cache_, store.ttl_, store.most_bytes_);
  return store;
}

std::optional<std::string> AnswerStore::find(const Hash128& question) const {
  if (auto answer = read_answer(path_of(journal_, question))) return answer;
  if (cache_.empty()) return std::nullopt;
  const auto kept = read_entry(cache_, file_name(path_of(cache_, question)));
  return kept && age_of(*kept) < ttl_ ? read_answer(kept->path) : std::nullopt;
}

Status AnswerStore::put(const Hash128& question, std::string_view answer) const {
  const std::string text = sealed(answer);
  IE_CHECK(write_file_atomically(path_of(journal_, question), text, 0600));
  if (cache_.empty()) return {};
  // Questions are hashes: about every 256th triggers a check of the cache's size.
  if (question.bytes.front() == 0) prune(cache_, ttl_, most_bytes_);
  return write_file_atomically(path_of(cache_, question), text, 0600);
}

void AnswerStore::kept(const Hash128& question) const { ::unlink(path_of(journal_, question).c_str()); }

Result<AnswerStore::Cleared> AnswerStore::clear(const CloudCachingConfig& config, std::chrono::seconds older_than) {
  Cleared cleared;
  for (const Kept& kept : list(folder(config))) {
    if (older_than > std::chrono::seconds::zero() && age_of(kept) < older_than) continue;
    if (::unlink(kept.path.c_str()) != 0 && errno != ENOENT)
      return fail(errno_error("cannot remove " + printable(kept.path)));
    cleared.answers += kept.whole ? 1 : 0;
    cleared.bytes += kept.bytes;
  }
  return cleared;
}

Result<AnswerStore::Cleared> AnswerStore::count(const CloudCachingConfig& config) {
  Cleared counted;
  for (const Kept& kept : list(folder(config))) {
    counted.answers += kept.whole ? 1 : 0;
    counted.bytes += kept.bytes;
  }
  return counted;
}

std::uint64_t AnswerStore::waiting() {
  const std::vector<Kept> files = list(journal_folder());
  return static_cast<std::uint64_t>(std::ranges::count(files, true, &Kept::whole));
}

std::string AnswerStore::folder(const CloudCachingConfig& config) {
  if (config.cache_dir.starts_with('/')) return config.cache_dir;
  const char* home = std::getenv("HOME");
  return join_path(home != nullptr ? home : "/", config.cache_dir);
}

}  // namespace image_engine::nvidia
