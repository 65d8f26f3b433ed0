#include "pipeline/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "core/progress.h"
#include "core/text.h"
#include "pipeline/stages.h"
#include "scan/file_system.h"
#include "scan/scan.h"
#include "store/catalogue.h"

namespace image_engine::pipeline {
namespace {

// For machines where nothing was measured, of one core: photos/s of headers and of content with the default models,
// bytes/s of videos and of sound files. Of 12-MP photos and 1080p videos on server cores; other machines and settings
// differ by several times.
struct GuessedRates {
  double headers = 900, content = 5, videos = 1.5e6, sounds = 0.2e6;
};
constexpr GuessedRates kGuess;

// By how much a photo's bytes may change the time that it takes.
constexpr double kLeastSize = 0.1, kMostSize = 5;

class Planner {
 public:
  explicit Planner(const PlanOptions& options) : options_(options), progress_("Plan", 0, options.progress) {}

  Result<Plan> make() {
    IE_CHECK(load_known());
    IE_CHECK(walk());
    plan_.rates = kept_rates(options_.config, options_.models);
    predict();
    plan_cloud_calls();
    name_limit();
    return std::move(plan_);
  }

 private:
  Status load_known() {
    const Result<store::CatalogueReader> reader = store::CatalogueReader::open(options_.catalogue);
    if (!reader && reader.error().code == ErrorCode::kNotFound) return {};  // everything is new
    if (!reader) return fail(reader.error());
    IE_TRY(std::vector<store::KnownFile> files, reader->known_files("/"));
    for (store::KnownFile& file : files) known_.emplace(file.seen.path, std::move(file));
    IE_TRY(const std::vector<store::Failure> failures, reader->list_failures(options_.paths));
    for (const store::Failure& failure : failures)
      if (is_gate(failure.key)) failed_.emplace(failure.path, failure.stamp);
    return {};
  }

  // Failures after which a file is not read again before it changes.
  static bool is_gate(const store::StageKey& key) {
    return key == metadata_key() || key == content_key() || key == decode_key();
  }

