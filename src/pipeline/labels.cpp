#include "pipeline/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/elapsed.h"
#include "core/text.h"
#include "pipeline/object_vectors.h"
#include "pipeline/run.h"
#include "pipeline/stages.h"
#include "search/linear_head.h"
#include "search/vectors.h"
#include "types/half.h"
#include "vision/embedder.h"

namespace image_engine::pipeline {
namespace {

using Clock = std::chrono::steady_clock;
using store::AssetId;

// Rows sampled from the library as the background of training.
constexpr std::size_t kBackground = 2000;
constexpr std::size_t kLongestName = 100;  // bytes

// The vectors that a label is trained on and applied to: of whole pictures, or of one detector class's objects.
class LabelledVectors {
 public:
  static Result<LabelledVectors> open(const store::CatalogueReader& reader, const std::string& catalogue,
                                      const store::Space& space, const std::string& object, int threads,
                                      std::vector<std::string>& notes) {
    LabelledVectors vectors;
    vectors.reader_ = &reader;
    vectors.space_ = space;
    vectors.threads_ = threads;
    if (object.empty()) {
      IE_TRY(vectors.index_, search::VectorIndex::open(reader, catalogue, space, &notes));
    } else {
      IE_TRY(vectors.objects_, reader.object_vectors(space.id, object));
    }
    return vectors;
  }

  // The row of an example; empty if it has none.
  [[nodiscard]] Result<std::optional<std::vector<float>>> row(AssetId asset, const std::optional<Box>& box) const {
    if (index_) {
      IE_TRY(const auto half, reader_->vector_of(space_.id, asset));
      return half ? std::optional(from_half(*half)) : std::nullopt;
    }
    const auto found = std::ranges::find_if(objects_, [&](const store::ObjectVector& object) {
      return object.asset == asset && (!box || object.box == *box);
    });
    if (found == objects_.end()) return std::optional<std::vector<float>>();
    return std::optional(from_half(found->vector));
  }

  // Rows of pictures that are no examples, sampled evenly from the library.
  [[nodiscard]] std::vector<float> background(const std::set<AssetId>& examples) const {
    std::vector<float> rows;
    const std::size_t count = index_ ? index_->size() : objects_.size();
    const std::size_t step = std::max<std::size_t>(1, count / kBackground);
    std::size_t i = 0;
    const auto take = [&](store::VectorId id, std::span<const std::uint16_t> vector) {
      if (i++ % step != 0 || examples.contains(store::asset_of(id))) return;
      std::ranges::copy(from_half(vector), std::back_inserter(rows));
    };
    if (index_)
      index_->for_each(take);
    else
      for (const store::ObjectVector& object : objects_) take(object.asset, object.vector);
    return rows;
  }

  // The surest finding of each picture in the class.
  [[nodiscard]] Result<std::map<AssetId, store::LabelFinding>> apply(const search::LinearHead& head) const {
    std::map<AssetId, store::LabelFinding> found;
    if (!index_) {
      for (const store::ObjectVector& object : objects_) {
        const float confidence = head.confidence(from_half(object.vector));
        store::LabelFinding& finding = found[object.asset];
        if (confidence > finding.confidence) finding = {object.asset, confidence, object.box};
      }
      std::erase_if(found, [](const auto& entry) { return entry.second.confidence < search::kLeastConfidence; });
      return found;
    }
    double length = 0;
    for (const float weight : head.weights) length += double{weight} * weight;
    length = std::sqrt(length);
    if (length == 0) return found;
    std::vector<float> direction;
    for (const float weight : head.weights) direction.push_back(static_cast<float>(weight / length));
    IE_TRY(const search::ScanResult scanned, index_->scan(direction, index_->size(), nullptr, threads_));
    for (const search::Neighbour& near : scanned.best) {
      const double confidence = 1 / (1 + std::exp(-(length * near.cosine + head.bias)));
      if (confidence < search::kLeastConfidence) break;
      const AssetId asset = store::asset_of(near.id);
      found.try_emplace(asset, store::LabelFinding{asset, confidence, {}});  // the surest comes first
    }
    return found;
  }

  [[nodiscard]] std::size_t dimensions() const { return space_.dimensions; }

