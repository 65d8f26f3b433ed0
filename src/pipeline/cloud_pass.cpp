// Pass 3: sends photos and frames of videos to cloud models and stores their answers.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <semaphore>
#include <set>
#include <utility>

#include "core/json.h"
#include "core/progress.h"
#include "core/text.h"
#include "nvidia/cloud_models.h"
#include "pipeline/cloud_picture.h"
#include "pipeline/cloud_plan.h"
#include "pipeline/meaning.h"
#include "pipeline/parallel.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {
namespace {

using nvidia::CloudModels;

// This many failures of an endpoint in a row are its own, not the pictures'.
constexpr std::size_t kMostFailuresInARow = 20;

struct Response {
  StageOutput output;
  Hash128 question;
  bool paid = false;
};

// Each name once, ignoring case as the catalogue does.
std::vector<store::FoundObjects> counted(const nvidia::RetailProducts& found) {
  std::map<std::string, store::FoundObjects> by_name;
  for (const nvidia::Product& product : found.detections) {
    store::FoundObjects& entry = by_name[ascii_lower(product.name)];
    if (entry.count++ == 0) entry.name = product.name;
    entry.confidence = std::max(entry.confidence, product.confidence);
  }
  std::vector<store::FoundObjects> products;
  for (auto& [name, entry] : by_name) products.push_back(std::move(entry));
  return products;
}

Result<Response> detect(CloudModels& models, const nvidia::Picture& picture, const CloudTask&) {
  IE_TRY(const auto answered, models.detect(picture));
  store::CountFacts products{store::TextField::kProducts, counted(answered.answer)};
  return Response{
      {json_text(nvidia::products_json(answered.answer)), {std::move(products)}}, answered.question, answered.paid};
}

Result<Response> describe(CloudModels& models, const nvidia::Picture& picture, const CloudTask& task) {
  IE_TRY(const auto answered, models.describe(picture, task.prompt));
  const nvidia::Endpoint& endpoint = models.endpoint(nvidia::Task::kDescribe);
  const nlohmann::json data = {{"text", answered.answer.text},
                               {"model", endpoint.model.empty() ? endpoint.name : endpoint.model},
                               {"prompt", task.prompt}};
  store::TextFacts caption{store::TextField::kCaption, {answered.answer.text}};
  return Response{{json_text(data), {std::move(caption)}}, answered.question, answered.paid};
}

Result<Response> embed(CloudModels& models, const nvidia::Picture& picture, const CloudTask&) {
  IE_TRY(auto answered, models.embed(picture));
  std::string data = json_text(nlohmann::json{{"dimensions", answered.answer.size()}});
  store::VectorFact vector{{}, std::move(answered.answer)};
  return Response{{std::move(data), {std::move(vector)}}, answered.question, answered.paid};
}

// By nvidia::Task.
constexpr Result<Response> (*kAsk[])(CloudModels&, const nvidia::Picture&, const CloudTask&) = {detect, describe,
                                                                                                embed};

// The server answered, and rejects this picture.
bool is_of_the_picture(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kTooLarge ||
         error.code == ErrorCode::kCorrupt;
}

// The outcome of one request about one photo or frame.
struct Outcome {
  std::size_t task = 0;
  Result<Response> response;
  bool is_local = false;  // it failed before a server was asked
};

class CloudPass {
 public:
  CloudPass(Run& run, CloudReport& report)
      : run_(run),
        report_(report),
        config_(run.options.config.nvidia_build),
        models_(*run.options.cloud.models),
        meaning_(run),
        slots_(models_.threads()) {}

  Status all() {
    IE_TRY(vectors_, meaning_.choose_served());
    IE_TRY(plan_, plan_cloud(run_, vectors_));
    report_.estimate = plan_.estimate;
    note_held_back();
    if (run_.options.cloud.dry_run) return list();
    report_.left = plan_.answers;
    if (plan_.items.empty()) return finish_videos();
    if (!run_.options.cloud.agree(plan_.estimate)) return {};
    if (vectors_) IE_CHECK(meaning_.begin_served());
    Progress progress("Cloud", plan_.answers, run_.options.progress);
    // Twice as many threads as requests: the others prepare their pictures meanwhile.
    const Status done = parallel_files(
        plan_.items.size(), 2 * models_.threads(), [&](std::size_t index) { return ask(plan_.items[index], progress); },
        [&](std::size_t index, const std::vector<Outcome>& outcomes) { return keep(plan_.items[index], outcomes); },
        run_.options.stop);
    const nvidia::Usage usage = models_.client().usage();
    report_.requests = usage.requests;
    report_.retries = usage.retries;
    report_.sent_bytes = usage.sent_bytes;
    report_.seconds = progress.seconds();
    IE_CHECK(done);
    return finish();
  }

