#include "pipeline/cloud_plan.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/parallel.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

// Errors of a server or the network: the next run asks again. Errors of a picture wait for --retry.
const std::vector<ErrorCode> kOfServers = {ErrorCode::kPermission, ErrorCode::kNotFound, ErrorCode::kBusy,
                                           ErrorCode::kTimeout, ErrorCode::kIo};

struct StageOfTask {
  nvidia::Task task;
  const char* stage;
  bool (*is_on)(const NvidiaBuildConfig& config);
};
constexpr StageOfTask kStages[] = {
    {nvidia::Task::kDetect, kRetailProductsStage,
     [](const NvidiaBuildConfig& config) { return config.retail_detection.enabled; }},
    {nvidia::Task::kDescribe, kDescriptionStage,
     [](const NvidiaBuildConfig& config) { return config.vision_language.enabled; }},
};

}  // namespace

Status CloudPrivacy::add_patterns(const CloudPrivacyConfig& config) {
  for (const std::string& pattern : config.exclude) {
    if (pattern.starts_with("~/"))  // a shell's, which would hold nothing back
      return fail(ErrorCode::kInvalidArgument,
                  "nvidia_build.privacy.exclude: " + printable(pattern) + " must begin with the folder's whole path");
    if (const Status added = patterns_.add(pattern); !added)
      return fail(added.error().code, "nvidia_build.privacy.exclude: " + added.error().message);
  }
  return {};
}

Status CloudPrivacy::check_patterns(const CloudPrivacyConfig& config) { return CloudPrivacy().add_patterns(config); }

Result<CloudPrivacy> CloudPrivacy::create(const Config& config, const models::InstallPaths& paths,
                                          std::vector<std::string> roots) {
  CloudPrivacy privacy;
  const CloudPrivacyConfig& wanted = config.nvidia_build.privacy;
  IE_CHECK(privacy.add_patterns(wanted));
  privacy.roots_ = std::move(roots);
  privacy.roots_.emplace_back("/");
  if (wanted.exclude_people) {
    IE_TRY(privacy.person_check_, PersonCheck::open(paths, config));
  }
  return privacy;
}

bool CloudPrivacy::is_excluded(const std::string& path) const {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return is_excluded_as(path) || (real && is_excluded_as(real.get()));
}

bool CloudPrivacy::is_excluded_as(std::string_view path) const {
  const auto matches = [&](std::string_view below) {
    for (std::size_t slash = below.find('/'); slash != std::string_view::npos; slash = below.find('/', slash + 1))
      if (patterns_.check(below.substr(0, slash), true) == scan::Verdict::kMatched) return true;
    return patterns_.check(below, false) == scan::Verdict::kMatched;
  };
  return std::ranges::any_of(roots_, [&](const std::string& root) {
    if (path == root) return matches(file_name(path));
    const std::string folder = join_path(root, "");
    return path.starts_with(folder) && matches(path.substr(folder.size()));
  });
}

Held CloudPrivacy::check(const store::AssetRecord& record) const {
  const auto is_out = [&](const store::KnownFile& file) {
    return !store::is_away(file.state) && is_excluded(file.seen.path);
  };
  if (!patterns_.empty() && std::ranges::any_of(record.files, is_out)) return Held::kExcluded;
  return person_check_ ? people_in(record) : Held::kNo;
}

// What one record shows about people in the picture. kNo requires a detector that could have found them: a lack of
// faces is no proof, as heads may be turned away.
Held CloudPrivacy::people_in(const store::Record& record) const {
  if (record.key.stage != kObjectsStage && record.key.stage != kFacesStage) return Held::kUnchecked;
  const json data = parse_json(record.data);
  const bool faces = record.key.stage == kFacesStage;
  const json found = data.is_object() ? data.value(faces ? "faces" : "objects", json()) : json();
  if (!found.is_array()) return Held::kUnchecked;
  const auto is_person = [&](const json& item) {
    return faces || !item.is_object() || !item.contains("object") || !item["object"].is_string() ||
           names_people(item["object"].get_ref<const std::string&>());
  };
  if (std::ranges::any_of(found, is_person)) return Held::kPeople;
  return person_check_->could_find(record.key) ? Held::kNo : Held::kUnchecked;
}

Held CloudPrivacy::people_in(const store::AssetRecord& asset) const {
  Held all = Held::kUnchecked;
  for (const store::Record& record : asset.records) {
    const Held one = people_in(record);
    if (one == Held::kPeople) return one;
    if (one == Held::kNo) all = one;
  }
  return all;
}

std::vector<store::StageKey> CloudPrivacy::person_detectors(const store::AssetRecord& record) const {
  std::vector<store::StageKey> keys;
  for (const store::Record& one : record.records)
    if (person_check_ && person_check_->could_find(one.key)) keys.push_back(one.key);
  return keys;
}

