#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/plugin_stages.h"
#include "pipeline/stages.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

constexpr char kAnalyzeExamples[] = R"(
Examples:
  image-engine analyze ~/Pictures
  image-engine analyze /mnt/c/Pictures --exclude '*.gif' --exclude 'Cache/'
  image-engine analyze ~/Pictures --config optimized --workers 8
  image-engine analyze ~/Pictures --only objects --redo objects
  image-engine analyze ~/Pictures --upgrade embedding --embedding-model clip-datacomp-xl-b-32
  image-engine analyze ~/Pictures --engine clip_vision_fp16.trt     (of convert-to-tensorrt)
  image-engine analyze ~/Pictures --ndjson | jq -r .path
  image-engine analyze ~/Pictures --nvidia --dry-run                (lists what would be sent to cloud models)
  image-engine analyze ~/Pictures --nvidia --max-requests 500

Only new and changed files are read. Ctrl-C keeps finished work; the next call continues from there.
A file named .image-engine-ignore (patterns as in a .gitignore) excludes parts of its folder.)";

struct AnalyzeFlags {
  std::vector<std::string> paths;
  std::vector<std::string> include, exclude;
  bool hidden = false, follow = false, retry = false, wait = false, ndjson = false, monitor = false,
       explain_ignored = false;
  std::string trace;
  StageFlags stages;
  CloudFlags cloud;
  ModelFlags models;
  bool segment = false, no_videos = false, fast = false;
};

}  // namespace

std::string places_file() {
  for (const char* candidate : {"../share/image-engine/places.csv", "../../share/places.csv"}) {
    std::string path = absolute_path(join_path(executable_folder(), candidate));
    if (::access(path.c_str(), R_OK) == 0) return path;
  }
  return "";
}

Result<store::WriterLock> lock_catalogue(const Context& context, const std::string& command, bool wait) {
  IE_CHECK(make_folders(std::string(parent_path(context.catalogue)), 0700));
  if (!wait) return store::WriterLock::acquire(context.catalogue, command);
  return store::WriterLock::wait(context.catalogue, command, interruption());
}

namespace {

// Prints the document's assets as they are finished, so that memory does not grow with the library. A separate thread
// prints, so that a slow reader does not delay the analysis. Only asset ids are queued.
class AssetStream {
 public:
  AssetStream(std::string catalogue, bool lines)
      : catalogue_(std::move(catalogue)), lines_(lines), printer_([this] { print_all(); }) {}
  AssetStream(const AssetStream&) = delete;
  AssetStream& operator=(const AssetStream&) = delete;
  ~AssetStream() { wait_for_reader(); }

  void add(store::AssetId asset) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(asset);
    changed_.notify_all();
  }
  void finish(const pipeline::AnalyzeReport& report, const GpuMonitor& gpus) {
    wait_for_reader();
    begin();
    end("report", report_json(report, gpus));
  }
  // Completes the document in any case.
  void fail(const Error& error) {
    wait_for_reader();
    if (begun_) end("error", {{"code", error_name(error.code)}, {"message", to_utf8(error.message)}});
  }

