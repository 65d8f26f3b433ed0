// An analysis from the command line, and its report: shared by `analyze` and `failures --retry`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/analyze_cloud.h"
#include "cli/app.h"
#include "cli/gpu_report.h"
#include "pipeline/analyze.h"
#include "store/writer_lock.h"

namespace image_engine::cli {

struct AnalysisMode {
  bool retry = false;
  bool wait = false;
  bool ndjson = false;
  bool monitor = false;          // shows the GPUs
  bool explain_ignored = false;  // reports what each pattern excluded
  std::string trace, engine;
  std::vector<std::string> only, redo;  // stages
  bool upgrade_embedding = false;
  CloudMode cloud = {};
  pipeline::AnalyzeReport* report = nullptr;  // where it goes instead of stdout
};

// Takes the lock, analyzes, prints the report or the JSON; returns the exit code.
Result<int> run_analysis(Context& context, const std::vector<std::string>& paths, const AnalysisMode& mode);

// Errors: one of the files does not exist, or is a folder.
Status check_video_files(const std::vector<std::string>& files);

// Prints a video's moments and then its actions, one per line: time and what was found most surely; the JSON has all.
// `video`: from pipeline::video_json().
void print_timeline(const nlohmann::json& video);

// The model and processing flags of every command that analyzes.
struct ModelFlags {
  std::string workers, batch_size, object_model, scene_model, embedding_model, action_model;
  std::string speech_model, language, audio_track;
  bool translate = false, no_sound = false;
};
void add_model_flags(Arguments app, ModelFlags& flags);
void put_model_settings(const ModelFlags& flags, Settings& settings);

// Which stages run, likewise.
struct StageFlags {
  std::vector<std::string> only, redo, upgrade;
  std::string engine;
};
void add_stage_flags(Arguments app, StageFlags& flags);

// Takes the catalogue's writer lock, after creating its folder. `wait`: waits for the holder, until interrupted.
Result<store::WriterLock> lock_catalogue(const Context& context, const std::string& command, bool wait);

// The program's GeoNames extract; empty without one.
std::string places_file();

// Parts of the report's JSON, for other documents.
nlohmann::json phases_json(const pipeline::AnalyzeReport& report);
nlohmann::json steps_json(const pipeline::AnalyzeReport& report);
nlohmann::json bottleneck_json(const pipeline::AnalyzeReport& report);  // null without steps
nlohmann::json gpu_lanes_json(const pipeline::AnalyzeReport& report);
void print_phases(const pipeline::AnalyzeReport& report);
void print_steps(const pipeline::AnalyzeReport& report);

// `gpus`: null if none was monitored.
nlohmann::json report_json(const pipeline::AnalyzeReport& report, const GpuMonitor& gpus);
void print_report(const Context& context, const pipeline::AnalyzeReport& report, const GpuMonitor& gpus);

}  // namespace image_engine::cli