 private:
  void note_held_back() {
    const std::array<std::pair<Held, std::string>, kHeldKinds - 1> notes = {
        {{Held::kExcluded, "excluded by a pattern"},
         {Held::kPeople, "people"},
         {Held::kUnchecked, "not checked for people"},
         {Held::kPossiblePeople, "possible people"},
         {Held::kCheckFailed, "the check for people failed: " + plan_.check_error}}};
    for (const auto& [held, why] : notes) {
      for (const auto& [counts, noun] : {std::pair(plan_.held, "picture"), {plan_.held_frames, "frame"}}) {
        const std::uint64_t count = counts[static_cast<std::size_t>(held)];
        if (count == 0) continue;
        report_.held_back += count;
        run_.report.notes.push_back(fmt::format("cloud: {} held back: {}", human_count(count, noun), why));
      }
    }
  }

  // Lists what would be sent, by preparing it.
  Status list() {
    std::vector<std::pair<const CloudItem*, const CloudTask*>> calls;
    for (const CloudItem& item : plan_.items)
      for (const std::size_t task : item.tasks)
        if (!models_.has(plan_.tasks[task].task, item.content, plan_.tasks[task].prompt))
          calls.emplace_back(&item, &plan_.tasks[task]);
    report_.plan.resize(calls.size());
    Progress progress("Cloud", calls.size(), run_.options.progress);
    IE_CHECK(parallel_files(
        calls.size(), run_.pool.options().workers,
        [&](std::size_t index) -> PlannedCall {
          const auto& [item, task] = calls[index];
          const nvidia::Endpoint& endpoint = models_.endpoint(task->task);
          const Result<nvidia::Picture> picture = cloud_picture(run_.pool, item->file.seen, endpoint, item->at());
          progress.add();
          PlannedCall call{item->file.seen.path, endpoint.name, item->at(), 0, {}};
          if (picture)
            call.bytes = picture->mp4.empty() ? picture->jpeg.size() : picture->mp4.size();
          else
            call.error = picture.error();
          return call;
        },
        [&](std::size_t index, const PlannedCall& call) -> Status {
          report_.plan[index] = call;
          return {};
        },
        run_.options.stop));
    std::erase_if(report_.plan, [](const PlannedCall& call) { return call.path.empty(); });  // when cancelled
    return {};
  }

  [[nodiscard]] bool is_budget_used() { return models_.client().left() == std::uint64_t{0}; }
  [[nodiscard]] std::atomic<std::size_t>& in_a_row(nvidia::Task task) {
    return in_a_row_[static_cast<std::size_t>(task)];
  }
  [[nodiscard]] bool fails_always(nvidia::Task task) { return in_a_row(task) >= kMostFailuresInARow; }
  [[nodiscard]] std::optional<Error> refused_for(nvidia::Task task) {
    const nvidia::Endpoint& endpoint = models_.endpoint(task);
    return models_.client().refused(endpoint.url, endpoint.name);
  }
  // Whether further requests are useless or no longer allowed.
  [[nodiscard]] bool is_stopped(nvidia::Task task) {
    return fails_always(task) || is_budget_used() || refused_for(task).has_value();
  }

  // Stored answers first: they need no picture. A photo is prepared once for endpoints with the same requirements.
  std::vector<Outcome> ask(const CloudItem& item, Progress& progress) {
    std::vector<Outcome> outcomes;
    std::optional<nvidia::Picture> made;
    const nvidia::Endpoint* made_for = nullptr;
    for (const std::size_t task : item.tasks) {
      progress.add();
      if (run_.cancelled()) continue;
      const nvidia::Task kind = plan_.tasks[task].task;
      const bool is_at_hand = models_.has(kind, item.content, plan_.tasks[task].prompt);
      if (is_at_hand && (item.full_width > 0 || kind == nvidia::Task::kDescribe)) {
        nvidia::Picture known;
        known.content = item.content;
        known.scale.full_width = item.full_width;
        known.scale.full_height = item.full_height;
        if (Result<Response> response = ask_for(plan_.tasks[task], known)) {
          outcomes.push_back({task, std::move(response), false});
          continue;
        }
      }
      if (!is_at_hand && is_stopped(kind)) continue;
      const nvidia::Endpoint& endpoint = models_.endpoint(kind);
      if (made_for == nullptr || !want_the_same(*made_for, endpoint)) {
        Result<nvidia::Picture> picture = cloud_picture(run_.pool, item.file.seen, endpoint, item.at());
        if (!picture) {
          outcomes.push_back({task, fail(picture.error()), true});
          continue;
        }
        made = std::move(*picture);
        made->content = item.content;
        made_for = &endpoint;
      }
      slots_.acquire();
      if (is_at_hand || !is_stopped(kind)) outcomes.push_back({task, ask_server(plan_.tasks[task], *made), false});
      slots_.release();
    }
    return outcomes;
  }

