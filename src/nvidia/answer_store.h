// Stores paid answers, so that none is paid for twice.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/config.h"
#include "core/hash.h"
#include "core/result.h"

namespace image_engine::nvidia {

// Two folders with one file per answer, named by the request's hash. The journal (data_home()/nvidia/journal) holds
// answers that are not in a catalogue yet: written before the next request, and removed by kept() or after 30 days. A
// killed process loses none; a power failure may lose those of the last seconds. The cache (cache_dir) holds answers
// for `ttl_hours`, at most `max_mb`; open() and about every 256th answer remove the oldest. Other files in that folder
// are never touched. Thread-safe, and safe between processes.
class AnswerStore {
 public:
  // Creates folders with mode 0700, files with 0600. Errors: a folder cannot be created or written to.
  static Result<AnswerStore> open(const CloudCachingConfig& config);

  // From the journal, else from the cache. A damaged file is ignored and deleted.
  [[nodiscard]] std::optional<std::string> find(const Hash128& question) const;
  // Writes to the journal, and to the cache if enabled. kNoSpace, kIo, kPermission.
  Status put(const Hash128& question, std::string_view answer) const;
  // The answer is in the catalogue: removes it from the journal.
  void kept(const Hash128& question) const;

  struct Cleared {
    std::uint64_t answers = 0, bytes = 0;
  };
  // Clears the cache of answers older than `older_than`; keeps the journal.
  static Result<Cleared> clear(const CloudCachingConfig& config, std::chrono::seconds older_than = {});
  // Counts the cache.
  static Result<Cleared> count(const CloudCachingConfig& config);
  // The number of answers in the journal, not yet in the catalogue.
  static std::uint64_t waiting();
  // The absolute path of the cache.
  static std::string folder(const CloudCachingConfig& config);

 private:
  AnswerStore() = default;
  std::string journal_, cache_;
  std::chrono::seconds ttl_{};
  std::uint64_t most_bytes_ = 0;
};

}  // namespace image_engine::nvidia
