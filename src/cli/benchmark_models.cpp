#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmark/models.h"
#include "cli/app.h"
#include "cli/benchmark.h"
#include "cli/chart.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

using benchmark::ModelRow;
using benchmark::ModelsReport;
using nlohmann::json;

constexpr char kBenchmarkModels[] = "benchmark-models";
constexpr char kSchema[] = "image-engine/benchmark-models/1";
constexpr char kResults[] = "benchmark_results.json";  // in the current folder

struct BenchmarkModelsFlags {
  std::string images, output, chart, model1, model2, peers;
  std::vector<std::string> models;
  std::size_t limit = 100;
  std::int64_t batch = 0;
};

std::optional<double> speedup_of(const ModelRow& row, const std::vector<ModelRow>& rows) {
  const ModelRow* const baseline = benchmark::baseline_of(rows, row.model);
  if (baseline == nullptr || !row.measured()) return std::nullopt;
  return row.images_per_second() / baseline->images_per_second();
}

std::string baseline_text(const std::vector<ModelRow>& rows, const std::string& model) {
  const ModelRow* const baseline = benchmark::baseline_of(rows, model);
  return baseline == nullptr ? "" : baseline->backend + " " + baseline->precision;
}

json row_json(const ModelRow& row, const std::vector<ModelRow>& rows) {
  json out = {{"key", row.key},     {"model", row.model},   {"backend", row.backend}, {"precision", row.precision},
              {"batch", row.batch}, {"images", row.images}, {"rounds", row.rounds}};
  if (!row.note.empty()) out["note"] = to_utf8(row.note);
  if (!row.measured()) return out;
  out["total"] = rounded(row.total, 9);
  out["spread"] = rounded(row.spread, 4);
  out["images_per_second"] = rounded(row.images_per_second(), 3);
  out["ms_per_image"] = rounded(1000 * row.total / static_cast<double>(row.images), 6);
  out["warmup"] = rounded(row.warmup, 3);
  if (const auto speedup = speedup_of(row, rows)) {
    out["speedup"] = rounded(*speedup, 3);
    out["baseline"] = baseline_text(rows, row.model);
  }
  if (row.gpu_memory_mb) out["gpu_memory_mb"] = rounded(*row.gpu_memory_mb, 1);
  if (row.deviation) out["deviation"] = rounded(*row.deviation, 6);
  return out;
}

json machine_json(const benchmark::Machine& machine) {
  return {{"cpu", machine.cpu}, {"cores", machine.cores}, {"gpus", machine.gpus}, {"onnxruntime", machine.runtime}};
}

// Rows of an earlier run that this one has not reached are kept.
json report_json(const ModelsReport& report, const std::vector<ModelRow>& known) {
  std::vector<ModelRow> rows = report.rows;
  if (!report.complete)
    for (const ModelRow& row : known)
      if (std::ranges::find(rows, row.key, &ModelRow::key) == rows.end()) rows.push_back(row);
  json out = {{"benchmark", "models"},
              {"version", IE_VERSION},
              {"complete", report.complete},
              {"machine", machine_json(report.machine)},
              {"folder", to_utf8(report.folder)},
              {"images", report.images},
              {"unreadable", report.unreadable},
              {"decode_ms", rounded(report.decode_ms, 3)},
              {"preparation", json::array()},
              {"rows", json::array()}};
  for (const benchmark::Preparation& one : report.preparation)
    out["preparation"].push_back({{"model", one.model}, {"preprocess_ms", rounded(one.preprocess_ms, 3)}});
  for (const ModelRow& row : rows) out["rows"].push_back(row_json(row, rows));
  if (const auto& found = report.comparison)
    out["comparison"] = {{"model1", found->model1},
                         {"model2", found->model2},
                         {"what", found->what},
                         {"compared", found->compared},
                         {"agreement", rounded(found->agreement, 4)}};
  return out;
}

template <typename T>
T member(const json& object, const char* name) {
  const auto found = object.find(name);
  T value{};
  if (found == object.end()) return value;
  if constexpr (std::is_same_v<T, std::string>)
    return found->is_string() ? found->template get<T>() : value;
  else if constexpr (std::is_integral_v<T>)
    return found->is_number_integer() ? found->template get<T>() : value;
  else
    return found->is_number() ? found->template get<T>() : value;
}