  Result<Response> ask_server(const CloudTask& asked, const nvidia::Picture& picture) {
    Result<Response> response = ask_for(asked, picture);
    const nvidia::Task task = asked.task;
    if (response ? response->paid : is_of_the_picture(response.error()))
      in_a_row(task) = 0;
    else if (!response && response.error().code != ErrorCode::kInterrupted)
      ++in_a_row(task);
    return response;
  }

  Result<Response> ask_for(const CloudTask& task, const nvidia::Picture& picture) {
    IE_TRY(Response response, kAsk[static_cast<std::size_t>(task.task)](models_, picture, task));
    for (store::Fact& fact : response.output.facts) {
      auto* const vector = std::get_if<store::VectorFact>(&fact);
      if (vector == nullptr) continue;
      vector->space = vectors_->key;
      if (vector->numbers.size() != vectors_->dimensions)
        return fail(ErrorCode::kCorrupt,
                    fmt::format("{}: its vectors have {} numbers, and {} of the model registry should have {}",
                                models_.endpoint(task.task).name, vector->numbers.size(), vectors_->key.model,
                                vectors_->dimensions));
    }
    return response;
  }

  Status keep(const CloudItem& item, const std::vector<Outcome>& outcomes) {
    for (const Outcome& outcome : outcomes) {
      IE_CHECK(run_.batch.open());
      if (std::exchange(renews_videos_, false)) IE_CHECK(put_videos());
      IE_CHECK(outcome.response ? keep(item, outcome.task, *outcome.response) : keep_failure(item, outcome));
      IE_TRY(const bool committed, run_.batch.changed());
      if (!committed) continue;
      renews_videos_ = true;
      IE_CHECK(was_committed());
    }
    return {};
  }

  [[nodiscard]] const char* device(std::size_t task) {
    return models_.endpoint(plan_.tasks[task].task).local ? "local" : "cloud";
  }
  // What there is of videos that are not through yet, so that a killed run leaves them searchable.
  Status put_videos() {
    for (auto& [name, video] : plan_.videos)
      if (!video.is_finished()) IE_CHECK(video.put(run_, device(name.second)));
    return {};
  }
  Status finish_video(std::size_t task, VideoAnswers& video) {
    IE_TRY(const bool has_failed, video.finish(run_, device(task)));
    if (has_failed) ++report_.failed;
    return {};
  }
  // Those that are left, and those that had nothing to ask.
  Status finish_videos() {
    for (auto& [name, video] : plan_.videos) {
      if (video.is_finished()) continue;
      IE_CHECK(run_.batch.open());
      IE_CHECK(finish_video(name.second, video));
    }
    return run_.batch.commit();
  }

  Status keep(const CloudItem& item, std::size_t task, const Response& response) {
    const CloudTask& asked = plan_.tasks[task];
    const store::AssetId asset = item.file.asset;
    const StageOutput& output = response.output;
    if (item.frame) {
      VideoAnswers& video = plan_.videos.at({asset, task});
      IE_CHECK(video.keep(run_, device(task), *item.frame, output));
      if (video.is_through()) IE_CHECK(finish_video(task, video));
    } else {
      IE_CHECK(meaning_.keep(asset, {asked.key, device(task), "", output.data, ""}, output.facts));
      IE_CHECK(run_.writer.clear_failure(item.file.seen.path, asked.key.stage));
    }
    written_.push_back(response.question);
    run_.renewed.insert(asset);
    ++report_.answers;
    --report_.left;
    if (!response.paid) ++report_.at_hand;
    return {};
  }

