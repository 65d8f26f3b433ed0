#include "pipeline/cloud_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/text.h"
#include "pipeline/video_summary.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;

constexpr std::size_t kQuestionDigits = 16;  // of a key's params; what follows tells which frames have an answer
constexpr double kSameFrame = 1e-6;          // seconds
constexpr std::size_t kMostDominant = 5;

// Each product once, as it was seen best, with the most of a frame.
StageOutput summarize_products(const std::vector<FrameData>& frames) {
  json products = json::array();
  std::map<std::string, std::size_t> known;  // by name, ignoring case as the catalogue does
  for (const FrameData& frame : frames) {
    const json data = parse_json(frame.data);
    if (!data.is_object() || !data.contains("detections") || !data["detections"].is_array()) continue;
    std::map<std::string, std::int64_t> counts;
    for (json product : data["detections"]) {
      const std::string name = ascii_lower(product.value("class", ""));
      const auto [entry, is_new] = known.try_emplace(name, products.size());
      product["at"] = thousandths(frame.seconds);
      if (is_new) products.push_back(product), products.back()["count"] = 0;
      json& best = products[entry->second];
      const std::int64_t count = std::max(++counts[name], best.value("count", std::int64_t{0}));
      if (product.value("confidence", 0.0) > best.value("confidence", 0.0)) best = std::move(product);
      best["count"] = count;
    }
  }
  store::CountFacts facts{store::TextField::kProducts, {}};
  std::int64_t count = 0;
  for (const json& product : products) {
    facts.things.push_back(
        {product.value("class", ""), product.value("count", std::int64_t{1}), product.value("confidence", 0.0)});
    count += facts.things.back().count;
  }
  std::vector<store::FoundObjects> frequent = facts.things;
  std::ranges::stable_sort(frequent, [](const store::FoundObjects& a, const store::FoundObjects& b) {
    return std::pair(a.count, a.confidence) > std::pair(b.count, b.confidence);
  });
  json dominant = json::array();
  for (const store::FoundObjects& product : frequent)
    if (dominant.size() < kMostDominant) dominant.push_back(product.name);
  return {
      json_text(json{{"detections", std::move(products)}, {"product_count", count}, {"dominant_products", dominant}}),
      {std::move(facts)}};
}

StageOutput summarize_descriptions(const std::vector<FrameData>& frames) {
  json out = {{"descriptions", json::array()}, {"model", ""}, {"prompt", ""}};
  store::TextFacts captions{store::TextField::kCaption, {}};
  for (const FrameData& frame : frames) {
    const json data = parse_json(frame.data);
    if (!data.is_object()) continue;
    const std::string text = data.value("text", "");
    out["descriptions"].push_back({{"at", thousandths(frame.seconds)}, {"text", text}});
    for (const char* same : {"model", "prompt"}) out[same] = data.value(same, "");
    if (std::ranges::find(captions.lines, text) == captions.lines.end()) captions.lines.push_back(text);
  }
  return {json_text(out), {std::move(captions)}};
}

// The stages whose answers are about frames.
struct FrameStageRow {
  const char* stage;
  store::TextField field;
  StageOutput (*summarize)(const std::vector<FrameData>& frames);
};
constexpr FrameStageRow kFrameStages[] = {
    {kRetailProductsStage, store::TextField::kProducts, summarize_products},
    {kDescriptionStage, store::TextField::kCaption, summarize_descriptions},
};

const FrameStageRow& row_of(std::string_view stage) {
  return *std::ranges::find(kFrameStages, stage, [](const FrameStageRow& row) { return std::string_view(row.stage); });
}

bool asks_the_same(const store::StageKey& one, const store::StageKey& other) {
  return one.stage == other.stage && one.model == other.model && one.version == other.version &&
         one.params.substr(0, kQuestionDigits) == other.params.substr(0, kQuestionDigits);
}

bool is_of_a_server(ErrorCode code) {
  return code != ErrorCode::kInvalidArgument && code != ErrorCode::kTooLarge && code != ErrorCode::kCorrupt;
}

}  // namespace

bool sends_frames(const Config& config) { return config.video.enabled && config.video.use_nvidia_build; }

store::StageKey frames_key(const char* stage, const std::string& endpoint, const std::string& question,
                           const Config& config) {
  return {stage, endpoint, "1", hash128(question).hex().substr(0, kQuestionDigits) + " " + config.video.nvidia_frames};
}

Hash128 CloudFrame::content(const Hash128& video) const {
  return hash128(fmt::format("{} at {:.6f}", video.hex(), moment.from));
}

