#include "nvidia/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <set>

#include "core/log.h"
#include "core/text.h"
#include "models/http_exchange.h"
#include "nvidia/pacer.h"
#include "nvidia/sent_log.h"
#include "nvidia/server_error.h"

namespace image_engine::nvidia {
namespace {

using models::HttpCall;
using models::HttpOutcome;
using std::chrono::milliseconds;

constexpr std::chrono::minutes kLongestQuiet{10};  // longest Retry-After to wait for
constexpr std::chrono::minutes kLongestDelay{2};   // longest delay of our own between tries
constexpr std::chrono::seconds kLatest{1};         // latest start of a request after its slot
constexpr int kMostRefusals = 3;                   // refusals of the key in a row
constexpr std::uint64_t kMostErrorBytes = std::uint64_t{1} << 16;

// A random part from half to all of the delay, so that requests that failed together are not retried together.
milliseconds backoff(milliseconds first, int retries) {
  milliseconds delay = std::min<milliseconds>(first, kLongestDelay);
  for (int i = 0; i < retries && delay < kLongestDelay; ++i) delay *= 2;
  std::random_device chance;
  const double share = std::uniform_real_distribution(0.5, 1.0)(chance);
  return std::chrono::duration_cast<milliseconds>(std::min<milliseconds>(delay, kLongestDelay) * share);
}

// "https host 443" → "host".
std::string host_and_port(const std::string& origin) {
  const size_t first = origin.find(' '), last = origin.rfind(' ');
  const std::string scheme = origin.substr(0, first), port = origin.substr(last + 1);
  const std::string host = origin.substr(first + 1, last - first - 1);
  return port == (scheme == "https" ? "443" : "80") ? host : host + ":" + port;
}

// "vlm/a-model (upload)".
std::string label_of(const Request& request) {
  return request.part.empty() ? request.endpoint : fmt::format("{} ({})", request.endpoint, request.part);
}

// Why a server or an endpoint must not be asked.
struct Standing {
  int refusals = 0;  // of the key, in a row
  std::optional<Error> refused;
};

// Whether a request that continues after a stop request must end.
class Deadline {
 public:
  Deadline(std::stop_token stop, milliseconds grace) : stop_(std::move(stop)), grace_(grace) {}
  bool over() {
    if (!stop_.stop_requested()) return false;
    const auto now = std::chrono::steady_clock::now();
    if (!begin_) begin_ = now;
    return now - *begin_ >= grace_;
  }

 private:
  std::stop_token stop_;
  milliseconds grace_;
  std::optional<std::chrono::steady_clock::time_point> begin_;
};

// A request in flight.
struct Sending {
  const Request& request;
  std::string origin;
  Deadline deadline;
};

// The result of one try.
struct Try {
  std::optional<Error> error;
  bool again = false;
  std::optional<std::chrono::seconds> quiet;  // that the server asks for
  Reply reply;
};

}  // namespace

std::string Reply::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

struct Client::State {
  ClientOptions options;
  std::set<std::string> key_origins;
  std::once_flag key_told;
  models::HttpConnections connections;

  mutable std::mutex mutex;  // of what follows
  std::map<std::string, Pacer> pacers;
  Usage usage;
  std::uint64_t paid = 0;
  std::map<std::string, Standing> origins, endpoints;

  // Whether a server is the service itself: it is paced, and its answers about keys and credits count.
  [[nodiscard]] bool is_service(const std::string& origin) const {
    return options.key.empty() || key_origins.contains(origin);
  }
  [[nodiscard]] std::optional<Error> why_refused(const std::string& origin, const std::string& endpoint) const {
    const std::scoped_lock lock(mutex);
    for (const auto& [standings, name] : {std::pair(&origins, &origin), std::pair(&endpoints, &endpoint)})
      if (const auto found = standings->find(*name); found != standings->end() && found->second.refused)
        return found->second.refused;
    return std::nullopt;
  }
  // Why requests are useless, if so.
  [[nodiscard]] std::optional<Error> stopped(const Sending& sending) const {
    if (std::optional<Error> refused = why_refused(sending.origin, sending.request.endpoint)) return refused;
    if (options.stop.stop_requested()) return Error{ErrorCode::kInterrupted, "interrupted"};
    return std::nullopt;
  }
  // Why a request must not continue, if so.
  [[nodiscard]] std::optional<Error> ended(Sending& sending) const {
    if (!sending.request.finishes) return stopped(sending);
    if (sending.deadline.over()) return Error{ErrorCode::kInterrupted, "interrupted"};
    return std::nullopt;
  }
  [[nodiscard]] int retries_of(const Sending& sending) const {
    return stopped(sending) ? std::min(options.retry_attempts, 1) : options.retry_attempts;
  }

