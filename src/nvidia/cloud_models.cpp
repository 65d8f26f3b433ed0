#include "nvidia/cloud_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <future>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>

#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "nvidia/answer_store.h"
#include "nvidia/dialects.h"
#include "nvidia/sent_log.h"

namespace image_engine::nvidia {
namespace {

constexpr std::array kTasks = {Task::kDetect, Task::kDescribe, Task::kEmbed};
constexpr double kUsualSeconds = 8;  // for an answer when servers are slow
constexpr int kMostThreads = 32;

std::size_t index_of(Task task) { return static_cast<std::size_t>(task); }

using Vector = std::vector<float>;

// A server's answer, and the size of the picture that it received.
struct Response {
  std::uint32_t width = 0, height = 0;
  std::string body;
};

// "WIDTH HEIGHT" and a line break, then the body.
std::string written(const Response& response) {
  return fmt::format("{} {}\n{}", response.width, response.height, response.body);
}

std::optional<Response> read(const std::string& text) {
  Response response;
  const char* const end = text.data() + text.size();
  const auto width = std::from_chars(text.data(), end, response.width);
  if (width.ec != std::errc{} || width.ptr == end || *width.ptr != ' ') return std::nullopt;
  const auto height = std::from_chars(width.ptr + 1, end, response.height);
  if (height.ec != std::errc{} || height.ptr == end || *height.ptr != '\n') return std::nullopt;
  response.body.assign(height.ptr + 1, end);
  return response;
}

// The size of the picture that an answer is about, if known.
Scale scale_of(const Response& response, const Picture& picture) {
  Scale scale = picture.scale;
  if (response.width > 0 && response.height > 0) scale.width = response.width, scale.height = response.height;
  return scale;
}

// Reads a body for a picture sent at this size, or checks that it can be read.
template <typename T>
using Reader = std::function<Result<T>(std::string_view body, const Scale& scale)>;
using Sound = std::function<Status(std::string_view body, const Scale& scale)>;

// The enabled tasks.
std::vector<Task> enabled_tasks(const NvidiaBuildConfig& config) {
  std::vector<Task> tasks;
  if (config.retail_detection.enabled) tasks.push_back(Task::kDetect);
  if (config.vision_language.enabled) tasks.push_back(Task::kDescribe);
  return tasks;
}

// The key, or none if no server needs it and there is none.
Result<ApiKey> key_for(const NvidiaBuildConfig& config, const CloudOptions& options, bool is_needed) {
  Result<ApiKey> key = ApiKey::load(config.api_key_env, options.key_files);
  if (!key && !is_needed && key.error().code == ErrorCode::kNotFound) return ApiKey();
  return key;
}

}  // namespace

struct CloudModels::State {
  NvidiaBuildConfig config;
  std::array<Endpoint, kTasks.size()> endpoints;
  std::unique_ptr<Client> client;
  AnswerStore store;
  Transport line;

  std::mutex mutex;
  std::map<Hash128, std::shared_future<Result<Response>>> asking;  // questions in flight

  State(NvidiaBuildConfig configuration, AnswerStore answers)
      : config(std::move(configuration)), store(std::move(answers)) {}

