#include "core/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstdlib>
#include <optional>
#include <span>
#include <variant>

#include "core/cpu.h"
#include "core/file.h"
#include "core/secrets.h"
#include "core/text.h"

namespace image_engine {
namespace {

using Strings = std::vector<std::string>;
using Field = std::variant<bool*, std::int64_t*, double*, std::string*, Strings*>;

struct Allowed {
  double low = 0, high = 0;                   // numbers
  std::span<const std::string_view> words{};  // text; none: anything
};

struct Key {
  std::string_view path;
  Field (*member)(Config&);
  Allowed allowed;
  std::string_view help;
};

constexpr std::string_view kPrecisions[] = {"fp32", "fp16", "int8"};
constexpr std::string_view kAnyPrecision[] = {"auto", "fp32", "fp16", "int8"};
constexpr std::string_view kSandboxes[] = {"auto", "strict"};
constexpr std::string_view kGpuDecode[] = {"auto", "on", "off"};
constexpr std::string_view kVideoOrders[] = {"short", "found"};
constexpr std::string_view kSceneModels[] = {"builtin", "transnetv2"};
constexpr std::string_view kNvidiaFrames[] = {"scenes", "all"};
constexpr std::string_view kSubtitleUses[] = {"prefer", "ignore"};
constexpr std::string_view kDetectDialects[] = {"inline", "nvcf"};
constexpr std::string_view kDescribeDialects[] = {"inline", "nvcf", "openai"};
constexpr std::string_view kEmbedDialects[] = {"openai", "nim", "prompts"};
constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error", "off"};
constexpr std::string_view kWarning = "warning";  // the usual alias of "warn"

constexpr Allowed between(double low, double high) { return {low, high, {}}; }
constexpr Allowed one_of(std::span<const std::string_view> words) { return {0, 0, words}; }
constexpr Allowed kAny{};

#define IE_MEMBER(name) [](Config& config) -> Field { return &config.name; }
// clang-format off
const Key kKeys[] = {
    {"analysis.ml_models.batch_size", IE_MEMBER(analysis.ml_models.batch_size), between(1, 1024), "pictures in one run of a model"},
    {"analysis.ml_models.use_tensorrt", IE_MEMBER(analysis.ml_models.use_tensorrt), kAny, "try TensorRT first, if it is installed"},
    {"analysis.ml_models.tensorrt_precision", IE_MEMBER(analysis.ml_models.tensorrt_precision), one_of(kPrecisions), "first precision that TensorRT tries where inference.precision is auto"},
    {"analysis.ml_models.object_model", IE_MEMBER(analysis.ml_models.object_model), kAny, "model for objects; auto: the best installed one"},
    {"analysis.ml_models.scene_model", IE_MEMBER(analysis.ml_models.scene_model), kAny, "model for scenes; auto: the best installed one"},
    {"analysis.ml_models.embedding_model", IE_MEMBER(analysis.ml_models.embedding_model), kAny, "model for pictures' vectors; auto: the best installed one"},
    {"analysis.ml_models.feature_model", IE_MEMBER(analysis.ml_models.feature_model), kAny, "model of visual features for `similar`; none: use the embedding model's vectors"},
    {"analysis.ml_models.sentence_model", IE_MEMBER(analysis.ml_models.sentence_model), kAny, "model that compares words with tags; auto: the best installed one"},
    {"analysis.ml_models.text_model", IE_MEMBER(analysis.ml_models.text_model), kAny, "model that reads text; auto: the best installed one"},
    {"analysis.ml_models.scene_labels", IE_MEMBER(analysis.ml_models.scene_labels), kAny, "file of scenes' labels; empty: the shipped ones"},
    {"analysis.ml_models.action_model", IE_MEMBER(analysis.ml_models.action_model), kAny, "model for actions in videos; auto: the best installed one, else zero-shot by the embedding model"},
    {"analysis.segmentation", IE_MEMBER(analysis.segmentation), kAny, "keep masks of subjects, people and classes in photos, for subject: in searches"},
    {"inference.device", IE_MEMBER(inference.device), kAny, "where models run: auto, cpu, cuda, cuda:N, tensorrt"},
    {"inference.precision", IE_MEMBER(inference.precision), one_of(kAnyPrecision), "precision of models; auto: the fastest with correct outputs"},
    {"inference.require_gpu", IE_MEMBER(inference.require_gpu), kAny, "fail instead of running a model on the CPU"},
    {"inference.run_timeout_seconds", IE_MEMBER(inference.run_timeout_seconds), between(1, 86400), "limit for one run of a model, or loading it"},
    {"inference.gpu_decode", IE_MEMBER(inference.gpu_decode), one_of(kGpuDecode), "decode JPEGs on the GPU; on: fail where that cannot be"},
    {"inference.gpu_decoders", IE_MEMBER(inference.gpu_decoders), between(0, 8), "decoding processes on each GPU; 0: as many as are fastest on its kind"},
    {"inference.gpu_memory_mb", IE_MEMBER(inference.gpu_memory_mb), between(0, 1048576), "MiB of the GPU's memory for decoding; 0: two fifths; at most half of what is free"},
    {"processing.workers", IE_MEMBER(processing.workers), between(0, 1024), "files processed at once; 0: one per core"},
    {"processing.clear_cache_frequency", IE_MEMBER(processing.clear_cache_frequency), between(0, 1000000), "batches between releases of memory that models keep on the CPU; 0: never"},
    {"processing.memory_mb", IE_MEMBER(processing.memory_mb), between(0, 1048576), "MiB shared by batches and models' runs; 0: by workers"},
    {"thumbnails.size", IE_MEMBER(thumbnails.size), between(32, 2048), "pixels of a thumbnail's longer side"},
    {"thumbnails.quality", IE_MEMBER(thumbnails.quality), between(1, 100), "JPEG quality of thumbnails"},
    {"worker.memory_limit_mb", IE_MEMBER(worker.memory_limit_mb), between(64, 1048576), "MiB for each worker"},
    {"worker.timeout_seconds", IE_MEMBER(worker.timeout_seconds), between(0.1, 86400), "seconds that a worker may spend on a file"},
    {"worker.sandbox", IE_MEMBER(worker.sandbox), one_of(kSandboxes), "auto: all layers of the kernel; strict: fail if one is missing"},
    {"plugins.memory_limit_mb", IE_MEMBER(plugins.memory_limit_mb), between(64, 1048576), "MiB for each plugin's process"},
    {"plugins.timeout_seconds", IE_MEMBER(plugins.timeout_seconds), between(0.1, 86400), "seconds that a plugin may spend on a photo"},
    {"plugins.stages", IE_MEMBER(plugins.stages), kAny, "installed plugins that analyze runs on photos for their records"},
    {"plugins.index", IE_MEMBER(plugins.index), kAny, "file or https address that lists plugins to install; empty: none"},
    {"plugins.index_key", IE_MEMBER(plugins.index_key), kAny, "minisign public key of whoever signs the index"},
    {"scan.include", IE_MEMBER(scan.include), kAny, "patterns of files to include; none: all"},
    {"scan.exclude", IE_MEMBER(scan.exclude), kAny, "patterns of files and folders to exclude"},
    {"scan.hidden", IE_MEMBER(scan.hidden), kAny, "include names that start with a dot"},
    {"scan.follow_symlinks", IE_MEMBER(scan.follow_symlinks), kAny, "follow symbolic links inside folders"},
    {"scan.dates_from_names", IE_MEMBER(scan.dates_from_names), kAny, "take a date that nothing else states from the file's name"},
    {"models.folder", IE_MEMBER(models.folder), kAny, "folder of models; empty: models in the data folder"},
    {"video.enabled", IE_MEMBER(video.enabled), kAny, "analyze frames of videos"},
    {"video.fps", IE_MEMBER(video.fps), between(0.01, 240), "frames analyzed for each second of video"},
    {"video.key_frames_only", IE_MEMBER(video.key_frames_only), kAny, "decode key frames only"},
    {"video.order", IE_MEMBER(video.order), one_of(kVideoOrders), "short: the shortest video first; found: as the scan met them"},
    {"video.scene_detection", IE_MEMBER(video.scene_detection), kAny, "find changes of scene"},
    {"video.scene_model", IE_MEMBER(video.scene_model), one_of(kSceneModels), "what finds changes of scene: builtin, or the model transnetv2 (slower)"},
    {"video.track_fps", IE_MEMBER(video.track_fps), between(0, 240),
     "up to so many frames a second are looked at to follow things that move fast; 0: none but those of video.fps"},
    {"video.action_labels", IE_MEMBER(video.action_labels), kAny, "file of actions' labels for zero-shot; empty: the shipped ones"},
    {"video.use_nvidia_build", IE_MEMBER(video.use_nvidia_build), kAny, "send frames to the models of nvidia_build, if these are enabled"},
    {"video.nvidia_frames", IE_MEMBER(video.nvidia_frames), one_of(kNvidiaFrames), "scenes: send the best frame of each scene; all: each analyzed frame"},
    {"audio.enabled", IE_MEMBER(audio.enabled), kAny, "analyze the sound of videos and recordings"},
    {"audio.speech_model", IE_MEMBER(audio.speech_model), kAny, "model for speech; auto: the best installed one; none"},
    {"audio.voice_model", IE_MEMBER(audio.voice_model), kAny, "model that finds where somebody speaks; auto: the best installed one"},
    {"audio.music", IE_MEMBER(audio.music), kAny, "model that finds speech, singing and music; auto: the best installed one; none"},
    {"audio.tagging", IE_MEMBER(audio.tagging), kAny, "model that names sounds, such as AudioSet's; auto: the best installed one; none"},
    {"audio.language", IE_MEMBER(audio.language), kAny, "spoken language, such as en or de; auto: detected for each file"},
    {"audio.translate", IE_MEMBER(audio.translate), kAny, "translate what is said to English"},
    {"audio.track", IE_MEMBER(audio.track), kAny, "audio track of a file: auto: the default one; its number from 1; its language"},
    {"audio.subtitles", IE_MEMBER(audio.subtitles), one_of(kSubtitleUses), "prefer: take what is said from subtitles where there are any; ignore: always listen"},
    {"nvidia_build.enabled", IE_MEMBER(nvidia_build.enabled), kAny, "use NVIDIA's cloud models (needs a key)"},
    {"nvidia_build.api_key_env", IE_MEMBER(nvidia_build.api_key_env), kAny, "environment variable that holds the key"},
    {"nvidia_build.base_url", IE_MEMBER(nvidia_build.base_url), kAny, "base URL of NVIDIA's models, or of a NIM"},
    {"nvidia_build.assets_url", IE_MEMBER(nvidia_build.assets_url), kAny, "URL for uploads and polling of the dialect nvcf"},
    {"nvidia_build.max_requests", IE_MEMBER(nvidia_build.max_requests), between(0, 1000000000), "most requests of one run; 0: no limit"},
    {"nvidia_build.retail_detection.enabled", IE_MEMBER(nvidia_build.retail_detection.enabled), kAny, "find retail products"},
    {"nvidia_build.retail_detection.confidence_threshold", IE_MEMBER(nvidia_build.retail_detection.confidence_threshold), between(0, 1), "least confidence of a product"},
    {"nvidia_build.retail_detection.max_detections", IE_MEMBER(nvidia_build.retail_detection.max_detections), between(1, 10000), "most products in a picture"},
    {"nvidia_build.retail_detection.url", IE_MEMBER(nvidia_build.retail_detection.url), kAny, "relative to base_url, or complete"},
    {"nvidia_build.retail_detection.dialect", IE_MEMBER(nvidia_build.retail_detection.dialect), one_of(kDetectDialects), "the server's protocol"},
    {"nvidia_build.vision_language.enabled", IE_MEMBER(nvidia_build.vision_language.enabled), kAny, "describe pictures in words"},
    {"nvidia_build.vision_language.default_prompt", IE_MEMBER(nvidia_build.vision_language.default_prompt), kAny, "prompt for a frame of a video"},
    {"nvidia_build.vision_language.photo_prompt", IE_MEMBER(nvidia_build.vision_language.photo_prompt), kAny, "prompt for a photo"},
    {"nvidia_build.vision_language.max_tokens", IE_MEMBER(nvidia_build.vision_language.max_tokens), between(1, 100000), "longest description"},
    {"nvidia_build.vision_language.temperature", IE_MEMBER(nvidia_build.vision_language.temperature), between(0, 2), "0: always the likeliest words"},
    {"nvidia_build.vision_language.url", IE_MEMBER(nvidia_build.vision_language.url), kAny, "relative to base_url, or complete; empty: the dialect's default"},
    {"nvidia_build.vision_language.dialect", IE_MEMBER(nvidia_build.vision_language.dialect), one_of(kDescribeDialects), "the server's protocol"},
    {"nvidia_build.vision_language.model", IE_MEMBER(nvidia_build.vision_language.model), kAny, "the server's name of the model"},
    {"nvidia_build.embedding.url", IE_MEMBER(nvidia_build.embedding.url), kAny, "relative to base_url, or complete; empty: the dialect's default"},
    {"nvidia_build.embedding.dialect", IE_MEMBER(nvidia_build.embedding.dialect), one_of(kEmbedDialects), "the server's protocol"},
    {"nvidia_build.embedding.model", IE_MEMBER(nvidia_build.embedding.model), kAny, "the server's name of the model"},
    {"nvidia_build.rate_limiting.max_requests_per_minute", IE_MEMBER(nvidia_build.rate_limiting.max_requests_per_minute), between(1, 100000), "cloud calls per minute"},
    {"nvidia_build.rate_limiting.retry_attempts", IE_MEMBER(nvidia_build.rate_limiting.retry_attempts), between(0, 100), "tries after a failed call"},
    {"nvidia_build.rate_limiting.retry_delay", IE_MEMBER(nvidia_build.rate_limiting.retry_delay), between(0, 3600), "seconds before the first retry"},
    {"nvidia_build.rate_limiting.max_concurrent", IE_MEMBER(nvidia_build.rate_limiting.max_concurrent), between(0, 256), "requests in flight; 0: as many as the rate needs"},
    {"nvidia_build.rate_limiting.timeout_seconds", IE_MEMBER(nvidia_build.rate_limiting.timeout_seconds), between(1, 3600), "seconds that a request may take"},
    {"nvidia_build.caching.enabled", IE_MEMBER(nvidia_build.caching.enabled), kAny, "keep answers"},
    {"nvidia_build.caching.cache_dir", IE_MEMBER(nvidia_build.caching.cache_dir), kAny, "folder of stored answers; relative: to the home folder"},
    {"nvidia_build.caching.ttl_hours", IE_MEMBER(nvidia_build.caching.ttl_hours), between(0, 1000000), "hours that an answer is valid"},
    {"nvidia_build.caching.max_mb", IE_MEMBER(nvidia_build.caching.max_mb), between(1, 1048576), "MiB of stored answers"},
    {"nvidia_build.privacy.exclude", IE_MEMBER(nvidia_build.privacy.exclude), kAny, "patterns of pictures that are never sent"},
    {"nvidia_build.privacy.exclude_people", IE_MEMBER(nvidia_build.privacy.exclude_people), kAny, "send no picture with people or possible people, or that was not checked for people"},
    {"log.level", IE_MEMBER(log.level), one_of(kLevels), "lowest level of shown messages"},
};
// clang-format on
#undef IE_MEMBER

struct Variable {
  const char* name;
  std::string_view key;
};
constexpr Variable kVariables[] = {
    {"IMAGE_ENGINE_LOG_LEVEL", "log.level"},
    {"IMAGE_ENGINE_USE_TENSORRT", "analysis.ml_models.use_tensorrt"},
    {"IMAGE_ENGINE_MODELS", "models.folder"},
    {"NVIDIA_BASE_URL", "nvidia_build.base_url"},
};

constexpr size_t kLongestKey = 100;               // bytes of an unknown key worth comparing
constexpr size_t kLargestFile = size_t{1} << 20;  // bytes
constexpr int kDeepest = 8;                       // levels of sections: aliases can make a small file infinite

std::string allowed_text(const Key& key, const Field& field) {
  if (std::holds_alternative<bool*>(field)) return "true or false";
  if (std::holds_alternative<std::int64_t*>(field))
    return fmt::format("an integer, {}…{}", key.allowed.low, key.allowed.high);
  if (std::holds_alternative<double*>(field)) return fmt::format("a number, {}…{}", key.allowed.low, key.allowed.high);
  return fmt::format("{}", fmt::join(key.allowed.words, ", "));
}

// Each `parse` reads text as a member's type; false if it does not fit the type or the allowed values.
bool parse(std::string_view text, const Allowed&, bool& value) {
  const std::string word = ascii_lower(text);
  constexpr std::string_view kTrue[] = {"true", "yes", "on", "1"}, kFalse[] = {"false", "no", "off", "0"};
  value = std::ranges::find(kTrue, word) != std::end(kTrue);
  return value || std::ranges::find(kFalse, word) != std::end(kFalse);
}

template <typename Number>
  requires std::same_as<Number, std::int64_t> || std::same_as<Number, double>
bool parse(std::string_view text, const Allowed& allowed, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto number = static_cast<double>(value);
  return error == std::errc{} && end == text.data() + text.size() && number >= allowed.low && number <= allowed.high;
}

bool parse(std::string_view text, const Allowed& allowed, std::string& value) {
  if (allowed.words.empty()) {
    value = text;
    return true;
  }
  const std::string word = ascii_lower(text);
  value = word == kWarning ? "warn" : word;
  return std::ranges::find(allowed.words, value) != allowed.words.end();
}

bool parse(std::string_view text, const Allowed&, Strings& value) {
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (!item.empty()) value.emplace_back(item);
  }
  return true;
}

// Stores `value` in the member of `key`, if it is allowed.
Status assign(Config& config, const Key& key, std::string_view value, const std::string& where) {
  const Field field = key.member(config);
  return std::visit(
      [&](auto* member) -> Status {
        std::remove_reference_t<decltype(*member)> parsed{};
        if (!parse(value, key.allowed, parsed))
          return fail(ErrorCode::kInvalidArgument, fmt::format("{}{} cannot be \"{}\"; allowed: {}", where, key.path,
                                                               printable(value), allowed_text(key, field)));
        *member = std::move(parsed);
        return {};
      },
      field);
}

Result<const Key*> find_key(std::string_view path, const std::string& where) {
  const auto* key = std::ranges::find(kKeys, path, &Key::path);
  if (key != std::end(kKeys)) return key;
  std::vector<std::string_view> paths;
  for (const auto& known : kKeys) paths.push_back(known.path);
  const std::string_view nearest = nearest_name(path.substr(0, kLongestKey), paths);
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}unknown key \"{}\"{}", where, printable(path),
                          nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest)));
}