  Result<Pacer*> pacer_of(const std::string& origin) {
    const std::scoped_lock lock(mutex);
    const auto found = pacers.find(origin);
    if (found != pacers.end()) return &found->second;
    IE_TRY(Pacer pacer, Pacer::open(options.state_folder, origin, options.requests_per_minute, *options.clock));
    return &pacers.emplace(origin, std::move(pacer)).first->second;
  }

  Status wait_until(Time time, Sending& sending) {
    const Time begin = options.clock->now();
    std::optional<Error> error;
    options.clock->wait_until(time, [&] { return (error = ended(sending)).has_value(); });
    const std::chrono::duration<double> length = options.clock->now() - begin;
    {
      const std::scoped_lock lock(mutex);
      usage.waited_seconds += std::max(0.0, length.count());
    }
    if (error) return fail(std::move(*error));
    return {};
  }

  // A slot is not used after the server asked for a pause, nor late, after the program was suspended: others have the
  // next ones.
  Status wait_for_slot(Pacer& pacer, Sending& sending) {
    for (;;) {
      IE_TRY(const Time slot, pacer.take());
      IE_CHECK(wait_until(slot, sending));
      IE_TRY(const Time held, pacer.held_until());
      if (held <= slot && options.clock->now() - slot < kLatest) return {};
    }
  }

  Status count(const Request& request) {
    const std::scoped_lock lock(mutex);
    if (!request.paid) return {};
    if (options.max_requests > 0 && paid >= options.max_requests)
      return fail(ErrorCode::kBusy, fmt::format("the {} allowed requests are used up", options.max_requests));
    ++paid;
    return {};
  }
  void uncount(const Request& request) {
    const std::scoped_lock lock(mutex);
    if (request.paid) --paid;
  }

  // Sends one request, logged and counted.
  Result<Try> attempt(Sending& sending) {
    const Request& request = sending.request;
    const std::string& origin = sending.origin;
    IE_CHECK(count(request));
    std::optional<SentLine> line;
    if (!options.sent_log.empty()) {
      Result<SentLine> begun = SentLine::begin(
          options.sent_log, {host_and_port(origin), label_of(request), request.about, request.body.size()});
      if (!begun) {
        uncount(request);
        return fail(std::move(begun).error());
      }
      line = std::move(*begun);
    }
    std::string body;
    const HttpOutcome outcome = exchange(sending, body);
    if (outcome.sent) {
      const std::scoped_lock lock(mutex);
      ++usage.requests;
      usage.sent_bytes += request.body.size();
      usage.received_bytes += body.size();
    } else {
      uncount(request);
    }
    if (line && (!outcome.sent || outcome.head.status > 0)) line->end(outcome.head.status);
    return judge(request, origin, outcome, std::move(body));
  }

  HttpOutcome exchange(Sending& sending, std::string& body) {
    const Request& request = sending.request;
    HttpCall call;
    call.url = request.url;
    call.method = request.method;
    call.headers = request.headers;
    if (request.with_key && !options.key.empty() && key_origins.contains(sending.origin)) {
      std::call_once(key_told,
                     [&] { log_info("{} gets the key from {}", host_and_port(sending.origin), options.key.source()); });
      call.headers.emplace_back("Authorization", fmt::format("Bearer {}", options.key.text()));
    }
    call.body = request.body;
    call.timeout = options.timeout;
    call.slow_time = std::chrono::seconds(0);
    call.public_only = request.public_only;
    call.keep_going = [&] { return !sending.deadline.over(); };
    bool is_error = false;
    call.on_head = [&](const models::HttpHead& head) {
      is_error = head.status >= 400;
      return Status{};
    };
    call.on_body = [&](std::string_view piece) -> Status {
      if (is_error) {
        body.append(piece.substr(0, kMostErrorBytes - std::min<std::uint64_t>(kMostErrorBytes, body.size())));
        return {};
      }
      if (body.size() + piece.size() > request.most_bytes)
        return fail(ErrorCode::kTooLarge, fmt::format("the answer is larger than {}", human_bytes(request.most_bytes)));
      body.append(piece);
      return {};
    };
    return connections.exchange(call);
  }

  Try judge(const Request& request, const std::string& origin, const HttpOutcome& outcome, std::string body) {
    Try result;
    const int status = outcome.head.status;
    if (status >= 400 && !(outcome.error && outcome.error->code == ErrorCode::kInterrupted)) {
      result.error = error_of_answer(label_of(request), status, body, options.key);
      result.again = may_pass(status);
      result.quiet = models::retry_after(outcome.head);
      if (is_service(origin)) note_refusal(request, origin, status, *result.error);
      return result;
    }
    if (outcome.error) {
      const std::string reached = status > 0 ? fmt::format("HTTP {}, ", status) : "";
      result.error = Error{
          outcome.error->code,
          options.key.redacted(fmt::format("{}: {}{}", printable(label_of(request)), reached, outcome.error->message))};
      result.again = outcome.may_pass;
      return result;
    }
    result.reply.status = status;
    result.reply.is_private = outcome.is_private;
    for (const auto& [name, value] : outcome.head.headers) result.reply.headers[name] = options.key.redacted(value);
    if (!outcome.head.redirect.empty()) result.reply.headers["location"] = options.key.redacted(outcome.head.redirect);
    result.reply.body = body.find(options.key.text()) == std::string::npos || options.key.empty()
                            ? std::move(body)
                            : options.key.redacted(body);
    if (is_service(origin)) {
      const std::scoped_lock lock(mutex);
      origins[origin].refusals = 0;
      if (request.paid)
        endpoints[request.endpoint].refusals = 0;  // uploads may succeed when the main request is refused
    }
    return result;
  }

