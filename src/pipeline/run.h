// What the passes of one analyze share. Only its comments' threads touch each part.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "pipeline/analyze.h"
#include "pipeline/thumbnails.h"
#include "pipeline/trace.h"
#include "places/places.h"
#include "store/catalogue.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {

// The catalogue's writer in transactions of a few hundred changes or a second. One thread at a time.
class Batch {
 public:
  explicit Batch(store::CatalogueWriter& writer) : writer_(&writer) {}
  // Call before a change: begins a transaction when none is open.
  Status open();
  // Call after a change: commits when enough has come together. True when it did.
  Result<bool> changed();
  Status commit();

 private:
  store::CatalogueWriter* writer_;
  bool open_ = false;
  int changes_ = 0;
  std::chrono::steady_clock::time_point begun_;
};

// The place index, loaded when the first position is looked up. Thread-safe.
class LazyPlaces {
 public:
  explicit LazyPlaces(std::string csv) : csv_(std::move(csv)) {}
  std::optional<store::Place> find(const Gps& gps);

 private:
  std::string csv_;
  std::once_flag once_;
  std::optional<places::PlaceIndex> index_;
};

// Absolute paths.
bool is_at_or_below(const std::string& path, const std::string& root);

class RunStages;

struct Run {
  const AnalyzeOptions& options;
  store::CatalogueWriter& writer;
  store::CatalogueReader& reader;  // guarded by reader_mutex
  worker::Pool& pool;
  AnalyzeReport& report;
  Batch batch;
  LazyPlaces places;
  ThumbnailCache thumbnails;
  Trace trace;
  std::mutex reader_mutex;
  std::set<store::AssetId> renewed;              // finished in this run, not yet told to on_asset; the sink's
  std::unordered_set<store::FileId> unreadable;  // whose headers failed in this run: pass 2 leaves them out

  // What files of this run count as, when not as unchanged; and those that count as failed. The sink's.
  std::unordered_map<store::FileId, std::uint64_t AnalyzeReport::*> counted_as;
  std::unordered_set<std::string> failed_paths;

  [[nodiscard]] bool is_of_this_run(const std::string& path) const;
  void count(store::FileId file, std::uint64_t AnalyzeReport::*as);
  // Puts a failure into the ledger, now; the file counts as failed. The sink's. What is not the file's does not get
  // there: an error of the run is returned, and a file whose worker was killed is left for the next run.
  Status record_failure(const store::KnownFile& file, const store::StageKey& key, const Error& error);
  bool announces_late = false;  // at the end, since what is finished may yet change
  // Tells on_asset about what is committed. The sink's.
  Status announce(bool last = false);
  // LeasedFile::run() with its time in the trace. Thread-safe.
  Result<worker::Reply> ask(worker::LeasedFile& file, const worker::Task& task);
  [[nodiscard]] bool cancelled() const { return options.stop.stop_requested(); }
  // Whether this run is to do that stage of pass 2.
  [[nodiscard]] bool asked_for(std::string_view stage) const;
};

// Pass 1, first half: walks and compares; gives the files whose headers are to be read.
Result<std::vector<store::KnownFile>> scan_folders(Run& run);
// Pass 1, second half: headers of these files.
Status read_headers(Run& run, const std::vector<store::KnownFile>& files);
// Pass 2: everything that needs the whole file.
Status read_contents(Run& run, RunStages& stages);
// After it, frames of videos: scenes, and what stages find at which time.
Status read_videos(Run& run, RunStages& stages);
// Pass 3: what cloud models are asked; the rest is on disk before.
Status ask_cloud(Run& run);

}  // namespace image_engine::pipeline
