// `analyze`: brings the catalogue up to date with folders of photos and videos.
//
// Pass 1 walks, compares and reads headers, so that a library can be browsed within seconds. Pass 2 reads each new
// content once: hash, decode, every stage. docs/adr/0002 explains why there are two. Pass 3, where enabled, sends
// photos and frames of videos to cloud models: last, so that it delays nothing, and from a committed catalogue.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/install_paths.h"
#include "nvidia/api_key.h"
#include "pipeline/phase_clock.h"
#include "pipeline/trace.h"
#include "pipeline/video_trace.h"
#include "scan/scan.h"
#include "store/catalogue.h"
#include "store/writer_lock.h"
#include "worker/pool.h"

namespace image_engine::nvidia {
class CloudModels;
}

namespace image_engine::pipeline {

// The requests that pass 3 is about to send, without those already answered.
struct CloudEstimate {
  std::uint64_t requests = 0;             // without retries
  std::uint64_t pictures = 0;             // photos
  std::uint64_t frames = 0;               // of videos
  std::uint64_t requests_per_minute = 1;  // the rate limit
  std::uint64_t budget = 0;               // requests that this run may send; 0: no limit
};

struct CloudRun {
  // Null: no pass 3. Opened before any thread starts (nvidia/api_key.h).
  std::shared_ptr<nvidia::CloudModels> models;
  std::string problem;   // why there is none although it is configured; empty: not configured
  bool dry_run = false;  // lists what would be sent in the report, and sends nothing
  // Called before anything is sent; false skips pass 3.
  std::function<bool(const CloudEstimate&)> agree = [](const CloudEstimate&) { return true; };
};

struct AnalyzeOptions {
  std::string catalogue;           // path
  std::vector<std::string> paths;  // files and folders, absolute
  std::string places;              // CSV of places/places.h; empty for none
  std::string thumbnail_folder;    // empty: the user's cache
  Config config;
  models::InstallPaths models;
  std::string engine;              // a TensorRT engine built from one of the models; empty: none
  std::vector<std::string> only;   // stages of pass 2 (stage_names()); empty: all
  std::vector<std::string> redo;   // of these stages, those to run even where there is a record
  bool upgrade_embedding = false;  // also embed with the configured model, beside the one in use
  std::string trace;               // where to write trace events; empty for none
  bool retry = false;              // also retry what failed before
  bool progress = false;           // on stderr
  CloudRun cloud;
  // A stop request ends the run and keeps what is done.
  std::stop_token stop;
  // Text to append to the progress of pass 2; called each time that it is printed, from any thread.
  std::function<std::string()> beside_progress;
  // Called for each asset whose analysis was finished or renewed in this run, after it is committed; must not block.
  std::function<void(store::AssetId)> on_asset;
};

// A request that a dry run did not send.
struct PlannedCall {
  std::string path;
  std::string endpoint;
  double at = -1;           // of a frame of a video, seconds; negative: a photo
  std::uint64_t bytes = 0;  // of the JPEG that would be sent
  Error error;              // why it cannot be made, if so
};

// What pass 3 did.
struct CloudReport {
  CloudEstimate estimate;
  std::uint64_t answers = 0;    // written to the catalogue
  std::uint64_t at_hand = 0;    // of these, from the journal or the cache: paid for before
  std::uint64_t failed = 0;     // entries in the ledger
  std::uint64_t left = 0;       // answers left to the next run
  std::uint64_t held_back = 0;  // photos and frames, for privacy
  std::uint64_t requests = 0, retries = 0, sent_bytes = 0;
  bool stopped = false;  // further requests were useless: a note gives the reason
  double seconds = 0;
  std::vector<PlannedCall> plan;  // of a dry run
};

// Photos by where they were decoded; all others by the CPU.
struct DecodingReport {
  std::string device;          // "cuda:0"; empty: all together
  std::uint64_t hardware = 0;  // by the GPU's JPEG engine
  std::uint64_t hybrid = 0;    // on the CPU and the GPU
  std::uint64_t deaths = 0;    // of the GPU's worker; its photos were decoded by others
  int number = 1;              // of those on its GPU
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
  std::uint64_t duplicates = 0;  // of these, with content already in the catalogue
  std::uint64_t failed = 0;      // new or retried entries in the ledger
  // Files with such entries. Each file that the scan saw counts once: as added, changed, moved, unchanged, failed, no
  // media (not_media()) or sidecar.
  std::uint64_t failed_files = 0;
  std::uint64_t unreadable_files = 0;  // of these, the ones that the scan could not read
  std::uint64_t newly_excluded = 0;    // known files that patterns now exclude
  std::uint64_t waiting = 0;           // left to do, when cancelled
  std::uint64_t killed = 0;            // left to the next run: the system killed their workers twice
  std::uint64_t worker_deaths = 0;
  // Together the whole run; phases() has their order. `content` and `ml` share one pass: of its time, `ml` has the part
  // in which its threads ran models; its files are photos that a model saw.
  PhaseReport start{"start"}, scanning{"scan"}, metadata{"metadata"}, loading{"load models"}, content{"content"},
      ml{"ml"}, text{"text"}, videos{"videos"}, sounds{"sounds"}, vectors{"vectors"}, asking{"cloud"}, other{"other"};
  unsigned cores = 1;                      // that the run may use
  double video_seconds = 0;                // of recording that the phase `videos` analyzed
  double sound_seconds = 0;                // of recording that the phase `sounds` analyzed
  std::optional<VideoTimes> video_times;   // if there were videos to analyze
  std::vector<DecodingReport> decoders;    // on GPUs
  std::vector<StepReport> steps;           // where the time went, without pass 3
  std::optional<Bottleneck> bottleneck;    // of these
  std::vector<gpu::LaneTotals> gpu_lanes;  // what ran on GPUs; empty: nothing
  std::optional<CloudReport> cloud;        // if there was a pass 3
  double seconds = 0;
  bool cancelled = false;
  std::vector<std::string> notes;  // for a person: roots that are offline and the like