// Walks a YAML document and applies its leaves.
class YamlReader {
 public:
  YamlReader(Config& config, const std::string& file) : config_(config), file_(file) {}

  Status read(const YAML::Node& node, const std::string& path, int depth = 0) {
    if (depth > kDeepest) return fail(ErrorCode::kInvalidArgument, where(node) + "sections are nested too deeply");
    if (node.IsMap()) {
      for (const auto& child : node) {
        if (!child.first.IsScalar())
          return fail(ErrorCode::kInvalidArgument, where(child.first) + "a key must be a word");
        const auto& name = child.first.Scalar();
        const std::string below = path.empty() ? name : path + "." + name;
        line_ = child.first.Mark().line;
        IE_CHECK(read(child.second, below, depth + 1));
      }
      return {};
    }
    if (path.empty()) return fail(ErrorCode::kInvalidArgument, where(node) + "expected keys and values");
    if (node.IsNull() && is_section(path)) return {};
    return leaf(node, path);
  }

 private:
  static bool is_section(std::string_view path) {
    return std::ranges::any_of(kKeys, [&](const Key& key) {
      return key.path.starts_with(path) && key.path.substr(path.size()).starts_with('.');
    });
  }

  // Empty nodes have no mark: errors name their key's line.
  std::string where(const YAML::Node& node) const {
    const int line = node.Mark().is_null() ? line_ : node.Mark().line;
    return fmt::format("{}:{}: ", printable(file_), line + 1);
  }

