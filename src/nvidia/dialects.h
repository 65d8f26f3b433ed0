// Writes requests and reads answers in each server dialect.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "nvidia/client.h"
#include "nvidia/endpoint.h"
#include "nvidia/picture.h"

namespace image_engine::nvidia {

struct Question {
  const Picture* picture = nullptr;
  std::vector<std::string> texts;  // of kEmbed, instead of a picture; at most most_texts()
  std::string prompt;              // of kDescribe, as the next two
  std::int64_t max_tokens = 0;
  double temperature = 0;
  double threshold = 0;  // of kDetect
};

// Access to the servers: Client::send, or a test's replacement.
struct Transport {
  std::function<Result<Reply>(const Request&)> send;
  std::chrono::milliseconds timeout{120'000};  // for a pending answer
  std::chrono::milliseconds grace{10'000};     // likewise, once `stop` is requested
  std::stop_token stop;
  Clock* clock = &steady_clock();
};

// Checks whether a document is an answer.
using Reads = std::function<Status(std::string_view body)>;

// Returns the body of the answer: JSON that `reads` accepts; of a zip, the first such member. Errors: those of
// `transport.send`; kTooLarge for a picture over the limit, kUnsupported for a URL if the server takes only pictures,
// kTimeout for an answer that was not ready in time, kCorrupt, naming endpoint and status, for one that `reads`
// rejects.
Result<std::string> ask(const Endpoint& endpoint, const Question& question, const Transport& transport,
                        const Reads& reads);

// Most texts in one request to the endpoint; 0: it takes only pictures.
std::size_t most_texts(const Endpoint& endpoint);
// Requests for one picture, without polling, removing and retries: 3 for kNvcf, else 1. Only the main request counts
// for ClientOptions::max_requests: parallel uploads must not use up the requests that follow them.
int requests_each(const Endpoint& endpoint);

}  // namespace image_engine::nvidia
