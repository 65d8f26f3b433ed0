#include "pipeline/sample_photos.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/file.h"

namespace image_engine::pipeline {

Result<std::string> samples_folder(const std::string& given, std::string_view option) {
  if (!given.empty()) return absolute_path(given);
  std::string samples = absolute_path(executable_folder() + "/../../samples/photos");
  if (::access(samples.c_str(), R_OK) == 0) return samples;
  return fail(ErrorCode::kNotFound,
              fmt::format("there are no sample photos here: name a folder of photos with {} DIR", option));
}

}  // namespace image_engine::pipeline
