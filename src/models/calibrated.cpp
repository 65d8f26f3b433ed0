#include "models/calibrated.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/hash.h"

namespace image_engine::models {

std::string calibrated_path(const std::string& source, const std::string& folder) {
  struct stat info {};
  if (source.empty() || ::stat(source.c_str(), &info) != 0) return "";
  const std::string key =
      fmt::format("{}\n{} {} {}", absolute_path(source), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  return join_path(folder, hash128(key).hex() + "-calibrated.onnx");
}

std::string find_calibrated(const std::string& source, const std::string& folder) {
  std::string path = calibrated_path(source, folder);
  return !path.empty() && ::access(path.c_str(), R_OK) == 0 ? path : "";
}

}  // namespace image_engine::models
