// NVIDIA's models as the rest of the program asks them: about a picture, with answers that were paid for at hand.
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

// An answer, and what it is called in the journal until the catalogue has it.
template <typename T>
struct Answered {
  T answer;
  Hash128 question;
  bool paid = false;  // a server was asked now
};

struct CloudOptions {
  KeyFiles key_files;
  std::vector<Task> tasks;  // that may need the key; empty: detection and descriptions where they are enabled
  bool only_looks = false;  // nobody will be asked: no key is loaded
  std::stop_token stop;
  Clock* clock = &steady_clock();
};

// Thread-safe.
class CloudModels {
 public:
  // Which endpoints the configuration has; asks nobody. kNotFound without a key where one is needed: endpoints on this
  // machine need none, but are given one that is there. Errors also of endpoint_of(), of the key and of folders.
  static Result<std::unique_ptr<CloudModels>> open(const NvidiaBuildConfig& config, CloudOptions options = {});
  ~CloudModels();

  [[nodiscard]] const Endpoint& endpoint(Task task) const;
  // What changes the answer besides the picture: endpoint, dialect, model, prompt, thresholds. For StageKey::params.
  [[nodiscard]] std::string params(Task task) const;
  // Requests for one picture, without waiting, removing and tries again: 3 for nvcf (two upload it), else 1. The
  // question alone counts for max_requests.
  [[nodiscard]] int requests_each(Task task) const;
  // Threads that fill the allowed rate with answers that take some seconds, at least 1.
  [[nodiscard]] int threads() const;
  // Whether the journal or the cache has it.
  [[nodiscard]] bool has(Task task, const Hash128& content) const;

  // Answers that were paid for are in the journal when these return, but of pictures without `content`, whose question
  // is all zero. Of two threads that ask the same at once, one does. A picture whose answer has() knows needs only its
  // content and full size.
  // Errors: those of ask() in dialects.h. An answer that makes no sense (kCorrupt) was asked for twice, and is not
  // kept.
  Result<Answered<RetailProducts>> detect(const Picture& picture);
  Result<Answered<Description>> describe(const Picture& picture,
                                         const std::string& prompt = {});  // empty: photo_prompt
  Result<Answered<std::vector<float>>> embed(const Picture& picture);
  // In their order; from the cache, where it is enabled and has them.
  Result<std::vector<std::vector<float>>> embed_texts(const std::vector<std::string>& texts);

  // The catalogue has it now.
  void kept(const Hash128& question);
  // For what was used, what is left, and why a server refuses.
  Client& client();

 private:
  struct State;
  explicit CloudModels(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace image_engine::nvidia
