#include "models/add.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <ranges>

#include "core/file.h"
#include "core/text.h"
#include "models/digest.h"
#include "models/folder_lock.h"
#include "models/label_file.h"
#include "models/spec_file.h"
#include "models/tasks.h"

namespace image_engine::models {
namespace {

constexpr std::string_view kAddedSpec = ".added.yaml";  // of the specs that are written here

// Symbolic links resolved; "" when there is no such file.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), std::free);
  return real ? real.get() : "";
}

std::string spec_path(const std::string& folder, const std::string& name) {
  return join_path(folder, name + std::string(kAddedSpec));
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

// The model's file and what lies beside it.
class Gatherer {
 public:
  static Result<Gatherer> begin(const std::string& given) {
    const std::string real = real_path(given);
    if (real.empty()) return fail(errno_error("cannot read " + printable(given)));
    Gatherer gatherer(given);
    IE_TRY(FileSpec model, describe(real, gatherer.name()));
    gatherer.files_.push_back(std::move(model));
    return gatherer;
  }

  // False: there is no such file. kInvalidArgument for a link that leads out of the folder.
  Result<bool> take_if_there(const std::string& companion) {
    if (std::ranges::find(files_, companion, &FileSpec::name) != files_.end()) return true;
    const std::string path = real_path(join_path(folder_, companion));
    if (path.empty()) return false;
    if (parent_path(path) != real_path(folder_)) return misplaced(companion);
    IE_TRY(FileSpec described, describe(path, companion));
    files_.push_back(std::move(described));
    return true;
  }
  Status take(const std::string& companion) {
    IE_TRY(const bool is_there, take_if_there(companion));
    if (!is_there) return misplaced(companion);
    return {};
  }

  // Leaves out the variants whose files are not there, with a note each.
  Status take_variants(std::vector<Variant>& variants, std::vector<std::string>& notes) {
    std::vector<Variant> taken;
    for (Variant& variant : variants) {
      IE_TRY(const bool is_there, take_if_there(variant.file));
      if (!is_there)
        notes.push_back(fmt::format("{} is left out: {} is not beside {}", printable(variant.precision),
                                    printable(variant.file), printable(name())));
      else
        taken.push_back(std::move(variant));
    }
    variants = std::move(taken);
    return {};
  }

  // Weights that are kept outside the graphs.
  Status take_weights() {
    const std::vector<FileSpec> graphs = files_;
    for (const FileSpec& graph : graphs)
      for (const char* ending : {".data", "_data"}) IE_CHECK(take_if_there(graph.name + ending));
    return {};
  }

  [[nodiscard]] std::string name() const { return std::string(file_name(given_)); }
  [[nodiscard]] std::vector<FileSpec> files() && { return std::move(files_); }

 private:
  explicit Gatherer(const std::string& given) : given_(given), folder_(parent_path(given)) {}
  [[nodiscard]] tl::unexpected<Error> misplaced(const std::string& companion) const {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} should be beside {}", printable(companion), printable(given_)));
  }

  std::string given_, folder_;
  std::vector<FileSpec> files_;
};

Result<Spec> known_spec(const AddRequest& request, const Registry& registry) {
  const Result<const Spec*> found = registry.find(request.as);
  if (!found) return fail(ErrorCode::kInvalidArgument, found.error().message);
  Spec spec = **found;
  const bool is_of_parts = !spec.parts.empty() && spec.awaits.file.empty();
  if (!spec.server.empty() || !spec.conversion.tool.empty() || is_of_parts)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is no model of one file of yours{}", spec.name,
                            spec.server.empty() ? fmt::format(": {}", install_command(spec)) : ""));
  spec.files.clear();
  spec.awaits = {};
  return spec;
}

// A known model of several files is given by one of them. Where its name is not the spec's, it has the part's name in
// it, and the others are named like it: my.encoder.onnx, my.decoder.onnx.
Status name_parts(Spec& spec, const std::string& given) {
  const auto is_given = [&](const auto& part) {
    return std::ranges::find(part.second.variants, given, &Variant::file) != part.second.variants.end();
  };
  if (spec.parts.empty() || std::ranges::any_of(spec.parts, is_given)) return {};
  const auto named =
      std::ranges::find_if(spec.parts, [&](const auto& part) { return given.find(part.first) != std::string::npos; });
  if (named == spec.parts.end())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is none of the files of {}: their names have {} in them, and are otherwise the same",
                            printable(given), spec.name, fmt::join(std::views::keys(spec.parts), " or ")));
  for (auto& [name, part] : spec.parts) {
    std::string file = given;
    part.variants = {{"fp32", file.replace(given.rfind(named->first), named->first.size(), name), {}}};
  }
  spec.variants = spec.parts.begin()->second.variants;
  return {};
}

