#include "models/registry.h"

#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/file.h"
#include "core/text.h"
#include "models/spec_file.h"

namespace image_engine::models {
namespace {

// The files of specs in a folder, by name; none where it is absent.
Result<std::vector<std::string>> spec_files(const std::string& folder) {
  struct Close {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  const std::unique_ptr<DIR, Close> stream(::opendir(folder.c_str()));
  std::vector<std::string> files;
  if (!stream) {
    if (errno == ENOENT) return files;
    return fail(errno_error("cannot read " + printable(folder)));
  }
  while (const dirent* entry = ::readdir(stream.get()))
    if (const std::string extension = lower_extension(entry->d_name); extension == ".yaml" || extension == ".yml")
      files.push_back(join_path(folder, entry->d_name));
  std::ranges::sort(files);
  return files;
}

}  // namespace

Result<Registry> Registry::load(const std::string& shipped, const std::string& added) {
  IE_TRY(SpecMap specs, read_specs(shipped, {}));
  IE_TRY(const std::vector<std::string> files, spec_files(added));
  SpecMap own;
  for (const std::string& file : files) {
    IE_TRY(SpecMap more, read_specs(file, specs));
    for (auto& [name, spec] : more)
      if (const auto [at, is_new] = own.try_emplace(name, std::move(spec)); !is_new)
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("{}: the model {} is in {}, too", printable(file), name, printable(at->second.file)));
  }
  own.merge(specs);  // those not replaced by the user's
  Registry registry;
  for (auto& [name, spec] : own) registry.specs_.push_back(std::move(spec));
  return registry;
}

void Registry::name_served(const std::string& model) {
  for (Spec& spec : specs_)
    if (!spec.server.empty()) spec.head_options["model"] = model;
}

Result<const Spec*> Registry::find(std::string_view name) const {
  if (const auto found = std::ranges::find(specs_, name, &Spec::name); found != specs_.end()) return &*found;
  const auto find_called = [&](std::string_view other) {
    return std::ranges::find_if(specs_, [&](const Spec& spec) { return answers_to(spec, other); });
  };
  if (const auto found = find_called(name); found != specs_.end()) return &*found;
  std::vector<std::string_view> names;
  for (const Spec& spec : specs_) {
    names.push_back(spec.name);
    names.insert(names.end(), spec.aliases.begin(), spec.aliases.end());
  }
  const std::string_view nearest = nearest_name(name.substr(0, 100), names);
  if (nearest.empty())
    return fail(ErrorCode::kNotFound,
                fmt::format("no model \"{}\"; `image-engine models list` names them", printable(name)));
  const Spec& meant = *find_called(nearest);
  return fail(ErrorCode::kNotFound,
              fmt::format("no model \"{}\"; did you mean \"{}\"?{}", printable(name), printable(nearest),
                          meant.server.empty() ? fmt::format(" ({})", install_command(meant)) : ""));
}

Result<Spec> read_spec(const std::string& file, const Registry& known) {
  SpecMap by_name;
  for (const Spec& spec : known.specs()) by_name.emplace(spec.name, spec);
  IE_TRY(SpecMap specs, read_specs(file, by_name, false));
  if (specs.size() != 1)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} holds {} models; it should hold one", printable(file), specs.size()));
  return std::move(specs.begin()->second);
}

}  // namespace image_engine::models
