#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "benchmark/search.h"
#include "cli/app.h"
#include "cli/benchmark.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "models/install_paths.h"

namespace image_engine::cli {
namespace {

constexpr char kBenchmarkExamples[] = R"(
Examples:
  image-engine benchmark search
  image-engine benchmark search -o benchmark_results.json --assets 1000000
  image-engine benchmark models --images ~/Pictures -o benchmark_results.json --chart models.svg
  image-engine benchmark models --model1 nanodet --model2 centernet
  image-engine benchmark batch-size --model nanodet
  image-engine benchmark photos ~/Pictures -o benchmark_results.json
  image-engine benchmark photos --synthetic 10000 --keep /data/photos --trace trace.json
  image-engine benchmark video holiday.mp4 -o benchmark_results.json

search: creates a synthetic library with random vectors in the temporary folder, searches and removes it.
models: the same -o FILE resumes an interrupted run.
photos: as analyze, into a catalogue in the temporary folder; image-engine plan predicts with the rates.
video: as analyze-video, into a catalogue in the temporary folder.)";

struct BenchmarkFlags {
  std::string output;
  std::uint64_t assets = 100'000;
  int rounds = 15;
};

double milliseconds(double seconds) { return std::round(seconds * 1e6) / 1000; }
double median(const std::vector<double>& sorted) { return sorted[sorted.size() / 2]; }

nlohmann::json row_json(const benchmark::BenchmarkRow& row) {
  nlohmann::json out = {{"name", row.name}, {"threads", row.threads}, {"rounds", row.seconds.size()}};
  if (!row.note.empty()) out["note"] = to_utf8(row.note);
  if (row.seconds.empty()) return out;
  out["median_ms"] = milliseconds(median(row.seconds));
  out["least_ms"] = milliseconds(row.seconds.front());
  out["most_ms"] = milliseconds(row.seconds.back());
  return out;
}

void print_rows(const std::vector<benchmark::BenchmarkRow>& rows) {
  std::vector<std::vector<std::string>> table = {{"", "threads", "median ms", "least", "most"}};
  for (const benchmark::BenchmarkRow& row : rows)
    if (row.seconds.empty())
      table.push_back({row.name + ": " + printable(row.note), "", "", "", ""});
    else
      table.push_back({row.name, std::to_string(row.threads), fmt::format("{:.2f}", median(row.seconds) * 1000),
                       fmt::format("{:.2f}", row.seconds.front() * 1000),
                       fmt::format("{:.2f}", row.seconds.back() * 1000)});
  print_table(table, {1, 2, 3, 4});
}

Result<int> benchmark_search(const BenchmarkFlags& flags, const Context& context) {
  IE_CHECK(catch_interrupts());
  IE_TRY(const TemporaryFolder folder, TemporaryFolder::create());
  benchmark::SearchBenchmark options;
  options.folder = folder.path();
  options.assets = flags.assets;
  options.rounds = flags.rounds;
  options.config = context.config;
  options.models = models::find_install_paths(context.config.models.folder);
  options.progress = !context.quiet;
  options.stop = interruption();
  IE_TRY(const std::vector<benchmark::BenchmarkRow> rows, benchmark::benchmark_search(options));
  nlohmann::json document = {{"benchmark", "search"},
                             {"version", IE_VERSION},
                             {"cores", std::thread::hardware_concurrency()},
                             {"assets", options.assets},
                             {"dimensions", options.dimensions},
                             {"rows", nlohmann::json::array()}};
  for (const benchmark::BenchmarkRow& row : rows) document["rows"].push_back(row_json(row));
  if (!flags.output.empty()) IE_CHECK(write_json("benchmark-search", document, flags.output));
  if (context.json)
    print_json("benchmark-search", document);
  else if (!context.quiet)
    print_rows(rows);
  return kDone;
}

}  // namespace

Action setup_benchmark(Arguments app, Settings& settings) {
  auto flags = std::make_shared<BenchmarkFlags>();
  app.require_subcommand();
  app.footer(kBenchmarkExamples);
  Arguments search = app.add_subcommand("search", "Words, vectors, labels over a synthetic library");
  search.add_option("-o,--output", flags->output, "Write the results as JSON").type_name("FILE");
  search.add_option("--assets", flags->assets, "Pictures of the library")
      .range(std::uint64_t{1}, std::uint64_t{10'000'000})
      .show_default();
  search.add_option("--rounds", flags->rounds, "Rounds of each measurement").range(1, 1000).show_default();
  const Action search_action = [=](Context& context) { return benchmark_search(*flags, context); };
  Arguments models = app.add_subcommand("models", "Compare models: on this machine's devices, and in other programs");
  const Action models_action = setup_benchmark_models(models);
  Arguments batches = app.add_subcommand("batch-size", "How many pictures a model should run on at once");
  const Action batches_action = setup_benchmark_batches(batches);
  Arguments photos = app.add_subcommand("photos", "How many photos a second analyze takes, and what limits it");
  const Action photos_action = setup_benchmark_photos(photos, settings);
  Arguments video = app.add_subcommand("video", "How long each stage takes on a video");
  const Action video_action = setup_benchmark_video(video, settings);
  return [=](Context& context) -> Result<int> {
    if (models.parsed()) return models_action(context);
    if (photos.parsed()) return photos_action(context);
    if (video.parsed()) return video_action(context);
    return batches.parsed() ? batches_action(context) : search_action(context);
  };
}

}  // namespace image_engine::cli