  void note_refusal(const Request& request, const std::string& origin, int status, const Error& error) {
    const std::scoped_lock lock(mutex);
    Standing &server = origins[origin], &endpoint = endpoints[request.endpoint];
    if (status == 401) ++server.refusals;
    if (status == 401 || status == 403) ++endpoint.refusals;
    if (status == 402 || server.refusals >= kMostRefusals) server.refused = endpoint.refused = error;
    if (endpoint.refusals >= kMostRefusals) endpoint.refused = error;
  }

  void stop_for_quiet(const Request& request, const std::string& origin, Error& error, std::chrono::seconds quiet) {
    error.message +=
        fmt::format("; the server asks for a pause of {}", human_duration(static_cast<double>(quiet.count())));
    const std::scoped_lock lock(mutex);
    origins[origin].refused = endpoints[request.endpoint].refused = error;
  }
};

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::create(ClientOptions options) {
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  for (const std::string& url : state->options.key_urls) {
    IE_TRY(const std::string origin, models::origin_of(url));
    state->key_origins.insert(origin);
    IE_CHECK(state->pacer_of(origin));
  }
  return std::unique_ptr<Client>(new Client(std::move(state)));
}

Result<Reply> Client::send(const Request& request) {
  const Result<std::string> address = models::origin_of(request.url);
  if (!address)
    return fail(address.error().code, fmt::format("{}: {}", printable(label_of(request)), address.error().message));
  const std::string& origin = *address;
  Pacer* pacer = nullptr;
  if (state_->is_service(origin)) {
    IE_TRY(pacer, state_->pacer_of(origin));
  }
  const bool has_grace = request.paid || request.finishes;
  Sending sending{request, origin, Deadline(state_->options.stop, has_grace ? state_->options.grace : milliseconds(0))};
  for (int retries = 0;; ++retries) {
    if (auto error = state_->ended(sending)) return fail(std::move(*error));
    if (pacer != nullptr) IE_CHECK(state_->wait_for_slot(*pacer, sending));
    IE_TRY(Try result, state_->attempt(sending));
    if (!result.error) return std::move(result.reply);
    if (!result.again) return fail(std::move(*result.error));
    if (result.quiet > kLongestQuiet) {
      state_->stop_for_quiet(request, origin, *result.error, *result.quiet);
      return fail(std::move(*result.error));
    }
    const Time next =
        state_->options.clock->now() + std::max<milliseconds>(result.quiet.value_or(std::chrono::seconds(0)),
                                                              backoff(state_->options.retry_delay, retries));
    // NVIDIA's servers send 429 without Retry-After: then we choose the pause.
    const bool for_all = result.quiet || result.error->code == ErrorCode::kBusy;
    if (for_all && pacer != nullptr) IE_CHECK(pacer->hold_until(next));
    if (retries >= state_->retries_of(sending)) return fail(std::move(*result.error));
    IE_CHECK(state_->wait_until(next, sending));
    const std::scoped_lock lock(state_->mutex);
    ++state_->usage.retries;
  }
}

const std::string& Client::key_source() const { return state_->options.key.source(); }

Usage Client::usage() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->usage;
}

std::optional<Error> Client::refused(const std::string& url, const std::string& endpoint) const {
  return state_->why_refused(models::origin_of(url).value_or(""), endpoint);
}

std::optional<Error> Client::refused() const {
  const std::scoped_lock lock(state_->mutex);
  for (const auto* standings : {&state_->origins, &state_->endpoints})
    for (const auto& [name, standing] : *standings)
      if (standing.refused) return standing.refused;
  return std::nullopt;
}

std::optional<std::uint64_t> Client::left() const {
  if (state_->options.max_requests == 0) return std::nullopt;
  const std::scoped_lock lock(state_->mutex);
  return state_->options.max_requests - state_->paid;
}

Result<double> Client::rate_left(const std::string& url) const {
  IE_TRY(const std::string origin, models::origin_of(url));
  IE_TRY(const Pacer* pacer, state_->pacer_of(origin));
  return pacer->left();
}

}  // namespace image_engine::nvidia
