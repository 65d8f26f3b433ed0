#include "models/add.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "core/file.h"
#include "core/text.h"
#include "models/digest.h"
#include "models/folder_lock.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

constexpr char kUnstated[] = "unstated";

// Symbolic links resolved; "" when there is no such file.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), std::free);
  return real ? real.get() : "";
}

std::string spec_path(const std::string& folder, const std::string& name) {
  return join_path(folder, name + ".added.yaml");
}

Result<FileSpec> describe(const std::string& path, const std::string& name) {
  if (!is_file_name(name))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} has an invalid name for a model's file", printable(path)));
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail(errno_error("cannot read " + printable(path)));
  IE_TRY(const std::string sha256, sha256_of(path));
  return FileSpec{
      name, sha256, static_cast<std::uint64_t>(info.st_size), {{SourceKind::kFile, "", "", path, "file:" + path}}};
}

// The model's file and its companions.
Result<std::vector<FileSpec>> gather(const Spec& spec, const std::string& given) {
  const std::string real = real_path(given);
  if (real.empty()) return fail(errno_error("cannot read " + printable(given)));
  const std::string name(file_name(given)), folder(parent_path(given));
  IE_TRY(FileSpec model, describe(real, name));
  std::vector<FileSpec> files{std::move(model)};
  const auto add = [&](const std::string& companion, bool needed) -> Status {
    if (std::ranges::find(files, companion, &FileSpec::name) != files.end()) return {};
    const std::string path = real_path(join_path(folder, companion));
    if (path.empty() && !needed) return {};
    if (path.empty() || parent_path(path) != real_path(folder))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} should be beside {}", printable(companion), printable(given)));
    IE_TRY(FileSpec described, describe(path, companion));
    files.push_back(std::move(described));
    return {};
  };
  for (const FileSpec& file : spec.files)
    if (all_sources(file).empty()) IE_CHECK(add(file.name, true));
  if (!spec.text.vocabulary.empty()) IE_CHECK(add(spec.text.vocabulary, true));
  for (const Variant& variant : spec.text.variants) IE_CHECK(add(variant.file, true));
  for (const auto& [part, described] : spec.parts)
    for (const Variant& variant : described.variants) IE_CHECK(add(variant.file, true));
  for (const char* ending : {".data", "_data"}) IE_CHECK(add(name + ending, false));
  return files;
}

// The spec completed from the request and the files.
Result<Spec> completed(const AddRequest& request, const Registry& registry) {
  IE_TRY(Spec spec, read_spec(request.spec, registry));
  if (!request.name.empty()) spec.name = request.name;
  if (!request.task.empty()) spec.task = request.task;
  if (!is_model_name(spec.name))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("\"{}\" cannot be a model's name: names consist of a-z, 0-9, '.', '_' and '-'",
                            printable(spec.name)));
  if (const Result<const Spec*> taken = registry.find(spec.name); taken)
    return fail(ErrorCode::kInvalidArgument, fmt::format("there is a model {} already ({}); give another with --name",
                                                         spec.name, printable((*taken)->file)));
  IE_TRY(spec.files, gather(spec, absolute_path(request.file)));
  spec.conversion = {};
  const auto is_here = [&](const Variant& variant) {
    return std::ranges::find(spec.files, variant.file, &FileSpec::name) != spec.files.end();
  };
  if (spec.variants.empty() || !std::ranges::all_of(spec.variants, is_here))
    spec.variants = {{"fp32", spec.files.front().name, {}}};
  if (spec.version.empty()) spec.version = spec.files.front().sha256.substr(0, 12);
  if (spec.title.empty()) spec.title = spec.name;
  if (spec.licence.name.empty()) spec.licence = {kUnstated, false, "added by you"};
  return spec;
}

}  // namespace

Result<Spec> add_model(const AddRequest& request, const Registry& registry, const Store& store,
                       const PullOptions& options) {
  IE_CHECK(refuse_encrypted(request.file));
  IE_TRY(Spec spec, completed(request, registry));
  IE_CHECK(make_folders(request.folder));
  const std::string path = spec_path(request.folder, spec.name), beside = path + ".new";
  IE_CHECK(write_file_atomically(beside, spec_text(spec)));
  const Result<SpecMap> again = read_specs(beside, {});
  Status status = again ? Status{} : Status(fail(again.error()));
  PullOptions own = options;
  own.accepted_licences.push_back(spec.name);  // the user already has the file
  if (status) status = pull(spec, store, own);
  if (status && ::rename(beside.c_str(), path.c_str()) != 0)
    status = fail(errno_error("cannot write " + printable(path)));
  ::unlink(beside.c_str());
  if (!status) return fail(std::move(status).error());
  spec.file = path;
  return spec;
}

Status remove_model(const Spec& spec, const Store& store, const std::string& folder, const PullOptions& options) {
  const bool is_added = spec.file == spec_path(folder, spec.name);
  const Presence presence = store.presence(spec);
  if (presence == Presence::kAbsent && !is_added)
    return fail(ErrorCode::kNotFound, fmt::format("{} is not installed", spec.name));
  if (presence != Presence::kAbsent) {
    const std::string beside = join_path(store.root(), "." + spec.name);
    IE_TRY(const FolderLock lock, FolderLock::take(beside + ".lock", options.stop));
    std::error_code error;
    std::filesystem::remove_all(beside + ".old", error);
    // All or nothing, even if this is interrupted.
    std::filesystem::rename(store.folder(spec), beside + ".old", error);
    if (error) return fail(errno_error("cannot remove " + printable(store.folder(spec)), error.value()));
    std::filesystem::remove_all(beside + ".old", error);
  }
  if (is_added && ::unlink(spec.file.c_str()) != 0 && errno != ENOENT)
    return fail(errno_error("cannot remove " + printable(spec.file)));
  return {};
}

}  // namespace image_engine::models
