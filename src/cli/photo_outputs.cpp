#include "cli/photo_outputs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "cli/write_target.h"
#include "core/file.h"
#include "core/text.h"
#include "scan/scan.h"
#include "store/asset_json.h"
#include "types/media_format.h"

namespace image_engine::cli {
namespace {

std::string stem_of(const std::string& path) {
  const std::string name(file_name(path));
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

}  // namespace

Result<std::vector<std::string>> photos_of(const std::vector<std::string>& given) {
  IE_TRY(const scan::Walker walker, scan::Walker::create({}));
  std::vector<std::string> photos;
  for (const std::string& name : given) {
    const std::string path = absolute_path(name);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
      photos.push_back(path);  // one that is missing is an error of its own
      continue;
    }
    std::optional<Error> problem;
    scan::ScanVisitor visitor;
    visitor.file = [&](scan::FoundFile&& file) {
      if (file.kind == MediaKind::kPhoto || file.kind == MediaKind::kVideo) photos.push_back(std::move(file.path));
      return !interrupted();
    };
    visitor.problem = [&](const scan::ScanProblem& found) { problem = found.error; };
    walker.walk({path}, visitor);
    if (problem) return fail(problem->code, printable(path) + ": " + problem->message);
  }
  if (photos.empty()) return fail(ErrorCode::kNotFound, "there is no photo or video in what is given");
  return photos;
}

bool is_video(const std::string& path) {
  const Result<UniqueFd> file = open_regular(path);
  if (!file) return false;
  std::array<std::byte, kSniffBytes> head;
  const ssize_t count = ::pread(file->get(), head.data(), head.size(), 0);
  return count > 0 &&
         media_kind(sniff_format(std::span(head).first(static_cast<std::size_t>(count)))) == MediaKind::kVideo;
}

ClipFormat container_for(const std::string& video) {
  const std::string extension = lower_extension(video);
  if (extension == ".3gp") return ClipFormat::kMp4;
  return clip_format_of(extension).value_or(ClipFormat::kMatroska);
}

const AlphaContainer& alpha_container(const std::string& name) {
  return *std::ranges::find_if(kAlphaContainers, [&](const AlphaContainer& each) { return name == each.name; });
}

std::vector<std::string> output_names(const std::vector<std::string>& photos) {
  std::map<std::string, int> stems;
  for (const std::string& photo : photos) ++stems[stem_of(photo)];
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const std::string& photo : photos) {
    const std::string name = stems[stem_of(photo)] == 1 ? stem_of(photo) : std::string(file_name(photo));
    std::string beginning = name;
    for (int i = 2; !taken.insert(beginning).second; ++i) beginning = fmt::format("{}-{}", name, i);
    names.push_back(std::move(beginning));
  }
  return names;
}

nlohmann::json file_entry(const std::string& file) {
  nlohmann::json entry = nlohmann::json::object();
  store::put_path(entry, file);
  return entry;
}

nlohmann::json failed_entry(const Context& context, const std::string& file, const Error& error) {
  nlohmann::json entry = file_entry(file);
  entry["error"] = {{"code", error_name(error.code)}, {"message", to_utf8(error.message)}};
  if (!context.json)
    std::fprintf(stderr, "image-engine: %s: %s\n", printable(file).c_str(), printable(error.message).c_str());
  return entry;
}

Result<OutputFolder> OutputFolder::create(const Context& context, const std::string& folder,
                                          const std::vector<std::string>& photos, bool force) {
  OutputFolder made;
  made.folder_ = absolute_path(folder);
  made.force_ = force;
  IE_CHECK(make_folders(made.folder_));
  for (const std::string& photo : photos) {
    struct stat info {};
    if (::stat(photo.c_str(), &info) == 0) made.photos_.emplace(info.st_dev, info.st_ino);
  }
  Result<store::CatalogueReader> reader = store::CatalogueReader::open(context.catalogue);
  if (!reader && reader.error().code != ErrorCode::kNotFound) return fail(reader.error());
  if (reader) made.reader_.emplace(std::move(*reader));
  return made;
}

Result<std::string> OutputFolder::path_of(const std::string& name) const {
  std::string path = join_path(folder_, name);
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && photos_.contains({info.st_dev, info.st_ino}))
    return fail(ErrorCode::kPermission,
                printable(path) + " is one of the photos or videos, which are never written to: name another folder");
  if (reader_)
    if (const Status ours = check_target(*reader_, path); !ours)
      return fail(ours.error().code == ErrorCode::kInvalidArgument ? ErrorCode::kPermission : ours.error().code,
                  ours.error().message);
  if (!force_ && !check_absent(path))
    return fail(ErrorCode::kPermission, printable(path) + " exists: --force replaces it");
  return path;
}

}  // namespace image_engine::cli
