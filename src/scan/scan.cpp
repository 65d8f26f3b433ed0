#include "scan/scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::scan {
namespace {

using FileId = std::pair<std::uint64_t, std::uint64_t>;  // device, inode
FileId id_of(const struct stat& info) { return {info.st_dev, info.st_ino}; }

// A larger ignore file was not written by a person, and would slow down every name below it.
constexpr size_t kMaxIgnoreBytes = size_t{64} << 10;

// The ignore files that apply in a folder, innermost first.
struct IgnoreChain {
  PatternList patterns;
  std::string path;     // of the ignore file
  size_t folder_bytes;  // length of the folder's path with a trailing slash
  std::shared_ptr<const IgnoreChain> outer;
};

struct Folder {
  std::string path;       // empty for a file given as a root
  size_t root_bytes = 0;  // length of the root's path with a trailing slash
  std::shared_ptr<const IgnoreChain> ignores;
  bool is_root = false;
  bool follow = false;  // may be a symbolic link
};

// The options of a whole walk.
struct Rules {
  bool hidden;
  const PatternList& include;
  const PatternList& exclude;
};

enum class LeftOut : std::uint8_t { kNo, kHidden, kPattern };
struct Reason {
  LeftOut kind = LeftOut::kNo;
  std::string_view source = {}, pattern = {};  // of PatternCount, for kPattern
};

Reason why_left_out(const Rules& rules, std::string_view path, bool is_folder, const Folder& folder) {
  if (!folder.path.empty() && !rules.hidden && file_name(path).starts_with('.')) return {LeftOut::kHidden};
  const std::string_view below_root = path.substr(folder.root_bytes);
  if (const auto match = rules.exclude.match(below_root, is_folder); match.verdict == Verdict::kMatched)
    return {LeftOut::kPattern, "exclude", match.pattern};
  for (const auto* ignores = folder.ignores.get(); ignores != nullptr; ignores = ignores->outer.get()) {
    const auto match = ignores->patterns.match(path.substr(ignores->folder_bytes), is_folder);
    if (match.verdict == Verdict::kMatched) return {LeftOut::kPattern, ignores->path, match.pattern};
    if (match.verdict == Verdict::kNegated) break;
  }
  if (is_folder || rules.include.empty() || rules.include.check(below_root, false) == Verdict::kMatched) return {};
  return {LeftOut::kPattern, "include"};
}

// The number of the file's invalid patterns.
Result<size_t> read_ignores(Folder& folder) {
  std::string path = join_path(folder.path, kIgnoreFileName);
  IE_TRY(const std::string text, read_file(path, kMaxIgnoreBytes));
  size_t refused = 0;
  auto patterns = PatternList::parse(text, &refused);
  const size_t bytes = join_path(folder.path, "x").size() - 1;
  folder.ignores =
      std::make_shared<const IgnoreChain>(IgnoreChain{std::move(patterns), std::move(path), bytes, folder.ignores});
  return refused;
}

size_t bytes_of_root(const std::string& path) { return path == "/" ? 1 : path.size() + 1; }

struct Entry {
  std::string name;
  unsigned char type;  // DT_…
};

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using DirHandle = std::unique_ptr<DIR, CloseDir>;

bool is_sidecar(std::string_view name) { return lower_extension(name) == ".xmp"; }

// The names of one folder's .xmp files.
class Sidecars {
 public:
  void add(const std::string& name) {
    auto& best = by_stem_[name.substr(0, name.size() - 4)];
    if (best.empty() || name.ends_with(".xmp")) best = name;
  }

  // The name of the sidecar of the file `name`; null without one.
  [[nodiscard]] const std::string* find(const std::string& name) const {
    if (by_stem_.empty()) return nullptr;
    auto found = by_stem_.find(name);
    if (found == by_stem_.end()) found = by_stem_.find(name.substr(0, name.rfind('.')));
    return found == by_stem_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<std::string, std::string> by_stem_;
};

// A file's location, for calls relative to its folder.
struct Location {
  int dir;
  FileId folder;
  const Sidecars& sidecars;
  bool follow;
};

class Walk {
 public:
  Walk(const ScanOptions& options, const Rules& rules, const ScanVisitor& visitor)
      : options_(options), rules_(rules), visitor_(visitor) {}

  ScanCounts run(const std::vector<std::string>& roots);

