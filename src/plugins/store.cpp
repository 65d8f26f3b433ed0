#include "plugins/store.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

namespace image_engine::plugins {
namespace {

using nlohmann::json;

constexpr char kLibrary[] = ".so", kSetAside[] = ".so.set-aside", kManifest[] = ".json";

// A plugin's own fault, at a time when nothing was asked of it.
bool is_fault_of_plugin(ErrorCode code) {
  return code == ErrorCode::kCrashed || code == ErrorCode::kTimeout || code == ErrorCode::kOutOfMemory;
}

bool is_there(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

json manifest_of(const PluginFile& file, const Description& description) {
  return {{"sha256", file.sha256()}, {"bytes", file.bytes()}, {"description", description_json(description)}};
}

json read_manifest(const std::string& path) {
  const Result<std::string> text = read_file(path, std::size_t{1} << 20);
  json manifest = text ? parse_json(*text) : json();
  return manifest.is_object() ? std::move(manifest) : json::object();
}

std::string text_in(const json& manifest, const char* key) {
  const auto found = manifest.find(key);
  return found != manifest.end() && found->is_string() ? found->get<std::string>() : "";
}

// The plugins in a folder, those that were set aside, too.
Result<std::vector<std::string>> names_in(const std::string& folder) {
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) {
    if (errno == ENOENT) return std::vector<std::string>();
    return fail(errno_error(printable(folder)));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(
        ErrorCode::kPermission,
        fmt::format("{0}: others may write to this folder, so no plugin in it is loaded; check what is in it, then "
                    "`chmod go-w {0}`",
                    printable(folder)));
  std::set<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string file = entry.path().filename().string();
    for (const std::string_view ending : {kLibrary, kSetAside})
      if (file.ends_with(ending)) found.insert(file.substr(0, file.size() - ending.size()));
  }
  if (error) return fail(ErrorCode::kIo, printable(folder) + ": " + error.message());
  std::vector<std::string> names;
  std::ranges::copy_if(found, std::back_inserter(names), is_plugin_name);
  return names;
}

}  // namespace

std::string_view standing_name(Standing standing) {
  constexpr std::array<std::string_view, 3> kNames = {"ready", "refused", "set-aside"};
  return kNames.at(static_cast<std::size_t>(standing));
}

Store::Store(PluginOptions options, std::string folder)
    : options_(std::move(options)),
      folder_(folder.empty() ? join_path(data_home(), "plugins") : std::move(folder)),
      shipped_(absolute_path(executable_folder() + "/../lib/image-engine/plugins")) {}

std::string Store::path_of(const std::string& name) const {
  return is_shipped(name) ? join_path(shipped_, name + kLibrary) : path_of(name, kLibrary);
}

bool Store::is_shipped(const std::string& name) const {
  return !is_there(path_of(name, kLibrary)) && !is_there(path_of(name, kSetAside)) &&
         is_there(join_path(shipped_, name + kLibrary));
}

std::string Store::path_of(const std::string& name, const char* ending) const {
  return join_path(folder_, name + ending);
}

Installed Store::describe(const std::string& name) const {
  Installed out;
  out.name = name;
  out.path = path_of(name, kLibrary);
  const json manifest = read_manifest(path_of(name, kManifest));
  if (!is_there(out.path)) {
    out.path = path_of(name, kSetAside);
    out.standing = Standing::kSetAside;
    out.reason = text_in(manifest, "set_aside");
    return out;
  }
  const auto refused = [&](const Error& error) {
    out.standing = is_there(out.path) ? Standing::kRefused : Standing::kSetAside;
    out.reason = error.message;
    return out;
  };
  Result<PluginFile> file = PluginFile::open(out.path);
  if (!file) return refused(file.error());
  out.sha256 = file->sha256();
  out.bytes = file->bytes();
  if (text_in(manifest, "sha256") == out.sha256 && manifest.contains("description"))
    if (Result<Description> known = description_from_json(manifest["description"]); known && known->name == name) {
      out.description = std::move(*known);
      return out;
    }
  const Result<std::unique_ptr<Plugin>> loaded = load(name);
  if (!loaded) return refused(loaded.error());
  out.description = (*loaded)->description();
  (void)write_file_atomically(path_of(name, kManifest), json_text(manifest_of((*loaded)->file(), out.description), 1));
  return out;
}

Installed Store::describe_shipped(const std::string& name) const {
  Installed out;
  out.name = name;
  out.path = path_of(name);
  out.is_shipped = true;
  const Result<std::unique_ptr<Plugin>> loaded = load(name);
  if (!loaded) {
    out.standing = Standing::kRefused;
    out.reason = loaded.error().message;
    return out;
  }
  out.sha256 = (*loaded)->file().sha256();
  out.bytes = (*loaded)->file().bytes();
  out.description = (*loaded)->description();
  return out;
}

Result<std::vector<Installed>> Store::list() const {
  IE_TRY(const std::vector<std::string> own, names_in(folder_));
  IE_TRY(const std::vector<std::string> shipped, names_in(shipped_));
  std::vector<Installed> list;
  for (const std::string& name : own) list.push_back(describe(name));
  for (const std::string& name : shipped)
    if (is_shipped(name)) list.push_back(describe_shipped(name));
  return list;
}

tl::unexpected<Error> Store::unknown(const std::string& name) const {
  std::vector<std::string> all;
  for (const std::string& folder : {folder_, shipped_})
    std::ranges::copy(names_in(folder).value_or(std::vector<std::string>()), std::back_inserter(all));
  const std::vector<std::string_view> views(all.begin(), all.end());
  const std::string_view nearest = nearest_name(name, views);
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("no plugin '{}' is installed{}; image-engine plugins list shows them", printable(name),
                          nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest)));
}

