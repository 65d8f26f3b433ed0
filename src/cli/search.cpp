#include "search/search.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "models/install_paths.h"
#include "pipeline/search_models.h"
#include "places/places.h"
#include "search/tag_rules.h"
#include "store/asset_json.h"
#include "store/folding.h"

namespace image_engine::cli {
namespace {

constexpr char kSearchExamples[] = R"(
Fields (all must hold):
  tag:outdoor (keywords and rules)  people:yes  people:>=3  vehicle:bus  object:dog>=2
  title:…  text:exit  place:paris  path:holiday  camera:canon  lens:50mm
  year:2016  month:july  after:2019-06  before:2020  date:2019..2020-03  rating:4 (at least)  type:photo|video|audio|jpeg|…  near:48.86,2.35,10 (km)
Pictures that match all words come first; with a model (models pull clip-vit-b-32) search also finds pictures that show
them. "exact phrase", -not, OR, NOT and parentheses work, also -camera:canon.

Examples:
  image-engine search 'beach sunset after:2019'
  image-engine search 'a dog playing in the snow'
  image-engine search 'camera:canon rating:4 -type:video' --limit 200
  image-engine search 'near:48.86,2.35,10' --print0 | xargs -0 cp -t /tmp/paris
  image-engine search 'park -dog'
  image-engine search '(camera:canon OR camera:nikon) NOT rating:<3'
  image-engine search 'birthday cake type:video' --moments          (also when)
  image-engine search 'said:"best of times"'                        (file and second)
The whole grammar: docs/search.md)";

struct SearchFlags {
  std::vector<std::string> words;
  size_t limit = 50, offset = 0;
  bool missing = false, print0 = false, moments = false;
};

// A score that is about 1, as of fields alone, is not shown.
std::string why_text(const store::FoundAsset& found) {
  std::string text;
  for (const store::Why& why : found.why)
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", why.field, printable(why.text));
  return found.score < 0.995 ? fmt::format("{:.2f}  {}", found.score, text) : text;
}

// The user's own, else the shipped one.
std::string tag_rules_file(const Context& context) {
  std::string own = join_path(config_home(), "tags.yaml");
  if (::access(own.c_str(), F_OK) == 0) return own;
  return join_path(parent_path(models::find_install_paths(context.config.models.folder).shipped), "tags.yaml");
}

// Names of places are written in plain letters: "Zürich" is Zurich.
Result<std::vector<search::PlacePosition>> positions_of(const std::string& places, std::string_view name,
                                                        std::string_view within) {
  IE_TRY(const auto found, places::places_called(places, store::plain_letters(name), store::plain_letters(within)));
  std::vector<search::PlacePosition> positions;
  for (const places::Position& position : found) positions.push_back({position.latitude, position.longitude});
  return positions;
}

constexpr size_t kFewMoments = 3;  // of a video or recording, unless all are asked for

nlohmann::json why_json(const std::vector<store::Why>& list) {
  nlohmann::json out = nlohmann::json::array();
  for (const store::Why& why : list) out.push_back({{"field", why.field}, {"text", to_utf8(why.text)}});
  return out;
}

nlohmann::json moment_json(const store::FoundMoment& moment, const std::optional<CaptureTime>& taken) {
  nlohmann::json out = {{"from", thousandths(moment.from)},
                        {"to", thousandths(moment.to)},
                        {"at", thousandths(moment.at)},
                        {"why", why_json(moment.why)}};
  if (moment.score) out["score"] = std::round(*moment.score * 10000) / 10000;
  if (taken) out["taken"] = taken->later(moment.at).iso();
  return out;
}

nlohmann::json results_json(const search::SearchResults& found) {
  nlohmann::json results = nlohmann::json::array();
  for (const search::SearchResult& result : found.results) {
    nlohmann::json item = nlohmann::json::object();
    store::put_path(item, result.path);
    item["score"] = std::round(result.score * 10000) / 10000;
    item["state"] = store::state_name(result.state);
    item["why"] = why_json(result.why);
    if (!result.moments.empty()) item["moment"] = moment_json(result.moments.front(), result.taken);
    for (const store::FoundMoment& moment : result.moments)
      item["moments"].push_back(moment_json(moment, result.taken));
    results.push_back(std::move(item));
  }
  return results;
}

void print_results(const Context& context, const search::SearchResults& found) {
  for (const search::SearchResult& result : found.results) {
    const std::string state =
        result.state == store::FileState::kPresent ? "" : fmt::format(" [{}]", store::state_name(result.state));
    print_line(printable(result.path) + styled(context, Style::kYellow, state));
    if (context.quiet) continue;
    if (!result.why.empty()) print_line("    " + styled(context, Style::kDim, why_text(result)));
    for (const store::FoundMoment& moment : result.moments) {
      std::string why;
      for (const store::Why& one : moment.why) why += (why.empty() ? "" : ", ") + printable(one.text);
      if (moment.score) why += fmt::format(" ({:.2f})", *moment.score);
      print_line(fmt::format("    {}–{}  {}", clock_text(moment.from), clock_text(moment.to), why));
    }
  }
  if (context.quiet) return;
  for (const std::string& note : found.notes) print_line(styled(context, Style::kYellow, note));
  print_line(styled(context, Style::kDim,
                    found.results.size() < found.total
                        ? fmt::format("{} of {} (--limit, --offset show more)", human_count(found.results.size()),
                                      human_count(found.total))
                        : fmt::format("{} found", human_count(found.total))));
}

}  // namespace