  Status leaf(const YAML::Node& node, const std::string& path) {
    if (is_section(path))
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}{} is a section, not a value", where(node), path));
    IE_TRY(const Key* key, find_key(path, fmt::format("{}:{}: ", printable(file_), line_ + 1)));
    const Field field = key->member(config_);
    if (auto* const* list = std::get_if<Strings*>(&field); list != nullptr && node.IsSequence()) {
      Strings items;
      for (const auto& item : node) {
        if (!item.IsScalar())
          return fail(ErrorCode::kInvalidArgument, where(item) + path + " must be a list of strings");
        items.push_back(item.Scalar());
      }
      **list = std::move(items);
    } else if (node.IsScalar() || (node.IsNull() && list != nullptr)) {
      IE_CHECK(assign(config_, *key, node.IsScalar() ? node.Scalar() : "", where(node)));
    } else {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}{} cannot be {}; allowed: {}", where(node), path, node.IsNull() ? "empty" : "a list",
                              allowed_text(*key, field)));
    }
    config_.origins.insert_or_assign(path, ConfigOrigin::kFile);
    return {};
  }

  Config& config_;
  const std::string& file_;
  int line_ = 0;
};

// The folder of the shipped configurations: installed, or in the source tree for a program in build/<preset>/bin.
std::vector<std::string> shipped_folders() {
  const std::string program = executable_folder();
  return {program + "/../share/image-engine/config", program + "/../../../config"};
}

