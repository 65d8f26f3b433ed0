#include "scan/subtitle_sidecar.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "core/file.h"
#include "core/text.h"
#include "types/language.h"

namespace image_engine::scan {
namespace {

// What the part of a sidecar's name between the video's and the extension says, ".en.sdh".
struct SidecarName {
  std::string language;
  bool describes_sounds = false;
};

// Nothing where it says something else: then it belongs to another file, as film.part2.srt does.
std::optional<SidecarName> parse_sidecar_name(std::string_view middle, std::string_view media_extension) {
  SidecarName name;
  while (!middle.empty()) {
    if (middle.front() != '.') return std::nullopt;
    const size_t end = std::min(middle.find('.', 1), middle.size());
    const std::string part = ascii_lower(middle.substr(1, end - 1));
    middle.remove_prefix(end);
    const std::string language = language_code(part);
    const bool is_for_the_deaf = part == "sdh" || part == "cc" || (part == "hi" && !name.language.empty());
    if (is_for_the_deaf)
      name.describes_sounds = true;
    else if (!language.empty() && name.language.empty())
      name.language = language;
    else if (part != "default" && part != "full" && "." + part != media_extension)
      return std::nullopt;
  }
  return name;
}

bool is_subtitle_extension(std::string_view extension) { return extension == ".srt" || extension == ".vtt"; }

Result<std::vector<std::string>> subtitle_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error))
    if (std::string name = entry->path().filename().string(); is_subtitle_extension(lower_extension(name)))
      names.push_back(std::move(name));
  if (error) return fail(errno_error("cannot read " + printable(folder), error.value()));
  std::ranges::sort(names);
  return names;
}

// Nothing for what is no file: links are not followed.
std::optional<SubtitleSidecar> regular_sidecar(std::string path, const std::string& language) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return SubtitleSidecar{std::move(path), language, static_cast<std::uint64_t>(info.st_size), mtime_ns(info)};
}

}  // namespace

Result<std::optional<SubtitleSidecar>> SubtitleFolders::find(const std::string& media_path, std::string_view language) {
  const std::string folder(parent_path(media_path));
  const auto [names, is_new] = names_.try_emplace(folder);
  if (is_new) names->second = subtitle_names(folder);
  if (!names->second) return fail(names->second.error());
  const std::string extension = lower_extension(media_path);
  std::string_view stem = file_name(media_path);
  stem.remove_suffix(extension.size());
  if (stem.empty()) return std::nullopt;
  using Rank = std::tuple<int, bool, bool, std::string>;
  std::optional<Rank> best;
  std::optional<SubtitleSidecar> sidecar;
  for (auto found = std::ranges::lower_bound(*names->second, stem);
       found != names->second->end() && found->starts_with(stem); ++found) {
    const std::string kind = lower_extension(*found);
    if (found->size() < stem.size() + kind.size()) continue;
    const std::string_view middle =
        std::string_view(*found).substr(stem.size(), found->size() - stem.size() - kind.size());
    const auto name = parse_sidecar_name(middle, extension);
    if (!name) continue;
    const int distance = !language.empty() && name->language == language ? 0 : name->language.empty() ? 1 : 2;
    Rank rank{distance, name->describes_sounds, kind != ".srt", *found};
    if (best && *best <= rank) continue;
    std::optional<SubtitleSidecar> file = regular_sidecar(join_path(folder, *found), name->language);
    if (!file) continue;
    best = std::move(rank);
    sidecar = std::move(file);
  }
  return sidecar;
}

}  // namespace image_engine::scan
