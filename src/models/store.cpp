#include "models/store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "core/file.h"
#include "core/text.h"
#include "models/digest.h"
#include "models/provenance.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

// nullopt: there is no such file.
std::optional<std::uint64_t> size_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string how_to_renew(const Spec& spec) {
  return fmt::format("`image-engine models pull {}` updates it", spec.name);
}

}  // namespace

std::string_view presence_name(Presence presence) {
  constexpr std::string_view kNames[] = {"absent", "installed", "outdated", "damaged", "served"};
  return kNames[static_cast<size_t>(presence)];
}

std::string Store::folder(const Spec& spec) const { return join_path(root_, spec.name); }

std::string Store::found_in(const Spec& spec) const {
  const std::string own = folder(spec);
  if (packed_.empty() || exists(own)) return own;
  std::string packed = join_path(packed_, spec.name);
  return exists(packed) ? packed : own;
}

Presence Store::presence(const Spec& spec) const {
  if (!spec.server.empty()) return Presence::kServed;
  const std::string where = found_in(spec);
  const Result<Provenance> provenance = read_provenance(where);
  if (!provenance) return exists(where) ? Presence::kDamaged : Presence::kAbsent;
  if (provenance->spec != install_hash(spec)) return Presence::kOutdated;
  const auto is_whole = [&](const InstalledFile& file) { return size_of(join_path(where, file.name)) == file.bytes; };
  const auto is_told = [&](const FileSpec& file) {
    return std::ranges::find(provenance->files, file.name, &InstalledFile::name) != provenance->files.end();
  };
  return std::ranges::all_of(provenance->files, is_whole) && std::ranges::all_of(installed_files(spec), is_told)
             ? Presence::kInstalled
             : Presence::kDamaged;
}

Status Store::verify(const Spec& spec) const {
  const std::string where = found_in(spec);
  const Presence found = presence(spec);
  if (found == Presence::kServed) return {};
  if (found == Presence::kAbsent)
    return fail(ErrorCode::kNotFound, fmt::format("{} is not installed: `{}`", spec.name, install_command(spec)));
  if (found == Presence::kOutdated)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} was installed from another spec; {}", spec.name, how_to_renew(spec)));
  const Result<Provenance> provenance = read_provenance(where);
  if (!provenance)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} has no valid {}; {}", printable(where), kProvenanceFile, how_to_renew(spec)));
  for (const FileSpec& wanted : installed_files(spec)) {
    const std::string path = join_path(where, wanted.name);
    const auto recorded = std::ranges::find(provenance->files, wanted.name, &InstalledFile::name);
    const std::string& sha256 =
        !wanted.sha256.empty() || recorded == provenance->files.end() ? wanted.sha256 : recorded->sha256;
    const std::optional<std::uint64_t> size = size_of(path);
    if (!size) return fail(ErrorCode::kCorrupt, fmt::format("{} is missing; {}", printable(path), how_to_renew(spec)));
    IE_TRY(const std::string actual, sha256_of(path));
    if (actual != sha256)
      return fail(ErrorCode::kCorrupt, fmt::format("{} ({} bytes) has the sha256 {} and should have {}; {}",
                                                   printable(path), *size, actual, sha256, how_to_renew(spec)));
  }
  return {};
}

std::string Store::variant_path(const Spec& spec, const Variant& variant) const {
  return presence(spec) == Presence::kInstalled ? join_path(found_in(spec), variant.file) : "";
}

std::string Store::engine_path(const Spec& spec) const {
  if (spec.engine.empty() || spec.engine.starts_with('/')) return spec.engine;
  return join_path(found_in(spec), spec.engine);
}

Result<Choice> choose(const Registry& registry, const Store& store, std::string_view task, std::string_view wanted) {
  if (wanted != "auto") {
    const Result<const Spec*> named = registry.find(wanted);
    if (!named) return fail(ErrorCode::kInvalidArgument, named.error().message);
    if ((*named)->task != task)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the model {} is for {}, not for {}", printable(wanted), (*named)->task, task));
    const Presence found = store.presence(**named);
    if (found == Presence::kInstalled || found == Presence::kServed) return Choice{*named, nullptr};
    return Choice{nullptr, *named};
  }
  Choice choice;
  const auto is_better = [](const Spec& spec, const Spec* other) {
    if (other == nullptr) return true;
    return spec.preference > other->preference;
  };
  for (const Spec& spec : registry.specs()) {
    if (spec.task != task || !spec.server.empty() || !spec.awaits.file.empty()) continue;
    if (is_better(spec, choice.spec) && store.presence(spec) == Presence::kInstalled) choice.spec = &spec;
    const bool better_set = choice.missing != nullptr && spec.in_default_set && !choice.missing->in_default_set;
    const bool worse_set = choice.missing != nullptr && !spec.in_default_set && choice.missing->in_default_set;
    if (!worse_set && (better_set || is_better(spec, choice.missing))) choice.missing = &spec;
  }
  if (choice.missing == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("the model registry has no model for {}", task));
  if (choice.spec != nullptr) choice.missing = nullptr;
  return choice;
}

}  // namespace image_engine::models