constexpr std::string_view kShippedFolder = "config/", kShippedEnd = "_config.yaml";

bool is_readable(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

std::optional<std::string> shipped_file(std::string_view name) {
  for (const std::string& folder : shipped_folders())
    if (std::string path = absolute_path(join_path(folder, name)); is_readable(path)) return path;
  return std::nullopt;
}

std::string value_text(const Field& field) {
  struct Visitor {
    std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
    std::string operator()(const std::int64_t* value) const { return std::to_string(*value); }
    std::string operator()(const double* value) const { return fmt::format("{}", *value); }
    std::string operator()(const std::string* value) const { return *value; }
    std::string operator()(const Strings* value) const { return fmt::format("{}", fmt::join(*value, ",")); }
  };
  return std::visit(Visitor{}, field);
}

Status read_config_file(Config& config, std::string path) {
  IE_TRY(const std::string text, read_file(path, kLargestFile));
  IE_CHECK(apply_yaml(config, text, path));
  config.files.push_back(std::move(path));
  return {};
}

}  // namespace

std::string_view origin_name(ConfigOrigin origin) {
  constexpr std::string_view kNames[] = {"default", "file", "environment", "flag"};
  return kNames[static_cast<size_t>(origin)];
}

unsigned Config::worker_count() const {
  if (processing.workers > 0) return static_cast<unsigned>(processing.workers);
  return available_cores();
}

