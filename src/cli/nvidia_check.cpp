// `nvidia check`: whether cloud models are reachable, and the remedy if not.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "cli/canvas.h"
#include "cli/findings.h"
#include "cli/nvidia.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "models/http_exchange.h"
#include "models/install_paths.h"
#include "models/registry.h"
#include "nvidia/answer_store.h"
#include "nvidia/cloud_models.h"
#include "pipeline/cloud_ask.h"
#include "types/image.h"

namespace image_engine::cli {
namespace {

using nlohmann::json;
using nvidia::CloudModels;
using nvidia::Endpoint;
using nvidia::Task;

constexpr char kNvidiaCheckExamples[] = R"(
Examples:
  image-engine nvidia check
  image-engine nvidia check --env-file secrets.env
  image-engine nvidia check --call --json | jq '.findings[] | select(.well | not)'

Servers get a request without key and picture: NVIDIA's answer it to anybody, so only --call, one paid request to each
endpoint with a picture of 64 × 64 grey pixels, verifies the key.
Exit code 0 if there is no problem, 1 otherwise.)";

constexpr std::chrono::seconds kPatience{20};  // for a server's first answer
constexpr std::uint32_t kEdge = 64;            // pixels, of the picture that --call sends

struct NvidiaCheckFlags {
  std::string env_file;
  bool call = false;
};

// A kind of request, and whether it is configured.
struct Row {
  Task task;
  const char* name;
  bool (*is_on)(const Config& config);
  Status (*ask)(CloudModels& models, const nvidia::Picture& picture);
};

// Vectors have no switch: their endpoint counts if it is configured, or if a server's model is.
bool wants_vectors(const Config& config) {
  constexpr std::string_view kKeys = "nvidia_build.embedding.";
  const auto first = config.origins.lower_bound(kKeys);
  if (first != config.origins.end() && first->first.starts_with(kKeys)) return true;
  const models::InstallPaths paths = models::find_install_paths(config.models.folder);
  const Result<models::Registry> registry = models::Registry::load(paths.shipped, paths.added);
  if (!registry) return false;
  const Result<const models::Spec*> wanted = registry->find(config.analysis.ml_models.embedding_model);
  return wanted && !(*wanted)->server.empty();
}

constexpr Row kRows[] = {
    {Task::kDetect, "products", [](const Config& config) { return config.nvidia_build.retail_detection.enabled; },
     [](CloudModels& models, const nvidia::Picture& picture) -> Status {
       IE_CHECK(models.detect(picture));
       return {};
     }},
    {Task::kDescribe, "descriptions", [](const Config& config) { return config.nvidia_build.vision_language.enabled; },
     [](CloudModels& models, const nvidia::Picture& picture) -> Status {
       IE_CHECK(models.describe(picture));
       return {};
     }},
    {Task::kEmbed, "vectors", wants_vectors,
     [](CloudModels& models, const nvidia::Picture& picture) -> Status {
       IE_CHECK(models.embed(picture));
       return {};
     }},
};

// The remedy for an error of a request.
struct Advice {
  ErrorCode code;
  const char* text;
};
constexpr Advice kAdvice[] = {
    {ErrorCode::kPermission,
     "the key was refused, or no credits are left: make a new key at https://build.nvidia.com (\"API Keys\")"},
    {ErrorCode::kNotFound,
     "the model is discontinued, or not available to this account: docs/nvidia.md lists others; set url, model or "
     "dialect"},
    {ErrorCode::kInvalidArgument, "the server does not support this format: set another dialect (docs/nvidia.md)"},
    {ErrorCode::kCorrupt, "this is not an answer of such a model: check the URL and the dialect"},
    {ErrorCode::kTooLarge, "the server accepts less than expected: check the URL and the dialect"},
    {ErrorCode::kBusy, "wait, or lower nvidia_build.rate_limiting.max_requests_per_minute, or raise max_requests"},
    {ErrorCode::kTimeout, "wait, or raise nvidia_build.rate_limiting.timeout_seconds"},
    {ErrorCode::kIo,
     "check the URL (nvidia_build.base_url, NVIDIA_BASE_URL) and the network; HTTPS_PROXY names a proxy, "
     "SSL_CERT_FILE certificates to trust"},
};

std::string advice_for(const Error& error) {
  for (const Advice& advice : kAdvice)
    if (advice.code == error.code) return advice.text;
  return "";
}

class Check {
 public:
  Check(const Context& context, const NvidiaCheckFlags& flags) : context_(context), flags_(flags) {
    config_ = context.config.nvidia_build;
    config_.rate_limiting.retry_attempts = 0;  // the failure is the result
    for (const Row& row : kRows)
      if (row.is_on(context.config)) tasks_.push_back(row.task);
  }

