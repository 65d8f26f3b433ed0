#include "nvidia/nvcf.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "models/archive.h"
#include "models/http_exchange.h"
#include "nvidia/read_json.h"

namespace image_engine::nvidia {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr std::string_view kDescription = "picture";  // reveals nothing about the picture: sent to the asset store
constexpr std::size_t kLongestId = 64;
constexpr std::uint64_t kMostZip = std::uint64_t{64} << 20;
constexpr std::size_t kMostMembers = 64;
constexpr seconds kFirstDelay{1}, kLongestPollDelay{8};  // between polls for an answer
constexpr seconds kMostPatience{30};                     // far below NVIDIA's limits of 300 and 3,600 seconds
constexpr int kMostRedirects = 3;

// Whether it is safe in a URL.
bool is_id(std::string_view text) {
  const auto is_plain = [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= kLongestId && std::ranges::all_of(text, is_plain);
}

tl::unexpected<Error> corrupt(const Endpoint& endpoint, int status, std::string_view what) {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: HTTP {}, but {}", endpoint.name, status, what));
}

// Public servers must not redirect this program to private addresses.
bool may_lead_to(const Endpoint& endpoint, const std::string& url) {
  return models::origin_of(url) && (endpoint.local || !is_local(url));
}

Request request_for(const Endpoint& endpoint, std::string_view part, std::string method, std::string url,
                    const std::string& about) {
  Request request;
  request.endpoint = endpoint.name;
  request.part = part;
  request.about = about;
  request.method = std::move(method);
  request.url = std::move(url);
  return request;
}

// The number of a pending request: from the header, or, with some servers, from the body.
std::string number_of(const Reply& reply) {
  std::string number = reply.header("nvcf-reqid");
  if (!number.empty()) return number;
  const Result<json> document = read_json(reply.body);
  const std::string* id = document ? text_member(*document, "requestId") : nullptr;
  return id != nullptr ? *id : "";
}

tl::unexpected<Error> timed_out(const Endpoint& endpoint, const Transport& transport) {
  return fail(ErrorCode::kTimeout,
              fmt::format("{}: HTTP 202: the answer was not ready within {}", endpoint.name,
                          human_duration(std::chrono::duration<double>(transport.timeout).count())));
}

// It was paid for: after a stop request, polls during `grace`, at once and then each second.
Result<Reply> wait_for(const Endpoint& endpoint, const Transport& transport, Reply reply, const std::string& about) {
  Time end = transport.clock->now() + transport.timeout;
  seconds delay = kFirstDelay;
  std::string number;
  for (bool stopped = false; reply.status == 202;) {
    if (std::string id = number_of(reply); !id.empty()) number = std::move(id);
    if (!is_id(number)) return corrupt(endpoint, reply.status, "it has no request id to poll (NVCF-REQID)");
    const Time next = transport.clock->now() + delay;
    if (next > end) return stopped ? fail(ErrorCode::kInterrupted, "interrupted") : timed_out(endpoint, transport);
    if (stopped) {
      transport.clock->wait_until(next, [] { return false; });
    } else if (transport.clock->wait_until(next, [&] { return transport.stop.stop_requested(); })) {
      delay = std::min(delay * 2, kLongestPollDelay);
    } else {
      stopped = true;
      delay = kFirstDelay;
      end = std::min<Time>(end, transport.clock->now() + transport.grace);
    }
    Request request = request_for(endpoint, "waiting", "GET", endpoint.status_url + number, about);
    request.headers = {{"accept", "application/json, application/zip"},
                       stopped ? patience(kFirstDelay) : patience(transport.timeout)};
    request.paid = false;
    request.finishes = true;
    IE_TRY(reply, transport.send(request));
  }
  return reply;
}

Result<Reply> fetch(const Endpoint& endpoint, const Transport& transport, const Reply& reply,
                    const std::string& about) {
  const std::string url = reply.header("location");
  if (url.find("://") == std::string::npos || !may_lead_to(endpoint, url))
    return corrupt(endpoint, reply.status, "it redirects to a forbidden URL");
  Request request = request_for(endpoint, "answer", "GET", url, about);
  request.paid = false;
  request.finishes = true;
  request.most_bytes = kMostZip;
  request.public_only = !reply.is_private;
  return transport.send(request);
}

// By a zip's signature; servers disagree about the content type.
bool is_zip(std::string_view body) { return body.starts_with("PK\x03\x04"); }

}  // namespace

Asset::Asset(const Endpoint& endpoint, const Transport& transport, std::string id)
    : endpoint_(&endpoint), transport_(&transport), id_(std::move(id)) {}

Asset::Asset(Asset&& other) noexcept
    : endpoint_(other.endpoint_), transport_(other.transport_), id_(std::exchange(other.id_, "")) {}

Asset::~Asset() {
  if (id_.empty()) return;
  Request request = request_for(*endpoint_, "removing", "DELETE", endpoint_->assets_url + "/assets/" + id_, "");
  request.paid = false;
  request.finishes = true;
  if (const Result<Reply> reply = transport_->send(request); !reply)
    log_debug("an uploaded picture stays with NVIDIA for a day: {}", printable(reply.error().message));
}

Result<Asset> Asset::upload(const Endpoint& endpoint, const Transport& transport, std::string_view bytes,
                            const std::string& type, const std::string& about) {
  Request creation = request_for(endpoint, "upload", "POST", endpoint.assets_url + "/assets", about);
  creation.headers = {{"content-type", "application/json"}, {"accept", "application/json"}};
  creation.paid = false;
  creation.body = json_text(json{{"contentType", type}, {"description", kDescription}});
  IE_TRY(const Reply created, transport.send(creation));
  const Result<json> document = read_json(created.body);
  const std::string* id = document ? text_member(*document, "assetId") : nullptr;
  const std::string* url = document ? text_member(*document, "uploadUrl") : nullptr;
  if (id == nullptr || url == nullptr || !is_id(*id) || !may_lead_to(endpoint, *url))
    return corrupt(endpoint, created.status, "it lacks the upload URL (assetId, uploadUrl)");

  Asset asset(endpoint, transport, *id);
  // The URL is signed for these two headers; a key would be a second authorisation.
  Request content = request_for(endpoint, "upload", "PUT", *url, about);
  content.headers = {{"content-type", type}, {"x-amz-meta-nvcf-asset-description", std::string(kDescription)}};
  content.body = bytes;
  content.with_key = false;
  content.public_only = !created.is_private;
  content.paid = false;
  IE_TRY(const Reply uploaded, transport.send(content));
  if (uploaded.status < 200 || uploaded.status >= 300)
    return fail(ErrorCode::kIo,
                fmt::format("{} (upload): HTTP {}: the picture was rejected", endpoint.name, uploaded.status));
  return asset;
}

std::pair<std::string, std::string> patience(std::chrono::milliseconds timeout) {
  const auto half = std::chrono::duration_cast<seconds>(timeout / 2);
  return {"nvcf-poll-seconds", std::to_string(std::clamp(half, seconds(1), kMostPatience).count())};
}

Result<Reply> settled(const Endpoint& endpoint, const Transport& transport, Reply reply, const std::string& about) {
  for (int hops = 0; hops <= kMostRedirects; ++hops) {
    IE_TRY(reply, wait_for(endpoint, transport, std::move(reply), about));
    if (reply.status < 300) return reply;
    if (endpoint.dialect != Dialect::kNvcf || (reply.status != 302 && reply.status != 303))
      return fail(ErrorCode::kIo, fmt::format("{}: HTTP {}: it redirects to another URL, which is not followed: "
                                              "correct its url in the configuration",
                                              endpoint.name, reply.status));
    IE_TRY(reply, fetch(endpoint, transport, reply, about));
  }
  return fail(ErrorCode::kIo, fmt::format("{}: HTTP {}: it redirects repeatedly", endpoint.name, reply.status));
}

Result<std::string> unpacked(const Reply& reply, const Reads& reads) {
  if (!is_zip(reply.body)) {
    IE_CHECK(reads(reply.body));
    return reply.body;
  }
  IE_TRY(std::vector<models::Member> members, models::read_members(reply.body, kMostZip, kMostMembers));
  std::string complaint = "its zip is empty";
  for (models::Member& member : members) {
    const Status read = reads(member.bytes);
    if (read) return std::move(member.bytes);
    complaint =
        "no file of its zip is an answer: " + cleaned(to_utf8(member.name), kLongestId) + ": " + read.error().message;
  }
  return fail(ErrorCode::kCorrupt, complaint);
}

}  // namespace image_engine::nvidia