std::uint64_t Config::memory_budget(bool has_gpu) const {
  if (processing.memory_mb > 0) return static_cast<std::uint64_t>(processing.memory_mb) << 20;
  const std::uint64_t by_workers = std::max<std::uint64_t>(512, std::uint64_t{256} * worker_count()) << 20;
  const auto machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  return has_gpu ? std::max(by_workers, machine / 8) : by_workers;
}

Status apply_yaml(Config& config, std::string_view text, const std::string& file) {
  Config changed = config;
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    if (!root.IsNull()) IE_CHECK(YamlReader(changed, file).read(root, ""));
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}:{}: invalid YAML: {}", printable(file), error.mark.line + 1, printable(error.msg)));
  }
  config = std::move(changed);
  return {};
}

Status set(Config& config, std::string_view key, std::string_view value, ConfigOrigin origin) {
  IE_TRY(const Key* found, find_key(key, ""));
  IE_CHECK(assign(config, *found, value, ""));
  config.origins.insert_or_assign(std::string(key), origin);
  add_secret_variable(config.nvidia_build.api_key_env);
  return {};
}

Status set(Config& config, std::string_view key, std::vector<std::string> items, ConfigOrigin origin) {
  IE_TRY(const Key* found, find_key(key, ""));
  const Field field = found->member(config);
  auto* const* list = std::get_if<Strings*>(&field);
  if (list == nullptr) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is not a list", key));
  **list = std::move(items);
  config.origins.insert_or_assign(std::string(key), origin);
  return {};
}

