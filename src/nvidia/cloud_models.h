// The program's interface to NVIDIA's models: requests about a picture, with stored answers reused.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/hash.h"
#include "core/result.h"
#include "nvidia/answers.h"
#include "nvidia/api_key.h"
#include "nvidia/client.h"
#include "nvidia/endpoint.h"
#include "nvidia/picture.h"

namespace image_engine::nvidia {

// An answer, and its name in the journal until the catalogue has it.
template <typename T>
struct Answered {
  T answer;
  Hash128 question;
  bool paid = false;  // a server was asked by this call
};

struct CloudOptions {
  KeyFiles key_files;
  std::vector<Task> tasks;     // that may need the key; empty: detection and descriptions if enabled
  bool sends_nothing = false;  // no request will be sent: no key is loaded
  std::stop_token stop;
  Clock* clock = &steady_clock();
};

// Thread-safe.
class CloudModels {
 public:
  // Sets up the configured endpoints; sends nothing. kNotFound without a key if one is needed: endpoints on this
  // machine need none, but get one if it exists. Other errors: of endpoint_of(), the key and folders.
  static Result<std::unique_ptr<CloudModels>> open(const NvidiaBuildConfig& config, CloudOptions options = {});
  ~CloudModels();

  [[nodiscard]] const Endpoint& endpoint(Task task) const;
  // Everything that changes the answer besides the picture: endpoint, dialect, model, prompt, thresholds. For
  // StageKey::params. `prompt`: as of describe().
  [[nodiscard]] std::string params(Task task, const std::string& prompt = {}) const;
  // Requests for one picture, without polling, removing and retries: 3 for nvcf (two of them upload it), else 1. Only
  // the main request counts for max_requests.
  [[nodiscard]] int requests_each(Task task) const;
  // The number of threads that reaches the allowed rate when answers take some seconds, at least 1.
  [[nodiscard]] int threads() const;
  // Whether the journal or the cache has it. `prompt`: as of describe().
  [[nodiscard]] bool has(Task task, const Hash128& content, const std::string& prompt = {}) const;

  // Paid answers are in the journal when these return, except for pictures without `content`, whose question is zero.
  // Two threads with the same request send it once. A picture whose answer is stored (has()) needs only its content and
  // full size. Errors: those of ask() in dialects.h. An invalid answer (kCorrupt) was requested twice, and is not
  // stored.
  Result<Answered<RetailProducts>> detect(const Picture& picture);
  Result<Answered<Description>> describe(const Picture& picture,
                                         const std::string& prompt = {});  // empty: photo_prompt
  Result<Answered<std::vector<float>>> embed(const Picture& picture);
  // In order of `texts`; from the cache, if it is enabled and has them.
  Result<std::vector<std::vector<float>>> embed_texts(const std::vector<std::string>& texts);

  // The answer is now in the catalogue.
  void kept(const Hash128& question);
  // For usage, remaining requests and a server's refusal.
  Client& client();

 private:
  struct State;
  explicit CloudModels(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::nvidia