  Result<int> run() {
    IE_CHECK(tell_configuration());
    if (const Status opened = open_models(); !opened) return stop(opened.error());
    for (const auto& [origin, url] : servers()) reach(url);
    if (flags_.call) IE_CHECK(call());
    if (interrupted()) return kInterrupted;
    print();
    return is_well() ? kDone : kFailed;
  }

 private:
  [[nodiscard]] bool is_on(Task task) const { return std::ranges::find(tasks_, task) != tasks_.end(); }
  [[nodiscard]] bool is_well() const { return std::ranges::all_of(findings_, &Finding::well); }

  void add(std::string what, std::string found, bool well = true, std::string advice = {}) {
    findings_.push_back({std::move(what), std::move(found), well, std::move(advice)});
  }

  Status tell_configuration() {
    add("cloud models", config_.enabled ? "analyze uses them" : "off: analyze uses them only with --nvidia");
    add("base_url", models::without_secrets(config_.base_url));
    for (const Row& row : kRows) {
      IE_TRY(const Endpoint endpoint, nvidia::endpoint_of(config_, row.task));
      add(row.name, is_on(row.task) ? fmt::format("{} {}{}{}", nvidia::dialect_name(endpoint.dialect),
                                                  models::without_secrets(endpoint.url),
                                                  endpoint.model.empty() ? "" : ", ", endpoint.model)
                                    : "off");
      endpoints_.push_back(endpoint);
    }
    if (tasks_.empty()) add("endpoints", "none is enabled", false, "set nvidia_build.vision_language.enabled, for one");
    const RateLimitingConfig& rate = context_.config.nvidia_build.rate_limiting;
    add("rate", fmt::format("{} per minute, {}",
                            human_count(static_cast<std::uint64_t>(rate.max_requests_per_minute), "request"),
                            human_count(static_cast<std::uint64_t>(rate.retry_attempts), "retry", "retries")));
    return tell_cache();
  }

  Status tell_cache() {
    IE_TRY(const nvidia::AnswerStore::Cleared kept, nvidia::AnswerStore::count(config_.caching));
    const std::string held = fmt::format("{}: {}, {}", nvidia::AnswerStore::folder(config_.caching),
                                         human_count(kept.answers, "answer"), human_bytes(kept.bytes));
    add("cache", config_.caching.enabled ? held : held + " (caching is off)");
    add("journal", human_count(nvidia::AnswerStore::waiting(), "answer") + " not in the catalogue yet");
    return {};
  }

  // Prints the source of the key, never the key.
  Status open_models() {
    nvidia::CloudOptions options;
    options.key_files = pipeline::key_files(context_.catalogue, flags_.env_file);
    options.tasks = tasks_;
    options.stop = interruption();
    IE_TRY(models_, CloudModels::open(config_, std::move(options)));
    const std::string& source = models_->client().key_source();
    add("key", source.empty() ? "none, and none is needed: all servers are local" : "in " + source);
    return {};
  }

  // Without a key, or folders for state, nothing can be sent.
  Result<int> stop(const Error& error) {
    const bool is_key = error.code == ErrorCode::kNotFound || error.code == ErrorCode::kInvalidArgument;
    add(is_key ? "key" : "folders", "none is usable", false, context_.json ? error.message : "");
    print();
    return fail(error);
  }

  // A URL of each required server, by its origin.
  [[nodiscard]] std::map<std::string, std::string> servers() const {
    std::map<std::string, std::string> all;
    const auto add_url = [&](const std::string& url) {
      if (const Result<std::string> origin = models::origin_of(url)) all.emplace(*origin, url);
    };
    for (const Endpoint& endpoint : endpoints_) {
      if (!is_on(endpoint.task)) continue;
      add_url(endpoint.url);
      if (!endpoint.assets_url.empty()) add_url(endpoint.assets_url);
    }
    return all;
  }