 private:
  const store::CatalogueReader* reader_ = nullptr;
  store::Space space_;
  int threads_ = 1;
  std::optional<search::VectorIndex> index_;
  std::vector<store::ObjectVector> objects_;
};

struct Example {
  AssetId asset = 0;
  bool positive = true;
  std::optional<Box> box;
};
using Examples = std::map<AssetId, Example>;

Result<search::LinearHead> train(const LabelledVectors& vectors, const Examples& examples) {
  search::TrainingSet set;
  set.dimensions = vectors.dimensions();
  std::set<AssetId> assets;
  for (const auto& [asset, example] : examples) {
    assets.insert(asset);
    IE_TRY(const auto row, vectors.row(asset, example.box));
    if (row) std::ranges::copy(*row, std::back_inserter(example.positive ? set.positive : set.negative));
  }
  if (set.positive.empty())
    return fail(ErrorCode::kInvalidArgument, "a label needs at least one picture that shows it: --add FILE");
  set.background = vectors.background(assets);
  return search::train(set);
}

// The head's findings; for examples the person's decision counts.
Result<std::vector<store::LabelFinding>> findings(const LabelledVectors& vectors, const search::LinearHead& head,
                                                  const Examples& examples) {
  IE_TRY(auto found, vectors.apply(head));
  for (const auto& [asset, example] : examples) {
    if (example.positive)
      found[asset] = {asset, 1, example.box};
    else
      found.erase(asset);
  }
  std::vector<store::LabelFinding> list;
  for (const auto& [asset, finding] : found) list.push_back(finding);
  return list;
}

Result<Examples> known_examples(const store::CatalogueReader& reader, const std::string& name) {
  Examples examples;
  IE_TRY(const std::vector<store::LabelExample> known, reader.label_examples(name));
  for (const store::LabelExample& example : known)
    if (example.id != 0) examples[example.id] = {example.id, example.positive, example.box};
  return examples;
}

// Ignores case, as the store does: "Car" is "car".
std::optional<store::LearnedLabel> known_label(const std::vector<store::LearnedLabel>& labels,
                                               const std::string& name) {
  const auto found = std::ranges::find(labels, ascii_lower(name),
                                       [](const store::LearnedLabel& label) { return ascii_lower(label.name); });
  return found == labels.end() ? std::nullopt : std::optional(*found);
}

store::LearnedLabel with_head(store::LearnedLabel label, const store::Space& space, const search::LinearHead& head) {
  label.space = space.id;
  label.weights = head.weights;
  label.bias = head.bias;
  const std::string_view bytes(reinterpret_cast<const char*>(head.weights.data()), head.weights.size() * sizeof(float));
  label.params = hash128(bytes).hex();
  return label;
}

class Teacher {
 public:
  Teacher(const LabelRequest& request, const store::CatalogueReader& reader, store::CatalogueWriter& writer)
      : request_(request), reader_(reader), writer_(writer) {}

  Result<LabelReport> teach() {
    IE_CHECK(check_name());
    IE_CHECK(find_space());
    IE_TRY(examples_, known_examples(reader_, request_.name));
    IE_TRY(const std::vector<store::LearnedLabel> labels, reader_.learned_labels());
    report_.label = known_label(labels, request_.name).value_or(store::LearnedLabel());
    report_.label.name = request_.name;
    IE_CHECK(change_examples());
    IE_CHECK(choose_object());
    const auto start = Clock::now();
    IE_TRY(const LabelledVectors vectors,
           LabelledVectors::open(reader_, request_.catalogue, space_, report_.label.object, threads(), report_.notes));
    IE_CHECK(check_rows(vectors));
    IE_TRY(const search::LinearHead head, train(vectors, examples_));
    report_.train_seconds = seconds_since(start);
    const auto trained = Clock::now();
    IE_TRY(const std::vector<store::LabelFinding> found, findings(vectors, head, examples_));
    IE_CHECK(write(head, found));
    report_.apply_seconds = seconds_since(trained);
    IE_TRY(const std::vector<store::LearnedLabel> now, reader_.learned_labels());
    report_.label = known_label(now, request_.name).value_or(report_.label);
    return std::move(report_);
  }

 private:
  [[nodiscard]] int threads() const { return static_cast<int>(request_.config.worker_count()); }

  [[nodiscard]] Status check_name() const {
    const std::string& name = request_.name;
    const bool controls = std::ranges::any_of(name, [](unsigned char c) { return c < ' ' || c == 0x7F; });
    if (name.empty() || name.size() > kLongestName || controls || !is_utf8(name) ||
        name.find_first_not_of(' ') == std::string::npos)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("a label's name is 1 to {} bytes of text without control characters", kLongestName));
    return {};
  }

  Status find_space() {
    IE_TRY(const std::vector<store::Space> spaces, reader_.spaces(kEmbeddingStage));
    if (spaces.empty() || !spaces.front().active || spaces.front().vectors == 0)
      return fail(ErrorCode::kNotFound,
                  "a label learns from pictures' vectors, and there are none yet: install an embedding model "
                  "(image-engine models pull clip-vit-b-32), then run image-engine analyze FOLDER");
    space_ = spaces.front();
    return {};
  }