Result<std::vector<CloudFrame>> frames_of(const store::CatalogueReader& reader, store::AssetId asset, bool all) {
  IE_TRY(const std::vector<store::Moment> moments, reader.moments(asset));
  IE_TRY(std::vector<store::MomentRecord> records, reader.moment_records(asset));
  std::map<store::MomentId, std::vector<store::MomentRecord>> by_moment;
  std::vector<double> best;
  for (store::MomentRecord& record : records) {
    if (record.stage == kVideoStage) {
      const json data = parse_json(record.data);
      if (data.is_object() && data.contains("best") && data["best"].is_number())
        best.push_back(data["best"].get<double>());
    }
    by_moment[record.moment].push_back(std::move(record));
  }
  std::vector<CloudFrame> frames;
  for (const store::Moment& moment : moments) {
    const auto is_here = [&](double at) { return std::abs(at - moment.from) < kSameFrame; };
    if (moment.kind == store::MomentKind::kFrame)
      frames.push_back({moment, std::move(by_moment[moment.id]), all || std::ranges::any_of(best, is_here)});
  }
  return frames;
}

store::AssetRecord frame_record(const store::AssetRecord& video, const CloudFrame& frame) {
  store::AssetRecord record;
  record.id = video.id;
  record.kind = video.kind;
  record.files = video.files;
  for (const store::MomentRecord& found : frame.records) {
    const auto own = std::ranges::find(video.records, found.stage, [](const auto& one) { return one.key.stage; });
    if (own != video.records.end()) record.records.push_back({own->key, "", "", found.data, ""});
  }
  return record;
}

VideoAnswers::VideoAnswers(store::KnownFile file, const store::AssetRecord& video,
                           const std::vector<CloudFrame>& frames, const CloudTask& task, bool anew)
    : file_(std::move(file)), task_(task) {
  const auto own = std::ranges::find(video.records, task.key.stage, [](const auto& one) { return one.key.stage; });
  outdated_ = anew || own == video.records.end() || !asks_the_same(own->key, task.key);
  for (const CloudFrame& frame : frames) {
    const auto known = std::ranges::find(frame.records, task.key.stage, &store::MomentRecord::stage);
    if (!outdated_ && known != frame.records.end())
      answers_[frame.moment.id] = {frame.moment.from, known->data};
    else if (frame.is_wanted)
      missing_.insert(frame.moment.id);
  }
  changed_ = missing_.empty();
}

store::StageKey VideoAnswers::partial_key() const {
  store::StageKey key = task_.key;
  key.params += " partial";
  return key;
}

Status VideoAnswers::drop_others(Run& run) {
  if (!outdated_) return {};
  outdated_ = false;
  return run.writer.drop_moment_records(file_.asset, task_.key.stage, row_of(task_.key.stage).field);
}

Status VideoAnswers::keep(Run& run, const char* device, const CloudFrame& frame, const StageOutput& output) {
  const bool is_first = outdated_;
  IE_CHECK(drop_others(run));
  IE_CHECK(run.writer.put_moment_record(file_.asset, {frame.moment.id, task_.key.stage, output.data}, output.facts));
  answers_[frame.moment.id] = {frame.moment.from, output.data};
  missing_.erase(frame.moment.id);
  changed_ = true;
  if (left_ > 0) --left_;
  // The record that tells which question the answers belong to is written with the first of them.
  return is_first ? put(run, device) : Status{};
}

// Of several errors, one that the next run tries again.
void VideoAnswers::note_failure(double at, const Error& error) {
  if (left_ > 0) --left_;
  ++failed_;
  if (!error_ || (is_of_a_server(error.code) && !is_of_a_server(error_->code)))
    error_ = Error{error.code, fmt::format("frame at {:.3f} s: {}", at, error.message)};
}

Status VideoAnswers::put(Run& run, const char* device) {
  if (!changed_) return {};
  changed_ = false;
  IE_CHECK(drop_others(run));
  std::vector<FrameData> frames;
  for (const auto& [moment, answer] : answers_) frames.push_back({answer.at, answer.data});
  std::ranges::stable_sort(frames, {}, &FrameData::seconds);
  StageOutput output = row_of(task_.key.stage).summarize(frames);
  const store::StageKey key = missing_.empty() ? task_.key : partial_key();
  IE_CHECK(run.writer.put_record(file_.asset, {key, device, "", std::move(output.data), ""}, output.facts));
  return run.writer.drop_other_records(file_.asset, key);
}

Result<bool> VideoAnswers::finish(Run& run, const char* device) {
  finished_ = true;
  IE_CHECK(put(run, device));
  // While frames are left to the next run, a failure must not keep it from asking about them.
  if (error_) {
    if (failed_ > 1) error_->message += fmt::format(" (and {} like it)", human_count(failed_ - 1, "frame"));
    IE_CHECK(run.record_failure(file_, is_through() ? task_.key : partial_key(), *error_));
    return true;
  }
  if (is_through()) IE_CHECK(run.writer.clear_failure(file_.seen.path, task_.key.stage));
  return false;
}

Status drop_cloud_answers(store::CatalogueWriter& writer, store::AssetId asset) {
  for (const FrameStageRow& row : kFrameStages) {
    IE_CHECK(writer.drop_other_records(asset, {row.stage, "", "", ""}));
    for (const store::Fact& nothing : row.summarize({}).facts) IE_CHECK(writer.put_fact(asset, nothing));
  }
  return {};
}

}  // namespace image_engine::pipeline
