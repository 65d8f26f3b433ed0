#include "pipeline/video_document.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <unordered_map>

#include "core/json.h"
#include "pipeline/action_stages.h"
#include "pipeline/sound_document.h"
#include "pipeline/stages.h"
#include "store/asset_json.h"

namespace image_engine::pipeline {
namespace {

using nlohmann::json;
using store::MomentKind;

// Adds what a stage found at a moment, in the section that it has in an asset's JSON.
void add_data(json& out, const store::MomentRecord& record) {
  json data = parse_json(record.data);
  if (!data.is_object()) return;
  if (record.stage == kVideoStage) {
    if (data.contains("best") && data["best"].is_number()) data["best"] = thousandths(data["best"].get<double>());
    return out.update(data);
  }
  for (const auto& [stage, section] : json_sections())
    if (record.stage == stage) section.empty() ? out.update(data) : void(out[std::string(section)] = data);
}

struct Moments {
  std::vector<store::Moment> all;
  std::vector<store::MomentRecord> records;
  std::map<store::MomentId, json> documents;
};

Result<Moments> read_moments(const store::CatalogueReader& reader, store::AssetId asset) {
  Moments moments;
  IE_TRY(moments.all, reader.moments(asset));
  for (const store::Moment& moment : moments.all) {
    const bool frame = moment.kind == MomentKind::kFrame;
    moments.documents[moment.id] = {{frame ? "at" : "from", thousandths(moment.from)}, {"to", thousandths(moment.to)}};
  }
  IE_TRY(moments.records, reader.moment_records(asset));
  for (const store::MomentRecord& record : moments.records)
    if (const auto at = moments.documents.find(record.moment); at != moments.documents.end())
      add_data(at->second, record);
  return moments;
}

// A thing with the time of the moment at which it was found.
struct TimedThing {
  double from = 0, to = 0;
  const store::MomentThing* thing;
};

// The things of a video or recording by time, so that all its scenes together cost about one look at each.
class ThingsByTime {
 public:
  ThingsByTime(const std::vector<store::Moment>& moments, const std::vector<store::MomentThing>& things) {
    std::unordered_map<store::MomentId, const store::Moment*> by_id;
    for (const store::Moment& moment : moments) by_id[moment.id] = &moment;
    for (const store::MomentThing& thing : things) {
      const auto moment = by_id.find(thing.moment);
      if (moment == by_id.end()) continue;
      const store::Moment& at = *moment->second;
      std::vector<TimedThing>* list = at.kind == MomentKind::kFrame    ? &seen_
                                      : at.kind == MomentKind::kSpeech ? &said_
                                      : at.kind == MomentKind::kSound  ? &heard_
                                                                       : nullptr;
      if (list != nullptr) list->push_back({at.from, at.to, &thing});
    }
    for (std::vector<TimedThing>* list : {&seen_, &said_, &heard_})
      std::ranges::stable_sort(*list, {}, &TimedThing::from);
  }

  // Of the frames, or of the speech, that begin in a scene.
  [[nodiscard]] std::span<const TimedThing> seen_in(const store::Moment& scene) const { return begun_in(seen_, scene); }
  [[nodiscard]] std::span<const TimedThing> said_in(const store::Moment& scene) const { return begun_in(said_, scene); }

  // Other sounds that are heard during a scene. The scenes come in order of their begins.
  std::span<const TimedThing> heard_during(const store::Moment& scene) {
    for (; next_heard_ < heard_.size() && heard_[next_heard_].from < scene.to; ++next_heard_)
      lasting_.push_back(heard_[next_heard_]);
    std::erase_if(lasting_, [&](const TimedThing& one) { return one.to <= scene.from; });
    return lasting_;
  }

 private:
  static std::span<const TimedThing> begun_in(const std::vector<TimedThing>& list, const store::Moment& scene) {
    const auto first = std::ranges::lower_bound(list, scene.from, {}, &TimedThing::from);
    return {first, std::ranges::lower_bound(first, list.end(), scene.to, {}, &TimedThing::from)};
  }

