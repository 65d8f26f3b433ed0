#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "models/install_paths.h"
#include "pipeline/query_picture.h"
#include "pipeline/search_models.h"
#include "pipeline/stages.h"
#include "search/duplicates.h"
#include "search/search.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

constexpr char kSimilarExamples[] = R"(
Examples:
  image-engine similar IMG_0042.jpg
  image-engine similar scan.png --limit 5 --json
  image-engine similar --text 'a red bicycle against a wall'
  image-engine similar VID_0007.mp4 --at 0:12.5

Perceptual hashes find the same picture reduced, re-encoded, rotated or mirrored. If pictures have vectors (with an
embedding model installed), pictures and frames of videos with similar content are found, too.)";

constexpr size_t kMostSimilar = 1'000'000;
// Only pictures nearly as near as the nearest are of interest.
constexpr double kLeastCosine = 0.0;

struct SimilarFlags {
  std::string file, text, at;
  size_t limit = 20;
  int distance = 18;
  bool print0 = false;
};

struct Found {
  std::string path;
  double score = 0;  // 0…1
  std::vector<store::Why> why;
  std::optional<store::FoundMoment> moment;
};
using FoundByAsset = std::map<store::AssetId, Found>;

// What is searched for: a file, or a frame of it.
struct Query {
  std::string path;  // absolute
  pipeline::FrameTime at;
};

Result<Query> query_of(const SimilarFlags& flags, const store::CatalogueReader& reader) {
  Query query{absolute_path(flags.file), std::nullopt};
  if (!flags.at.empty()) {
    query.at = parse_clock(flags.at);
    if (!query.at) return fail(ErrorCode::kInvalidArgument, "--at " + printable(flags.at) + ": a time is like 1:23.5");
    return query;
  }
  if (const Result<store::AssetId> asset = reader.find_asset_by_path(query.path)) {
    IE_TRY(const store::AssetRecord record, reader.asset_record(*asset));
    if (record.kind == MediaKind::kVideo)
      return fail(ErrorCode::kInvalidArgument, printable(query.path) + " is a video: --at 1:23 names the frame");
  }
  return query;
}

// FILE itself is not a result; another file with the same picture is.
void leave_out(FoundByAsset& found, const std::string& path, const store::CatalogueReader& reader) {
  const Result<store::AssetId> self = reader.find_asset_by_path(path);
  if (!self) return;
  const auto own = found.find(*self);
  if (own == found.end()) return;
  if (const Result<store::AssetRecord> record = reader.asset_record(*self))
    for (const store::KnownFile& file : record->files)
      if (file.seen.path != path && !store::is_away(file.state)) {
        own->second.path = file.seen.path;
        return;
      }
  found.erase(own);
}

Found& add(FoundByAsset& found, store::AssetId asset, const std::string& path, double score, std::string why) {
  Found& one = found[asset];
  one.path = path;
  one.score = std::max(one.score, score);
  one.why.push_back({"looks like", std::move(why)});
  return one;
}

Status add_by_hash(const SimilarFlags& flags, const Context& context, const store::CatalogueReader& reader,
                   const Query& query, FoundByAsset& found) {
  IE_TRY(const std::vector<std::uint64_t> hashes, pipeline::query_hashes(query.path, query.at, context.config));
  IE_TRY(const std::vector<search::SimilarPhoto> photos,
         search::find_similar(reader, pipeline::hash_key(), hashes, flags.distance, flags.limit + 1));
  for (const search::SimilarPhoto& photo : photos)
    add(found, photo.asset, photo.path, 1 - photo.distance / 64.0, fmt::format("{} of 64 bits differ", photo.distance));
  return {};
}

// A library without vectors, or without their model, still has hashes: this becomes a note.
Status add_by_vector(const SimilarFlags& flags, const Context& context, const store::CatalogueReader& reader,
                     pipeline::SearchModels& models, const Query& query, FoundByAsset& found) {
  IE_TRY(const search::PictureMeaning* meaning, models.vectors());
  if (meaning == nullptr) return {};
  IE_TRY(const std::vector<float> vector, models.embed_picture(query.path, query.at));
  IE_TRY(const auto photos, search::similar_to(reader, *meaning, vector, false, flags.limit + 1,
                                               static_cast<int>(context.config.worker_count())));
  for (const search::SimilarByVector& photo : photos)
    if (photo.cosine > kLeastCosine)
      add(found, photo.asset, photo.path, photo.cosine, fmt::format("vectors at a cosine of {:.2f}", photo.cosine))
          .moment = photo.moment;
  return {};
}

