#include "models/pull.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "core/file.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "models/digest.h"
#include "models/fetch.h"
#include "models/folder_lock.h"
#include "models/provenance.h"
#include "models/python.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

constexpr std::chrono::seconds kConversionLimit{1800};

constexpr unsigned kModelMode = 0755;  // becomes a model's folder

std::string downloads_of(const Store& store, const PullOptions& options) {
  return options.downloads.empty() ? join_path(store.root(), ".downloads") : options.downloads;
}

Status check_licence(const Spec& spec, const PullOptions& options) {
  const auto is_accepted = [&](const std::string& name) { return name == spec.licence.name || answers_to(spec, name); };
  if (spec.licence.permissive || std::ranges::any_of(options.accepted_licences, is_accepted)) return {};
  return fail(
      ErrorCode::kPermission,
      fmt::format("{} is under the licence {}{}; if you agree with it, add --accept-license {}", spec.name,
                  spec.licence.name, spec.licence.notice.empty() ? "" : " (" + spec.licence.notice + ")", spec.name));
}

// Runs the spec's converter on the files in `input` and moves its outputs to `target`.
Result<std::vector<InstalledFile>> convert(const Spec& spec, const PullOptions& options, Fetcher& fetcher,
                                           const std::string& input, const std::string& target) {
  const Conversion& conversion = spec.conversion;
  const std::string tool = join_path(options.tools, conversion.tool + ".py");
  if (::access(tool.c_str(), R_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("the converter {} is missing", printable(tool)));
  options.progress(fmt::format("{}: converting", spec.name), 0, 0);
  IE_TRY(const std::string python, fetcher.python());
  IE_TRY(const TemporaryFolder output, TemporaryFolder::at(input + ".out", kModelMode));
  if (const auto ran =
          run_script(python, tool, {"--input", absolute_path(input), "--output", absolute_path(output.path())},
                     kConversionLimit, options.stop);
      !ran)
    return fail(ran.error().code, fmt::format("{} cannot be converted: {}", spec.name, ran.error().message));
  std::vector<InstalledFile> made;
  for (const FileSpec& file : conversion.outputs) {
    const std::string path = join_path(output.path(), file.name);
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      return fail(ErrorCode::kCorrupt, fmt::format("{}.py did not make {}", conversion.tool, file.name));
    IE_TRY(const std::string sha256, sha256_of(path));
    if (!file.sha256.empty() && sha256 != file.sha256)
      return fail(ErrorCode::kCorrupt, fmt::format("{}.py made a {} with the sha256 {}, which should be {}",
                                                   conversion.tool, file.name, sha256, file.sha256));
    if (::rename(path.c_str(), join_path(target, file.name).c_str()) != 0)
      return fail(errno_error("cannot rename " + printable(path)));
    made.push_back(
        {file.name, static_cast<std::uint64_t>(info.st_size), sha256, fmt::format("made by {}.py", conversion.tool)});
  }
  return made;
}

// Syncs the folder's contents to disk before the folder is renamed.
Status sync_folder(const std::string& folder, const std::vector<InstalledFile>& files) {
  std::vector<std::string> paths{join_path(folder, kProvenanceFile)};
  for (const InstalledFile& file : files) paths.push_back(join_path(folder, file.name));
  paths.push_back(folder);
  for (const std::string& path : paths) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return fail(errno_error("cannot write " + printable(path)));
  }
  return {};
}

// Swaps `made` and `final`: the old contents are then at `made`.
Status put_in_place(const std::string& made, const std::string& final) {
  if (::rename(made.c_str(), final.c_str()) == 0) return {};
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, final.c_str(), RENAME_EXCHANGE) == 0) return {};
  // A file system without RENAME_EXCHANGE.
  const std::string old = made + ".old";
  if (::rename(final.c_str(), old.c_str()) != 0 || ::rename(made.c_str(), final.c_str()) != 0)
    return fail(errno_error("cannot rename to " + printable(final)));
  if (::rename(old.c_str(), made.c_str()) != 0) return fail(errno_error("cannot rename " + printable(old)));
  return {};
}

Status install(const Spec& spec, const Store& store, const PullOptions& options) {
  const std::string beside = join_path(store.root(), "." + spec.name);
  IE_TRY(const TemporaryFolder made, TemporaryFolder::at(beside + ".new", kModelMode));
  Fetcher fetcher(options, downloads_of(store, options), std::string(parent_path(spec.file)), spec.name);
  Provenance provenance{
      spec.name, spec.version, spec.licence.name, install_hash(spec), utc_now(), "image-engine " IE_VERSION, {}, {}};
  const auto fetch_into = [&](const std::string& folder, std::vector<InstalledFile>& list) -> Status {
    for (const FileSpec& file : spec.files) {
      IE_TRY(InstalledFile fetched, fetcher.fetch(file, join_path(folder, file.name)));
      list.push_back(std::move(fetched));
    }
    return {};
  };
  if (spec.conversion.tool.empty()) {
    IE_CHECK(fetch_into(made.path(), provenance.files));
  } else {
    IE_TRY(const TemporaryFolder input, TemporaryFolder::at(beside + ".input", kModelMode));
    IE_CHECK(fetch_into(input.path(), provenance.made_from));
    IE_TRY(provenance.files, convert(spec, options, fetcher, input.path(), made.path()));
  }
  IE_CHECK(write_provenance(made.path(), provenance));
  IE_CHECK(sync_folder(made.path(), provenance.files));
  IE_CHECK(put_in_place(made.path(), store.folder(spec)));
  fetcher.forget();
  return {};
}

}  // namespace

Status refuse_encrypted(std::string_view path) {
  if (lower_extension(path) != ".etlt") return {};
  return fail(ErrorCode::kUnsupported,
              fmt::format("{} is encrypted for NVIDIA's tools, and nothing else can read it; export the model as ONNX "
                          "with TAO 5 or later: tao model NETWORK export -m MODEL.hdf5 -e SPEC.yaml -o MODEL.onnx",
                          printable(path)));
}

Status pull(const Spec& spec, const Store& store, const PullOptions& options) {
  if (!spec.server.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} runs on a server, there is nothing to fetch: see docs/nvidia.md", spec.name));
  if (!spec.awaits.file.empty())
    return fail(ErrorCode::kUnsupported, fmt::format("the file of {} is yours to bring ({}): {}", spec.name,
                                                     printable(spec.awaits.from), install_command(spec)));
  for (const FileSpec& file : spec.files) {
    IE_CHECK(refuse_encrypted(file.name));
    for (const Source& source : all_sources(file)) IE_CHECK(refuse_encrypted(source.path));
  }
  IE_CHECK(check_licence(spec, options));
  IE_CHECK(make_folders(store.root()));
  IE_CHECK(make_folders(downloads_of(store, options)));
  IE_TRY(const FolderLock lock,
         FolderLock::take(join_path(store.root(), fmt::format(".{}.lock", spec.name)), options.stop));
  if (!options.force && store.presence(spec) == Presence::kInstalled) return {};
  return install(spec, store, options);
}

void forget_packages(const Store& store, const PullOptions& options) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(downloads_of(store, options), ignored))
    if (entry.path().extension() == ".package") std::filesystem::remove(entry.path(), ignored);
}

}  // namespace image_engine::models