  std::vector<TimedThing> seen_, said_, heard_;
  std::vector<TimedThing> lasting_;  // heard, not yet over
  std::size_t next_heard_ = 0;       // in heard_
};

// What was found in the frames that begin in a scene: each thing once, as often as it was seen at one time.
json moment_json(const store::Moment& scene, const ThingsByTime& things) {
  std::map<std::pair<store::TextField, std::string>, store::MomentThing> found;
  for (const TimedThing& at : things.seen_in(scene)) {
    const store::MomentThing& thing = *at.thing;
    store::MomentThing& known = found.try_emplace({thing.field, thing.name}, thing).first->second;
    known.count = std::max(known.count, thing.count);
    known.confidence = std::max(known.confidence, thing.confidence);
  }
  json out = {{"from", thousandths(scene.from)}, {"to", thousandths(scene.to)}, {"objects", json::array()},
              {"scenes", json::array()},         {"actions", json::array()},    {"text", json::array()},
              {"captions", json::array()},       {"products", json::array()}};
  for (const auto& [key, thing] : found) {
    const double confidence = thousandths(thing.confidence);
    if (thing.field == store::TextField::kObjects)
      out["objects"].push_back({{"object", thing.name}, {"count", thing.count}, {"confidence", confidence}});
    else if (thing.field == store::TextField::kScene)
      out["scenes"].push_back({{"label", thing.name}, {"confidence", confidence}});
    else if (const auto source = source_of(thing.field))
      out["actions"].push_back({{"action", thing.name}, {"confidence", confidence}, {"source", source_text(*source)}});
    else if (thing.field == store::TextField::kText)
      out["text"].push_back(thing.name);
    else if (thing.field == store::TextField::kCaption)
      out["captions"].push_back(thing.name);
    else if (thing.field == store::TextField::kProducts)
      out["products"].push_back({{"class", thing.name}, {"count", thing.count}, {"confidence", confidence}});
  }
  return out;
}

// What is said and heard in a scene, where it is known.
void add_sound(json& out, const store::Moment& scene, ThingsByTime& things) {
  for (const TimedThing& at : things.said_in(scene))
    if (at.thing->field == store::TextField::kSaid)
      out["said"].push_back({{"at", thousandths(at.from)}, {"text", at.thing->name}});
  std::map<std::string, double> sounds;
  for (const TimedThing& at : things.heard_during(scene))
    if (at.thing->field == store::TextField::kSound && at.from < scene.to)
      sounds[at.thing->name] = std::max(sounds[at.thing->name], at.thing->confidence);
  for (const auto& [label, confidence] : sounds)
    out["sounds"].push_back({{"label", label}, {"confidence", thousandths(confidence)}});
}

// When it was recorded, by the camera's clock; and where, which is known of the whole video only.
void add_time_and_place(json& list, const char* begins, const json& whole, const std::optional<Metadata>& metadata) {
  for (json& item : list) {
    if (metadata && metadata->taken && metadata->taken->precision == TimePrecision::kSecond)
      item["taken"] = metadata->taken->later(item.value(begins, 0.0)).iso();
    for (const char* key : {"gps", "place"})
      if (whole.contains(key)) item[key] = whole[key];
  }
}

}  // namespace

Result<json> video_json(const store::CatalogueReader& reader, const store::AssetRecord& record) {
  json out = store::asset_json(record, json_sections());
  if (record.kind != MediaKind::kVideo && record.kind != MediaKind::kAudio) return out;
  IE_TRY(Moments moments, read_moments(reader, record.id));
  IE_TRY(const std::vector<store::MomentThing> things, reader.moment_things(record.id));
  ThingsByTime by_time(moments.all, things);
  json scenes = json::array(), frames = json::array(), summary = json::array();
  json* const lists[] = {&frames, &scenes, nullptr, nullptr};  // by kind
  // Of a recording, which has no scenes, what is said is.
  const MomentKind unit = record.kind == MediaKind::kVideo ? MomentKind::kScene : MomentKind::kSpeech;
  for (const store::Moment& moment : moments.all) {
    if (moment.kind == unit) {
      summary.push_back(moment_json(moment, by_time));
      add_sound(summary.back(), moment, by_time);
    }
    if (json* list = lists[static_cast<std::size_t>(moment.kind)]; list != nullptr)
      list->push_back(std::move(moments.documents[moment.id]));
  }
  for (std::size_t i = 0; i < summary.size(); ++i)
    if (i < scenes.size() && scenes[i].contains("best")) summary[i]["best"] = scenes[i]["best"];
  IE_CHECK(add_speech(out, record, moments.all, moments.records, things));
  add_time_and_place(frames, "at", json(), record.metadata);
  add_time_and_place(summary, "from", out, record.metadata);
  out["scenes"] = std::move(scenes);
  out["frames"] = std::move(frames);
  out["moments"] = std::move(summary);
  return out;
}

// A document's times are rounded to milliseconds.
constexpr double kRounded = 5e-4;

Result<json> frame_json(const store::CatalogueReader& reader, store::AssetId asset, double seconds) {
  IE_TRY(Moments moments, read_moments(reader, asset));
  const store::Moment* shown = nullptr;
  for (const store::Moment& moment : moments.all)
    if (moment.kind == MomentKind::kFrame && (shown == nullptr || moment.from <= seconds + kRounded)) shown = &moment;
  return shown == nullptr ? json() : std::move(moments.documents[shown->id]);
}

}  // namespace image_engine::pipeline
