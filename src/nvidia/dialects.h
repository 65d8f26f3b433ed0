// What is written to a server in each dialect, and how its answer comes back.
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

// The way to the servers: Client::send, or what stands for it.
struct Transport {
  std::function<Result<Reply>(const Request&)> send;
  std::chrono::milliseconds timeout{120'000};  // for an answer that is waited for
  std::chrono::milliseconds grace{10'000};     // likewise, once `stop` is requested
  std::stop_token stop;
  Clock* clock = &steady_clock();
};

// What tells an answer from other documents.
using Reads = std::function<Status(std::string_view body)>;

// The body of the answer: JSON that `reads` takes. Where it comes in a zip, the first member that does. Errors: those
// of `line.send`; kTooLarge for a picture over the limit, kUnsupported for an address where the server takes pictures
// only, kTimeout for an answer that was not ready in time, kCorrupt, naming endpoint and status, for one that `reads`
// does not take.
Result<std::string> ask(const Endpoint& endpoint, const Question& question, const Transport& transport,
                        const Reads& reads);

// Texts in one question to such an endpoint; 0: it is asked about pictures only.
std::size_t most_texts(const Endpoint& endpoint);
// Requests for one picture, without waiting, removing and tries again: 3 of kNvcf, else 1. One of them, the question,
// counts for ClientOptions::max_requests: threads that upload side by side must not use up what their questions need.
int requests_each(const Endpoint& endpoint);

}  // namespace image_engine::nvidia
