#include "pipeline/object_vectors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/json.h"
#include "core/progress.h"
#include "pipeline/analyze.h"
#include "pipeline/parallel.h"
#include "pipeline/stages.h"
#include "types/half.h"
#include "vision/embedder.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

constexpr char kObjectVectorsStage[] = "object_vectors";
// Most objects of a picture, the largest first: the smallest of a crowd do not matter.
constexpr std::size_t kMostObjects = 8;
// Pixels of the working picture: smaller objects cannot be told apart.
constexpr double kLeastSide = 16;
// Context helps to recognise an object: this share of its longer side is added on each side.
constexpr double kObjectMargin = 0.1;
// The longer edge of the picture that objects are cut out of.
constexpr std::uint32_t kEdge = 1600;

struct Work {
  store::AssetId asset = 0;
  store::FileObservation file;
  std::vector<Box> boxes;
};

struct Thing {
  std::string name;
  Box box;
};

// The objects in the detector's newest record.
std::vector<Thing> things_of(const store::AssetRecord& record) {
  std::vector<Thing> things;
  const store::Record* newest = nullptr;
  for (const store::Record& one : record.records)
    if (one.key.stage == kObjectsStage && (newest == nullptr || one.created >= newest->created)) newest = &one;
  if (newest == nullptr) return things;
  const nlohmann::json data = parse_json(newest->data);
  if (!data.is_object() || !data.contains("objects") || !data["objects"].is_array()) return things;
  for (const nlohmann::json& thing : data["objects"]) {
    if (!thing.is_object() || !thing.contains("object") || !thing["object"].is_string() || !thing.contains("bbox"))
      continue;
    const nlohmann::json& b = thing["bbox"];
    if (b.is_array() && b.size() == 4 &&
        std::all_of(b.begin(), b.end(), [](const nlohmann::json& n) { return n.is_number(); }))
      things.push_back({thing["object"], {b[0].get<float>(), b[1].get<float>(), b[2].get<float>(), b[3].get<float>()}});
  }
  return things;
}

// The largest ones first.
std::vector<Box> boxes_of(const store::AssetRecord& record, const std::string& object) {
  std::vector<Box> boxes;
  for (const Thing& thing : things_of(record))
    if (thing.name == object) boxes.push_back(thing.box);
  std::ranges::stable_sort(boxes, std::greater<>(), [](const Box& box) { return box.width * box.height; });
  if (boxes.size() > kMostObjects) boxes.resize(kMostObjects);
  return boxes;
}

// The part of `picture` that shows the box with its margin, as square as the picture allows.
std::optional<Image> cut_out(const ImageView& picture, const Box& box, double scale_x, double scale_y) {
  const double width = box.width * scale_x, height = box.height * scale_y;
  if (std::min(width, height) < kLeastSide) return std::nullopt;
  const double side = std::max(width, height) * (1 + 2 * kObjectMargin);
  const double centre_x = (box.x + box.width / 2) * scale_x, centre_y = (box.y + box.height / 2) * scale_y;
  const auto edge = [](double at, std::uint32_t end) {
    return static_cast<std::uint32_t>(std::clamp(std::round(at), 0.0, static_cast<double>(end)));
  };
  const std::uint32_t left = edge(centre_x - side / 2, picture.width), right = edge(centre_x + side / 2, picture.width);
  const std::uint32_t top = edge(centre_y - side / 2, picture.height),
                      bottom = edge(centre_y + side / 2, picture.height);
  if (right <= left || bottom <= top) return std::nullopt;
  return crop(picture, left, top, right - left, bottom - top);
}

Result<std::vector<store::ObjectVector>> embed_objects_of(worker::Pool& pool, const vision::ImageEmbedder& embedder,
                                                          const Work& work, const std::string& object) {
  IE_TRY(const worker::DecodedFile decoded,
         worker::decode_file(pool, work.file.path, {.max_edge = kEdge, .orientation = work.file.orientation}));
  const ImageView picture = decoded.pixels();
  const double scale_x = 1.0 * picture.width / std::max(1U, decoded.picture().full_width);
  const double scale_y = 1.0 * picture.height / std::max(1U, decoded.picture().full_height);
  std::vector<store::ObjectVector> vectors;
  for (const Box& box : work.boxes) {
    const std::optional<Image> part = cut_out(picture, box, scale_x, scale_y);
    if (!part) continue;
    IE_TRY(const vision::Embedding vector, embedder.embed({part->width, part->height, part->pixels}));
    vectors.push_back({work.asset, object, box, to_half(vector)});
  }
  return vectors;
}

Result<std::vector<Work>> find_work(const ObjectVectorJob& job, const store::StageKey& key) {
  IE_TRY(const std::vector<store::AssetId> lacking, job.reader.objects_without(job.object, key));
  std::vector<Work> all;
  for (const store::AssetId asset : lacking) {
    if (!job.only.empty() && std::ranges::find(job.only, asset) == job.only.end()) continue;
    IE_TRY(const store::AssetRecord record, job.reader.asset_record(asset));
    if (record.files.empty() || record.files.front().state != store::FileState::kPresent) continue;
    all.push_back({asset, record.files.front().seen, boxes_of(record, job.object)});
  }
  return all;
}

}  // namespace

std::map<std::string, double> object_areas(const store::AssetRecord& record) {
  std::map<std::string, double> areas;
  for (const Thing& thing : things_of(record)) {
    double& area = areas[thing.name];
    area = std::max(area, double{thing.box.width} * double{thing.box.height});
  }
  return areas;
}

Result<std::size_t> embed_objects(const ObjectVectorJob& job) {
  const store::StageKey key{kObjectVectorsStage, job.space.key.model, "1",
                            hash128(job.space.key.version + " " + job.space.key.params + " " + job.object).hex()};
  IE_TRY(const std::vector<Work> work, find_work(job, key));
  if (work.empty()) return 0;
  const models::Spec* spec = job.models.find("embedding", job.space.key);
  if (spec == nullptr)
    return fail(ErrorCode::kNotFound, fmt::format("{}, whose vectors the library has, is not installed: "
                                                  "image-engine models pull {}",
                                                  job.space.key.model, job.space.key.model));
  IE_TRY(const vision::ImageEmbedder embedder, job.models.image_embedder(*spec));
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(pool_options(job.models.config())));
  Progress progress("Objects", work.size(), job.progress);
  const auto embed = [&](std::size_t index) { return embed_objects_of(*pool, embedder, work[index], job.object); };
  const auto keep = [&](std::size_t index, const Result<std::vector<store::ObjectVector>>& vectors) -> Status {
    progress.add();
    if (!vectors) return is_of_the_run(vectors.error().code) ? Status(fail(vectors.error())) : Status{};
    IE_CHECK(job.writer.set_object_vectors(job.space.id, work[index].asset, job.object, *vectors));
    if (job.embedded) IE_CHECK(job.embedded(work[index].asset, *vectors));
    return job.writer.put_record(work[index].asset,
                                 {key, "cpu", "", json_text(nlohmann::json{{"vectors", vectors->size()}}), ""});
  };
  IE_CHECK(parallel_files(work.size(), pool->options().workers, embed, keep, job.stop));
  return progress.done();
}

}  // namespace image_engine::pipeline