  void reach(const std::string& url) {
    const std::string server = url.substr(0, url.find_first_of("/?", url.find("://") + 3));
    models::HttpCall request;
    request.url = server + "/v1/models";
    request.timeout = kPatience;
    request.keep_going = [] { return !interrupted(); };
    const auto start = std::chrono::steady_clock::now();
    const models::HttpOutcome outcome = models::HttpConnections().exchange(request);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    const int status = outcome.head.status;
    if (status == 0) {
      const Error error = outcome.error.value_or(Error{ErrorCode::kIo, "no answer"});
      return add(server, error.message, false, advice_for(error));
    }
    add(server, fmt::format("answers (HTTP {}, {:.0f} ms); {}", status, took.count(), rate_left(url)), status < 500,
        status < 500 ? "" : "the server has problems: try later");
  }

  [[nodiscard]] std::string rate_left(const std::string& url) const {
    const Result<double> left = models_->client().rate_left(url);
    if (!left) return left.error().message;
    if (!std::isfinite(*left)) return "no limit of requests";
    return fmt::format("{:.0f} requests are left in this minute", std::floor(*left));
  }

  // One request to each enabled endpoint, with a picture prepared as by `analyze`. Answers are not stored.
  Status call() {
    const std::vector<std::uint8_t> grey(std::size_t{kEdge} * kEdge * 3, 128);
    IE_TRY(const std::vector<std::byte> png, Canvas(ImageView{kEdge, kEdge, grey}).png());
    IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
    const std::string path = join_path(folder.path(), "grey.png");
    IE_CHECK(write_file_atomically(path, std::span(png), 0600));
    Config config = context_.config;
    config.nvidia_build.privacy = {};  // it is nobody's picture
    IE_TRY(pipeline::PickedPhotos photos, pipeline::PickedPhotos::open(config, context_.catalogue));
    for (const Row& row : kRows) {
      if (!is_on(row.task) || interrupted()) continue;
      IE_TRY(nvidia::Picture picture, photos.show(path, models_->endpoint(row.task)));
      picture.content = {};
      picture.path = "nvidia check";
      const auto start = std::chrono::steady_clock::now();
      const Status asked = row.ask(*models_, picture);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      const std::string what = fmt::format("call: {}", row.name);
      if (asked)
        add(what, fmt::format("answered in {}", human_duration(took.count())));
      else
        add(what, asked.error().message, false, advice_for(asked.error()));
    }
    return {};
  }

  void print() const {
    if (!context_.json) {
      print_findings(context_, findings_);
      if (models_ && !flags_.call && !context_.quiet) {
        print_line("");
        print_line("Only a paid request verifies the key: image-engine nvidia check --call");
      }
      return;
    }
    json list = json::array();
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      const Endpoint& endpoint = endpoints_[i];
      list.push_back({{"task", kRows[i].name},
                      {"on", is_on(endpoint.task)},
                      {"dialect", nvidia::dialect_name(endpoint.dialect)},
                      {"url", models::without_secrets(endpoint.url)},
                      {"model", endpoint.model},
                      {"local", endpoint.local}});
    }
    print_json("nvidia-check", {{"well", is_well()},
                                {"enabled", config_.enabled},
                                {"endpoints", std::move(list)},
                                {"findings", findings_json(findings_)}});
  }

  const Context& context_;
  const NvidiaCheckFlags& flags_;
  NvidiaBuildConfig config_;
  std::vector<Task> tasks_;
  std::vector<Endpoint> endpoints_;  // as kRows
  std::vector<Finding> findings_;
  std::unique_ptr<CloudModels> models_;
};

}  // namespace

Action setup_nvidia_check(Arguments app) {
  auto flags = std::make_shared<NvidiaCheckFlags>();
  app.add_flag("--call", flags->call, "Also send one tiny paid request to each enabled endpoint, to verify the key");
  app.add_option("--env-file", flags->env_file, "A file with the line NVIDIA_API_KEY=…").type_name("FILE");
  app.footer(kNvidiaCheckExamples);
  return [flags](Context& context) -> Result<int> {
    IE_CHECK(catch_interrupts());
    return Check(context, *flags).run();
  };
}

}  // namespace image_engine::cli
