// Walks folders and tells pictures and videos by their content. Paths are bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "scan/globs.h"
#include "types/media_format.h"

namespace image_engine::scan {

// Patterns in a file of this name apply to its folder and all below, as in a .gitignore.
inline constexpr char kIgnoreFileName[] = ".image-engine-ignore";

struct Sidecar {
  std::string path;
  std::uint64_t size = 0;  // bytes
  std::int64_t mtime_ns = 0;
  bool operator==(const Sidecar&) const = default;
};

struct FoundFile {
  std::string path;  // absolute, as reached from its root
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;                   // bytes
  std::int64_t mtime_ns = 0;                // since 1970
  MediaFormat format = MediaFormat::kNone;  // kNone: named like media, but its content is not
  MediaKind kind = MediaKind::kNone;        // by content, or by name where format is kNone; never kNone
  std::optional<Sidecar> sidecar;           // a.jpg.xmp before a.xmp
  bool known = false;                       // `ScanVisitor::known` answered; the file was not opened
};

enum class ProblemKind : std::uint8_t {
  kRoot,        // a given path that is not there or cannot be read: says nothing about the files below it
  kRootLost,    // a root that was there at the start and was gone, or another one, at the end (unmounted?)
  kFolder,      // a folder that cannot be read, in whole or in part: likewise
  kFile,        // a file named like media that cannot be read
  kIgnoreFile,  // an ignore file that cannot be read or has a pattern that cannot be used; the walk goes on
};

struct ScanProblem {
  std::string path;
  ProblemKind kind = ProblemKind::kFolder;
  Error error;
};

// What one pattern left out.
struct PatternCount {
  std::string source;   // "exclude", "include", or the path of the ignore file
  std::string pattern;  // empty for "include": nothing there matched
  std::uint64_t files = 0, folders = 0;
};

struct ScanCounts {
  std::uint64_t files = 0;     // regular files seen, without the excluded and hidden ones
  std::uint64_t media = 0;     // reported to ScanVisitor::file
  std::uint64_t known = 0;     // of those, known
  std::uint64_t skipped = 0;   // neither picture nor video nor sidecar; links not followed; FIFOs, devices, sockets
  std::uint64_t sidecars = 0;  // .xmp files
  std::uint64_t folders = 0;   // entered
  std::uint64_t excluded = 0;  // files left out by patterns
  std::uint64_t excluded_folders = 0;  // likewise; what is in them was not looked at
  std::uint64_t hidden = 0;            // files and folders left out for being hidden
  std::uint64_t problems = 0;
  bool stopped = false;                // a callback ended the walk
  std::vector<PatternCount> patterns;  // that left something out, what left out most first
};

struct ScanOptions {
  std::vector<std::string> include;  // a file must match one of these, if any
  std::vector<std::string> exclude;  // files and folders that match are left out
  bool hidden = false;               // names that start with a dot, too
  bool follow_symlinks = false;      // links inside a tree; a link given as a root is always followed
};

// Called on the walking thread, one at a time. An empty function counts as not given.
struct ScanVisitor {
  std::function<bool(FoundFile&&)> file;  // false ends the walk
  std::function<void(const ScanProblem&)> problem;
  // The format of a file whose path, device, inode, size and mtime_ns the caller knows already; none: look at its
  // content. The file's format and kind are not set yet; its sidecar is.
  std::function<std::optional<MediaFormat>(const FoundFile&)> known;
};

// Tells of paths of before whether a walk of now would leave them out. Reads ignore files, each once. One thread at a
// time; must not outlive its Walker.
class Exclusions {
 public:
  Exclusions(Exclusions&&) noexcept;
  Exclusions& operator=(Exclusions&&) noexcept;
  ~Exclusions();
  // Whether the patterns, the ignore files or the rule for hidden names keep the file out of a walk of `root`; `path`
  // is as FoundFile has it. It need not exist. False for a path that is not at or below the root.
  [[nodiscard]] bool excluded(const std::string& path);

 private:
  friend class Walker;
  struct State;
  explicit Exclusions(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Walker {
 public:
  // kInvalidArgument on a pattern that cannot be used.
  static Result<Walker> create(ScanOptions options);

  // Visits every file below `roots` (folders or files) once, however the roots overlap: files given as roots first,
  // then each folder's files before its subfolders, by name in byte order, links to folders last. Include and exclude
  // patterns with a slash are relative to the root. What is given as a root is visited even if hidden; patterns apply
  // to a file's name then. What goes wrong is reported and passed over. Holds two descriptors at most; opens nothing
  // but folders and regular files. Does not change the walker: may run on several threads at once.
  ScanCounts walk(const std::vector<std::string>& roots, const ScanVisitor& visitor) const;

  // `root`: as given to walk(), absolute.
  [[nodiscard]] Exclusions exclusions(const std::string& root) const;

 private:
  Walker() = default;
  ScanOptions options_;
  PatternList include_;
  PatternList exclude_;
};

}  // namespace image_engine::scan