 private:
  void print_all() {
    std::optional<store::CatalogueReader> reader;
    for (;;) {
      store::AssetId asset = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
        if (waiting_.empty()) break;
        asset = waiting_.front();
        waiting_.pop_front();
      }
      if (const Status printed = print(asset, reader); !printed)
        log_warning("asset {} is missing in the output: {}", asset, printed.error().message);
    }
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  Status print(store::AssetId asset, std::optional<store::CatalogueReader>& reader) {
    if (!reader) {
      IE_TRY(reader, store::CatalogueReader::open(catalogue_));
    }
    const Result<store::AssetRecord> record = reader->asset_record(asset);
    if (!record && record.error().code == ErrorCode::kNotFound) return {};  // merged into another since
    if (!record) return image_engine::fail(record.error());
    begin();
    const std::string text = json_text(store::asset_json(*record, pipeline::json_sections()));
    std::fprintf(stdout, lines_ ? "%s%s\n" : "%s\n    %s", lines_ ? "" : count_ > 0 ? "," : "", text.c_str());
    if (lines_) std::fflush(stdout);
    ++count_;
    return {};
  }
  // Waits until everything is printed. It is all in the catalogue by now, so Ctrl-C ends the wait and the program.
  void wait_for_reader() {
    constexpr std::chrono::milliseconds kStep{50};
    constexpr int kStepsInSilence = 40;
    if (!printer_.joinable()) return;
    const bool was_interrupted = interrupted();  // a further Ctrl-C then ends the program at once
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    std::size_t left = waiting_.size();
    for (int steps = 0; !changed_.wait_for(lock, kStep, [&] { return done_; }); ++steps) {
      if (std::exchange(left, waiting_.size()) != waiting_.size()) steps = 0;
      if (steps == kStepsInSilence) log_warning("waiting for the reader of the output; the analysis is done and saved");
      if (!was_interrupted && interrupted()) std::_Exit(kInterrupted);
    }
    lock.unlock();
    printer_.join();
  }
  void begin() {
    if (!lines_ && !begun_) std::fputs("{\n  \"schema\": \"image-engine/analyze/1\",\n  \"assets\": [", stdout);
    begun_ = true;
  }
  void end(const char* name, const nlohmann::json& last) const {
    if (lines_) return;
    std::fprintf(stdout, "%s],\n  \"%s\": %s\n}\n", count_ > 0 ? "\n  " : "", name, json_text(last).c_str());
  }

  std::string catalogue_;
  bool lines_;
  bool begun_ = false;       // the printer's, then wait_for_reader()'s caller's
  std::uint64_t count_ = 0;  // likewise
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<store::AssetId> waiting_;
  bool closed_ = false, done_ = false;
  std::thread printer_;  // last: it uses the others
};

// A catalogued folder or file may be deleted or offline; so may the contents of a catalogued folder.
bool may_be_away(const store::CatalogueReader& reader, const std::string& path) {
  if (const Result<bool> known = reader.knows(path); known && *known) return true;
  const Result<store::CatalogueStatus> status = reader.status();
  return status && std::any_of(status->roots.begin(), status->roots.end(), [&](const std::string& root) {
           return path == root || (path.starts_with(join_path(root, "")) && ::access(root.c_str(), F_OK) != 0);
         });
}

Status check_paths(const AnalyzeFlags& flags, const Context& context) {
  for (const std::string& path : flags.paths) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return {};
  }
  const Result<store::CatalogueReader> reader = store::CatalogueReader::open(context.catalogue);
  for (const std::string& path : flags.paths)
    if (reader && may_be_away(*reader, absolute_path(path))) return {};
  return fail(ErrorCode::kNotFound, printable(flags.paths.front()) + ": no such file or folder");
}

}  // namespace

