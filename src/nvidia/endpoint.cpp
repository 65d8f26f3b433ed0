#include "nvidia/endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/text.h"
#include "models/http_exchange.h"

namespace image_engine::nvidia {
namespace {

constexpr std::string_view kKeys = "nvidia_build.";
constexpr std::string_view kHostedOpenAi = "https://integrate.api.nvidia.com/v1";
constexpr std::uint64_t kAssetBytes = std::uint64_t{4} << 20;  // far more than JPEGs of these edges have
constexpr std::uint64_t kLocalBytes = std::uint64_t{8} << 20;

constexpr std::array<std::string_view, 5> kDialects = {"inline", "nvcf", "openai", "nim", "prompts"};

// Each task's default endpoint.
struct Usual {
  Task task;
  Dialect dialect;
  std::string_view path;  // below base_url
  bool model_in_path;     // appended
};
constexpr Usual kUsual[] = {
    {Task::kDetect, Dialect::kInline, "cv/nvidia/retail-object-detection", false},
    {Task::kDetect, Dialect::kNvcf, "cv/nvidia/retail-object-detection", false},
    {Task::kDescribe, Dialect::kInline, "vlm/", true},
    {Task::kDescribe, Dialect::kNvcf, "vlm/", true},
    {Task::kDescribe, Dialect::kOpenAi, "chat/completions", false},
    {Task::kEmbed, Dialect::kOpenAi, "embeddings", false},
    {Task::kEmbed, Dialect::kNim, "embed", false},
    {Task::kEmbed, Dialect::kPrompts, "nim/nvclip/embed", false},
};

// Longer edges worth sending. Retail detection works on 960 × 544 (its model card). Descriptions: the size of a good
// JPEG of 132 KB, and half of the 2,048 that Nemotron Nano VL uses. NV-CLIP resizes to 224 × 224, or 336 × 336 in
// another model card: at 448 the shorter edge of a 4:3 picture is that long.
constexpr std::uint32_t kEdges[] = {960, 1024, 448};

// The configuration's part for a task.
struct Part {
  std::string_view name;
  const std::string& url;
  const std::string& dialect;
  std::string model;
};

Part part_of(const NvidiaBuildConfig& config, Task task) {
  const RetailDetectionConfig& detect = config.retail_detection;
  const VisionLanguageConfig& describe = config.vision_language;
  const CloudEmbeddingConfig& embed = config.embedding;
  switch (task) {
    case Task::kDetect:
      return {"retail_detection", detect.url, detect.dialect, ""};
    case Task::kDescribe:
      return {"vision_language", describe.url, describe.dialect, describe.model};
    case Task::kEmbed:
      break;
  }
  return {"embedding", embed.url, embed.dialect, embed.model};
}

struct Address {
  std::string host;
  std::string root;  // "https://host:443"
  std::string path;  // "/v1/embed", or empty
};

// "https host port" → "host".
std::string host_of(const std::string& origin) {
  const std::size_t blank = origin.find(' ');
  return origin.substr(blank + 1, origin.rfind(' ') - blank - 1);
}

// Parses a configured URL; `key`: the configuration's key.
Result<Address> address_of(const std::string& url, const std::string& key) {
  const Result<std::string> origin = models::origin_of(url);
  if (!origin) return fail(origin.error().code, key + ": " + printable(origin.error().message));
  const std::size_t start = std::min(url.find_first_of("/?#", url.find("://") + 3), url.size());
  if (url.find_first_of("?#") != std::string::npos || url.substr(0, start).find('@') != std::string::npos)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {} may have no name, no password, no ? and no #", key, models::without_secrets(url)));
  Address address;
  address.host = host_of(*origin);
  address.root = fmt::format("{}://{}:{}", origin->substr(0, origin->find(' ')), address.host,
                             origin->substr(origin->rfind(' ') + 1));
  address.path = url.substr(start);
  return address;
}

std::string without_end_slashes(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

Result<std::string> base_of(const NvidiaBuildConfig& config, Dialect dialect) {
  const std::string base = without_end_slashes(config.base_url);
  IE_TRY(const Address address, address_of(base, fmt::format("{}base_url", kKeys)));
  if (dialect != Dialect::kOpenAi) return base;
  if (base == NvidiaBuildConfig{}.base_url) return std::string(kHostedOpenAi);
  return address.path.empty() ? base + "/v1" : base;
}

// "/v1/cv/nvidia/x" → "cv/nvidia/x".
std::string name_of(const Address& address) {
  std::string_view path = address.path;
  while (path.starts_with('/')) path.remove_prefix(1);
  if (constexpr std::string_view kVersion = "v1/"; path.starts_with(kVersion)) path.remove_prefix(kVersion.size());
  return path.empty() ? address.host : printable(path);
}

}  // namespace

std::string_view dialect_name(Dialect dialect) { return kDialects[static_cast<std::size_t>(dialect)]; }

Result<Endpoint> endpoint_of(const NvidiaBuildConfig& config, Task task) {
  const Part part = part_of(config, task);
  const auto key = [&](std::string_view name) { return fmt::format("{}{}.{}", kKeys, part.name, name); };
  const auto* usual = std::ranges::find_if(
      kUsual, [&](const Usual& row) { return row.task == task && dialect_name(row.dialect) == part.dialect; });
  if (usual == std::end(kUsual))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{}: '{}' is not a dialect of this kind of model",
                                                         key("dialect"), printable(part.dialect)));
  const bool needs_model = usual->dialect == Dialect::kOpenAi || (usual->model_in_path && part.url.empty());
  if (needs_model && part.model.empty()) return fail(ErrorCode::kInvalidArgument, key("model") + " is empty");

  Endpoint endpoint{task};
  endpoint.dialect = usual->dialect;
  if (!usual->model_in_path) endpoint.model = part.model;
  if (part.url.find("://") == std::string::npos) {
    std::string path = part.url;
    if (path.empty()) path = std::string(usual->path) + (usual->model_in_path ? models::escaped(part.model) : "");
    IE_TRY(const std::string base, base_of(config, endpoint.dialect));
    endpoint.url = base + "/" + path.substr(std::min(path.find_first_not_of('/'), path.size()));
  } else {
    endpoint.url = part.url;
  }
  IE_TRY(const Address address, address_of(endpoint.url, key("url")));
  endpoint.name = name_of(address);
  endpoint.local = models::is_loopback(address.host);
  endpoint.status_url = address.root + "/v1/status/";
  const bool is_nim = endpoint.local && endpoint.dialect != Dialect::kInline;  // which have no such limit
  endpoint.most_bytes = is_nim ? kLocalBytes : kInlineBytes;
  endpoint.edge = kEdges[static_cast<std::size_t>(task)];
  if (endpoint.dialect == Dialect::kNvcf) {
    endpoint.assets_url = without_end_slashes(config.assets_url);
    endpoint.status_url = endpoint.assets_url + "/pexec/status/";
    endpoint.most_bytes = kAssetBytes;
    IE_CHECK(address_of(endpoint.assets_url, fmt::format("{}assets_url", kKeys)));
  }
  return endpoint;
}

bool is_local(const std::string& url) {
  const Result<std::string> origin = models::origin_of(url);
  return origin && models::is_loopback(host_of(*origin));
}

}  // namespace image_engine::nvidia
