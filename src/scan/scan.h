// Walks folders and detects pictures, videos and sound files by their content. Paths are bytes.
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

// Patterns in a file of this name apply to its folder and everything below, as in a .gitignore.
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
  MediaFormat format = MediaFormat::kNone;  // kNone: the extension is media's, the content is not
  MediaKind kind = MediaKind::kNone;        // by content, or by name where format is kNone; never kNone
  std::optional<Sidecar> sidecar;           // a.jpg.xmp before a.xmp
  bool known = false;                       // ScanVisitor::known returned a format; the file was not opened
};

enum class ProblemKind : std::uint8_t {
  kRoot,        // a given path that is missing or unreadable; the files below it are unknown
  kRootLost,    // a root that disappeared or was replaced during the scan (unmounted?)
  kFolder,      // a folder that is unreadable, in whole or in part; the files below it are unknown
  kFile,        // a file named like media that cannot be read
  kIgnoreFile,  // an ignore file that is unreadable or has an invalid pattern; the walk continues
};

struct ScanProblem {
  std::string path;
  ProblemKind kind = ProblemKind::kFolder;
  Error error;
};

// What one pattern excluded.
struct PatternCount {
  std::string source;   // "exclude", "include", or the path of the ignore file
  std::string pattern;  // empty for "include": no pattern matched
  std::uint64_t files = 0, folders = 0;
};

struct ScanCounts {
  std::uint64_t files = 0;             // regular files seen, without the excluded and hidden ones
  std::uint64_t media = 0;             // reported to ScanVisitor::file
  std::uint64_t recordings = 0;        // of these, sound files as far as their signatures and names tell
  std::uint64_t known = 0;             // of these, known
  std::uint64_t skipped = 0;           // neither media nor sidecar; links not followed; FIFOs, devices, sockets
  std::uint64_t sidecars = 0;          // .xmp files
  std::uint64_t folders = 0;           // entered
  std::uint64_t excluded = 0;          // files excluded by patterns
  std::uint64_t excluded_folders = 0;  // likewise; not entered
  std::uint64_t hidden = 0;            // hidden files and folders that were skipped
  std::uint64_t problems = 0;
  bool stopped = false;                // a callback ended the walk
  std::vector<PatternCount> patterns;  // those that excluded something, by number
};

struct ScanOptions {
  std::vector<std::string> include;  // a file must match one of these, if any
  std::vector<std::string> exclude;  // files and folders that match are skipped
  bool hidden = false;               // also names that start with a dot
  bool follow_symlinks = false;      // links inside a tree; a link given as a root is always followed
};

// Called on the walking thread, one at a time. An empty function counts as not given.
struct ScanVisitor {
  std::function<bool(FoundFile&&)> file;  // false ends the walk
  std::function<void(const ScanProblem&)> problem;
  // The format of a file whose path, device, inode, size and mtime_ns the caller already knows; nullopt: read its
  // content. The file's format and kind are not set yet; its sidecar is.
  std::function<std::optional<MediaFormat>(const FoundFile&)> known;
};

// Whether a walk would now exclude known paths. Reads each ignore file once. One thread at a time; must not outlive its
// Walker.
class Exclusions {
 public:
  Exclusions(Exclusions&&) noexcept;
  Exclusions& operator=(Exclusions&&) noexcept;
  ~Exclusions();
  // Whether the patterns, the ignore files or the rule for hidden names exclude the file from a walk of `root`; `path`
  // as in FoundFile. It need not exist. False for a path that is not at or below the root.
  [[nodiscard]] bool excluded(const std::string& path);

 private:
  friend class Walker;
  struct State;
  explicit Exclusions(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Walker {
 public:
  // kInvalidArgument for an invalid pattern.
  static Result<Walker> create(ScanOptions options);

  // Visits every file below `roots` (folders or files) once, even if roots overlap: files given as roots first, then
  // each folder's files before its subfolders, by name in byte order, links to folders last. Include and exclude
  // patterns with a slash are relative to the root. Roots are visited even if hidden; patterns apply to the name of a
  // file given as a root. Problems are reported and skipped. Holds at most two descriptors; opens only folders and
  // regular files. Thread-safe.
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
