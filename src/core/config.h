// The configuration: a plain value, loaded once at the start. Reading it from several threads is safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace image_engine {

struct MlModelsConfig {
  // Pictures in one run, 1…1024, of models that gain by it: on the CPU of those that make vectors.
  std::int64_t batch_size = 8;
  // fp32, fp16 or int8: what TensorRT tries first where inference.precision is auto; then more exact ones.
  std::string tensorrt_precision = "fp16";
  bool use_tensorrt = false;             // try TensorRT first if it is installed
  std::string object_model = "auto";     // a name of the model registry; auto: the best installed one
  std::string scene_model = "auto";      // likewise; also an embedding model, which then compares with scene_labels
  std::string embedding_model = "auto";  // likewise: makes the vectors for search
  std::string feature_model = "none";    // likewise: makes the vectors for `similar`
  std::string sentence_model = "auto";   // likewise: finds tags of similar meaning
  std::string text_model = "auto";       // likewise: reads text
  std::string scene_labels;              // file of labels; empty: the shipped scenes.yaml
  // Names what happens in videos; auto: the best installed one, else the embedding model, which compares with
  // video.action_labels.
  std::string action_model = "auto";
};

struct InferenceConfig {
  std::string device = "auto";       // auto, cpu, cuda, cuda:N, tensorrt
  std::string precision = "auto";    // auto: the fastest with correct outputs; or fp32, fp16, int8
  bool require_gpu = false;          // fail instead of running on the CPU
  double run_timeout_seconds = 120;  // for one run of a model, or loading it
  std::string gpu_decode = "auto";   // decode JPEGs on the GPU: auto, on (an error where that cannot be), off
  std::int64_t gpu_decoders = 0;     // decoding processes on each GPU; 0: as many as are fastest on its kind
  std::int64_t gpu_memory_mb = 0;  // MiB of its memory for that; 0: two fifths, at most 12 GiB and half of what is free
};

struct RetailDetectionConfig {
  bool enabled = true;
  double confidence_threshold = 0.7;  // 0…1
  std::int64_t max_detections = 10;
  std::string url = "cv/nvidia/retail-object-detection";  // relative to base_url, or complete
  std::string dialect = "inline";                         // inline or nvcf
};

struct VisionLanguageConfig {
  bool enabled = true;
  std::string default_prompt = "Describe the activity in this video frame";
  std::string photo_prompt = "Describe what is happening in this image in one sentence.";
  std::int64_t max_tokens = 100;
  double temperature = 0.3;        // 0…2
  std::string url;                 // relative to base_url, or complete; empty: the dialect's default
  std::string dialect = "inline";  // inline, nvcf or openai
  std::string model = "nvidia/nemotron-nano-12b-v2-vl";
};

// Vectors made by a server, for models whose spec has `server` (nvclip).
struct CloudEmbeddingConfig {
  std::string url;                 // relative to base_url, or complete; empty: the dialect's default
  std::string dialect = "openai";  // openai; nim: {image, text} to /embed; prompts: {image_url, text_prompts}
  std::string model = "nvidia/nvclip";
};

struct RateLimitingConfig {
  std::int64_t max_requests_per_minute = 100;
  std::int64_t retry_attempts = 3;
  double retry_delay = 1.0;         // seconds
  std::int64_t max_concurrent = 0;  // requests in flight; 0: as many as the rate needs
  double timeout_seconds = 120;     // for one request
};

struct CloudCachingConfig {
  bool enabled = true;
  std::string cache_dir = ".cache/nvidia_build";  // relative: to the home folder
  std::int64_t ttl_hours = 24;
  std::int64_t max_mb = 512;  // MiB of answers; the oldest are removed first
};

// What is never sent.
struct CloudPrivacyConfig {
  std::vector<std::string> exclude;  // patterns as in scan/globs.h
  bool exclude_people = false;       // pictures with people or possible people, and those not checked for them
};

struct NvidiaBuildConfig {
  bool enabled = false;
  std::string api_key_env = "NVIDIA_API_KEY";  // the name of the environment variable that holds the key
  std::string base_url = "https://ai.api.nvidia.com/v1";
  std::string assets_url = "https://api.nvcf.nvidia.com/v2/nvcf";  // for the dialect nvcf: uploads and polling
  std::int64_t max_requests = 0;                                   // of one run, 0: no limit
  RetailDetectionConfig retail_detection;
  VisionLanguageConfig vision_language;
  CloudEmbeddingConfig embedding;
  RateLimitingConfig rate_limiting;
  CloudCachingConfig caching;
  CloudPrivacyConfig privacy;
};

// The source of an effective value; later ones override earlier ones.
enum class ConfigOrigin : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };
std::string_view origin_name(ConfigOrigin origin);

