#include "pipeline/measured_rates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "gpu/cuda.h"
#include "pipeline/installed_models.h"
#include "pipeline/phase_clock.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

std::string rates_file() { return join_path(cache_home(), "measured_rates.json"); }

// Everything that is kept, by key; an object also where there is nothing to read.
json read_rates() {
  const Result<std::string> text = read_file(rates_file(), size_t{1} << 20);
  if (!text) return json::object();
  json kept = parse_json(*text);
  return kept.is_object() ? kept : json::object();
}

double number_of(const json& rates, const char* name) {
  const auto found = rates.find(name);
  return found != rates.end() && found->is_number() ? found->get<double>() : 0;
}

std::string text_of(const json& rates, const char* name) {
  const auto found = rates.find(name);
  return found != rates.end() && found->is_string() ? found->get<std::string>() : "";
}

// Each task's model of photos, as configured and as it is installed: "scene auto: efficientnet-lite0 1", "text auto:
// none".
std::vector<std::string> models_used(const Config& config, const models::InstallPaths& installed) {
  const MlModelsConfig& wanted = config.analysis.ml_models;
  const Result<InstalledModels> models = InstalledModels::open(installed, config);
  std::vector<std::string> used;
  for (const auto& [task, name] : {std::pair("objects", wanted.object_model),
                                   {"scene", wanted.scene_model},
                                   {"embedding", wanted.embedding_model},
                                   {"features", wanted.feature_model},
                                   {"text", wanted.text_model}}) {
    std::string model = "none";
    if (models && name != "none")
      if (const auto spec = models->find(task, name)) model = fmt::format("{} {}", (*spec)->name, (*spec)->version);
    used.push_back(fmt::format("{} {}: {}", task, name, model));
  }
  if (config.analysis.segmentation && models)
    for (const models::Spec* spec : models->all(kSegmentationStage))
      used.push_back(fmt::format("{}: {} {}", kSegmentationStage, spec->name, spec->version));
  return used;
}

}  // namespace

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line))
    if (line.starts_with("model name"))
      if (const std::size_t colon = line.find(": "); colon != line.npos) return to_utf8(line.substr(colon + 2));
  return "unknown";
}

std::string rates_key(const Config& config, const models::InstallPaths& installed) {
  std::string key = fmt::format("{}, {} cores", cpu_name(), std::thread::hardware_concurrency());
  if (const auto devices = gpu::cuda_devices())
    for (const gpu::CudaDevice& device : *devices) key += ", " + to_utf8(device.name);
  return key + fmt::format("; {} workers, device {}, precision {}, gpu_decode {}, {} on each GPU; {}",
                           config.worker_count(), config.inference.device, config.inference.precision,
                           config.inference.gpu_decode, config.inference.gpu_decoders,
                           fmt::join(models_used(config, installed), ", "));
}

std::optional<MeasuredRates> kept_rates(const Config& config, const models::InstallPaths& installed) {
  const json kept = read_rates();
  const auto found = kept.find(rates_key(config, installed));
  if (found == kept.end() || !found->is_object()) return std::nullopt;
  MeasuredRates rates;
  rates.headers = number_of(*found, "headers_per_second");
  rates.content = number_of(*found, "content_per_second");
  rates.photo_bytes = number_of(*found, "photo_bytes");
  rates.photos = static_cast<std::uint64_t>(std::max(number_of(*found, "photos"), 0.0));
  rates.limit = text_of(*found, "limit");
  rates.when = text_of(*found, "when");
  if (rates.headers <= 0 || rates.content <= 0 || rates.photo_bytes <= 0) return std::nullopt;
  if (rates.photos < kLeastForEstimate) return std::nullopt;
  return rates;
}

Status keep_rates(const Config& config, const models::InstallPaths& installed, const MeasuredRates& rates) {
  json kept = read_rates();
  kept[rates_key(config, installed)] = {{"headers_per_second", rates.headers},
                                        {"content_per_second", rates.content},
                                        {"photo_bytes", rates.photo_bytes},
                                        {"photos", rates.photos},
                                        {"limit", rates.limit},
                                        {"when", rates.when}};
  IE_CHECK(make_folders(cache_home()));
  return write_file_atomically(rates_file(), json_text(kept, 2) + "\n");
}

}  // namespace image_engine::pipeline
