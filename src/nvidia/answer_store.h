// Answers that were paid for: kept so that none is paid for twice.
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

// Two folders of one file an answer, named by what was asked. The journal (data_home()/nvidia/journal) holds what no
// catalogue has yet: written before the next question is asked, and removed by kept(), or after 30 days. A process that
// is killed loses none; when the power fails, those of the last seconds may be lost.
// The cache (cache_dir) holds answers for `ttl_hours`, at most `max_mb`, the oldest leaving first: looked at by open()
// and about every 256 answers. Other files in that folder are never touched. Thread-safe, and safe between processes.
class AnswerStore {
 public:
  // Folders are made with 0700, files with 0600. Errors: folders that cannot be made or written to.
  static Result<AnswerStore> open(const CloudCachingConfig& config);

  // From the journal, else from the cache. A file that is damaged counts as none, and goes.
  [[nodiscard]] std::optional<std::string> find(const Hash128& question) const;
  // Into the journal, and the cache where it is enabled. kNoSpace, kIo, kPermission.
  Status put(const Hash128& question, std::string_view answer) const;
  // The catalogue has it: it leaves the journal.
  void kept(const Hash128& question) const;

  struct Cleared {
    std::uint64_t answers = 0, bytes = 0;
  };
  // Everything but the journal; only what was written before `older_than` ago.
  static Result<Cleared> clear(const CloudCachingConfig& config, std::chrono::seconds older_than = {});
  // Of the cache.
  static Result<Cleared> count(const CloudCachingConfig& config);
  // Answers in the journal, which wait for the catalogue.
  static std::uint64_t waiting();
  // Where the cache lies: absolute.
  static std::string folder(const CloudCachingConfig& config);

 private:
  AnswerStore() = default;
  std::string journal_, cache_;
  std::chrono::seconds ttl_{};
  std::uint64_t most_bytes_ = 0;
};

}  // namespace image_engine::nvidia