// The members' initial values are those of config/default_config.yaml (a test compares them).
struct Config {
  struct {
    MlModelsConfig ml_models;
    bool segmentation = false;  // keep masks of what is in photos, by the installed models of that task
  } analysis;
  InferenceConfig inference;
  struct {
    std::int64_t workers = 0;                 // concurrent worker processes and threads; 0: one per core
    std::int64_t clear_cache_frequency = 10;  // batches between releases of models' memory on the CPU, 0: never
    std::int64_t memory_mb = 0;               // MiB shared by batches and models' runs, 0: memory_budget() chooses
  } processing;
  struct {
    std::int64_t size = 256;    // pixels of the longer side, 32…2048
    std::int64_t quality = 85;  // JPEG, 1…100
  } thumbnails;
  struct {
    std::int64_t memory_limit_mb = 1024;  // MiB for each worker
    double timeout_seconds = 30;          // for one file
    std::string sandbox = "auto";         // auto: all layers of the kernel; strict: fail if one is missing
  } worker;
  struct {
    std::int64_t memory_limit_mb = 2048;  // MiB for each plugin's process
    double timeout_seconds = 60;          // for one photo
    std::vector<std::string> stages;      // names of plugins that analyze runs on photos
    std::string index;                    // a file or an https address that lists plugins; empty: none
    std::string index_key;                // the minisign public key that has signed it
  } plugins;
  struct {
    std::vector<std::string> include;  // patterns as in scan/globs.h; empty: everything
    std::vector<std::string> exclude;
    bool hidden = false;
    bool follow_symlinks = false;
    bool dates_from_names = true;  // of files that state no time themselves
  } scan;
  struct {
    std::string folder;  // empty: data_home()/models
  } models;
  struct {
    bool enabled = true;           // analyze frames of videos
    double fps = 1.0;              // frames analyzed per second of video
    bool key_frames_only = false;  // decode only these: fast, but misses what happens between them
    std::string order = "short";   // short: the shortest first; found: as the scan met them
    bool scene_detection = true;   // find changes of scene
    // What finds them: builtin, or the model transnetv2.
    std::string scene_model = "builtin";
    double track_fps = 5.0;     // most frames looked at per second to follow what moves; up to fps: no more than that
    std::string action_labels;  // file of labels; empty: the shipped actions.yaml
    bool use_nvidia_build = false;  // send frames to the cloud models of nvidia_build
    // Which: scenes: the best one of each; all: each that is analyzed.
    std::string nvidia_frames = "scenes";
  } video;
  struct {
    bool enabled = true;                // what is heard in videos and recordings
    std::string speech_model = "auto";  // auto: the best installed one; none
    std::string voice_model = "auto";   // likewise: what finds where somebody speaks
    std::string music = "auto";         // likewise: what finds speech, singing and music
    std::string tagging = "auto";       // likewise: what names other sounds
    std::string language = "auto";      // spoken; auto: found out for each file; else ISO 639 ("de")
    bool translate = false;             // what is said to English
    std::string track = "auto";         // of several: auto: the default one; a number from 1; a language
    std::string subtitles = "prefer";   // prefer: where there are subtitles, they say what is said; ignore
  } audio;
  NvidiaBuildConfig nvidia_build;
  struct {
    std::string level = "info";  // trace, debug, info, warn, error, off
  } log;

  std::vector<std::string> files;                            // that were read, later ones over earlier ones
  std::map<std::string, ConfigOrigin, std::less<>> origins;  // by dotted key; absent: kDefault

  // `processing.workers` with 0 resolved to the number of cores this process may use; at least 1.
  [[nodiscard]] unsigned worker_count() const;

  // `processing.memory_mb` in bytes; for 0: 256 MiB per worker, at least 512 MiB. `has_gpu`: also at least an eighth of
  // the machine's memory, since only large batches keep a GPU busy.
  [[nodiscard]] std::uint64_t memory_budget(bool has_gpu) const;
};

// Defaults, then the files, then the environment (flags follow through `set`). The files are those `named` (--config
// flags; later ones override earlier ones), or $IMAGE_ENGINE_CONFIG, each as find_config_file() takes it, or else
// $XDG_CONFIG_HOME/image-engine/config.yaml if that exists. IMAGE_ENGINE_LOG_LEVEL, IMAGE_ENGINE_USE_TENSORRT,
// IMAGE_ENGINE_MODELS and NVIDIA_BASE_URL override the file; an empty variable counts as unset. Errors: kNotFound (no
// such file), kInvalidArgument (names file, line, key and the allowed values or the nearest key).
Result<Config> load_config(std::vector<std::string> named = {});

// Applies YAML text over `config`; `file` is only its name for messages. On an error `config` is unchanged.
Status apply_yaml(Config& config, std::string_view text, const std::string& file);

// Sets one key from text as a flag would, by the same table and errors. Lists are separated by commas.
Status set(Config& config, std::string_view key, std::string_view value, ConfigOrigin origin = ConfigOrigin::kFlag);

// Sets a list; items are not split.
Status set(Config& config, std::string_view key, std::vector<std::string> items,
           ConfigOrigin origin = ConfigOrigin::kFlag);

// "optimized" → the path of the shipped optimized_config.yaml; a path that exists → itself; "optimized_config.yaml" and
// "config/optimized_config.yaml", where the current folder has none → the shipped one; kNotFound else.
Result<std::string> find_config_file(std::string_view named);

struct ConfigEntry {
  std::string key;    // dotted
  std::string value;  // in the form that set() takes
  ConfigOrigin origin = ConfigOrigin::kDefault;
  std::string help;     // one line
  std::string allowed;  // "1…1024", "fp32, fp16, int8", "true or false"; empty: any text
};

// Every key in the table's order, with its effective value.
std::vector<ConfigEntry> describe(const Config& config);

}  // namespace image_engine
