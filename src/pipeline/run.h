// What the passes of one analyze share. Each member is used only by the thread that its comment names.
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
#include "worker/gpu_decoders.h"

namespace image_engine::pipeline {

// Groups the catalogue's changes into transactions of 2,000 changes or a second. One thread at a time.
class Batch {
 public:
  explicit Batch(store::CatalogueWriter& writer) : writer_(&writer) {}
  // Call before a change: begins a transaction when none is open.
  Status open();
  // Call after a change: commits when the transaction is large or old enough. True when it did.
  Result<bool> changed();
  Status commit();

 private:
  store::CatalogueWriter* writer_;
  bool open_ = false;
  int changes_ = 0;
  std::chrono::steady_clock::time_point begun_;
};

// The place index, loaded on the first lookup. Thread-safe.
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
  worker::GpuDecoders* gpu;  // null: the CPU decodes
  AnalyzeReport& report;
  PhaseClock& clock;  // the main thread's
  Batch batch;
  LazyPlaces places;
  ThumbnailCache thumbnails;
  Trace trace;
  std::mutex reader_mutex;
  std::set<store::AssetId> renewed;              // finished in this run, not yet passed to on_asset; the sink's
  std::set<store::AssetId> renewed_videos;       // likewise, but for their frames or sound; the sink's
  std::unordered_set<store::FileId> unreadable;  // whose headers failed in this run: pass 2 skips them

  // The report's counter of each file that is not unchanged; and the files that count as failed. The sink's.
  std::unordered_map<store::FileId, std::uint64_t AnalyzeReport::*> counted_as;
  std::unordered_set<std::string> failed_paths;

  [[nodiscard]] bool is_of_this_run(const std::string& path) const;
  void count(store::FileId file, std::uint64_t AnalyzeReport::*as);
  // Adds a failure to the ledger; the file counts as failed. The sink's. Failures that are not the file's are not
  // added: an error of the run is returned, and a file whose worker was killed is left to the next run.
  Status record_failure(const store::KnownFile& file, const store::StageKey& key, const Error& error);
  // Of all files of the asset: none of them is offered again before it changes. `first`: the one that was read.
  Status record_failure(const store::KnownFile& first, store::AssetId asset, const store::StageKey& key,
                        const Error& error);
  bool announces_late = false;  // announce only at the end, since finished assets may still change
  // Passes the committed assets to on_asset. The sink's.
  Status announce(bool last = false);
  // LeasedFile::run() with its time in the trace. Thread-safe.
  Result<worker::Reply> ask(worker::LeasedFile& file, const worker::Task& task);
  [[nodiscard]] bool cancelled() const { return options.stop.stop_requested(); }
  // Whether that stage of pass 2 is selected for this run.
  [[nodiscard]] bool asked_for(std::string_view stage) const;
  // Whether the pass over sounds is selected: videos are announced after it.
  [[nodiscard]] bool hears() const;
};

// Pass 1, first half: walks and compares; returns the files whose headers are to be read.
Result<std::vector<store::KnownFile>> scan_folders(Run& run);
// Pass 1, second half: reads the headers of these files.
Status read_headers(Run& run, const std::vector<store::KnownFile>& files);
// Pass 2: everything that needs the whole file. Gives the share of its threads' time that models took, slow stages
// aside.
Result<double> read_contents(Run& run, RunStages& stages);
// After it, frames of videos: scenes, and what stages find at which time.
Status read_videos(Run& run, RunStages& stages);
// Then what is heard in videos and recordings.
Status read_sounds(Run& run, RunStages& stages);
// Pass 3: requests to cloud models. Everything else is on disk before.
Status ask_cloud(Run& run);

}  // namespace image_engine::pipeline
