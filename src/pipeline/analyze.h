// `analyze`: brings the catalogue up to date with folders of photos and videos.
//
// Pass 1 walks, compares and reads headers, so that a library can be browsed within seconds. Pass 2 reads each new
// content once: hash, decode, every stage. docs/adr/0002 says why two.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/result.h"
#include "models/places.h"
#include "pipeline/trace.h"
#include "scan/scan.h"
#include "store/catalogue.h"
#include "store/writer_lock.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

struct AnalyzeOptions {
  std::string catalogue;           // path
  std::vector<std::string> paths;  // files and folders, absolute
  std::string places;              // CSV of places/places.h; empty for none
  std::string thumbnail_folder;    // empty: the user's cache
  Config config;
  models::Places models;
  std::string engine;              // built by TensorRT of one of the models before; empty: none
  std::vector<std::string> only;   // stages of pass 2 (content_stage_names()); empty: all
  std::vector<std::string> redo;   // of these, also where there is a record
  bool upgrade_embedding = false;  // to the model that the configuration asks for, beside the one in use
  std::string trace;               // where to write trace events; empty for none
  bool retry = false;              // what failed before, too
  bool progress = false;           // on stderr
  // Asked often, from several threads: true ends the run, keeping what is done.
  std::function<bool()> cancelled = [] { return false; };
  // What else to say in the progress of pass 2, each time that it is printed; from any thread.
  std::function<std::string()> beside_progress;
  // Called for each asset whose analysis was finished or renewed in this run, after it is committed.
  std::function<void(const store::AssetRecord&)> on_asset;
};

// One line of the report: what a phase did, on this machine, in this run.
struct PhaseReport {
  std::string name;
  std::uint64_t files = 0;
  double seconds = 0;
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
  std::uint64_t waiting = 0;     // left to do, when cancelled
  std::uint64_t worker_deaths = 0;
  PhaseReport scanning{"scan"}, metadata{"metadata"}, content{"content"}, ml{"ml"};
  std::vector<StepReport> steps;  // where the time went
  double seconds = 0;
  bool cancelled = false;
  std::vector<std::string> notes;  // for a person: roots that are away and the like
};

// How the configuration wants its workers.
worker::PoolOptions pool_options(const Config& config);

// Analyses with the catalogue's lock in hand. Fails only on what ends a run (catalogue unusable, disk full, no worker);
// what is wrong with single files goes to the ledger. What was committed before a failure is kept.
Result<AnalyzeReport> analyze(const AnalyzeOptions& options, store::WriterLock lock);

}  // namespace image_engine::pipeline