Result<std::string> find_config_file(std::string_view named) {
  const std::string path(named);
  const bool is_short = named.find('/') == std::string_view::npos && lower_extension(named).empty();
  if (is_short)
    if (auto shipped = shipped_file(path + std::string(kShippedEnd))) return *shipped;
  if (is_readable(path)) return path;
  if (named.starts_with(kShippedFolder)) named.remove_prefix(kShippedFolder.size());
  if (named.find('/') == std::string_view::npos && named.ends_with(kShippedEnd))
    if (auto shipped = shipped_file(named)) return *shipped;
  return fail(errno_error(
      fmt::format("cannot read the configuration {} (a path, or one of default, optimized, video, development, nvidia)",
                  printable(path))));
}

Result<Config> load_config(std::vector<std::string> named) {
  Config config;
  if (std::string file = environment("IMAGE_ENGINE_CONFIG"); named.empty() && !file.empty())
    named.push_back(std::move(file));
  for (const std::string& name : named) {
    IE_TRY(std::string path, find_config_file(name));
    IE_CHECK(read_config_file(config, std::move(path)));
  }
  if (std::string path = config_home() + "/config.yaml"; named.empty() && ::access(path.c_str(), F_OK) == 0)
    IE_CHECK(read_config_file(config, std::move(path)));
  for (const auto& variable : kVariables) {
    const std::string value = environment(variable.name);
    if (value.empty()) continue;
    if (auto status = set(config, variable.key, value, ConfigOrigin::kEnvironment); !status)
      return fail(status.error().code, fmt::format("{}: {}", variable.name, status.error().message));
  }
  add_secret_variable(config.nvidia_build.api_key_env);
  return config;
}

std::vector<ConfigEntry> describe(const Config& config) {
  Config copy = config;
  std::vector<ConfigEntry> entries;
  for (const auto& key : kKeys) {
    const Field field = key.member(copy);
    const auto origin = config.origins.find(key.path);
    entries.push_back({std::string(key.path), without_passwords(value_text(field)),
                       origin == config.origins.end() ? ConfigOrigin::kDefault : origin->second, std::string(key.help),
                       allowed_text(key, field)});
  }
  return entries;
}

}  // namespace image_engine