Result<int> run_analysis(Context& context, const std::vector<std::string>& paths, const AnalysisMode& mode) {
  IE_CHECK(catch_interrupts());
  pipeline::AnalyzeOptions options;
  options.catalogue = context.catalogue;
  for (const std::string& path : paths) options.paths.push_back(absolute_path(path));
  options.places = places_file();
  options.config = context.config;
  options.models = models::find_install_paths(context.config.models.folder);
  options.only = pipeline::with_plugin_stages(mode.only, options.config);
  options.redo = pipeline::with_plugin_stages(mode.redo, options.config);
  for (const std::vector<std::string>* stages : {&options.only, &options.redo})
    options.config.analysis.segmentation |= std::ranges::find(*stages, pipeline::kSegmentationStage) != stages->end();
  options.upgrade_embedding = mode.upgrade_embedding;
  options.retry = mode.retry;
  options.engine = mode.engine.empty() ? "" : absolute_path(mode.engine);
  options.trace = mode.trace.empty() ? "" : absolute_path(mode.trace);
  options.progress = !context.quiet;
  options.stop = interruption();
  CloudConsent consent(context, mode.cloud);
  IE_CHECK(consent.open(options));
  IE_TRY(store::WriterLock lock, lock_catalogue(context, "analyze", mode.wait));
  const GpuMonitor gpus = mode.monitor || context.json ? watch_gpus(mode.monitor && !context.quiet) : nullptr;
  if (mode.monitor && gpus != nullptr) options.beside_progress = [&] { return gpus_now(*gpus); };
  std::optional<AssetStream> stream;
  if (mode.report == nullptr && !mode.cloud.dry_run && (context.json || mode.ndjson)) {
    stream.emplace(context.catalogue, mode.ndjson);
    options.on_asset = [&](store::AssetId asset) { stream->add(asset); };
  }
  Result<pipeline::AnalyzeReport> done = pipeline::analyze(options, std::move(lock));
  if (!done) {
    if (stream) stream->fail(done.error());
    return fail(done.error());
  }
  if (!mode.explain_ignored) done->scan.patterns.clear();
  const pipeline::AnalyzeReport& report = *done;
  if (mode.report != nullptr) *mode.report = report;
  if (mode.cloud.dry_run)
    print_plan(context, report);
  else if (stream)
    stream->finish(report, gpus);
  else if (!context.quiet && mode.report == nullptr)
    print_report(context, report, gpus);
  if (report.cancelled) return kInterrupted;
  if (!consent.refusal().empty()) {
    std::fprintf(stderr, "image-engine: nothing was sent: %s\n", printable(consent.refusal()).c_str());
    return kUsage;
  }
  return report.has_failures() ? kDoneWithFailures : kDone;
}

void add_model_flags(Arguments app, ModelFlags& flags) {
  app.add_option("--object-model", flags.object_model, "The model for objects; auto: the best installed one")
      .type_name("NAME|auto|none");
  app.add_option("--scene-model", flags.scene_model,
                 "The model for scenes; auto: the embedding model if installed, else a classifier")
      .type_name("NAME|auto|none");
  app.add_option("--embedding-model", flags.embedding_model,
                 "The embedding model for search; with --upgrade embedding, the one to switch to")
      .type_name("NAME|auto|none");
  app.add_option("--action-model", flags.action_model,
                 "The model for actions in videos; auto: the best installed one, else zero-shot by the embedding model")
      .type_name("NAME|auto|none");
  app.add_option("--speech-model", flags.speech_model, "The model for speech; auto: the best installed one")
      .type_name("NAME|auto|none");
  app.add_option("--language", flags.language, "The language that is spoken, such as en or de; auto: detected")
      .type_name("CODE|auto");
  app.add_option("--audio-track", flags.audio_track, "Of several audio tracks: a number from 1, or a language")
      .type_name("N|CODE|auto");
  app.add_flag("--translate", flags.translate, "Translate what is said to English");
  app.add_flag("--no-sound", flags.no_sound, "Leave the sound of videos and recordings out");
  app.add_option("--workers", flags.workers, "Files analyzed at once; 0: one per core").type_name("N");
  app.add_option("--batch-size", flags.batch_size, "Pictures in one run of a model").type_name("N");
}

void put_model_settings(const ModelFlags& flags, Settings& settings) {
  for (const auto& [key, value] : {std::pair("processing.workers", &flags.workers),
                                   {"analysis.ml_models.object_model", &flags.object_model},
                                   {"analysis.ml_models.scene_model", &flags.scene_model},
                                   {"analysis.ml_models.embedding_model", &flags.embedding_model},
                                   {"analysis.ml_models.action_model", &flags.action_model},
                                   {"audio.speech_model", &flags.speech_model},
                                   {"audio.language", &flags.language},
                                   {"audio.track", &flags.audio_track},
                                   {"analysis.ml_models.batch_size", &flags.batch_size}})
    if (!value->empty()) settings.push_back({key, *value});
  if (flags.translate) settings.push_back({"audio.translate", "true"});
  if (flags.no_sound) settings.push_back({"audio.enabled", "false"});
}

