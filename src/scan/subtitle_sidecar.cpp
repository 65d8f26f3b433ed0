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

}  // namespace

std::optional<SubtitleSidecar> find_subtitle_sidecar(const std::string& media_path, std::string_view language) {
  const std::string folder(parent_path(media_path));
  const std::string extension = lower_extension(media_path);
  std::string_view stem = file_name(media_path);
  stem.remove_suffix(extension.size());
  if (stem.empty()) return std::nullopt;
  using Rank = std::tuple<int, bool, bool, std::string>;
  std::optional<std::pair<Rank, std::string>> best;  // and its language
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string found = entry->path().filename().string();
    const std::string kind = lower_extension(found);
    if ((kind != ".srt" && kind != ".vtt") || !found.starts_with(stem) || found.size() < stem.size() + kind.size())
      continue;
    const std::string_view middle =
        std::string_view(found).substr(stem.size(), found.size() - stem.size() - kind.size());
    const auto name = parse_sidecar_name(middle, extension);
    if (!name) continue;
    const int distance = !language.empty() && name->language == language ? 0 : name->language.empty() ? 1 : 2;
    Rank rank{distance, name->describes_sounds, kind != ".srt", found};
    if (best && best->first <= rank) continue;
    if (!entry->is_regular_file(error) || entry->is_symlink(error)) {
      error.clear();
      continue;
    }
    best.emplace(std::move(rank), name->language);
  }
  if (!best) return std::nullopt;
  SubtitleSidecar sidecar{join_path(folder, std::get<3>(best->first)), best->second};
  struct stat info {};
  if (::lstat(sidecar.path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  sidecar.size = static_cast<std::uint64_t>(info.st_size);
  sidecar.mtime_ns = mtime_ns(info);
  return sidecar;
}

}  // namespace image_engine::scan
