#include "pipeline/cloud_plan.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "models/catalogue.h"
#include "pipeline/stages.h"
#include "search/groups.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

// Beside what `people:` looks for; "human …" are Open Images' parts of people.
constexpr std::array<std::string_view, 6> kAlsoPeople = {"face", "human", "child", "baby", "cyclist", "rider"};

bool names_people(std::string_view object) {
  const std::string name = ascii_lower(object);
  const auto& people = search::people_names();
  return std::ranges::find(people, name) != people.end() || std::ranges::find(kAlsoPeople, name) != kAlsoPeople.end() ||
         name.starts_with("human ");
}

// Reasons of a server or the network: the next run asks again. What is said of a picture waits for --retry.
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

Result<std::vector<std::string>> people_detectors(const models::Places& places) {
  IE_TRY(const models::Catalogue catalogue, models::Catalogue::load(places.shipped, places.added));
  std::vector<std::string> names;
  for (const models::Spec& spec : catalogue.specs())
    if (spec.task == "objects" && std::ranges::any_of(spec.labels, names_people)) names.push_back(spec.name);
  return names;
}

Result<CloudPrivacy> CloudPrivacy::create(const CloudPrivacyConfig& config, std::vector<std::string> roots,
                                          std::vector<std::string> detectors) {
  CloudPrivacy privacy;
  privacy.detectors_ = std::move(detectors);
  for (const std::string& pattern : config.exclude) {
    if (pattern.starts_with("~/"))  // of a shell: it would keep nothing back
      return fail(ErrorCode::kInvalidArgument,
                  "nvidia_build.privacy.exclude: " + printable(pattern) + " must begin with the folder's whole path");
    if (const Status added = privacy.patterns_.add(pattern); !added)
      return fail(added.error().code, "nvidia_build.privacy.exclude: " + added.error().message);
  }
  privacy.roots_ = std::move(roots);
  privacy.roots_.emplace_back("/");
  privacy.exclude_people_ = config.exclude_people;
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
  return exclude_people_ ? people_in(record) : Held::kNo;
}

// What one record says about people in the picture. kNo, that there are none, takes a detector that could have found
// them: no faces are no proof, as heads are turned away.
Held CloudPrivacy::people_in(const store::Record& record) const {
  if (record.key.stage != kObjectsStage && record.key.stage != kFacesStage) return Held::kUnlooked;
  const json data = parse_json(record.data);
  const bool faces = record.key.stage == kFacesStage;
  const json found = data.is_object() ? data.value(faces ? "faces" : "objects", json()) : json();
  if (!found.is_array()) return Held::kUnlooked;
  const auto is_person = [&](const json& item) {
    return faces || !item.is_object() || !item.contains("object") || !item["object"].is_string() ||
           names_people(item["object"].get_ref<const std::string&>());
  };
  if (std::ranges::any_of(found, is_person)) return Held::kPeople;
  const bool could_find = !faces && std::ranges::find(detectors_, record.key.model) != detectors_.end();
  return could_find ? Held::kNo : Held::kUnlooked;
}

Held CloudPrivacy::people_in(const store::AssetRecord& asset) const {
  Held all = Held::kUnlooked;
  for (const store::Record& record : asset.records) {
    const Held one = people_in(record);
    if (one == Held::kPeople) return one;
    if (one == Held::kNo) all = one;
  }
  return all;
}

std::vector<CloudTask> cloud_tasks(const Run& run, const std::optional<ServedStage>& vectors) {
  const nvidia::CloudModels& models = *run.options.cloud.models;
  std::vector<CloudTask> tasks;
  for (const auto& [task, stage, is_on] : kStages)
    if (is_on(run.options.config.nvidia_build) && run.asked_for(stage))
      tasks.push_back(
          {task, {stage, models.endpoint(task).name, "1", hash128(models.params(task)).hex().substr(0, 16)}});
  if (vectors) tasks.push_back({nvidia::Task::kEmbed, vectors->key});
  return tasks;
}

Result<CloudPlan> plan_cloud(Run& run, const std::optional<ServedStage>& vectors) {
  const NvidiaBuildConfig& config = run.options.config.nvidia_build;
  const nvidia::CloudModels& models = *run.options.cloud.models;
  CloudPlan plan;
  plan.tasks = cloud_tasks(run, vectors);
  plan.estimate.requests_per_minute = static_cast<std::uint64_t>(config.rate_limiting.max_requests_per_minute);
  plan.estimate.budget = static_cast<std::uint64_t>(config.max_requests);
  if (plan.tasks.empty()) return plan;
  store::PendingQuery query;
  query.roots = run.options.paths;
  for (const CloudTask& task : plan.tasks) query.stages.push_back({task.key, MediaKind::kPhoto, kOfServers});
  query.gates = {metadata_key(), content_key(), decode_key()};
  query.retry = run.options.retry;
  query.redo = run.options.redo;
  IE_TRY(std::vector<store::PendingFile> files, run.writer.pending(query));
  if (files.empty()) return plan;

  const std::lock_guard lock(run.reader_mutex);
  IE_TRY(store::CatalogueStatus status, run.reader.status());
  std::vector<std::string> roots = std::move(status.roots);
  roots.insert(roots.end(), run.options.paths.begin(), run.options.paths.end());
  IE_TRY(std::vector<std::string> detectors, people_detectors(run.options.models));
  IE_TRY(const CloudPrivacy privacy, CloudPrivacy::create(config.privacy, std::move(roots), std::move(detectors)));
  for (store::PendingFile& file : files) {
    if (!file.hashed || file.stages.empty()) continue;  // what could not be read is in the ledger
    IE_TRY(const store::AssetRecord record, run.reader.asset_record(file.asset, file.seen.path));
    const Held held = privacy.check(record);
    ++plan.held[static_cast<std::size_t>(held)];
    if (held != Held::kNo) continue;
    CloudItem item;
    item.content = record.hash.value_or(Hash128{});
    if (record.metadata) {
      item.full_width = record.metadata->width;
      item.full_height = record.metadata->height;
    }
    std::uint64_t requests = 0;
    for (std::size_t i = 0; i < plan.tasks.size(); ++i) {
      const CloudTask& task = plan.tasks[i];
      if (std::ranges::find(file.stages, task.key.stage) == file.stages.end()) continue;
      item.tasks.push_back(i);
      if (!models.has(task.task, item.content)) requests += static_cast<std::uint64_t>(models.requests_each(task.task));
    }
    plan.answers += item.tasks.size();
    plan.estimate.requests += requests;
    if (requests > 0) ++plan.estimate.pictures;
    item.file = std::move(file);
    plan.items.push_back(std::move(item));
  }
  return plan;
}

}  // namespace image_engine::pipeline