// The measured rows of an interrupted run; none without one or without its file.
std::vector<ModelRow> rows_in(const std::string& file) {
  std::vector<ModelRow> rows;
  const Result<std::string> text = read_file(file);
  const json document = text ? parse_json(*text) : json();
  if (!document.is_object() || document.value("schema", json()) != kSchema) return rows;
  if (document.value("complete", json()) != false || !document.value("rows", json()).is_array()) return rows;
  for (const json& one : document["rows"]) {
    if (!one.is_object()) continue;
    ModelRow row;
    row.key = member<std::string>(one, "key");
    row.model = member<std::string>(one, "model");
    row.backend = member<std::string>(one, "backend");
    row.precision = member<std::string>(one, "precision");
    row.note = member<std::string>(one, "note");
    row.batch = member<std::int64_t>(one, "batch");
    row.images = member<std::uint32_t>(one, "images");
    row.rounds = member<int>(one, "rounds");
    row.total = member<double>(one, "total");
    row.spread = member<double>(one, "spread");
    row.warmup = member<double>(one, "warmup");
    if (one.contains("gpu_memory_mb")) row.gpu_memory_mb = member<double>(one, "gpu_memory_mb");
    if (one.contains("deviation")) row.deviation = member<double>(one, "deviation");
    if (row.measured() && row.total > 0 && row.images > 0 && row.batch > 0) rows.push_back(std::move(row));
  }
  return rows;
}

std::string cell(const char* format, std::optional<double> value) {
  return value ? fmt::format(fmt::runtime(format), *value) : "";
}

void print_rows(const std::vector<ModelRow>& rows) {
  std::vector<std::vector<std::string>> table = {{"model", "backend", "precision", "batch", "total s", "images/s",
                                                  "ms/image", "spread", "speed-up", "GPU MB", "warm-up s",
                                                  "deviation"}};
  std::map<std::string, std::vector<std::string>> missing;  // models by combination and reason
  for (const ModelRow& row : rows) {
    if (!row.measured()) {
      missing[fmt::format("{} {}: {}", row.backend, row.precision, printable(row.note))].push_back(row.model);
      continue;
    }
    table.push_back({row.model, row.backend, row.precision, std::to_string(row.batch), fmt::format("{:.3f}", row.total),
                     fmt::format("{:.1f}", row.images_per_second()),
                     fmt::format("{:.2f}", 1000 * row.total / static_cast<double>(row.images)),
                     fmt::format("{:.0f} %", 100 * row.spread), cell("{:.2f}", speedup_of(row, rows)),
                     cell("{:.0f}", row.gpu_memory_mb), fmt::format("{:.2f}", row.warmup),
                     cell("{:.6f}", row.deviation)});
  }
  if (table.size() > 1) print_table(table, {3, 4, 5, 6, 7, 8, 9, 10, 11});
  if (missing.empty()) return;
  print_line("");
  print_line("Not measured:");
  for (const auto& [why, models] : missing) print_line(fmt::format("  {} ({})", why, fmt::join(models, ", ")));
}

void print_report(const ModelsReport& report, const std::string& output) {
  print_line(fmt::format("{} of {}; decoding took {:.1f} ms each, which no row includes",
                         human_count(report.images, "photo"), printable(report.folder), report.decode_ms));
  for (const benchmark::Preparation& one : report.preparation)
    print_line(fmt::format("  preprocessing for {}: {:.1f} ms each, likewise", one.model, one.preprocess_ms));
  print_line("");
  print_rows(report.rows);
  std::map<std::string, std::vector<std::string>> baselines;
  for (const ModelRow& row : report.rows)
    if (std::string baseline = baseline_text(report.rows, row.model); !baseline.empty())
      if (auto& models = baselines[std::move(baseline)]; std::ranges::find(models, row.model) == models.end())
        models.push_back(row.model);
  print_line("");
  for (const auto& [baseline, models] : baselines)
    print_line(fmt::format("speed-up over {}: {}", baseline, fmt::join(models, ", ")));
  if (const auto& found = report.comparison)
    print_line(fmt::format("{} and {} agree on {:.1f} % of {} {}", found->model1, found->model2, 100 * found->agreement,
                           found->compared, found->what));
  print_line("written to " + printable(output));
}