  Status change_examples() {
    const struct {
      const std::vector<std::string>& files;
      std::optional<bool> positive;
    } parts[] = {{request_.add, true}, {request_.reject, false}, {request_.forget, std::nullopt}};
    for (const auto& [files, positive] : parts)
      for (const std::string& file : files) {
        const Result<AssetId> asset = reader_.find_asset_by_path(file);
        if (!asset) return fail(asset.error().code, fmt::format("{}: analyze its folder first", asset.error().message));
        const auto [before, is_new] = changes_.try_emplace(*asset, positive);
        if (!is_new && before->second != positive)
          return fail(ErrorCode::kInvalidArgument,
                      fmt::format("{} is given twice, with different meanings", printable(file)));
        const auto known = examples_.find(*asset);
        if (positive && known != examples_.end() && known->second.positive != *positive)
          report_.notes.push_back(fmt::format("{} was an example of the opposite until now", printable(file)));
        if (positive)
          examples_[*asset] = {*asset, *positive, {}};
        else
          examples_.erase(*asset);
      }
    return {};
  }

  // The class whose objects are embedded, and the object that each example means: the largest.
  Status choose_object() {
    store::LearnedLabel& label = report_.label;
    if (request_.object && !label.trained.empty() && label.object.empty())
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the label {} applies to whole pictures; remove it first to teach it objects",
                              printable(request_.name)));
    if (request_.object && label.object.empty()) {
      label.object = *request_.object;
      if (label.object == "auto") {
        IE_TRY(label.object, commonest_object());
      }
    }
    if (label.object.empty()) return {};
    IE_TRY(const InstalledModels models, InstalledModels::open(request_.models, request_.config));
    ObjectVectorJob job{reader_, writer_, models, space_, label.object, {}, request_.progress, request_.stop};
    IE_CHECK(embed_objects(job));
    if (request_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted; run it again to continue");
    IE_TRY(const std::vector<store::ObjectVector> all, reader_.object_vectors(space_.id, label.object));
    for (auto& [asset, example] : examples_) {
      if (example.box) continue;
      for (const store::ObjectVector& object : all)
        if (object.asset == asset &&
            (!example.box || object.box.width * object.box.height > example.box->width * example.box->height))
          example.box = object.box;
    }
    return {};
  }

  // The class that most examples show; of those, the one with the largest object.
  Result<std::string> commonest_object() {
    std::map<std::string, std::pair<int, double>> counts;
    for (const auto& [asset, example] : examples_) {
      if (!example.positive) continue;
      IE_TRY(const store::AssetRecord record, reader_.asset_record(asset));
      for (const auto& [name, area] : object_areas(record)) {
        ++counts[name].first;
        counts[name].second += area;
      }
    }
    const auto best = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
    if (best == counts.end())
      return fail(ErrorCode::kInvalidArgument,
                  "no object was found in these pictures: teach the label without --object, or name a class that a "
                  "detector knows");
    return best->first;
  }

  // Every newly added example must have a vector; older ones may have lost theirs.
  Status check_rows(const LabelledVectors& vectors) {
    for (const auto& [asset, example] : examples_) {
      IE_TRY(const auto row, vectors.row(asset, example.box));
      if (row) continue;
      IE_TRY(const store::AssetRecord record, reader_.asset_record(asset));
      const std::string path = record.files.empty() ? "an example" : printable(record.files.front().seen.path);
      const std::string what =
          record.kind == MediaKind::kVideo
              ? std::string("is a video: a label learns from photos, and is then found in videos, too")
          : record.kind == MediaKind::kAudio ? std::string("is a sound file: a label learns from photos")
          : report_.label.object.empty()     ? std::string("has no vector yet: run image-engine analyze on it first")
                                             : fmt::format("shows no {} that is large enough", report_.label.object);
      if (changes_.contains(asset) && example.positive)
        return fail(ErrorCode::kNotFound, fmt::format("{} {}", path, what));
      report_.notes.push_back(fmt::format("{} {}; it does not count", path, what));
    }
    return {};
  }

  Status write(const search::LinearHead& head, const std::vector<store::LabelFinding>& found) {
    IE_CHECK(writer_.begin());
    IE_CHECK(writer_.put_learned_label(with_head(report_.label, space_, head)));
    for (const auto& [asset, positive] : changes_) {
      std::optional<store::LabelExample> example;
      if (positive) example = store::LabelExample{{}, *positive, examples_.at(asset).box, asset};
      IE_CHECK(writer_.set_label_example(request_.name, asset, example));
    }
    IE_CHECK(writer_.set_label_findings(request_.name, found));
    return writer_.commit();
  }

