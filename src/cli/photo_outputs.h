// What commands make of photos and videos goes into a folder: of which, under which names, and never over anything.
#pragma once

#include <sys/types.h>

#include <array>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/app.h"
#include "core/result.h"
#include "store/catalogue.h"
#include "types/clip_format.h"
#include "types/video_edit.h"

namespace image_engine::cli {

// Files as they are given, and the photos and videos in folders. kNotFound: there is none.
Result<std::vector<std::string>> photos_of(const std::vector<std::string>& given);

// Whether the file's first bytes are a video's; false if it cannot be read.
bool is_video(const std::string& path);

// The container for what is made of a video with its own codec: the video's, where it is one that can be written, else
// Matroska.
ClipFormat container_for(const std::string& video);

// A container for pictures with transparency.
struct AlphaContainer {
  const char* name;  // of --video-format
  ClipFormat format;
  VideoCoding coding;
};
inline constexpr std::array kAlphaContainers = {AlphaContainer{"webm", ClipFormat::kWebm, VideoCoding::kVp9Alpha},
                                                AlphaContainer{"mov", ClipFormat::kMov, VideoCoding::kProResAlpha}};
// One of these by its name, which must be known.
const AlphaContainer& alpha_container(const std::string& name);

// The beginning of each photo's outputs' names: its name without the extension, with it where several photos have that
// stem, and a number where they even have the same name.
std::vector<std::string> output_names(const std::vector<std::string>& photos);

// A file's entry in a command's `results`: its path and, where it failed, its error, which without --json is printed on
// stderr.
nlohmann::json file_entry(const std::string& file);
nlohmann::json failed_entry(const Context& context, const std::string& file, const Error& error);

// One that a run may write into, and what it must not touch.
class OutputFolder {
 public:
  // Creates the folder where it is missing. `photos` are never written to, nor is anything of the library.
  static Result<OutputFolder> create(const Context& context, const std::string& folder,
                                     const std::vector<std::string>& photos, bool force);

  // The path of a file of that name. kPermission, which is a failure of that file alone: a photo is there, under any
  // name, or another file and not --force.
  [[nodiscard]] Result<std::string> path_of(const std::string& name) const;

  // Null: there is no catalogue yet.
  [[nodiscard]] const store::CatalogueReader* reader() const { return reader_ ? &*reader_ : nullptr; }

 private:
  std::string folder_;
  bool force_ = false;
  std::set<std::pair<dev_t, ino_t>> photos_;
  std::optional<store::CatalogueReader> reader_;
};

}  // namespace image_engine::cli