  // Adds the failure to the ledger, except for an interrupted request.
  Status keep_failure(const CloudItem& item, const Outcome& outcome) {
    const Error& error = outcome.response.error();
    if (is_of_the_run(error.code)) return fail(error);
    if (outcome.is_local && error.code == ErrorCode::kNotFound && vanished_.insert(item.file.seen.path).second)
      run_.report.notes.push_back(printable(item.file.seen.path) + " vanished during the analysis");
    const bool is_left =
        error.code == ErrorCode::kInterrupted || error.code == ErrorCode::kKilled ||
        (outcome.is_local ? error.code == ErrorCode::kNotFound : error.code == ErrorCode::kBusy && is_budget_used());
    if (is_left) return {};
    --report_.left;
    last_error_[static_cast<std::size_t>(plan_.tasks[outcome.task].task)] = error.message;
    if (item.frame) {
      VideoAnswers& video = plan_.videos.at({item.file.asset, outcome.task});
      video.note_failure(item.at(), error);
      return video.is_through() ? finish_video(outcome.task, video) : Status{};
    }
    store::KnownFile file;
    file.id = item.file.file;
    file.seen = item.file.seen;
    ++report_.failed;
    return run_.record_failure(file, plan_.tasks[outcome.task].key, error);
  }

  Status was_committed() {
    for (const Hash128& question : std::exchange(written_, {})) models_.kept(question);
    return run_.announce();
  }

  Status finish() {
    IE_CHECK(finish_videos());
    std::set<nvidia::Task> noted;
    for (const CloudTask& asked : plan_.tasks) {
      if (!noted.insert(asked.task).second) continue;
      if (const std::optional<Error> refused = refused_for(asked.task))
        stop(fmt::format("{}: {}", asked.key.stage, refused->message));
      else if (fails_always(asked.task))
        stop(fmt::format("{}: left after {} failures in a row: {}", asked.key.stage, in_a_row(asked.task).load(),
                         last_error_[static_cast<std::size_t>(asked.task)]));
    }
    IE_CHECK(run_.batch.commit());
    IE_CHECK(was_committed());
    if (vectors_) {
      IE_CHECK(meaning_.finish());
      IE_CHECK(meaning_.change_model());
    }
    if (is_budget_used() && report_.left > 0)
      run_.report.notes.push_back(
          fmt::format("cloud: the budget of {} is used up",
                      human_count(static_cast<std::uint64_t>(config_.max_requests), "request")));
    if (run_.cancelled())
      run_.report.waiting = report_.left;
    else if (report_.left > 0)
      run_.report.notes.push_back(
          fmt::format("cloud: {} left for the next run", human_count(report_.left, "answer is", "answers are")));
    return {};
  }

  void stop(std::string note) {
    report_.stopped = true;
    run_.report.notes.push_back(std::move(note));
  }

  Run& run_;
  CloudReport& report_;
  const NvidiaBuildConfig& config_;
  CloudModels& models_;
  Meaning meaning_;
  std::optional<ServedStage> vectors_;
  std::counting_semaphore<> slots_;  // requests that may be in flight
  CloudPlan plan_;
  std::array<std::atomic<std::size_t>, 3> in_a_row_{};  // by nvidia::Task: failures since its server's last answer
  std::array<std::string, 3> last_error_;               // likewise; the sink's
  std::set<std::string> vanished_;                      // paths that a note names; the sink's
  bool renews_videos_ = false;                          // a batch was committed since put_videos(); the sink's
  std::vector<Hash128> written_;                        // questions whose answers are in the open batch; the sink's
};

}  // namespace

Result<std::shared_ptr<nvidia::CloudModels>> open_cloud(const Config& config, const CloudRequest& request) {
  const NvidiaBuildConfig& cloud = config.nvidia_build;
  IE_CHECK(CloudPrivacy::check_patterns(cloud.privacy));
  nvidia::CloudOptions options;
  options.key_files = request.key_files;
  options.sends_nothing = request.sends_nothing;
  options.stop = request.stop;
  if (request.embeds) {
    if (cloud.retail_detection.enabled) options.tasks.push_back(nvidia::Task::kDetect);
    if (cloud.vision_language.enabled) options.tasks.push_back(nvidia::Task::kDescribe);
    options.tasks.push_back(nvidia::Task::kEmbed);
  }
  IE_TRY(std::unique_ptr<nvidia::CloudModels> models, CloudModels::open(cloud, std::move(options)));
  return std::shared_ptr<nvidia::CloudModels>(std::move(models));
}

Status ask_cloud(Run& run) {
  const PhaseClock::Scope phase(run.clock, run.report.asking);
  CloudReport& report = run.report.cloud.emplace();
  const Status done = CloudPass(run, report).all();
  run.report.asking.files = report.answers;
  return done;
}

}  // namespace image_engine::pipeline