// The spec as the request has it, without files.
Result<Spec> requested(const AddRequest& request, const Registry& registry) {
  if (request.spec.empty() == request.as.empty())
    return fail(ErrorCode::kInvalidArgument,
                "what the model is has to be said by one of: --as NAME, of a model that `image-engine models list` "
                "names, or --spec FILE (docs/models.md)");
  IE_TRY(Spec spec, request.as.empty() ? read_spec(request.spec, registry) : known_spec(request, registry));
  if (!request.name.empty()) spec.name = request.name, spec.aliases.clear();
  if (!request.task.empty()) spec.task = request.task;
  if (!request.labels.empty()) {
    Result<std::vector<std::string>> labels = read_label_file(request.labels);
    if (!labels) return fail(ErrorCode::kInvalidArgument, printable(request.labels) + " " + labels.error().message);
    spec.labels = *std::move(labels);
  }
  return spec;
}

Status check_name(const Spec& spec, const Registry& registry) {
  if (!is_model_name(spec.name))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("\"{}\" cannot be a model's name: names consist of a-z, 0-9, '.', '_' and '-'",
                            printable(spec.name)));
  const auto taken = std::ranges::find(registry.specs(), spec.name, &Spec::name);
  if (taken == registry.specs().end()) return {};
  if (taken->file.ends_with(kAddedSpec))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("there is a model {} already; `image-engine models remove {}` removes it, --name gives "
                            "this one another name",
                            spec.name, spec.name));
  return fail(
      ErrorCode::kInvalidArgument,
      fmt::format("there is a model {} already ({}); give another with --name{}", spec.name, printable(taken->file),
                  taken->awaits.file.empty() ? "" : ", or --as " + spec.name + " where this is its file"));
}

// The spec completed from the request and the files.
Result<AddedModel> completed(const AddRequest& request, const Registry& registry) {
  AddedModel added;
  IE_TRY(added.spec, requested(request, registry));
  Spec& spec = added.spec;
  const Result<const Spec*> meant = registry.find(request.as);
  const bool fills_in = meant && (*meant)->name == spec.name && !(*meant)->file.ends_with(kAddedSpec);
  if (!fills_in) IE_CHECK(check_name(spec, registry));
  if (!request.as.empty() && !spec.head.empty() && spec.labels.empty() && !task_of(spec.task).has_prompts)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("the classes of {} are your own: --labels FILE names them in order, one a line", spec.name));
  IE_TRY(Gatherer files, Gatherer::begin(absolute_path(request.file)));
  if (!request.as.empty()) IE_CHECK(name_parts(spec, files.name()));
  if (spec.variants.empty()) spec.variants = {{"fp32", files.name(), {}}};
  if (std::ranges::find(spec.variants, files.name(), &Variant::file) == spec.variants.end())
    spec.variants.front().file = files.name();
  for (const FileSpec& file : spec.files)
    if (all_sources(file).empty()) IE_CHECK(files.take(file.name));
  IE_CHECK(files.take_variants(spec.variants, added.notes));
  if (!spec.text.vocabulary.empty()) IE_CHECK(files.take(spec.text.vocabulary));
  if (!spec.text.variants.empty()) IE_CHECK(files.take(spec.text.variants.front().file));
  IE_CHECK(files.take_variants(spec.text.variants, added.notes));
  for (const auto& [part, described] : spec.parts)
    for (const Variant& variant : described.variants) IE_CHECK(files.take(variant.file));
  IE_CHECK(files.take_weights());
  spec.files = std::move(files).files();
  spec.conversion = {};
  if (spec.version.empty()) spec.version = spec.files.front().sha256.substr(0, 12);
  if (spec.title.empty()) spec.title = spec.name;
  if (spec.licence.name.empty()) spec.licence = {kUnstatedLicence, false, "added by you"};
  return added;
}

}  // namespace

Result<AddedModel> add_model(const AddRequest& request, const Registry& registry, const Store& store,
                             const PullOptions& options) {
  IE_CHECK(refuse_encrypted(request.file));
  if (is_pickle(request.file))
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} is a pickle, which can run any code when it is read; where you trust its makers, add "
                            "--trust: your own Python with ultralytics converts it, without a network",
                            printable(request.file)));
  IE_TRY(AddedModel added, completed(request, registry));
  Spec& spec = added.spec;
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
  return added;
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