Status Store::set_aside(const std::string& name, const Error& reason) const {
  if (std::rename(path_of(name, kLibrary).c_str(), path_of(name, kSetAside).c_str()) != 0)
    return fail(errno_error(printable(path_of(name, kLibrary)) + " cannot be set aside"));
  return write_file_atomically(path_of(name, kManifest), json_text(json{{"set_aside", reason.message}}, 1));
}

Result<std::unique_ptr<Plugin>> Store::load(const std::string& name) const {
  const bool shipped = is_plugin_name(name) && is_shipped(name);
  const std::string& folder = shipped ? shipped_ : folder_;
  IE_TRY(const std::vector<std::string> all, names_in(folder));
  if (std::ranges::find(all, name) == all.end()) return unknown(name);
  const std::string path = join_path(folder, name + kLibrary);
  if (!is_there(path))
    return fail(ErrorCode::kCrashed, fmt::format("{} is set aside: {}; install another file of it, or remove it", name,
                                                 text_in(read_manifest(path_of(name, kManifest)), "set_aside")));
  IE_TRY(PluginFile file, PluginFile::open(path));
  Result<std::unique_ptr<Plugin>> plugin = Plugin::load(std::move(file), options_);
  if (!plugin && !shipped && is_fault_of_plugin(plugin.error().code)) {
    IE_CHECK(set_aside(name, plugin.error()));
    return fail(plugin.error().code, fmt::format("{0}: {1}; it was set aside as {0}{2} and is not loaded again", name,
                                                 plugin.error().message, kSetAside));
  }
  if (!plugin) return fail(plugin.error().code, name + ": " + plugin.error().message);
  if ((*plugin)->description().name != name)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{0}.so declares the name {1}: it is to be {1}.so", name, (*plugin)->description().name));
  return plugin;
}

Result<Installed> Store::install(const std::string& path, bool replace) const {
  IE_TRY(PluginFile file, PluginFile::open(path));
  Result<std::unique_ptr<Plugin>> plugin = Plugin::load(std::move(file), options_);
  if (!plugin) return fail(plugin.error().code, printable(path) + ": " + plugin.error().message);
  Installed out;
  out.description = (*plugin)->description();
  out.name = out.description.name;
  out.path = path_of(out.name, kLibrary);
  out.sha256 = (*plugin)->file().sha256();
  out.bytes = (*plugin)->file().bytes();
  if (is_there(out.path) && !replace) {
    const Result<PluginFile> before = PluginFile::open(out.path);
    if (before && before->sha256() == out.sha256) return out;
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("another file of {} is installed: --force replaces it", out.name));
  }
  IE_CHECK(make_folders(folder_, 0700));
  ::unlink(path_of(out.name, kSetAside).c_str());
  IE_CHECK((*plugin)->file().write_to(out.path));
  if (::chmod(out.path.c_str(), 0700) != 0) return fail(errno_error(printable(out.path)));  // whatever the umask is
  IE_CHECK(write_file_atomically(path_of(out.name, kManifest),
                                 json_text(manifest_of((*plugin)->file(), out.description), 1)));
  return out;
}

Status Store::remove(const std::string& name) const {
  IE_TRY(const std::vector<std::string> all, names_in(folder_));
  if (is_plugin_name(name) && is_shipped(name))
    return fail(ErrorCode::kInvalidArgument, name + " comes with the program: it cannot be removed");
  if (std::ranges::find(all, name) == all.end()) return unknown(name);
  for (const char* ending : {kLibrary, kSetAside, kManifest})
    if (::unlink(path_of(name, ending).c_str()) != 0 && errno != ENOENT)
      return fail(errno_error(printable(path_of(name, ending))));
  return {};
}

}  // namespace image_engine::plugins