  const LabelRequest& request_;
  const store::CatalogueReader& reader_;
  store::CatalogueWriter& writer_;
  store::Space space_;
  Examples examples_;
  std::map<AssetId, std::optional<bool>> changes_;  // nullopt: no longer an example
  LabelReport report_;
};

struct Learning {
  Run& run;
  const InstalledModels& models;
  const store::Space& space;
};

// Retrains one label and applies it to the library.
Status learn(const Learning& at, const store::LearnedLabel& label) {
  const int threads = static_cast<int>(at.models.config().worker_count());
  if (!label.object.empty()) {
    const ObjectVectorJob job{at.run.reader,           at.run.writer,      at.models, at.space, label.object, {},
                              at.run.options.progress, at.run.options.stop};
    IE_TRY([[maybe_unused]] const std::size_t embedded, embed_objects(job));
  }
  IE_TRY(const LabelledVectors vectors, LabelledVectors::open(at.run.reader, at.run.options.catalogue, at.space,
                                                              label.object, threads, at.run.report.notes));
  IE_TRY(const Examples examples, known_examples(at.run.reader, label.name));
  IE_TRY(const search::LinearHead head, train(vectors, examples));
  IE_TRY(const std::vector<store::LabelFinding> found, findings(vectors, head, examples));
  IE_CHECK(at.run.writer.begin());
  IE_CHECK(at.run.writer.put_learned_label(with_head(label, at.space, head)));
  IE_CHECK(at.run.writer.set_label_findings(label.name, found));
  return at.run.writer.commit();
}

}  // namespace

Result<LabelReport> teach_label(const LabelRequest& request, store::WriterLock lock) {
  IE_TRY(store::CatalogueWriter writer, store::CatalogueWriter::open(request.catalogue, std::move(lock)));
  IE_TRY(const store::CatalogueReader reader, store::CatalogueReader::open(request.catalogue));
  return Teacher(request, reader, writer).teach();
}

Status relearn_labels(Run& run, const InstalledModels& models, const store::Space& space) {
  IE_CHECK(run.batch.commit());
  IE_TRY(const std::vector<store::LearnedLabel> labels, run.reader.learned_labels());
  for (const store::LearnedLabel& label : labels)
    if (const Status done = learn({run, models, space}, label); !done)
      run.report.notes.push_back(
          fmt::format("label {}: kept as it was: {}", printable(label.name), done.error().message));
  return {};
}

namespace {

// Applies the labels of one class of objects to pictures as their objects are embedded: the cost depends only on the
// new pictures.
class ObjectLabels {
 public:
  void add(const store::LearnedLabel& label) {
    heads_.emplace_back(label.name, search::LinearHead{label.weights, static_cast<float>(label.bias)});
  }
  // Each label's surest object.
  [[nodiscard]] std::vector<store::FoundClass> of(const std::vector<store::ObjectVector>& objects) const {
    std::vector<store::FoundClass> found;
    for (const auto& [name, head] : heads_) {
      store::FoundClass best{name, 0, {}};
      for (const store::ObjectVector& object : objects)
        if (const double confidence = head.confidence(from_half(object.vector)); confidence > best.confidence)
          best = {name, confidence, object.box};
      if (best.confidence >= search::kLeastConfidence) found.push_back(best);
    }
    return found;
  }

 private:
  std::vector<std::pair<std::string, search::LinearHead>> heads_;
};

}  // namespace

Status catch_up_object_labels(Run& run, const InstalledModels& models, const store::Space& space) {
  IE_CHECK(run.batch.commit());
  IE_TRY(const std::vector<store::LearnedLabel> labels, run.reader.learned_labels());
  std::map<std::string, ObjectLabels> by_object;
  for (const store::LearnedLabel& label : labels)
    if (!label.object.empty() && label.space == space.id && !label.weights.empty()) by_object[label.object].add(label);
  for (const auto& [object, of_object] : by_object) {
    ObjectVectorJob job{run.reader, run.writer, models, space, object, {}, run.options.progress, run.options.stop};
    job.embedded = [&](AssetId asset, const std::vector<store::ObjectVector>& vectors) {
      return run.writer.add_learned_labels(asset, of_object.of(vectors));
    };
    if (const Result<std::size_t> done = embed_objects(job); !done)
      run.report.notes.push_back(
          fmt::format("labels of {}: new pictures are left out: {}", printable(object), done.error().message));
  }
  return {};
}

}  // namespace image_engine::pipeline