 private:
  struct Root {
    std::string path;
    FileId id;
  };
  std::vector<Root> visit_root_files(const std::vector<std::string>& roots);
  void visit_root_file(const std::string& path);
  void check_root(const Root& root);
  void drain(std::vector<Folder> folders);
  void visit_folder(Folder folder);
  std::vector<Entry> list(DIR* dir, const Folder& folder);
  void load_ignores(Folder& folder);
  void visit_entry(const Location& at, const Entry& entry, const Folder& folder);
  void visit_file(const Location& at, const std::string& name, std::string path, const struct stat& info);
  std::optional<Sidecar> find_sidecar(const Location& at, const std::string& name, std::string_view path) const;
  bool left_out(std::string_view path, bool is_folder, const Folder& folder);
  Result<MediaFormat> sniff(const Location& at, const std::string& name, std::uint64_t file_size);
  void report(std::string path, ProblemKind kind, Error error);

  const ScanOptions& options_;
  const Rules rules_;
  const ScanVisitor& visitor_;
  ScanCounts counts_;
  std::map<std::pair<std::string, std::string>, PatternCount> patterns_;  // by source and pattern
  std::set<FileId> visited_folders_;
  std::set<std::pair<FileId, std::string>> visited_root_files_;  // folder and name
  std::vector<Folder> pending_;                                  // a stack
  std::vector<Folder> links_;                                    // to folders, kept for the end
  std::array<std::byte, kSniffBytes> head_{};
};

void Walk::report(std::string path, ProblemKind kind, Error error) {
  ++counts_.problems;
  error.message = printable(path) + ": " + error.message;
  if (visitor_.problem) visitor_.problem({std::move(path), kind, std::move(error)});
}

ScanCounts Walk::run(const std::vector<std::string>& roots) {
  const std::vector<Root> folders = visit_root_files(roots);
  for (const auto& root : folders) {
    drain({{root.path, bytes_of_root(root.path), nullptr, true, true}});
  }
  while (!links_.empty() && !counts_.stopped) drain(std::exchange(links_, {}));
  for (const auto& root : folders) check_root(root);
  for (auto& [key, count] : patterns_) counts_.patterns.push_back(std::move(count));
  std::ranges::stable_sort(counts_.patterns, std::greater<>(),
                           [](const PatternCount& c) { return c.files + c.folders; });
  return std::move(counts_);
}

// Returns the roots that are folders.
std::vector<Walk::Root> Walk::visit_root_files(const std::vector<std::string>& roots) {
  std::vector<Root> folders;
  for (const auto& given : roots) {
    std::string path = absolute_path(given);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
      report(std::move(path), ProblemKind::kRoot, errno_error("cannot be scanned"));
    } else if (S_ISDIR(info.st_mode)) {
      folders.push_back({std::move(path), id_of(info)});
    } else if (S_ISREG(info.st_mode)) {
      visit_root_file(path);
    } else {
      ++counts_.skipped;
    }
  }
  return folders;
}

void Walk::visit_root_file(const std::string& path) {
  if (counts_.stopped) return;
  const std::string name(file_name(path));
  const UniqueFd dir(::open(std::string(parent_path(path)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat folder {};
  struct stat info {};
  if (!dir || ::fstat(dir.get(), &folder) != 0 || ::fstatat(dir.get(), name.c_str(), &info, 0) != 0)
    return report(path, ProblemKind::kRoot, errno_error("cannot be scanned"));
  if (!visited_root_files_.emplace(id_of(folder), name).second) return;
  if (left_out(name, false, Folder{})) return;
  Sidecars sidecars;
  for (const auto& stem : {name, name.substr(0, name.rfind('.'))})
    for (const char* extension : {".XMP", ".xmp"})
      if (::faccessat(dir.get(), (stem + extension).c_str(), F_OK, 0) == 0) sidecars.add(stem + extension);
  visit_file({dir.get(), id_of(folder), sidecars, true}, name, path, info);
}

// An unmounted or removed file system leaves an empty mount point or none: files not seen are not deleted.
void Walk::check_root(const Root& root) {
  struct stat info {};
  if (::stat(root.path.c_str(), &info) != 0)
    report(root.path, ProblemKind::kRootLost, errno_error("disappeared during the scan"));
  else if (id_of(info) != root.id)
    report(root.path, ProblemKind::kRootLost, {ErrorCode::kIo, "was replaced during the scan (unmounted?)"});
}

void Walk::drain(std::vector<Folder> folders) {
  std::reverse(folders.begin(), folders.end());
  pending_ = std::move(folders);
  while (!pending_.empty() && !counts_.stopped) {
    Folder folder = std::move(pending_.back());
    pending_.pop_back();
    visit_folder(std::move(folder));
  }
}

void Walk::visit_folder(Folder folder) {
  const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK | (folder.follow ? 0 : O_NOFOLLOW);
  UniqueFd fd(::open(folder.path.c_str(), flags));
  struct stat info {};
  const DirHandle dir(fd && ::fstat(fd.get(), &info) == 0 ? ::fdopendir(fd.get()) : nullptr);
  if (!dir)
    return report(folder.path, folder.is_root ? ProblemKind::kRoot : ProblemKind::kFolder,
                  errno_error("the folder cannot be read"));
  fd.release();
  if (!visited_folders_.insert(id_of(info)).second) return;
  ++counts_.folders;

  const std::vector<Entry> entries = list(dir.get(), folder);
  Sidecars sidecars;
  for (const auto& entry : entries) {
    if (entry.name == kIgnoreFileName && entry.type != DT_FIFO) load_ignores(folder);
    if (is_sidecar(entry.name)) sidecars.add(entry.name);
  }
  const Location at{::dirfd(dir.get()), id_of(info), sidecars, false};
  const size_t first_subfolder = pending_.size();
  for (const auto& entry : entries) {
    if (counts_.stopped) return;
    visit_entry(at, entry, folder);
  }
  std::reverse(pending_.begin() + static_cast<std::ptrdiff_t>(first_subfolder), pending_.end());
}

std::vector<Entry> Walk::list(DIR* dir, const Folder& folder) {
  std::vector<Entry> entries;
  errno = 0;
  while (const dirent* found = ::readdir(dir)) {
    const std::string_view name = found->d_name;
    if (name != "." && name != "..") entries.push_back({std::string(name), found->d_type});
    errno = 0;
  }
  if (errno != 0) report(folder.path, ProblemKind::kFolder, errno_error("the folder cannot be read to its end"));
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

void Walk::load_ignores(Folder& folder) {
  const std::string path = join_path(folder.path, kIgnoreFileName);
  const Result<size_t> refused = read_ignores(folder);
  if (!refused) return report(path, ProblemKind::kIgnoreFile, refused.error());
  if (*refused != 0)
    report(path, ProblemKind::kIgnoreFile,
           {ErrorCode::kInvalidArgument, std::to_string(*refused) + " invalid patterns"});
}

// Also counts the excluded entry.
bool Walk::left_out(std::string_view path, bool is_folder, const Folder& folder) {
  const Reason reason = why_left_out(rules_, path, is_folder, folder);
  if (reason.kind == LeftOut::kNo) return false;
  if (reason.kind == LeftOut::kHidden) {
    ++counts_.hidden;
    return true;
  }
  ++(is_folder ? counts_.excluded_folders : counts_.excluded);
  PatternCount& count = patterns_[{std::string(reason.source), std::string(reason.pattern)}];
  count.source = reason.source;
  count.pattern = reason.pattern;
  ++(is_folder ? count.folders : count.files);
  return true;
}

void Walk::visit_entry(const Location& at, const Entry& entry, const Folder& folder) {
  if (entry.name == kIgnoreFileName) return;
  if (!visited_root_files_.empty() && visited_root_files_.contains({at.folder, entry.name})) return;
  std::string path = join_path(folder.path, entry.name);
  struct stat info {};
  bool examined = false;
  bool follow = false;
  unsigned char type = entry.type;
  const auto examine = [&] {
    examined = ::fstatat(at.dir, entry.name.c_str(), &info, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0;
    if (examined) type = static_cast<unsigned char>(IFTODT(info.st_mode));
    // A file deleted since the folder was listed is no problem; a link to nowhere is one.
    else if ((follow || errno != ENOENT) && kind_by_extension(lower_extension(path)) != MediaKind::kNone) {
      ++counts_.files;
      report(path, ProblemKind::kFile, errno_error("cannot be examined"));
    }
    return examined;
  };
  if (type == DT_UNKNOWN && !examine()) return;
  follow = type == DT_LNK && options_.follow_symlinks;
  if (follow && !examine()) return;

  if (left_out(path, type == DT_DIR, folder)) return;
  if (type == DT_DIR) {
    (follow ? links_ : pending_).push_back({std::move(path), folder.root_bytes, folder.ignores, false, follow});
  } else if (type != DT_REG) {
    ++counts_.skipped;
  } else if (examined || examine()) {
    visit_file({at.dir, at.folder, at.sidecars, follow}, entry.name, std::move(path), info);
  }
}

void Walk::visit_file(const Location& at, const std::string& name, std::string path, const struct stat& info) {
  ++counts_.files;
  if (is_sidecar(name)) {
    ++counts_.sidecars;
    return;
  }
  const MediaKind named = kind_by_extension(lower_extension(name));
  FoundFile file;
  file.sidecar = find_sidecar(at, name, path);
  file.path = std::move(path);
  file.device = info.st_dev;
  file.inode = info.st_ino;
  file.size = static_cast<std::uint64_t>(info.st_size);
  file.mtime_ns = mtime_ns(info);
  if (const auto format = visitor_.known ? visitor_.known(file) : std::nullopt) {
    file.format = *format;
    file.known = true;
  } else if (file.size != 0) {
    const auto sniffed = sniff(at, name, file.size);
    if (!sniffed && named != MediaKind::kNone) return report(file.path, ProblemKind::kFile, sniffed.error());
    file.format = sniffed.value_or(MediaFormat::kNone);
  }
  file.kind = file.format == MediaFormat::kNone ? named : media_kind(file.format);
  if (file.kind == MediaKind::kNone) {
    ++counts_.skipped;
    return;
  }
  ++counts_.media;
  if (file.kind == MediaKind::kAudio) ++counts_.recordings;
  if (file.known) ++counts_.known;
  if (visitor_.file && !visitor_.file(std::move(file))) counts_.stopped = true;
}

std::optional<Sidecar> Walk::find_sidecar(const Location& at, const std::string& name, std::string_view path) const {
  const std::string* sidecar = at.sidecars.find(name);
  struct stat info {};
  const int flags = options_.follow_symlinks ? 0 : AT_SYMLINK_NOFOLLOW;
  if (sidecar == nullptr || ::fstatat(at.dir, sidecar->c_str(), &info, flags) != 0 || !S_ISREG(info.st_mode))
    return std::nullopt;
  return Sidecar{join_path(parent_path(path), *sidecar), static_cast<std::uint64_t>(info.st_size), mtime_ns(info)};
}

Result<MediaFormat> Walk::sniff(const Location& at, const std::string& name, std::uint64_t file_size) {
  const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (at.follow ? 0 : O_NOFOLLOW);
  UniqueFd fd(::openat(at.dir, name.c_str(), flags | O_NOATIME));
  if (!fd && errno == EPERM) fd.reset(::openat(at.dir, name.c_str(), flags));
  if (!fd) return fail(errno_error("cannot be opened"));
  const size_t wanted = std::min<std::uint64_t>(head_.size(), file_size);
  size_t size = 0;
  while (size < wanted) {
    const ssize_t count = ::pread(fd.get(), head_.data() + size, wanted - size, static_cast<off_t>(size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("cannot be read"));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  return sniff_format(std::span(head_).first(size));
}

}  // namespace

Result<Walker> Walker::create(ScanOptions options) {
  Walker walker;
  for (const auto& pattern : options.include) IE_CHECK(walker.include_.add(pattern));
  for (const auto& pattern : options.exclude) IE_CHECK(walker.exclude_.add(pattern));
  walker.options_ = std::move(options);
  return walker;
}

ScanCounts Walker::walk(const std::vector<std::string>& roots, const ScanVisitor& visitor) const {
  return Walk(options_, {options_.hidden, include_, exclude_}, visitor).run(roots);
}

// ---- Exclusions

struct Exclusions::State {
  Rules rules;
  std::string root;
  std::map<std::string, std::optional<Folder>, std::less<>> folders = {};  // nullopt: excluded

  const std::optional<Folder>& folder_at(const std::string& path);
};

const std::optional<Folder>& Exclusions::State::folder_at(const std::string& path) {
  if (const auto known = folders.find(path); known != folders.end()) return known->second;
  std::optional<Folder> folder;
  if (path == root) {
    folder = Folder{path, bytes_of_root(path), nullptr};
  } else if (const std::optional<Folder>& outer = folder_at(std::string(parent_path(path)));
             outer && why_left_out(rules, path, true, *outer).kind == LeftOut::kNo) {
    folder = Folder{path, outer->root_bytes, outer->ignores};
  }
  // A missing or unreadable ignore file excludes nothing, as in a walk.
  if (folder) (void)read_ignores(*folder);
  return folders.emplace(path, std::move(folder)).first->second;
}

Exclusions::Exclusions(std::unique_ptr<State> state) : state_(std::move(state)) {}
Exclusions::Exclusions(Exclusions&&) noexcept = default;
Exclusions& Exclusions::operator=(Exclusions&&) noexcept = default;
Exclusions::~Exclusions() = default;

bool Exclusions::excluded(const std::string& path) {
  const Rules& rules = state_->rules;
  if (path == state_->root) return why_left_out(rules, file_name(path), false, Folder{}).kind != LeftOut::kNo;
  if (!path.starts_with(join_path(state_->root, ""))) return false;
  const std::optional<Folder>& folder = state_->folder_at(std::string(parent_path(path)));
  return !folder || why_left_out(rules, path, false, *folder).kind != LeftOut::kNo;
}

Exclusions Walker::exclusions(const std::string& root) const {
  return Exclusions(std::make_unique<Exclusions::State>(
      Exclusions::State{{options_.hidden, include_, exclude_}, absolute_path(root)}));
}

}  // namespace image_engine::scan