Status add_by_text(const SimilarFlags& flags, const Context& context, const store::CatalogueReader& reader,
                   pipeline::SearchModels& models, FoundByAsset& found) {
  IE_TRY(const search::PictureMeaning* meaning, models.pictures());
  if (meaning == nullptr) {
    const std::string reason = models.notes().empty() ? "there are no vectors" : models.notes().back();
    return fail(ErrorCode::kNotFound, "--text needs pictures' vectors: " + reason);
  }
  IE_TRY(const std::vector<float> vector, meaning->embed(flags.text));
  IE_TRY(const auto photos, search::similar_to(reader, *meaning, vector, true, flags.limit,
                                               static_cast<int>(context.config.worker_count())));
  for (const search::SimilarByVector& photo : photos)
    add(found, photo.asset, photo.path, photo.relevance, fmt::format("the text, at a cosine of {:.2f}", photo.cosine))
        .moment = photo.moment;
  return {};
}

std::vector<Found> ranked(const FoundByAsset& found, size_t limit) {
  std::vector<Found> list;
  for (const auto& [asset, one] : found) list.push_back(one);
  std::ranges::sort(
      list, [](const Found& a, const Found& b) { return a.score != b.score ? a.score > b.score : a.path < b.path; });
  if (list.size() > limit) list.resize(limit);
  return list;
}

void print(const Context& context, const SimilarFlags& flags, const std::vector<Found>& list,
           const std::vector<std::string>& notes) {
  nlohmann::json results = nlohmann::json::array();
  for (const Found& one : list) {
    if (context.json) {
      nlohmann::json item = {{"score", std::round(one.score * 10000) / 10000}, {"why", nlohmann::json::array()}};
      store::put_path(item, one.path);
      for (const store::Why& why : one.why) item["why"].push_back({{"field", why.field}, {"text", why.text}});
      if (one.moment)
        item["moment"] = {{"from", thousandths(one.moment->from)},
                          {"to", thousandths(one.moment->to)},
                          {"at", thousandths(one.moment->at)}};
      results.push_back(std::move(item));
    } else if (flags.print0) {
      print_path0(one.path);
    } else {
      std::string why;
      for (const store::Why& part : one.why) why += (why.empty() ? "" : ", ") + part.text;
      const std::string time = one.moment ? " at " + clock_text(one.moment->at) : "";
      print_line(
          fmt::format("{:.2f}  {}{}  {}", one.score, printable(one.path), time, styled(context, Style::kDim, why)));
    }
  }
  if (context.json) return print_json("similar", {{"results", std::move(results)}, {"notes", notes}});
  if (flags.print0 || context.quiet) return;
  for (const std::string& note : notes) print_line(styled(context, Style::kYellow, note));
  if (list.empty()) print_line("nothing in the catalogue is similar");
}

}  // namespace

Action setup_similar(Arguments app, Settings&) {
  auto flags = std::make_shared<SimilarFlags>();
  const Option file = app.add_option("FILE", flags->file, "A picture; it need not be in the catalogue");
  app.add_option("--at", flags->at, "FILE is a video: the time of the frame").type_name("TIME").needs(file);
  app.add_option("--text", flags->text, "Find pictures of this description instead").type_name("TEXT").excludes(file);
  app.add_option("--limit", flags->limit, "Most results").range(size_t{1}, kMostSimilar).show_default().type_name("N");
  app.add_option("--distance", flags->distance, "Bits of 64 by which hashes may differ").range(0, 64).show_default();
  app.add_flag("--print0", flags->print0, "Only paths, each ended by NUL");
  app.footer(kSimilarExamples);
  return [flags](Context& context) -> Result<int> {
    if (flags->file.empty() && flags->text.empty())
      return fail(ErrorCode::kInvalidArgument, "similar needs a FILE, or --text");
    IE_TRY(const store::CatalogueReader reader, open_reader(context));
    pipeline::SearchModels models(reader, context.catalogue, models::find_install_paths(context.config.models.folder),
                                  context.config);
    FoundByAsset found;
    std::vector<std::string> notes;
    if (!flags->text.empty()) {
      IE_CHECK(add_by_text(*flags, context, reader, models, found));
    } else {
      IE_TRY(const Query query, query_of(*flags, reader));
      IE_CHECK(add_by_hash(*flags, context, reader, query, found));
      if (const Status added = add_by_vector(*flags, context, reader, models, query, found); !added)
        notes.push_back(fmt::format("only hashes were compared: {}", added.error().message));
      leave_out(found, query.path, reader);
    }
    std::ranges::copy(models.notes(), std::back_inserter(notes));
    print(context, *flags, ranked(found, flags->limit), notes);
    return kDone;
  };
}

}  // namespace image_engine::cli