  [[nodiscard]] std::array<const PhaseReport*, 12> phases() const {
    return {&start, &scanning, &metadata, &loading, &content, &ml, &text, &videos, &sounds, &vectors, &asking, &other};
  }
  // The sums of all decoders.
  [[nodiscard]] DecodingReport decoding() const {
    DecodingReport all;
    for (const DecodingReport& one : decoders)
      all.hardware += one.hardware, all.hybrid += one.hybrid, all.deaths += one.deaths;
    return all;
  }
  [[nodiscard]] std::uint64_t not_media() const {
    return scan.files - scan.media - scan.sidecars -
           std::min(unreadable_files, scan.files - scan.media - scan.sidecars);
  }
  // Whether some requested work could not be done.
  [[nodiscard]] bool has_failures() const { return failed > 0 || killed > 0 || (cloud && cloud->stopped); }
};

// The worker pool's options from the configuration.
worker::PoolOptions pool_options(const Config& config);

// The configured models of pass 3. Call before any thread starts. kNotFound without a key, kInvalidArgument for an
// invalid configuration; `key_files` and `sends_nothing` as in nvidia::CloudOptions.
struct CloudRequest {
  nvidia::KeyFiles key_files;
  bool sends_nothing = false;
  bool embeds = false;  // the result of asks_for_vectors()
  std::stop_token stop;
};
// Whether such a run would request vectors from a server: the library's, or the configured model's.
bool asks_for_vectors(const AnalyzeOptions& options);
Result<std::shared_ptr<nvidia::CloudModels>> open_cloud(const Config& config, const CloudRequest& request);

// Holds the catalogue's lock meanwhile. Fails only on errors that end a run (catalogue unusable, disk full, no worker);
// errors of single files go to the ledger. What was committed before a failure is kept.
Result<AnalyzeReport> analyze(const AnalyzeOptions& options, store::WriterLock lock);

}  // namespace image_engine::pipeline