  [[nodiscard]] const Endpoint& endpoint(Task task) const { return endpoints[index_of(task)]; }
  [[nodiscard]] std::string asked(Task task, const std::string& prompt) const;
  [[nodiscard]] Hash128 question(Task task, const Hash128& content, const std::string& prompt) const;
  [[nodiscard]] std::optional<Response> at_hand(const Hash128& question) const;
  [[nodiscard]] Hash128 text_question(const std::string& text) const;
  [[nodiscard]] std::optional<Vector> known_vector(const std::string& text) const;
  Result<std::vector<Vector>> ask_vectors(const Question& texts) const;
  void keep(const Hash128& question, const Endpoint& endpoint, std::string_view answer) const;
  Result<Response> ask_server(const Endpoint& endpoint, const Question& question, const Sound& sound) const;
  Result<Response> ask_and_keep(const Hash128& name, const Endpoint& endpoint, const Question& question,
                                const Sound& sound) const;
  Result<Answered<Response>> respond(Task task, const Question& question, const Sound& sound);
  template <typename T>
  Result<Answered<T>> answer(Task task, const Question& question, const Reader<T>& read);
};

// Everything that changes a server's answer besides the picture. Servers on this machine count as one: their ports
// change.
std::string CloudModels::State::asked(Task task, const std::string& prompt) const {
  const Endpoint& to = endpoint(task);
  std::string text = fmt::format("{}|{}|{}|{}|{}", to.local ? "local " + to.name : to.url, dialect_name(to.dialect),
                                 to.model, to.edge, index_of(task));
  if (task == Task::kDetect) text += fmt::format("|{}", config.retail_detection.confidence_threshold);
  const VisionLanguageConfig& describe = config.vision_language;
  if (task == Task::kDescribe) text += fmt::format("|{}|{}|{}", describe.max_tokens, describe.temperature, prompt);
  return text;
}

// Zero for pictures without a content hash, which are requested each time.
Hash128 CloudModels::State::question(Task task, const Hash128& content, const std::string& prompt) const {
  return content.empty() ? Hash128{} : hash128(content.hex() + "|" + asked(task, prompt));
}

std::optional<Response> CloudModels::State::at_hand(const Hash128& question) const {
  const auto text = question.empty() ? std::nullopt : store.find(question);
  return text ? read(*text) : std::nullopt;
}

// The answer was paid for: return it even if storing it failed.
void CloudModels::State::keep(const Hash128& question, const Endpoint& endpoint, std::string_view answer) const {
  if (const Status kept = store.put(question, answer); !kept)
    log_warning("an answer of {} could not be stored: {}", endpoint.name, printable(kept.error().message));
}

// An invalid answer may be a single slip of the model: request it once more.
Result<Response> CloudModels::State::ask_server(const Endpoint& endpoint, const Question& question,
                                                const Sound& sound) const {
  const Scale& scale = question.picture->scale;
  const Reads reads = [&](std::string_view body) { return sound(body, scale); };
  Result<std::string> body = ask(endpoint, question, line, reads);
  if (!body && body.error().code == ErrorCode::kCorrupt) body = ask(endpoint, question, line, reads);
  if (!body) return fail(std::move(body).error());
  return Response{scale.width, scale.height, std::move(*body)};
}

Result<Response> CloudModels::State::ask_and_keep(const Hash128& name, const Endpoint& endpoint,
                                                  const Question& question, const Sound& sound) const {
  Result<Response> response = ask_server(endpoint, question, sound);
  if (response && !name.empty()) keep(name, endpoint, written(*response));
  return response;
}

// From the journal or the cache, from another thread with the same request in flight, or from the server.
Result<Answered<Response>> CloudModels::State::respond(Task task, const Question& asked_now, const Sound& sound) {
  const Picture& picture = *asked_now.picture;
  const Hash128 name = question(task, picture.content, asked_now.prompt);
  const auto from_server = [&]() -> Result<Answered<Response>> {
    IE_TRY(Response response, ask_and_keep(name, endpoint(task), asked_now, sound));
    return Answered<Response>{std::move(response), name, true};
  };
  if (name.empty()) return from_server();

  std::promise<Result<Response>> promise;
  std::unique_lock lock(mutex);
  if (const auto found = asking.find(name); found != asking.end()) {
    const auto other = found->second;
    lock.unlock();
    IE_TRY(Response response, Result<Response>(other.get()));
    return Answered<Response>{std::move(response), name, false};
  }
  asking.emplace(name, promise.get_future().share());
  lock.unlock();

  auto known = at_hand(name);
  if (known && !sound(known->body, scale_of(*known, picture))) known.reset();
  auto answered =
      known ? Result<Answered<Response>>(Answered<Response>{std::move(*known), name, false}) : from_server();
  promise.set_value(answered ? Result<Response>(answered->answer) : Result<Response>(fail(answered.error())));
  lock.lock();
  asking.erase(name);
  return answered;
}

template <typename T>
Result<Answered<T>> CloudModels::State::answer(Task task, const Question& asked_now, const Reader<T>& read) {
  const Sound sound = [&](std::string_view body, const Scale& scale) -> Status {
    IE_CHECK(read(body, scale));
    return {};
  };
  IE_TRY(const Answered<Response> response, respond(task, asked_now, sound));
  IE_TRY(T answer, read(response.answer.body, scale_of(response.answer, *asked_now.picture)));
  return Answered<T>{std::move(answer), response.question, response.paid};
}

Hash128 CloudModels::State::text_question(const std::string& text) const {
  return hash128("text|" + text + "|" + asked(Task::kEmbed, ""));
}

std::optional<Vector> CloudModels::State::known_vector(const std::string& text) const {
  const auto body = store.find(text_question(text));
  if (!body) return std::nullopt;
  auto vectors = read_vectors(*body, 1);
  return vectors ? std::optional(std::move(vectors->front())) : std::nullopt;
}

// Only the cache: queries' vectors never reach the catalogue.
Result<std::vector<Vector>> CloudModels::State::ask_vectors(const Question& texts) const {
  std::vector<Vector> vectors;
  const auto reads = [&](std::string_view body) -> Status {
    IE_TRY(vectors, read_vectors(body, texts.texts.size()));
    return {};
  };
  IE_CHECK(ask(endpoint(Task::kEmbed), texts, line, reads));
  for (std::size_t i = 0; config.caching.enabled && i < vectors.size(); ++i) {
    const Hash128 name = text_question(texts.texts[i]);
    keep(name, endpoint(Task::kEmbed), json_text(nlohmann::json{{"embedding", vectors[i]}}));
    store.kept(name);
  }
  return vectors;
}

CloudModels::CloudModels(std::unique_ptr<State> state) : state_(std::move(state)) {}
CloudModels::~CloudModels() = default;

Result<std::unique_ptr<CloudModels>> CloudModels::open(const NvidiaBuildConfig& config, CloudOptions options) {
  IE_TRY(AnswerStore store, AnswerStore::open(config.caching));
  auto state = std::make_unique<State>(config, std::move(store));
  ClientOptions client;
  for (const Task task : kTasks) {
    IE_TRY(Endpoint endpoint, endpoint_of(config, task));
    client.key_urls.push_back(endpoint.url);
    if (!endpoint.assets_url.empty()) client.key_urls.push_back(endpoint.assets_url);
    state->endpoints[index_of(task)] = std::move(endpoint);
  }
  const std::vector<Task> tasks = options.tasks.empty() ? enabled_tasks(config) : options.tasks;
  const bool needs_key = std::ranges::any_of(tasks, [&](Task task) { return !state->endpoint(task).local; });
  if (!options.sends_nothing) {
    IE_TRY(client.key, key_for(config, options, needs_key));
  }

  const RateLimitingConfig& rate = config.rate_limiting;
  client.requests_per_minute = static_cast<double>(rate.max_requests_per_minute);
  client.retry_attempts = static_cast<int>(rate.retry_attempts);
  client.retry_delay = std::chrono::milliseconds(std::llround(rate.retry_delay * 1000));
  client.timeout = std::chrono::milliseconds(std::llround(rate.timeout_seconds * 1000));
  client.max_requests = static_cast<std::uint64_t>(config.max_requests);
  client.state_folder = join_path(data_home(), "nvidia");
  client.sent_log = sent_log_path();
  client.stop = options.stop;
  client.clock = options.clock;
  state->line.timeout = client.timeout;
  state->line.grace = client.grace;
  state->line.stop = std::move(options.stop);
  state->line.clock = options.clock;
  IE_TRY(state->client, Client::create(std::move(client)));
  state->line.send = [to = state->client.get()](const Request& request) { return to->send(request); };
  return std::unique_ptr<CloudModels>(new CloudModels(std::move(state)));
}

const Endpoint& CloudModels::endpoint(Task task) const { return state_->endpoint(task); }

std::string CloudModels::params(Task task, const std::string& prompt) const {
  const NvidiaBuildConfig& config = state_->config;
  std::string text = state_->asked(task, prompt.empty() ? config.vision_language.photo_prompt : prompt);
  if (task == Task::kDetect) text += fmt::format("|{}", config.retail_detection.max_detections);
  return text;
}

int CloudModels::requests_each(Task task) const { return nvidia::requests_each(endpoint(task)); }

int CloudModels::threads() const {
  const RateLimitingConfig& rate = state_->config.rate_limiting;
  if (rate.max_concurrent > 0) return static_cast<int>(rate.max_concurrent);
  const double wanted = std::ceil(static_cast<double>(rate.max_requests_per_minute) / 60 * kUsualSeconds);
  return static_cast<int>(std::clamp(wanted, 1.0, double{kMostThreads}));
}

bool CloudModels::has(Task task, const Hash128& content, const std::string& prompt) const {
  const std::string& asked = prompt.empty() ? state_->config.vision_language.photo_prompt : prompt;
  return state_->at_hand(state_->question(task, content, asked)).has_value();
}

Result<Answered<RetailProducts>> CloudModels::detect(const Picture& picture) {
  const RetailDetectionConfig& config = state_->config.retail_detection;
  Question question{&picture};
  question.threshold = config.confidence_threshold;
  return state_->answer<RetailProducts>(Task::kDetect, question, [&](std::string_view body, const Scale& scale) {
    return read_products(body, scale, config.confidence_threshold, static_cast<std::size_t>(config.max_detections));
  });
}

Result<Answered<Description>> CloudModels::describe(const Picture& picture, const std::string& prompt) {
  const VisionLanguageConfig& config = state_->config.vision_language;
  Question question{&picture};
  question.prompt = prompt.empty() ? config.photo_prompt : prompt;
  question.max_tokens = config.max_tokens;
  question.temperature = config.temperature;
  return state_->answer<Description>(Task::kDescribe, question,
                                     [](std::string_view body, const Scale&) { return read_description(body); });
}

Result<Answered<std::vector<float>>> CloudModels::embed(const Picture& picture) {
  return state_->answer<Vector>(Task::kEmbed, Question{&picture},
                                [](std::string_view body, const Scale&) -> Result<Vector> {
                                  IE_TRY(std::vector<Vector> vectors, read_vectors(body, 1));
                                  return std::move(vectors.front());
                                });
}

Result<std::vector<std::vector<float>>> CloudModels::embed_texts(const std::vector<std::string>& texts) {
  std::vector<Vector> vectors(texts.size());
  std::vector<std::size_t> unknown;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (auto known = state_->known_vector(texts[i]))
      vectors[i] = std::move(*known);
    else
      unknown.push_back(i);
  }
  const std::size_t most = std::max<std::size_t>(most_texts(endpoint(Task::kEmbed)), 1);
  for (std::size_t start = 0; start < unknown.size(); start += most) {
    const auto some = std::span(unknown).subspan(start, std::min(most, unknown.size() - start));
    Question question;
    for (const std::size_t i : some) question.texts.push_back(texts[i]);
    IE_TRY(std::vector<Vector> answered, state_->ask_vectors(question));
    for (std::size_t k = 0; k < some.size(); ++k) vectors[some[k]] = std::move(answered[k]);
  }
  return vectors;
}

void CloudModels::kept(const Hash128& question) {
  if (!question.empty()) state_->store.kept(question);
}

Client& CloudModels::client() { return *state_->client; }

}  // namespace image_engine::nvidia