std::string chart_of(const ModelsReport& report) {
  std::vector<BarGroup> groups;
  for (const ModelRow& row : report.rows) {
    if (!row.measured()) continue;
    const auto known = std::ranges::find(groups, row.model, &BarGroup::title);
    BarGroup& group = known == groups.end() ? groups.emplace_back(BarGroup{row.model, {}}) : *known;
    group.bars.push_back({fmt::format("{} {} ×{}", row.backend, row.precision, row.batch), row.images_per_second()});
  }
  return bar_chart(
      fmt::format("Models on {}", report.machine.gpus.empty() ? report.machine.cpu : report.machine.gpus.front()),
      "images per second, by batch size", groups);
}

Result<int> benchmark_models(const BenchmarkModelsFlags& flags, const Context& context) {
  IE_CHECK(catch_interrupts());
  benchmark::ModelsBenchmark options;
  options.config = context.config;
  options.paths = models::find_install_paths(context.config.models.folder);
  options.models = flags.models;
  options.compare = !flags.model1.empty();
  if (options.compare) options.models = {flags.model1, flags.model2};
  options.images = flags.images;
  options.limit = flags.limit;
  options.batch = flags.batch > 0 ? flags.batch : context.config.analysis.ml_models.batch_size;
  options.peers = flags.peers.empty() ? "" : absolute_path(flags.peers);
  const std::string output = absolute_path(flags.output.empty() ? kResults : flags.output);
  IE_CHECK(check_json_target(output));
  options.known = rows_in(output);
  options.keep = [&](const ModelsReport& report) -> Status {
    return write_json(kBenchmarkModels, report_json(report, options.known), output);
  };
  options.progress = !context.quiet;
  options.stop = interruption();
  const auto report = benchmark::benchmark_models(options);
  if (!report) {
    if (report.error().code != ErrorCode::kInterrupted) return fail(report.error());
    return fail(ErrorCode::kInterrupted,
                "interrupted: the same command continues after the last row of " + printable(output));
  }
  if (!flags.chart.empty()) IE_CHECK(write_file_atomically(absolute_path(flags.chart), chart_of(*report)));
  if (context.json)
    print_json(kBenchmarkModels, report_json(*report, {}));
  else if (!context.quiet)
    print_report(*report, output);
  return kDone;
}

}  // namespace

Action setup_benchmark_models(Arguments app) {
  auto flags = std::make_shared<BenchmarkModelsFlags>();
  app.add_option("--images", flags->images, "Photos to measure on; without it the samples of the source tree")
      .type_name("DIR");
  const Option models =
      app.add_option("--models", flags->models, "The models; a+b: both on each photo. Without it, all installed ones")
          .split_at(',')
          .type_name("A,B+C");
  const Option one = app.add_option("--model1", flags->model1, "Compare two models").type_name("NAME");
  const Option two = app.add_option("--model2", flags->model2, "The other one").type_name("NAME");
  one.needs(two);
  two.needs(one);
  models.excludes(one);
  app.add_option("-o,--output", flags->output,
                 "Where the results are written; resumes an interrupted run. Without it benchmark_results.json, here")
      .type_name("FILE");
  app.add_option("--chart", flags->chart, "Draw images per second as SVG").type_name("FILE");
  app.add_option("--limit", flags->limit, "Most photos").range(1, 100'000).show_default();
  app.add_option("--batch", flags->batch, "Pictures in a run; analysis.ml_models.batch_size without it").range(1, 1024);
  app.add_option("--peers", flags->peers, "A Python with onnxruntime or torch, to measure as well")
      .type_name("PYTHON")
      .existing_file();
  return [=](Context& context) -> Result<int> { return benchmark_models(*flags, context); };
}

}  // namespace image_engine::cli
