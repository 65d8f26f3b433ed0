#include "cli/calibration_samples.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "cli/app.h"
#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "models/install_paths.h"
#include "models/registry.h"
#include "pipeline/query_picture.h"
#include "vision/graph_checks.h"

namespace image_engine::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostPhotos = 128;  // activation ranges converge with fewer
constexpr std::size_t kLeastPhotos = 2;   // one to find ranges, one to check them

Result<preprocess::Plan> plan_for(const SamplesRequest& request, const Config& config) {
  const models::InstallPaths paths = models::find_install_paths(config.models.folder);
  IE_TRY(const models::Registry registry, models::Registry::load(paths.shipped, paths.added));
  if (!request.name.empty()) {
    const auto named = registry.find(request.name);
    if (!named) return fail(ErrorCode::kInvalidArgument, named.error().message);
    return vision::plan_of(**named);
  }
  for (const models::Spec& spec : registry.specs())
    for (const models::Variant& variant : spec.variants)
      if (variant.file == file_name(request.model)) return vision::plan_of(spec);
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("the preprocessing for {} is unknown: name the registry's model with "
                          "--model NAME",
                          printable(request.model)));
}

Result<std::vector<std::string>> files_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator entries(folder, fs::directory_options::skip_permission_denied, error);
  if (error) return fail(ErrorCode::kNotFound, fmt::format("{}: {}", printable(folder), error.message()));
  for (; entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    std::error_code ignored;
    if (entries->is_regular_file(ignored)) files.push_back(entries->path().string());
    if (error) break;
  }
  std::ranges::sort(files);
  return files;
}

// Version 1.0 of numpy's format: a Python dictionary padded to a multiple of 64, then the numbers.
std::string npy(const Tensor& tensor) {
  std::string about = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}",
                                  tensor.type == ElementType::kFloat32 ? "<f4" : "|u1", fmt::join(tensor.shape, ", "));
  constexpr std::size_t kPrefix = 10, kMultiple = 64;
  about.append(kMultiple - (kPrefix + about.size() + 1) % kMultiple, ' ');
  about += '\n';
  std::string bytes = "\x93NUMPY";
  bytes += {'\x01', '\0', static_cast<char>(about.size() & 0xFFU), static_cast<char>(about.size() >> 8U)};
  bytes += about;
  return bytes.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
}

}  // namespace

Status write_calibration_samples(const SamplesRequest& request, const Config& config) {
  if (request.inputs.size() != 1)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} takes {} inputs: samples are made of photos for models of one; else give their folder "
                            "with INDEX-INPUT.npy",
                            printable(request.model), request.inputs.size()));
  IE_TRY(const preprocess::Plan plan, plan_for(request, config));
  IE_TRY(const std::vector<std::string> files, files_in(request.photos));
  const std::size_t step = std::max<std::size_t>(1, files.size() / kMostPhotos);
  std::size_t written = 0;
  for (std::size_t i = 0; i < files.size() && written < kMostPhotos; i += step) {
    if (interrupted()) return fail(ErrorCode::kInterrupted, "interrupted");
    const Status made =
        pipeline::with_picture(files[i], config, preprocess::wanted_edge(plan),
                               [&](const ImageView& picture, preprocess::FullSize full) -> Status {
                                 IE_TRY(const preprocess::Prepared prepared, preprocess::prepare(plan, picture, full));
                                 const std::string name = fmt::format("{}-{}.npy", written, request.inputs[0].name);
                                 return write_file_atomically(join_path(request.folder, name), npy(prepared.tensor));
                               });
    if (made)
      ++written;
    else
      log_debug("skipped: {}", printable(made.error().message));
  }
  if (written >= kLeastPhotos) return {};
  return fail(ErrorCode::kNotFound,
              fmt::format("{} holds {} among {}; at least {} are needed", printable(request.photos),
                          human_count(written, "readable photo"), human_count(files.size(), "file"), kLeastPhotos));
}

}  // namespace image_engine::cli