CloudPrivacy::PersonResult CloudPrivacy::check_for_people(worker::Pool& pool, const store::FileObservation& file,
                                                          const std::vector<store::StageKey>& person_detectors,
                                                          double at) const {
  if (!person_check_) return {};
  for (const store::StageKey& key : person_detectors) {
    const Result<bool> people = person_check_->sees_people(pool, file, key, at);
    if (!people) return {Held::kCheckFailed, people.error()};
    if (*people) return {Held::kPossiblePeople};
  }
  return {person_detectors.empty() ? Held::kUnchecked : Held::kNo};
}

std::vector<CloudTask> cloud_tasks(const Run& run, const std::optional<ServedStage>& vectors) {
  const nvidia::CloudModels& models = *run.options.cloud.models;
  std::vector<CloudTask> tasks;
  const Config& config = run.options.config;
  for (const auto& [task, stage, is_on] : kStages) {
    if (!is_on(config.nvidia_build) || !run.asked_for(stage)) continue;
    const std::string& name = models.endpoint(task).name;
    const VisionLanguageConfig& prompts = config.nvidia_build.vision_language;
    tasks.push_back({.task = task,
                     .key = {stage, name, "1", hash128(models.params(task)).hex().substr(0, 16)},
                     .prompt = prompts.photo_prompt});
    if (!sends_frames(config)) continue;
    const std::string& prompt = prompts.default_prompt.empty() ? prompts.photo_prompt : prompts.default_prompt;
    tasks.push_back({.task = task,
                     .key = frames_key(stage, name, models.params(task, prompt), config),
                     .of_frames = true,
                     .prompt = prompt});
  }
  if (vectors) tasks.push_back({.task = nvidia::Task::kEmbed, .key = vectors->key});
  return tasks;
}

