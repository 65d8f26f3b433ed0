// `analyze`: brings the catalogue up to date with folders of photos and videos.
//
// Pass 1 walks, compares and reads headers, so that a library can be browsed within seconds. Pass 2 reads each new
// content once: hash, decode, every stage. docs/adr/0002 says why two. Pass 3, where it is wanted, asks cloud models
// about photos: last, so that it holds up nothing, and of a committed catalogue.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "nvidia/api_key.h"
#include "pipeline/trace.h"
#include "scan/scan.h"
#include "store/catalogue.h"
#include "store/writer_lock.h"
#include "worker/pool.h"

namespace image_engine::nvidia {
class CloudModels;
}

namespace image_engine::pipeline {

// What pass 3 is about to ask; what was answered before is left out.
struct CloudEstimate {
  std::uint64_t requests = 0;  // tries again apart
  std::uint64_t pictures = 0;
  std::uint64_t requests_per_minute = 1;  // that are allowed
  std::uint64_t budget = 0;               // requests that this run may send; 0: no limit
};

struct CloudRun {
  // Null: there is no pass 3. Opened before there are threads (nvidia/api_key.h).
  std::shared_ptr<nvidia::CloudModels> models;
  std::string problem;   // why there is none though the configuration wants it; empty: it does not
  bool dry_run = false;  // lists what would be sent in the report, and sends nothing
  // Told before anything is sent: false leaves pass 3.
  std::function<bool(const CloudEstimate&)> agree = [](const CloudEstimate&) { return true; };
};

struct AnalyzeOptions {
  std::string catalogue;           // path
  std::vector<std::string> paths;  // files and folders, absolute
  std::string places;              // CSV of places/places.h; empty for none
  std::string thumbnail_folder;    // empty: the user's cache
  Config config;
  models::Places models;
  std::string engine;              // built by TensorRT of one of the models before; empty: none
  std::vector<std::string> only;   // stages of pass 2 (stage_names()); empty: all
  std::vector<std::string> redo;   // of these, also where there is a record
  bool upgrade_embedding = false;  // to the model that the configuration asks for, beside the one in use
  std::string trace;               // where to write trace events; empty for none
  bool retry = false;              // what failed before, too
  bool progress = false;           // on stderr
  CloudRun cloud;
  // Ends the run, keeping what is done.
  std::stop_token stop;
  // What else to say in the progress of pass 2, each time that it is printed; from any thread.
  std::function<std::string()> beside_progress;
  // Called for each asset whose analysis was finished or renewed in this run, after it is committed; must not wait.
  std::function<void(store::AssetId)> on_asset;
};

// One line of the report: what a phase did, on this machine, in this run.
struct PhaseReport {
  std::string name;
  std::uint64_t files = 0;
  double seconds = 0;
};

// A picture's question that a dry run would have asked.
struct PlannedCall {
  std::string path;
  std::string endpoint;
  std::uint64_t bytes = 0;  // of the JPEG that would be sent
  Error error;              // where it cannot be made: why
};

// What pass 3 did.
struct CloudReport {
  CloudEstimate estimate;
  std::uint64_t answers = 0;    // written to the catalogue
  std::uint64_t at_hand = 0;    // of those, paid for before: from the journal or the cache
  std::uint64_t failed = 0;     // entries in the ledger
  std::uint64_t left = 0;       // answers that the next run will ask for
  std::uint64_t held_back = 0;  // pictures, for privacy
  std::uint64_t requests = 0, retries = 0, sent_bytes = 0;
  bool stopped = false;  // asking on was of no use: a note says why
  double seconds = 0;
  std::vector<PlannedCall> plan;  // of a dry run
};

struct AnalyzeReport {
  store::RunId run = 0;
  scan::ScanCounts scan;
  std::uint64_t added = 0;    // paths not seen before
  std::uint64_t changed = 0;  // known paths with other content or sidecar
  std::uint64_t moved = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t missing = 0;  // newly
  std::uint64_t offline = 0;
  std::uint64_t analysed = 0;    // read whole in pass 2
  std::uint64_t duplicates = 0;  // of those, with content that the catalogue had already
  std::uint64_t failed = 0;      // new or retried entries in the ledger
  // Files with such entries. Each file that the scan saw is one of added, changed, moved, unchanged, failed, no media
  // (not_media()) and sidecars: a file that failed is not counted as added, too.
  std::uint64_t failed_files = 0;
  std::uint64_t unreadable_files = 0;  // of those, what the scan itself could not read
  std::uint64_t newly_excluded = 0;    // known files that patterns leave out now
  std::uint64_t waiting = 0;           // left to do, when cancelled
  std::uint64_t killed = 0;            // left for the next run, as the system killed their workers twice
  std::uint64_t worker_deaths = 0;
  PhaseReport scanning{"scan"}, metadata{"metadata"}, content{"content"}, ml{"ml"}, videos{"videos"};
  double video_seconds = 0;          // of recording that the phase `videos` analyzed
  std::vector<StepReport> steps;     // where the time went, pass 3 apart
  std::optional<CloudReport> cloud;  // where there was a pass 3
  double seconds = 0;
  bool cancelled = false;
  std::vector<std::string> notes;  // for a person: roots that are away and the like

  [[nodiscard]] std::uint64_t not_media() const {
    return scan.files - scan.media - scan.sidecars -
           std::min(unreadable_files, scan.files - scan.media - scan.sidecars);
  }
  // Whether something that was asked for could not be done.
  [[nodiscard]] bool has_failures() const { return failed > 0 || killed > 0 || (cloud && cloud->stopped); }
};

// How the configuration wants its workers.
worker::PoolOptions pool_options(const Config& config);

// The models of pass 3 as the configuration has them. Call before there are threads. kNotFound without a key,
// kInvalidArgument for what is wrong in the configuration; `key_files` and `only_looks` as of nvidia::CloudOptions.
struct CloudRequest {
  nvidia::KeyFiles key_files;
  bool only_looks = false;
  bool embeds = false;  // as asks_for_vectors() says
  std::stop_token stop;
};
// Whether such a run would ask a server for vectors: the library's, or those of the model that is wanted.
bool asks_for_vectors(const AnalyzeOptions& options);
Result<std::shared_ptr<nvidia::CloudModels>> open_cloud(const Config& config, const CloudRequest& request);

// Analyses with the catalogue's lock in hand. Fails only on what ends a run (catalogue unusable, disk full, no worker);
// what is wrong with single files goes to the ledger. What was committed before a failure is kept.
Result<AnalyzeReport> analyze(const AnalyzeOptions& options, store::WriterLock lock);

}  // namespace image_engine::pipeline