Action setup_search(Arguments app, Settings&) {
  auto flags = std::make_shared<SearchFlags>();
  app.add_option("QUERY", flags->words, "Words and fields; several arguments are one query").required().may_be_empty();
  app.add_option("--limit", flags->limit, "Most results").show_default().type_name("N");
  app.add_option("--offset", flags->offset, "Leave out the first N").type_name("N");
  app.add_flag("--missing", flags->missing, "Also files that are missing");
  app.add_flag("--moments", flags->moments, "All moments of a video or recording that match, not three");
  app.add_flag("--print0", flags->print0, "Only paths, each ended by NUL");
  app.footer(kSearchExamples);
  return [flags](Context& context) -> Result<int> {
    IE_TRY(const store::CatalogueReader reader, open_reader(context));
    search::SearchOptions options;
    options.limit = flags->limit;
    options.offset = flags->offset;
    options.include_missing = flags->missing;
    if (!flags->moments) options.most_moments = kFewMoments;
    options.threads = static_cast<int>(context.config.worker_count());
    pipeline::SearchModels models(reader, context.catalogue, models::find_install_paths(context.config.models.folder),
                                  context.config);
    if (const std::string places = places_file(); !places.empty())
      options.find_places = [places](std::string_view name, std::string_view within) {
        return positions_of(places, name, within);
      };
    options.pictures = [&] { return models.pictures(); };
    options.tags = [&] { return models.tags(); };
    options.speech = [&] { return models.speech(); };
    std::optional<search::TagRules> rules;
    options.tag_rules = [&]() -> Result<const search::TagRules*> {
      if (!rules) {
        IE_TRY(rules, search::TagRules::read(tag_rules_file(context)));
      }
      return &*rules;
    };
    const std::string query = fmt::format("{}", fmt::join(flags->words, " "));
    IE_TRY(search::SearchResults found, search::search(reader, query, options));
    std::ranges::copy(models.notes(), std::back_inserter(found.notes));
    if (context.json) {
      print_json("search", {{"query", to_utf8(query)},
                            {"total", found.total},
                            {"without_date", found.without_date},
                            {"results", results_json(found)},
                            {"notes", found.notes}});
    } else if (flags->print0) {
      for (const search::SearchResult& result : found.results) print_path0(result.path);
    } else {
      print_results(context, found);
    }
    return kDone;
  };
}

}  // namespace image_engine::cli