namespace {

// What may be sent, as far as is known.
struct Candidate {
  CloudItem item;
  std::uint64_t requests = 0;
  std::vector<store::StageKey> person_detectors;
  // The plan's counts of what is held back.
  [[nodiscard]] std::uint64_t* held_in(CloudPlan& plan) const { return item.frame ? plan.held_frames : plan.held; }
};

bool is_due(const store::PendingFile& file, const CloudTask& task) {
  return file.seen.kind == (task.of_frames ? MediaKind::kVideo : MediaKind::kPhoto) &&
         std::ranges::find(file.stages, task.key.stage) != file.stages.end();
}

void add_task(Candidate& candidate, std::size_t index, const CloudTask& task, const nvidia::CloudModels& models) {
  candidate.item.tasks.push_back(index);
  if (!models.has(task.task, candidate.item.content, task.prompt))
    candidate.requests += static_cast<std::uint64_t>(models.requests_each(task.task));
}

Candidate candidate_of(store::PendingFile file, const store::AssetRecord& record, const std::vector<CloudTask>& tasks,
                       const nvidia::CloudModels& models) {
  Candidate candidate;
  CloudItem& item = candidate.item;
  item.content = record.hash.value_or(Hash128{});
  if (record.metadata) {
    item.full_width = record.metadata->width;
    item.full_height = record.metadata->height;
  }
  for (std::size_t i = 0; i < tasks.size(); ++i)
    if (!tasks[i].of_frames && is_due(file, tasks[i])) add_task(candidate, i, tasks[i], models);
  item.file = std::move(file);
  return candidate;
}

store::KnownFile known_file(const store::PendingFile& file) {
  store::KnownFile known;
  known.id = file.file;
  known.asset = file.asset;
  known.seen = file.seen;
  return known;
}

// The frames of a video that lack an answer. None before the video itself has been analyzed.
Result<std::vector<Candidate>> candidates_of_video(Run& run, const store::PendingFile& file,
                                                   const store::AssetRecord& record, CloudPlan& plan) {
  std::vector<Candidate> candidates;
  if (!record.hash ||
      std::ranges::none_of(record.records, [](const auto& one) { return one.key.stage == kVideoStage; }))
    return candidates;
  const bool all = run.options.config.video.nvidia_frames == "all";
  IE_TRY(const std::vector<CloudFrame> frames, frames_of(run.reader, file.asset, all));
  std::vector<std::pair<std::size_t, const VideoAnswers*>> due;
  for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
    const CloudTask& task = plan.tasks[i];
    if (!task.of_frames || !is_due(file, task)) continue;
    const bool anew = std::ranges::find(run.options.redo, task.key.stage) != run.options.redo.end();
    const auto added =
        plan.videos.try_emplace({file.asset, i}, VideoAnswers(known_file(file), record, frames, task, anew));
    due.emplace_back(i, &added.first->second);
  }
  for (const CloudFrame& frame : frames) {
    Candidate candidate;
    candidate.item.content = frame.content(*record.hash);
    for (const auto& [task, answers] : due)
      if (answers->is_missing(frame.moment.id)) add_task(candidate, task, plan.tasks[task], *run.options.cloud.models);
    if (candidate.item.tasks.empty()) continue;
    candidate.item.file = file;
    candidate.item.frame = frame;
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

// Adds those that what the catalogue knows does not hold back.
void sort_out(std::vector<Candidate>& candidates, Candidate candidate, const store::AssetRecord& record,
              const CloudPrivacy& privacy, CloudPlan& plan) {
  const Held held = privacy.check(record);
  if (held != Held::kNo) {
    ++candidate.held_in(plan)[static_cast<std::size_t>(held)];
    return;
  }
  candidate.person_detectors = privacy.person_detectors(record);
  if (candidate.item.frame) candidate.item.frame->records.clear();  // of thousands of frames
  candidates.push_back(std::move(candidate));
}

Result<std::vector<Candidate>> not_known_as_held(Run& run, const CloudPrivacy& privacy,
                                                 std::vector<store::PendingFile> files, CloudPlan& plan) {
  const std::lock_guard lock(run.reader_mutex);
  std::vector<Candidate> candidates;
  for (store::PendingFile& file : files) {
    if (!file.hashed || file.stages.empty()) continue;  // unreadable files are in the ledger
    IE_TRY(const store::AssetRecord record, run.reader.asset_record(file.asset, file.seen.path));
    if (file.seen.kind != MediaKind::kVideo) {
      sort_out(candidates, candidate_of(std::move(file), record, plan.tasks, *run.options.cloud.models), record,
               privacy, plan);
      continue;
    }
    IE_TRY(std::vector<Candidate> frames, candidates_of_video(run, file, record, plan));
    for (Candidate& frame : frames) {
      const store::AssetRecord of_frame = frame_record(record, *frame.item.frame);
      sort_out(candidates, std::move(frame), of_frame, privacy, plan);
    }
  }
  return candidates;
}

void add_to(CloudPlan& plan, Candidate candidate) {
  plan.answers += candidate.item.tasks.size();
  plan.estimate.requests += candidate.requests;
  if (candidate.requests > 0) ++(candidate.item.frame ? plan.estimate.frames : plan.estimate.pictures);
  if (candidate.item.frame)
    for (const std::size_t task : candidate.item.tasks) plan.videos.at({candidate.item.file.asset, task}).expect();
  plan.items.push_back(std::move(candidate.item));
}

// Adds pictures without people to the plan; when the run is cancelled, none that was not checked.
Status check_for_people(Run& run, const CloudPrivacy& privacy, std::vector<Candidate> candidates, CloudPlan& plan) {
  std::vector<bool> may_be_sent(candidates.size(), !privacy.checks_for_people());
  if (privacy.checks_for_people()) {
    Progress progress("People", candidates.size(), run.options.progress);
    IE_CHECK(parallel_files(
        candidates.size(), run.pool.options().workers,
        [&](std::size_t index) {
          CloudPrivacy::PersonResult result =
              privacy.check_for_people(run.pool, candidates[index].item.file.seen, candidates[index].person_detectors,
                                       candidates[index].item.at());
          progress.add();
          return result;
        },
        [&](std::size_t index, const CloudPrivacy::PersonResult& result) -> Status {
          if (result.error.code == ErrorCode::kMachine) return fail(result.error);
          if (result.held == Held::kCheckFailed && plan.check_error.empty())
            plan.check_error = printable(candidates[index].item.file.seen.path) + ": " + result.error.message;
          ++candidates[index].held_in(plan)[static_cast<std::size_t>(result.held)];
          may_be_sent[index] = result.held == Held::kNo;
          return {};
        },
        run.options.stop));
  }
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (may_be_sent[i]) add_to(plan, std::move(candidates[i]));
  return {};
}

}  // namespace

Result<CloudPlan> plan_cloud(Run& run, const std::optional<ServedStage>& vectors) {
  const NvidiaBuildConfig& config = run.options.config.nvidia_build;
  CloudPlan plan;
  plan.tasks = cloud_tasks(run, vectors);
  plan.estimate.requests_per_minute = static_cast<std::uint64_t>(config.rate_limiting.max_requests_per_minute);
  plan.estimate.budget = static_cast<std::uint64_t>(config.max_requests);
  if (plan.tasks.empty()) return plan;
  store::PendingQuery query;
  query.roots = run.options.paths;
  for (const CloudTask& task : plan.tasks)
    query.stages.push_back({task.key, task.of_frames ? MediaKind::kVideo : MediaKind::kPhoto, kOfServers});
  query.gates = {metadata_key(), content_key(), decode_key()};
  query.retry = run.options.retry;
  query.redo = run.options.redo;
  IE_TRY(std::vector<store::PendingFile> files, run.writer.pending(query));
  if (files.empty()) return plan;

  std::vector<std::string> roots = run.options.paths;
  {
    const std::lock_guard lock(run.reader_mutex);
    IE_TRY(const store::CatalogueStatus status, run.reader.status());
    roots.insert(roots.end(), status.roots.begin(), status.roots.end());
  }
  IE_TRY(const CloudPrivacy privacy, CloudPrivacy::create(run.options.config, run.options.models, std::move(roots)));
  IE_TRY(std::vector<Candidate> candidates, not_known_as_held(run, privacy, std::move(files), plan));
  IE_CHECK(check_for_people(run, privacy, std::move(candidates), plan));
  return plan;
}

}  // namespace image_engine::pipeline