void add_stage_flags(Arguments app, StageFlags& flags) {
  std::vector<std::string> names = pipeline::stage_names(pipeline::Pass::kPictures);
  std::ranges::move(pipeline::stage_names(pipeline::Pass::kServers), std::back_inserter(names));
  app.add_option("--only", flags.only, "Only this stage (may be repeated)")
      .type_name("STAGE")
      .one_of(names)
      .one_value_each();
  app.add_option("--redo", flags.redo, "Repeat this stage where it was done (may be repeated)")
      .type_name("STAGE")
      .one_of(names)
      .one_value_each();
  app.add_option("--upgrade", flags.upgrade,
                 "Also embed with the configured model, and switch search to it when complete")
      .type_name("STAGE")
      .one_of({pipeline::kEmbeddingStage})
      .one_value_each();
  app.add_option("--engine", flags.engine, "A TensorRT engine, for the model that it was built from").type_name("FILE");
}

Action setup_analyze(Arguments app, Settings& settings) {
  auto flags = std::make_shared<AnalyzeFlags>();
  app.add_option("PATH", flags->paths, "Folders and files").required();
  app.add_option("--include", flags->include, "Only files that match the pattern (may be repeated)")
      .type_name("GLOB")
      .one_value_each();
  app.add_option("--exclude", flags->exclude, "Exclude files and folders that match")
      .type_name("GLOB")
      .one_value_each();
  app.add_flag("--hidden", flags->hidden, "Include hidden files and folders");
  app.add_flag("--follow-symlinks", flags->follow, "Follow symbolic links inside the folders");
  app.add_flag("--explain-ignored", flags->explain_ignored, "Report how many files each pattern excluded");
  app.add_flag("--retry", flags->retry, "Retry what failed before");
  app.add_flag("--wait", flags->wait, "Wait while another analyze is running");
  const Option ndjson = app.add_flag("--ndjson", flags->ndjson, "One line of JSON for each finished asset");
  app.add_flag("--monitor", flags->monitor, "Show GPU load beside the progress and in the report");
  app.add_option("--trace", flags->trace, "Write a trace of the run, for chrome://tracing or Perfetto")
      .type_name("FILE");
  add_cloud_flags(app, flags->cloud, "photos, and frames of videos,").excludes(ndjson);
  add_stage_flags(app, flags->stages);
  add_model_flags(app, flags->models);
  app.add_flag("--segment", flags->segment,
               "Keep masks of subjects, people and classes in photos (analysis.segmentation)");
  app.add_flag("--no-videos", flags->no_videos, "Leave frames of videos for another run");
  app.add_flag("--fast", flags->fast, "Of videos only key frames: fast, and blind for what happens between them");
  app.footer(kAnalyzeExamples);
  // AnalyzeFlags become settings after parsing, before the configuration is loaded.
  app.once_parsed([flags, &settings] {
    const auto put = [&](const char* key, const std::string& value) {
      if (!value.empty()) settings.push_back({key, value});
    };
    if (!flags->include.empty()) settings.push_back({"scan.include", "", flags->include});
    if (!flags->exclude.empty()) settings.push_back({"scan.exclude", "", flags->exclude});
    put("scan.hidden", flags->hidden ? "true" : "");
    put("scan.follow_symlinks", flags->follow ? "true" : "");
    put_model_settings(flags->models, settings);
    put("analysis.segmentation", flags->segment ? "true" : "");
    put("video.enabled", flags->no_videos ? "false" : "");
    put("video.key_frames_only", flags->fast ? "true" : "");
    put_cloud_settings(flags->cloud, settings);
  });
  return [flags](Context& context) -> Result<int> {
    IE_CHECK(check_paths(*flags, context));
    return run_analysis(context, flags->paths,
                        {.retry = flags->retry,
                         .wait = flags->wait,
                         .ndjson = flags->ndjson,
                         .monitor = flags->monitor,
                         .explain_ignored = flags->explain_ignored,
                         .trace = flags->trace,
                         .engine = flags->stages.engine,
                         .only = flags->stages.only,
                         .redo = flags->stages.redo,
                         .upgrade_embedding = !flags->stages.upgrade.empty(),
                         .cloud = flags->cloud.mode});
  };
}

}  // namespace image_engine::cli