  Status walk() {
    const auto& config = options_.config.scan;
    IE_TRY(const scan::Walker walker,
           scan::Walker::create({config.include, config.exclude, config.hidden, config.follow_symlinks}));
    scan::ScanVisitor visitor;
    Status lost;
    visitor.known = [this](const scan::FoundFile& found) -> std::optional<MediaFormat> {
      const store::KnownFile* row = known_as_it_is(found);
      return row != nullptr ? std::optional(row->seen.format) : std::nullopt;
    };
    visitor.file = [this](scan::FoundFile&& found) {
      progress_.add();
      add(found);
      return !options_.stop.stop_requested();
    };
    visitor.problem = [&](const scan::ScanProblem& found) {
      if (found.kind == scan::ProblemKind::kRoot && lost) lost = fail(found.error);
      ++plan_.problems;
    };
    const scan::ScanCounts counts = walker.walk(options_.paths, visitor);
    if (options_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
    if (counts.media == 0) IE_CHECK(lost);
    plan_.skipped = counts.skipped;
    plan_.excluded = counts.excluded;
    return {};
  }

  const store::KnownFile* known_as_it_is(const scan::FoundFile& found) {
    const auto row = known_.find(found.path);
    if (row == known_.end()) return nullptr;
    const auto [system, added] = systems_.try_emplace(found.device);
    if (added) system->second = scan::file_system_at(found.path).value_or(scan::FileSystem());
    const store::FileObservation& seen = row->second.seen;  // the rule of scan_folders.cpp
    const bool same = seen.stamp.size == static_cast<std::int64_t>(found.size) &&
                      scan::same_time(system->second, seen.stamp.mtime_ns, found.mtime_ns) &&
                      (seen.inode == found.inode || seen.device != found.device || !system->second.stable_inodes);
    return same ? &row->second : nullptr;
  }

  void add(const scan::FoundFile& found) {
    auto kind = std::ranges::find(plan_.kinds, found.kind, &PlannedFiles::kind);
    if (kind == plan_.kinds.end()) {
      plan_.kinds.push_back({found.kind});
      kind = std::prev(plan_.kinds.end());
    }
    ++kind->files;
    kind->bytes += found.size;
    const store::KnownFile* row = known_as_it_is(found);
    const auto failed = failed_.find(found.path);
    if (row != nullptr && failed != failed_.end() && failed->second == row->seen.stamp)
      ++kind->failed;
    else if (row != nullptr && row->hashed)
      count_analyzed(*kind, *row);
    else
      kind->due_bytes += found.size;
  }

  void count_analyzed(PlannedFiles& kind, const store::KnownFile& row) {
    ++kind.analyzed;
    if (row.metadata_version != metadata_version(options_.config)) ++headers_again_;
  }

  [[nodiscard]] PlannedFiles of(MediaKind kind) const {
    const auto found = std::ranges::find(plan_.kinds, kind, &PlannedFiles::kind);
    return found == plan_.kinds.end() ? PlannedFiles{kind} : *found;
  }

  void stage(const char* name, std::uint64_t files, double seconds, bool measured) {
    if (files == 0) return;
    plan_.stages.push_back({name, files, seconds, measured});
    plan_.seconds += seconds;
  }

  void predict() {
    std::ranges::sort(plan_.kinds, {}, &PlannedFiles::kind);
    const PlannedFiles photos = of(MediaKind::kPhoto), videos = of(MediaKind::kVideo), sounds = of(MediaKind::kAudio);
    const double cores = options_.config.worker_count();
    const auto& rates = plan_.rates;
    const double headers = rates ? rates->headers : kGuess.headers * cores;
    const double content = rates ? rates->content : kGuess.content * cores;
    const std::uint64_t all = photos.due() + videos.due() + sounds.due() + headers_again_;
    stage("metadata", all, static_cast<double>(all) / headers, rates.has_value());
    const double mean =
        static_cast<double>(photos.due_bytes) / static_cast<double>(std::max<std::uint64_t>(photos.due(), 1));
    const double size = rates ? std::clamp(mean / rates->photo_bytes, kLeastSize, kMostSize) : 1;
    stage("content", photos.due(), size * static_cast<double>(photos.due()) / content, rates.has_value());
    if (options_.config.video.enabled)
      stage("videos", videos.due(), static_cast<double>(videos.due_bytes) / (kGuess.videos * cores), false);
    if (options_.config.audio.enabled)
      stage("sounds", sounds.due(), static_cast<double>(sounds.due_bytes) / (kGuess.sounds * cores), false);
  }

  void name_limit() {
    if (plan_.stages.empty()) {
      plan_.limit = "nothing is new or changed; stages added since the last analysis are not counted";
      return;
    }
    const auto& rates = plan_.rates;
    const auto longest = std::ranges::max_element(plan_.stages, {}, &PlannedStage::seconds);
    const bool is_of_photos = longest->name == "metadata" || longest->name == "content";
    plan_.limit = is_of_photos && rates && !rates->limit.empty()
                      ? rates->limit
                      : fmt::format("{}: most of the time goes there, by a guess", longest->name);
  }

  void plan_cloud_calls() {
    const NvidiaBuildConfig& config = options_.config.nvidia_build;
    if (!config.enabled) return;
    PlannedCloud cloud;
    if (config.retail_detection.enabled) cloud.endpoints.emplace_back(kRetailProductsStage);
    if (config.vision_language.enabled) cloud.endpoints.emplace_back(kDescriptionStage);
    cloud.requests = of(MediaKind::kPhoto).due() * cloud.endpoints.size();
    cloud.limit = static_cast<std::uint64_t>(config.max_requests);
    cloud.requests_per_minute = static_cast<std::uint64_t>(config.rate_limiting.max_requests_per_minute);
    cloud.frames = options_.config.video.use_nvidia_build && of(MediaKind::kVideo).due() > 0;
    const std::uint64_t sent = cloud.limit > 0 ? std::min(cloud.limit, cloud.requests) : cloud.requests;
    stage("cloud", sent, 60.0 * static_cast<double>(sent) / static_cast<double>(cloud.requests_per_minute), false);
    plan_.cloud = std::move(cloud);
  }

  const PlanOptions& options_;
  Progress progress_;
  Plan plan_;
  std::uint64_t headers_again_ = 0;                              // analyzed files whose headers are read once more
  std::unordered_map<std::string, store::KnownFile> known_;      // by path
  std::unordered_map<std::string, store::FileStamp> failed_;     // likewise
  std::unordered_map<std::uint64_t, scan::FileSystem> systems_;  // by device
};

}  // namespace

Result<Plan> make_plan(const PlanOptions& options) { return Planner(options).make(); }

}  // namespace image_engine::pipeline
